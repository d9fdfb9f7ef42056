# SPDX-License-Identifier: MIT
"""What the guest of `vm.py shell` has beside a test's: Lethe as it is installed, a
compiler, the manual, a home with the programs to try, and an ordinary user.

It adds to the guest's root, and changes nothing of this machine's.
"""

import os
from pathlib import Path

import toolchain
from initramfs import InitramfsError

_HERE = Path(__file__).resolve().parent / 'shell'
_PROGRAMS = ('bash', 'less', 'mandoc')
_TERMINFO = ('/etc/terminfo', '/lib/terminfo', '/usr/share/terminfo')

_ACCOUNTS = {
    'passwd': 'root:x:0:0:root:/root:/bin/bash\n'
              'user:x:1000:1000:user:/home/user:/bin/bash\n'
              'nobody:x:65534:65534:nobody:/nonexistent:/bin/false\n',
    'group': 'root:x:0:\nuser:x:1000:\nnogroup:x:65534:\n',
    'shells': '/bin/bash\n',
}


def terminal(guest):
    """Bring what the guest has to know of this terminal; TERM there."""
    name = os.environ.get('TERM', '')
    for term in (name, 'linux'):
        for place in _TERMINFO:
            path = Path(place, term[:1], term)
            if term and '/' not in term and path.is_file():
                guest.data(path, f'/lib/terminfo/{term[0]}/{term}')
                return term
    return 'dumb'


def _own(guest, path):
    """Bring a file of the person's, and leave it where the shell begins."""
    place = f'/root/{Path(path).name}'
    if not Path(path).is_file():
        raise InitramfsError(f'{path} is not there, or no file')
    if guest.archive.has(place):
        raise InitramfsError(f'{path}: the guest has {place} of its own')
    guest.bring(path, place)


def furnish(guest, options, kernel):
    """All of it; before busybox, whose names give way. `options.tree` is what
    `make install DESTDIR=` left, and what home.py added."""
    root = guest.archive
    for name, text in _ACCOUNTS.items():
        root.file(f'/etc/{name}', text)
    if options.tree:
        guest.tree(options.tree, options.tree_libraries)
    for name in _PROGRAMS:
        guest.program(name)
    toolchain.bring(guest)
    guest.data(_HERE / 'man', '/usr/bin/man')
    guest.data(_HERE / 'bashrc', '/etc/bash.bashrc')
    root.file('/etc/profile', '. /etc/bash.bashrc\ncat /etc/motd\n')
    motd = (_HERE / 'motd').read_text('utf-8')
    for path in map(Path, options.file):
        if path.is_file() and os.access(path, os.X_OK):
            root.link(f'/usr/bin/{path.name}', guest.path_of(path))
    root.file('/etc/motd', motd.replace('@RELEASE@', kernel.release))
    for path in options.own:
        _own(guest, path)
    options.env.append(f'TERM={terminal(guest)}')
