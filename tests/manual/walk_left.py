# SPDX-License-Identifier: MIT
"""Whether a machine is without a trace of Lethe, that had it. Compared with what it was
before, files may have come by packages that are still there, for a compiler was
installed on the way and nobody asked for it to go; and what Debian itself writes as
packages come and go may have changed, if Lethe is not in it. Everything else is a
trace. Reads a root, and changes nothing in it.
"""

import os
import re
import stat
from pathlib import Path

NAME = re.compile('lethe', re.I)

# Not a machine's files: what is in them is there while it runs, or the person's.
_NOT_LOOKED_AT = ('proc', 'sys', 'dev', 'run', 'tmp', 'home')

# What tells the story of packages, names and all; man's index keeps the bytes of
# pages that it has no more.
_STORY = re.compile(r'var/log/|var/lib/(?:apt|dpkg)/|var/cache/(?:apt|debconf|man)/')

# What is made anew as packages come and go, and would tell of Lethe if it were there.
_REMADE = re.compile(
    r'boot/initrd\.img-|(?:usr/)?lib/modules/[^/]+/modules\.|etc/ld\.so\.cache$|'
    r'etc/alternatives/|(?:usr/)?s?bin/|usr/share/(?:man|info)/|'
    r'var/cache/ldconfig/|usr/lib/cpp$|usr/local/(?:share/fonts|lib/python3[^/]*(?:/dist-packages)?)$|'
    r'var/lib/(?:systemd|dkms|initramfs-tools|ucf|misc|shim-signed|sudo|emacsen-common|gems|'
    r'mime-support|pam|python|libxml-sax-perl)\b|var/cache/swcatalog\b|'
    r'etc/(?:passwd|group|g?shadow|sub[ug]id)-?$|'
    r'etc/(?:ssl|ca-certificates|perl|python3|\.pwd\.lock|mailcap)|'
    r'.*/__pycache__/|.*\.pyc$|usr/(?:share|lib)/(?:mime|perl|python3|applications|'
    r'glib-2\.0|xml|emacs)|etc/(?:dkms|emacs|xml|sgml|init\.d|rc.\.d|systemd|fonts)')


def _look(path):
    """What would differ of a file if it were another."""
    found = path.lstat()
    if stat.S_ISLNK(found.st_mode):
        return os.readlink(path)
    if stat.S_ISDIR(found.st_mode):
        return 'directory'
    return found.st_mode, found.st_uid, found.st_gid, found.st_size, found.st_mtime_ns


def listing(root):
    """All of a root's files: {path: what it looks like}."""
    files = {}
    for folder, folders, names in os.walk(root):
        if Path(folder) == Path(root):
            folders[:] = [name for name in folders if name not in _NOT_LOOKED_AT]
        for name in (*folders, *names):
            path = Path(folder, name)
            files[str(path.relative_to(root))] = _look(path)
    return files


def _of_packages(root):
    """The paths that belong to packages that are there, with and without /usr."""
    paths = set()
    for found in (root / 'var/lib/dpkg/info').glob('*.list'):
        for line in found.read_text('utf-8').splitlines():
            plain = line.lstrip('/')
            paths |= {plain, f'usr/{plain}', plain.removeprefix('usr/')}
    for found in (root / 'var/lib/dpkg/info').glob('*.conffiles'):
        paths |= {line.split()[-1].lstrip('/') for line in
                  found.read_text('utf-8').splitlines() if line}
    return paths


def _tells(path):
    """Is Lethe's name in what a file has?"""
    return path.is_file() and not path.is_symlink() and \
        bool(NAME.search(path.read_bytes().decode('latin-1')))


def traces(root, before):
    """Of a root that was as `before` once: lines on what is left of Lethe, or on what
    cannot be told from that."""
    now, owned, found = listing(root), _of_packages(root), []
    status = (root / 'var/lib/dpkg/status').read_text('utf-8')
    found += [f'a package: {name}, {state}' for name, state in re.findall(
        r'^Package: (.*)\nStatus: (.*)$', status, re.M)
              if NAME.search(name) and not state.endswith('not-installed')]
    for path in sorted(now.keys() | before.keys()):
        if now.get(path) == before.get(path) or _STORY.match(path):
            continue
        if path not in now:
            if path not in owned and not _REMADE.match(path):
                found.append(f'gone: {path}')
        elif NAME.search(path):
            found.append(f'left: {path}')
        elif path not in owned and not _REMADE.match(path):
            found.append(f'{"changed" if path in before else "new"}: {path}')
        elif path not in owned and _tells(root / path):
            found.append(f'tells of Lethe: {path}')
    return found
