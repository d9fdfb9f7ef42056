# SPDX-License-Identifier: MIT
"""Debian's own kernels: find today's, download it, and make it bootable; and
the headers and compiler that it was made with, to build a module for it.

Nothing is installed: all of it is unpacked below build/vm (debian.py). An ABI
number is never written down here: apt is asked for what the metapackage stands
for now.
"""

import gzip
import lzma
import re
import shutil
import struct
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import drivers
from debian import Debian, DebianError, is_whole, locked, run_within

# Every kernel that is supported, and here alone: its name, which begins with its
# version; the release of Debian that it is for, with all its updates and
# backports; and the metapackage that follows it. The Makefile reads these lines.
KERNELS = {
    '6.1': ('bookworm', 'linux-image-cloud-amd64'),
    '6.12': ('bookworm', 'linux-image-6.12-cloud-amd64'),
    '7.3': ('trixie', 'linux-image-cloud-amd64'),
    '6.1-plain': ('bookworm', 'linux-image-amd64'),
}


class KernelError(Exception):
    """No kernel, and why not, for a person to read."""


class _Modules(dict):
    """The bytes of modules, unpacked as they are asked for, of their paths."""

    def __getitem__(self, name):
        data = super().__getitem__(name).read_bytes()
        return data if data.startswith(b'\x7fELF') else _unpack(data)


@dataclass
class Kernel:
    """A kernel that can be booted: by PVH, or as a bzImage with KASLR. `root`
    has its headers, and what builds with them."""
    name: str
    release: str
    vmlinux: Path
    bzimage: Path
    root: Path

    def has_built_in(self, driver):
        """Is a driver part of the kernel itself? The guest loads none of its."""
        listed = (self.modules / 'modules.builtin').read_text('utf-8')
        return any(drivers.plain(Path(line).stem) == drivers.plain(driver)
                   for line in listed.split())

    @property
    def modules(self):
        """Where its modules are."""
        return self.root / 'usr/lib/modules' / self.release

    def drivers(self, names):
        """[(name, bytes)] of the modules to load for these drivers, with all that
        they need, in order; none for what is built in."""
        paths = {drivers.plain(path.name.partition('.')[0]): path
                 for path in self.modules.glob('kernel/**/*.ko*')}
        return drivers.in_order(names, _Modules(paths), self.has_built_in)

    def make(self, places, words):
        """Run the kernel's own make, in the root; its status."""
        build = f'/usr/src/linux-headers-{self.release}'
        # Debian's 6.1 headers have nothing to make a module's BTF from.
        if not (self.root / build[1:] / 'vmlinux').exists():
            words = [*words, 'CONFIG_DEBUG_INFO_BTF_MODULES=']
        return run_within(self.root, places, ['make', '-C', build, *words])


def _todays_release(name, debian):
    """The kernel that the metapackage stands for today."""
    meta = KERNELS[name][1]
    version = re.escape(name.partition('-')[0])
    for depends in debian.dependencies(meta):
        found = re.search(rf'\blinux-image-({version}[.+][\w.+~-]+)', depends)
        if found:
            return found[1]
    raise KernelError(f'Debian {KERNELS[name][0]} has no {meta} that is a '
                      f'kernel {version}')


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


def _find_image(root, release):
    """Where Debian's packages have it: the second in newer ones."""
    for place in (f'boot/vmlinuz-{release}', f'lib/modules/{release}/vmlinuz'):
        if (root / place).exists():
            return root / place
    raise KernelError(f'Debian\'s packages of {release} have no vmlinuz')


def _install(directory, debian, release, say):
    """Download the kernel and leave root, vmlinux, bzImage and release."""
    with tempfile.TemporaryDirectory(dir=directory) as scratch:
        scratch = Path(scratch)
        root = scratch / 'root'
        root.mkdir()
        debian.unpack([f'linux-headers-{release}', f'linux-image-{release}'],
                      root, say)
        image = _find_image(root, release)
        (scratch / 'vmlinux').write_bytes(extract_vmlinux(image.read_bytes()))
        # Last, and by renaming: what stands there is always whole.
        (directory / 'release').unlink(missing_ok=True)
        shutil.rmtree(directory / 'root', ignore_errors=True)
        root.rename(directory / 'root')
        image = directory / 'root' / image.relative_to(root)
        image.rename(directory / 'bzImage')
        (scratch / 'vmlinux').rename(directory / 'vmlinux')
        (scratch / 'release').write_text(f'{release}\n', encoding='ascii')
        (scratch / 'release').rename(directory / 'release')


def _refresh(name, build, directory, have, say):
    """Make what stands in `directory` today's kernel; its release."""
    debian = Debian(KERNELS[name][0], build)
    with debian.lock():
        debian.update(say)
        release = _todays_release(name, debian)
        if release == have:
            return have
        try:
            _install(directory, debian, release, say)
        except DebianError:
            # A newer one may have come since the lists did, and this gone.
            debian.update(say, force=True)
            release = _todays_release(name, debian)
            _install(directory, debian, release, say)
        return release


def fetch(name, build, say=lambda text: None):
    """The kernel called `name`, downloaded if it is not there or no longer
    today's. Without a network, one that was downloaded before will do.
    """
    if name not in KERNELS:
        raise KernelError(f'no kernel "{name}": there is {", ".join(KERNELS)}')
    directory = build / 'vm' / 'kernels' / name
    stamp, root = directory / 'release', directory / 'root'
    with locked(directory):
        have = stamp.read_text(encoding='ascii').strip() \
            if stamp.exists() and is_whole(root) else None
        # Of an earlier day, when no module of a kernel's was kept.
        if have and not (root / 'usr/lib/modules' / have / 'kernel').exists():
            have = None
        try:
            release = _refresh(name, build, directory, have, say)
        except (DebianError, KernelError) as error:
            if not have or not stamp.exists():
                raise KernelError(str(error)) from None
            say(f'{error}; {have} from an earlier download will do')
            release = have
    return Kernel(name, release, directory / 'vmlinux', directory / 'bzImage',
                  root)
