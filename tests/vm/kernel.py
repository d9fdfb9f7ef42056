# SPDX-License-Identifier: MIT
"""Debian's own kernels: find today's, download it, and make it bootable.

Nothing is installed: `apt-get download` and `dpkg-deb -x` need no root, and
write below build/vm alone. An ABI number is never written down here: apt is
asked for what the metapackage stands for now.
"""

import fcntl
import gzip
import lzma
import re
import shutil
import struct
import subprocess
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

# Every kernel that is supported: a name, and the metapackage that follows it.
KERNELS = {
    '6.1': 'linux-image-cloud-amd64',
}


class KernelError(Exception):
    """No kernel, and why not, for a person to read."""


@dataclass
class Kernel:
    """A kernel that can be booted: by PVH, or as a bzImage with KASLR."""
    name: str
    release: str
    vmlinux: Path
    bzimage: Path


def _run(words, cwd=None):
    try:
        return subprocess.run(words, cwd=cwd, check=True, text=True,
                              capture_output=True).stdout
    except FileNotFoundError:
        raise KernelError(f'{words[0]} is not installed') from None
    except subprocess.CalledProcessError as error:
        # apt warns ("W: ") of much that does not matter.
        tail = [line for line in error.stderr.strip().splitlines()
                if not line.startswith('W: ')][-3:]
        raise KernelError(' '.join([*map(str, words), 'failed:', *tail])) \
            from None


def _todays_package(name):
    """The package of the ABI that the metapackage stands for today."""
    meta = KERNELS[name]
    wanted = re.escape(name) + r'[.+][0-9][\w.+~-]*'
    answer = _run(['apt-cache', 'depends', '--important', meta])
    for line in answer.splitlines():
        found = re.match(rf'\s+Depends: (linux-image-({wanted}))$', line)
        if found:
            return found[1], found[2]
    raise KernelError(f'apt knows no {meta} that is a kernel {name}; is this '
                      'Debian 12, and was "apt-get update" run?')


def _unpack(data):
    """Undo a kernel's compression, known by its magic number."""
    for magic, tool in ((b'\x02\x21\x4c\x18', 'lz4'),
                        (b'\x28\xb5\x2f\xfd', 'zstd')):
        if data.startswith(magic):
            if not shutil.which(tool):
                raise KernelError(f'{tool} is not installed, and the kernel is '
                                  f'packed with it')
            return subprocess.run([tool, '-dc'], input=data, check=True,
                                  capture_output=True).stdout
    if data.startswith(b'\xfd7zXZ\x00'):
        return lzma.decompress(data)
    if data.startswith(b'\x1f\x8b'):
        return gzip.decompress(data)
    raise KernelError(f'the kernel is packed as {data[:6].hex()}, unknown here')


def extract_vmlinux(bzimage):
    """The ELF file inside a bzImage. Booting it (by PVH) skips the firmware's
    and the decompressor's real mode steps. See the kernel's
    Documentation/x86/boot.rst for the offsets.
    """
    if bzimage[0x202:0x206] != b'HdrS':
        raise KernelError('not a bzImage')
    start = ((bzimage[0x1f1] or 4) + 1) * 512
    offset, length = struct.unpack_from('<II', bzimage, 0x248)
    payload = bzimage[start + offset:start + offset + length]
    # Its last word is its size unpacked, which gzip has in itself.
    size, = struct.unpack('<I', payload[-4:])
    if not payload.startswith(b'\x1f\x8b'):
        payload = payload[:-4]
    vmlinux = _unpack(payload)
    if len(vmlinux) != size or not vmlinux.startswith(b'\x7fELF'):
        raise KernelError('what the bzImage holds is not a whole vmlinux')
    return vmlinux


@contextmanager
def _locked(directory):
    """One at a time: two machines may be started at once."""
    directory.mkdir(parents=True, exist_ok=True)
    with open(directory / '.lock', 'w', encoding='ascii') as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _install(directory, package, release):
    """Download the package and leave vmlinux, bzImage and release."""
    with tempfile.TemporaryDirectory(dir=directory) as scratch:
        scratch = Path(scratch)
        _run(['apt-get', 'download', '-q', package], cwd=scratch)
        debs = list(scratch.glob('*.deb'))
        if len(debs) != 1:
            raise KernelError(f'apt-get download {package}: no package came')
        _run(['dpkg-deb', '-x', debs[0], scratch / 'root'])
        image = scratch / 'root' / 'boot' / f'vmlinuz-{release}'
        if not image.exists():
            raise KernelError(f'{debs[0].name} has no {image.name}')
        (scratch / 'vmlinux').write_bytes(extract_vmlinux(image.read_bytes()))
        # Last, and by renaming: what stands there is always whole.
        (directory / 'release').unlink(missing_ok=True)
        image.rename(directory / 'bzImage')
        (scratch / 'vmlinux').rename(directory / 'vmlinux')
        (scratch / 'release').write_text(f'{release}\n', encoding='ascii')
        (scratch / 'release').rename(directory / 'release')


def fetch(name, build, say=lambda text: None):
    """The kernel called `name`, downloaded if it is not there or no longer
    today's. Without apt's lists, one that was downloaded before will do.
    """
    if name not in KERNELS:
        raise KernelError(f'no kernel "{name}": there is {", ".join(KERNELS)}')
    directory = build / 'vm' / 'kernels' / name
    stamp = directory / 'release'
    with _locked(directory):
        have = stamp.read_text(encoding='ascii').strip() \
            if stamp.exists() else None
        try:
            package, release = _todays_package(name)
        except KernelError:
            if not have:
                raise
            package, release = None, have
        if release != have:
            say(f'{package} (apt-get download)')
            try:
                _install(directory, package, release)
            except KernelError as error:
                if not have or not stamp.exists():
                    raise
                say(f'{error}; {have} from an earlier download will do')
                release = have
    return Kernel(name, release, directory / 'vmlinux', directory / 'bzImage')
