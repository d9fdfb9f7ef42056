# SPDX-License-Identifier: MIT
"""Firmware with Secure Boot on, for a machine of booted.py, and whoever sits at its
screen when a key is to be enrolled.

The firmware is OVMF, with the keys that machines are sold with; what it loads is as
Debian has signed it: shim, MokManager, GRUB, and a kernel. They lie on a FAT disk, which
is made for each boot of what is installed in the root. From one boot to the next the
firmware's variables stay, with the keys that were enrolled, and nothing else.

It needs no root, writes to no disk of this machine's, and has no key of its own.
"""

import shutil
import tempfile
from pathlib import Path

from debian import DebianError, call
from machine import PARAMETERS, Machine, Setup

_OVMF = Path('/usr/share/OVMF')
_CODE, _VARIABLES = _OVMF / 'OVMF_CODE_4M.secboot.fd', _OVMF / 'OVMF_VARS_4M.ms.fd'

# In the root: shim-signed (with its helpers) and grub-efi-amd64-signed.
PACKAGES = ('shim-signed', 'grub-efi-amd64-signed', 'mokutil')
_SIGNED = {'EFI/BOOT/BOOTX64.EFI': 'usr/lib/shim/shimx64.efi.signed',
           'EFI/BOOT/mmx64.efi': 'usr/lib/shim/mmx64.efi.signed',
           'EFI/BOOT/grubx64.efi': 'usr/lib/grub/x86_64-efi-signed/grubx64.efi.signed'}
# Where Debian's GRUB looks for it.
_CONFIGURATION = 'EFI/debian/grub.cfg'

_DOWN, _ENTER = b'\x1b[B', b'\r'


class Firmware:
    """What stays of a machine between its boots. `directory` is its own."""

    def __init__(self, directory):
        self._directory = directory
        self._variables = directory / 'variables'
        if not _CODE.exists() or not _VARIABLES.exists():
            raise DebianError('ovmf is not installed')
        shutil.copy(_VARIABLES, self._variables)

    def words(self, root, kernel, parameters):
        """QEMU's, to boot a root's kernel with these parameters."""
        disk = self._directory / 'boot'
        _make_disk(disk, root, kernel, [PARAMETERS, *parameters])
        # Not NVMe: the root's disk is to be the only one of these.
        return ['-machine', 'smm=on', '-global', 'ICH9-LPC.disable_s3=1',
                '-global', 'driver=cfi.pflash01,property=secure,value=on',
                '-drive', f'if=pflash,unit=0,format=raw,readonly=on,file={_CODE}',
                '-drive', f'if=pflash,unit=1,format=raw,file={self._variables}',
                '-drive', f'if=none,id=boot,format=raw,file={disk}',
                '-device', 'virtio-blk-pci,drive=boot,bootindex=0']

    def enroll(self, root, kernel, password, timeout=300):
        """Boot, and do at MokManager's screen what lethe-mok says is to be done, until
        the machine restarts: the steps that were come to, in order. Where one is
        missing the rest is, and nothing was enrolled."""
        steps = list(_steps(password))
        done, shown = [], bytearray()

        def look(data):
            shown.extend(data)
            if len(done) < len(steps) and steps[len(done)][1] in shown:
                sentence, _, keys = steps[len(done)]
                done.append(sentence)
                shown.clear()
                machine.type(keys, 'console')

        setup = Setup(None, None, self._directory, Path('ramsearch'), memory=512,
                      firmware=self.words(root, kernel, []))
        with Machine(setup, lambda data: None, lambda line: None, lambda text: None,
                     look) as machine:
            machine.run(timeout)
        return done


def _steps(password):
    """(what is done, what is shown before it and not before the step before, keys). Of
    a menu the first entry is chosen; what is typed while it is drawn waits."""
    return (('a key', b'Booting in', _ENTER),
            ('Enroll MOK', b'Enroll hash from disk', _DOWN + _ENTER),
            ('Continue', b'View key 0', _DOWN + _ENTER),
            ('Yes', b'Yes', _DOWN + _ENTER),
            ('the password', b'Password:', password.encode() + _ENTER),
            ('Reboot', b'Reboot', _ENTER))


STEPS = [sentence for sentence, _, _ in _steps('')]


def _make_disk(disk, root, kernel, parameters):
    disk.unlink(missing_ok=True)
    call(['truncate', '-s', '256M', disk])
    call(['mkfs.vfat', '-F', '32', disk])
    call(['mmd', '-i', disk, '::EFI', '::EFI/BOOT', '::EFI/debian'])
    with tempfile.TemporaryDirectory() as scratch:
        configuration = Path(scratch, 'grub.cfg')
        configuration.write_text(f'linux /vmlinuz {" ".join(parameters)}\n'
                                 'initrd /initrd\nboot\n', 'ascii')
        files = {name: root / source for name, source in _SIGNED.items()}
        files |= {_CONFIGURATION: configuration,
                  'vmlinuz': root / 'boot' / f'vmlinuz-{kernel}',
                  'initrd': root / 'boot' / f'initrd.img-{kernel}'}
        for name, source in files.items():
            call(['mcopy', '-i', disk, source, f'::{name}'])
