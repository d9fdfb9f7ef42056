# SPDX-License-Identifier: MIT
"""Every file of a machine, and what differs between two lists.

Two readings make a list: bytes, of a tree that lies here (a root, or a disk read back);
and mode, owner, size and link, as `find` says in the machine itself, since what is read
back of a disk has lost some of that. Neither writes anything.
"""

import hashlib
import os
import re
from pathlib import Path

# Between these lines the guest prints what _FIND says.
BEGIN, END = 'FILES:', 'FILES END'
_FIND = ['find', '/', '-xdev', '-printf', r'%y %m %U %G %s %l\t%p\n']

# Mounted over, while the machine runs, or while a root is entered.
_NOT_OF_THE_DISK = re.compile(r'/(dev|proc|sys|run|tmp)(/|$)|/etc/resolv\.conf$')

# What apt, dpkg and a boot change on any Debian, whatever is installed and purged.
CHANGED = [(re.compile(pattern), why) for pattern, why in (
    (r'/var/log/(apt|journal)(/|$)', 'what was done is logged'),
    (r'/var/log/(dpkg|alternatives)\.log', 'what was done is logged'),
    (r'/var/log/(wtmp|btmp|lastlog|wtmp\.db)', 'what was done is logged'),
    (r'/var/cache/apt/', 'what apt has downloaded and sorted'),
    (r'/var/lib/apt/(extended_states|lists)', 'which packages came of themselves; partial/'),
    (r'/var/lib/dpkg/(status|available|lock|triggers/Lock|diversions|alternatives)',
     'in another order; dpkg-query is compared'),
    (r'/var/lib/dpkg/[\w-]+-old', 'the state before the last change'),
    (r'/var/lib/systemd/', 'of the boot: seed, timers, lingering'),
    (r'/(etc|var)/\.updated$', 'of the boot: systemd-update-done.service'),
    (r'/var/lib/dbus/machine-id', 'of the boot: a link to /etc/machine-id'),
    (r'/var/lib/(logrotate|private)', 'timers that came due while it ran'),
    (r'/var/cache/man/', "man's index, which a timer writes too"),
    (r'/var/cache/(ldconfig/aux-cache|debconf/)', 'made anew at any change'),
    (r'/etc/ld\.so\.cache', 'made anew at any change'),
    (r'/etc/(passwd|group|g?shadow)-', 'the state before the last change'),
    (r'/lethe-test\.sh$|/etc/systemd/system/lethe-test\.service$', 'what runs this: booted.py'),
    (r'/lost\+found', 'of the file system'),
    (r'/var/tmp/systemd-private-', 'of a service that ran'),
)]


def content(root):
    """{path: SHA-256} of the regular files of a tree."""
    found = {}
    for folder, folders, files in os.walk(root):
        inside = '/' + os.path.relpath(folder, root).lstrip('.')
        folders[:] = [name for name in folders
                      if not _NOT_OF_THE_DISK.match(os.path.join(inside, name))]
        for name in files:
            path = Path(folder) / name
            if path.is_file() and not path.is_symlink():
                with open(path, 'rb') as file:
                    found[os.path.join(inside, name)] = \
                        hashlib.file_digest(file, 'sha256').hexdigest()
    return found


def _parse(text):
    found = {}
    for line in text.splitlines():
        what, tab, path = line.rpartition('\t')
        if tab and not _NOT_OF_THE_DISK.match(path):
            # A directory's size is how it grew.
            found[path] = re.sub(r'^(d \d+ \d+ \d+) \d+', r'\1', what)
    return found


def metadata_of(enter, root):
    """{path: mode, owner, size, link} of a root."""
    return _parse(enter(root, _FIND).stdout)


def metadata_said(output):
    """The same, of what a guest printed."""
    return _parse(output.partition(BEGIN + '\n')[2].partition(END + '\n')[0])


def differences(before, after):
    """Paths that came, went or changed, in order, but for CHANGED."""
    found = set()
    for old, new in zip(before, after):
        found |= {path for path in old.keys() | new.keys() if old.get(path) != new.get(path)}
    return sorted(path for path in found
                  if not any(pattern.match(path) for pattern, _ in CHANGED))
