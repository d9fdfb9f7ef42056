# SPDX-License-Identifier: MIT
"""A C compiler for the guest: this machine's own, with what a program for libc,
Linux and libcrypto is made of. So whoever sits in the guest compiles what the manual
shows by the line that the manual shows.

Asked of the compiler and of dpkg, path by path; nothing is guessed where it lies, and
nothing that is large and of no use here comes along: no C++, no LTO, no archives but
those that every link asks for.
"""

import os
import shutil
import subprocess
from pathlib import Path

from initramfs import InitramfsError

_PROGRAMS = ('cc1', 'collect2', 'as', 'ld')
# Of the compiler's own: what it adds to each link, and the plugin that it insists on.
_STARTUP = ('crtbegin.o', 'crtbeginS.o', 'crtend.o', 'crtendS.o', 'libgcc.a',
            'libgcc_s.so', 'libgcc_s.so.1', 'liblto_plugin.so')
_PACKAGES = ('libc6-dev', 'linux-libc-dev', 'libssl-dev')
# All of libc's that is an archive still, where all else of libc is shared.
_ARCHIVES = ('libc_nonshared.a', 'libpthread.a', 'libdl.a', 'librt.a')


def _ask(*words):
    """What a command prints."""
    try:
        return subprocess.run(words, check=True, text=True,
                              capture_output=True).stdout
    except FileNotFoundError:
        raise InitramfsError(f'{words[0]} is not installed') from None
    except subprocess.CalledProcessError as error:
        raise InitramfsError(f'{" ".join(words)}: {error.stderr.strip()}') \
            from None


def _from(cc, what, name):
    """The path that the compiler has a program or a file of its own under."""
    path = _ask(cc, f'-print-{what}-name={name}').strip()
    path = shutil.which(path) or path
    # Its own way to there has a lot of "..", which the guest need not have.
    return Path(os.path.normpath(path))


def _is_of_use(path):
    return path.is_file() and (
        path.is_relative_to('/usr/include') or path.suffix in ('.o', '.so', '.pc') or
        path.name in _ARCHIVES)


def _bring(guest, path):
    """A file and, where it is a link, under each name on the way to it."""
    while path.is_symlink():
        target = os.readlink(path)
        guest.archive.link(str(path), target)
        path = Path(os.path.normpath(path.parent / target))
    guest.bring(path)


def bring(guest, cc='gcc'):
    """Bring it all; `cc` and `gcc` are its names."""
    driver = Path(guest.program(cc))
    for name in ('cc', 'gcc'):
        if not guest.archive.has(f'/usr/bin/{name}'):
            guest.archive.link(f'/usr/bin/{name}', str(driver))
    for name in _PROGRAMS:
        _bring(guest, _from(cc, 'prog', name))
    for name in _STARTUP:
        _bring(guest, _from(cc, 'file', name))
    include = _from(cc, 'file', 'include')
    for path in include.rglob('*'):
        if path.is_file():
            guest.data(path, str(path))
    for line in _ask('dpkg', '-L', *_PACKAGES).splitlines():
        if _is_of_use(Path(line)):
            _bring(guest, Path(line))
    _bring(guest, Path(shutil.which('pkg-config') or 'pkg-config'))
