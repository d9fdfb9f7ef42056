# SPDX-License-Identifier: MIT
"""Make the guest's root: a cpio archive ("newc") that the kernel unpacks.

It is written directly, so device nodes need no root and nothing is staged on
disk. Dynamic programs bring the libraries that `ldd` names. The guest has
usr-merged directories, as Debian 12 has. It never changes what it packs.
"""

import os
import re
import shutil
import stat
import subprocess
from pathlib import Path, PurePosixPath

# libc opens these by itself, where ldd cannot see it: pthread_exit(),
# pthread_cancel() and backtrace() need the unwinder.
_OPENED_BY_LIBC = 'libgcc_s.so.1'
_MERGED = ('bin', 'sbin', 'lib', 'lib64')


class InitramfsError(Exception):
    """What cannot be brought along, and why."""


class Archive:
    """A tree of files in memory, and how it is written."""

    def __init__(self):
        self._entries = {}
        for name in _MERGED:
            self.directory(f'/usr/{name}')
            self.link(f'/{name}', f'usr/{name}')

    @staticmethod
    def _place(path):
        parts = PurePosixPath(path).parts[1:]
        if parts and parts[0] in _MERGED and len(parts) > 1:
            parts = ('usr', *parts)
        return '/'.join(parts)

    def _add(self, path, mode, data=b'', device=(0, 0)):
        place = self._place(path)
        parent = PurePosixPath(place).parent
        if str(parent) != '.' and str(parent) not in self._entries:
            self.directory(f'/{parent}')
        self._entries[place] = (mode, data, device)

    def has(self, path):
        """Is there something at this path already?"""
        return self._place(path) in self._entries

    def directory(self, path, mode=0o755):
        """Add a directory, and those above it."""
        self._add(path, stat.S_IFDIR | mode)

    def link(self, path, target):
        """Add a symbolic link."""
        self._add(path, stat.S_IFLNK | 0o777, target.encode())

    def file(self, path, data, mode=0o644):
        """Add a file of these bytes (or this text)."""
        self._add(path, stat.S_IFREG | mode,
                  data.encode() if isinstance(data, str) else data)

    def node(self, path, major, minor, mode=0o600):
        """Add a character device."""
        self._add(path, stat.S_IFCHR | mode, device=(major, minor))

    def write(self, path):
        """Write the archive. Uncompressed: the guest's processor is slow."""
        with open(path, 'wb') as out:
            for number, place in enumerate(self._entries, 1):
                self._write_entry(out, number, place, *self._entries[place])
            self._write_entry(out, 0, 'TRAILER!!!', 0, b'', (0, 0))

    @staticmethod
    def _write_entry(out, number, place, mode, data, device):
        name = place.encode() + b'\0'
        fields = (number, mode, 0, 0, 1, 0, len(data), 0, 0, *device,
                  len(name), 0)
        header = b'070701' + b''.join(b'%08x' % field for field in fields)
        for part in (header + name, data):
            out.write(part)
            out.write(b'\0' * (-len(part) % 4))


def _is_elf(path):
    with open(path, 'rb') as file:
        return file.read(4) == b'\x7fELF'


def libraries(path, near=''):
    """The paths of everything that a dynamic program or library loads, the
    loader too, as `ldd` finds them, in the directory `near` first; none for a
    static one."""
    if not _is_elf(path):
        return []
    environment = {**os.environ, 'LC_ALL': 'C', 'LD_PRELOAD': ''}
    if near:
        environment['LD_LIBRARY_PATH'] = str(near)
    run = subprocess.run(['ldd', path], capture_output=True, text=True,
                         env=environment, check=False)
    if run.returncode:
        if 'not a dynamic executable' in run.stdout + run.stderr:
            return []
        raise InitramfsError(f'ldd {path}: {(run.stdout + run.stderr).strip()}')
    if missing := re.findall(r'^\s*(\S+) => not found', run.stdout, re.M):
        raise InitramfsError(f'{path} needs {", ".join(missing)}, which is not '
                             'to be found')
    return [Path(found) for found in
            re.findall(r'^\s*(?:\S+ => )?(/\S+) \(0x', run.stdout, re.M)]


class Guest:
    """The guest's root, and where a host's file is found in it.

    What lies below the build directory or the sources comes to /lethe, with
    the directories in between, so that a run path relative to the program
    ($ORIGIN/../../lib) holds in the guest too. Anything else keeps its path.
    """

    def __init__(self, sources, build):
        self.archive = Archive()
        self._roots = (build.resolve(), sources.resolve())
        self._tree, self._near = None, ''

    def path_of(self, path):
        """Where a file of the host is in the guest."""
        path = Path(os.path.abspath(path))
        # The directory's links are followed, a library's own link is its name.
        path = path.parent.resolve() / path.name
        if self._tree and path.is_relative_to(self._tree):
            return str(PurePosixPath('/') / path.relative_to(self._tree))
        for root in self._roots:
            if path.is_relative_to(root):
                return str(PurePosixPath('/lethe') / path.relative_to(root))
        return str(path)

    def is_ours(self, path):
        """Is it a file of this project?"""
        return Path(path).is_file() and self.path_of(path).startswith('/lethe/')

    def data(self, path, place):
        """Bring a file's bytes to this place, and nothing with it."""
        try:
            mode = stat.S_IMODE(os.stat(path).st_mode) | 0o444
            self.archive.file(place, Path(path).read_bytes(), mode)
        except OSError as error:
            raise InitramfsError(f'{path}: {error.strerror}') from None

    def bring(self, path, place=None):
        """Bring a file with all that it loads, to `place` if that is said; its path
        in the guest."""
        place = place or self.path_of(path)
        if self.archive.has(place):
            return place
        self.data(path, place)
        loaded = libraries(path, self._near)
        for library in loaded:
            self.bring(library)
        for libc in (x for x in loaded if x.name == 'libc.so.6'):
            if (libc.parent / _OPENED_BY_LIBC).exists():
                self.bring(libc.parent / _OPENED_BY_LIBC)
        return place

    def tree(self, root, libraries_at):
        """Bring a whole tree, as `make install DESTDIR=` leaves one, to the
        guest's root: its links as links, its programs with what they load. What
        comes after it finds the tree's own libraries, which lie in the directory
        `libraries_at` of it, before this machine's."""
        self._tree = Path(root).resolve()
        self._near = self._tree / libraries_at.lstrip('/')
        for folder, folders, names in os.walk(self._tree):
            for path in (Path(folder, name) for name in (*folders, *names)):
                if path.is_symlink():
                    self.archive.link(self.path_of(path), os.readlink(path))
                elif path.is_file():
                    self.bring(path)

    def program(self, name):
        """Bring a program of the host, found as a shell finds it."""
        found = shutil.which(name)
        if not found:
            raise InitramfsError(f'{name} is not installed')
        return self.bring(found)

    def busybox(self):
        """Bring busybox, under all of its names."""
        place = self.program('busybox')
        names = subprocess.run(['busybox', '--list'], check=True, text=True,
                               capture_output=True).stdout.split()
        for name in names:
            if not self.archive.has(f'/usr/bin/{name}'):
                self.archive.link(f'/usr/bin/{name}', place)
