#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Builds the Debian packages of this tree, and has lintian judge them.

    deb.py VERSION [RELEASE]

They come to build/deb/RELEASE, the machine's own release if none is said: that one is
built here, any other in a clean root of its own (image.py), by the compilers and
judged by the lintian that it has. What is built is a copy of the tree's files, with
user/packaging/debian beside them as debian/. Nothing is written to the tree.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import image
from debian import DebianError

HERE = Path(__file__).resolve()
SOURCES = HERE.parents[2]
_INSIDE = '/run/lethe'

BUILD = 'dpkg-buildpackage -us -uc -b'
# All that it says, and what it takes for an error.
LINTIAN = ('lintian --allow-root --info --display-info --pedantic --tag-display-limit 0 '
           '--fail-on error,warning')
PREPARE = ('apt-get install -y -q --no-install-recommends '
           'build-essential lintian && apt-get build-dep -y -q --no-install-recommends ./')


def say(text):
    """A line for a person."""
    print(f'  DEB     {text}', flush=True)


def own_release():
    """This machine's, or '' where it is no Debian."""
    text = Path('/etc/os-release').read_text('utf-8')
    found = re.search(r'^VERSION_CODENAME=(\w+)$', text, re.M)
    return found[1] if found and re.search(r'^ID=debian$', text, re.M) else ''


def _files():
    """What is the tree's: git's word where there is git, else all but what was built."""
    if shutil.which('git'):
        done = subprocess.run(['git', 'ls-files', '-coz', '--exclude-standard'],
                              cwd=SOURCES, capture_output=True, text=True, check=False)
        if not done.returncode:
            return [name for name in done.stdout.split('\0')
                    if name and (SOURCES / name).is_file()]
    return [str(path.relative_to(SOURCES)) for path in SOURCES.rglob('*')
            if path.is_file() and path.relative_to(SOURCES).parts[0] not in ('build', '.git')]


def _copy(version, place):
    """The source package's tree."""
    shutil.rmtree(place, ignore_errors=True)
    tree = place / f'lethe-{version}'
    for name in _files():
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(SOURCES / name, tree / name, follow_symlinks=False)
    (tree / 'user/packaging/debian').rename(tree / 'debian')
    told = re.match(r'lethe \((.*)\)', (tree / 'debian/changelog').read_text('utf-8'))[1]
    if told != version:
        raise DebianError(f'debian/changelog is of {told}, lethe.h of {version}')
    return tree


def _run(words, log, **options):
    done = subprocess.run(words, check=False, stdout=log, stderr=subprocess.STDOUT,
                          stdin=subprocess.DEVNULL, **options)
    if done.returncode:
        log.flush()
        tail = Path(log.name).read_text('utf-8', 'replace').splitlines()[-25:]
        raise DebianError('\n'.join([f'{" ".join(map(str, words))[-70:]}: failed', *tail]))


def build(version, release, place, root=None):
    """The packages' files: built at `place`, within `root` if there is one."""
    tree = _copy(version, place)
    # What make was given is not for the packages' own make.
    clean = {name: value for name, value in os.environ.items()
             if name not in ('MAKEFLAGS', 'MAKELEVEL', 'MFLAGS', 'O', 'V', 'CC', 'CFLAGS')}
    say(f'{release}: {BUILD}')
    with open(place / 'build.log', 'w', encoding='utf-8') as log:
        for words in ([] if not root else [PREPARE]) + [BUILD, f'{LINTIAN} ../*.changes']:
            if root:
                words = image.words_to_enter(
                    root, ['sh', '-c', f'cd {_INSIDE}/{tree.name} && {words}'],
                    [(place, _INSIDE)])
            else:
                words = ['sh', '-c', words]
            _run(words, log, cwd=tree, env=clean)
    shutil.rmtree(tree)
    for line in (place / 'build.log').read_text('utf-8', 'replace').splitlines():
        if re.match(r'[EWIP]: lethe|[EWIP]: liblethe', line):
            say(line)
    return sorted(place.glob('*.deb'))


def main(words):
    """deb.py VERSION [RELEASE]"""
    if len(words) not in (1, 2):
        print(__doc__, file=sys.stderr)
        return 2
    version, release = words[0], (words[1:] or [own_release()])[0]
    out = Path(os.environ.get('O', 'build')).resolve()
    try:
        if release == own_release():
            debs = build(version, release, out / 'deb' / release)
        else:
            with image.fresh(release, out, say) as root:
                debs = build(version, release, out / 'deb' / release, root)
    except DebianError as error:
        print(f'make deb: {error}', file=sys.stderr)
        return 1
    for deb in debs:
        print(os.path.relpath(deb))
    return 0


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
