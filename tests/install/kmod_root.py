# SPDX-License-Identifier: MIT
"""A root of a kernel's, with what installs a module in it: its headers and compiler
(tests/vm/kernel.py), DKMS and kmod of the same Debian, hard links of both. What is
written there is new, or replaces a link: the roots that it is made of stay as they are.
"""
import lzma
import os
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / 'vm'))
import kernel  # noqa: E402
import tap  # noqa: E402, F401
from debian import have_root, run_within  # noqa: E402

PACKAGES = ('dkms', 'kmod', 'openssl', 'xz-utils')
BUILD = Path(os.environ.get('O', 'build')).resolve()


def say(text):
    """For whoever waits."""
    print(f'  VM      {text}', file=sys.stderr, flush=True)


class Root:
    """What one is asked to do."""

    def __init__(self, path, out, image):
        self.path, self.image, self.said = path, image, ''
        # Bound in the root: there a command's words come from, and its output goes to.
        self._out = out

    def run(self, *words):
        """Run a command as root of it; its status, and what it said in self.said."""
        log = self._out / 'log'
        status = run_within(self.path, [self._out], [
            'sh', '-c', 'exec "$@" >log 2>&1 </dev/null', 'sh', *words])
        self.said = log.read_text('utf-8', 'replace')
        return status

    def file(self, name):
        """A file of it, out here."""
        return self.path / name.lstrip('/')

    def tree(self):
        """All that is in it, but what is not of a disk."""
        skip = {str(self.path / name) for name in ('proc', 'dev', 'tmp')}
        skip.add(str(self.path) + str(self._out))
        found = set()
        for where, folders, names in os.walk(self.path):
            folders[:] = [name for name in folders
                          if os.path.join(where, name) not in skip]
            found.update(os.path.relpath(os.path.join(where, name), self.path)
                         for name in folders + names)
        return found


@contextmanager
def root_of(name):
    """One for a kernel, gone afterwards."""
    image = kernel.fetch(name, BUILD, say)
    release = kernel.KERNELS[name][0]
    tools = have_root(release, PACKAGES, BUILD / 'vm' / 'dkms' / release, BUILD, say)
    place = BUILD / 'tests' / 'install'
    place.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=place) as scratch:
        path, out = Path(scratch, 'root'), Path(scratch, 'out')
        out.mkdir()
        for source in (image.root, tools):
            subprocess.run(['cp', '-aln', f'{source}/.', path], check=True)
        yield Root(path, out, image)


def plain_module(path):
    """A module's bytes, unpacked: a file, or one that lies there packed."""
    packed = path.with_name(path.name + '.xz')
    return lzma.decompress(packed.read_bytes()) if packed.exists() else \
        path.read_bytes()


def vm(name, verb, words, *options):
    """tests/vm/vm.py run or test; its status and its output."""
    harness = Path(__file__).resolve().parent.parent / 'vm' / 'vm.py'
    done = subprocess.run([sys.executable, '-B', harness, verb, '--kernel', name,
                           '--timeout', '240', *options, '--', *words],
                          check=False, text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
    return done.returncode, done.stdout.replace('\r', '')


def keep(name, data):
    """A result for whoever comes next."""
    path = BUILD / 'tests' / 'install' / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path
