#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Signed modules: lethe-mok signs one as the kernel wants it, and a kernel that demands
signatures takes none that it knows no key of. That it takes one whose key was enrolled
needs a firmware, and is make test-secure-boot's. KTAP on stdout.

    signing.py KERNEL UNSIGNED DIRECTORY

UNSIGNED is a lethe.ko that nobody signed, DIRECTORY where dkms.py left its own.
"""
import re
import shutil
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

from kmod_root import root_of, tap, vm

KERNEL, UNSIGNED, DIRECTORY = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
MAGIC = b'~Module signature appended~\n'
MOK = Path('kmod/packaging/lethe-mok')
POINTS = []


def point(good, sentence, said=''):
    """One result; what was said, if it is bad."""
    POINTS.append((bool(good), sentence, [] if good else str(said).splitlines()[-20:]))


def verifies(data, certificate, scratch):
    """Is the signature that is appended one of these bytes by this key? See the
    kernel's scripts/sign-file.c for the form."""
    if not data.endswith(MAGIC):
        return False
    data = data[:-len(MAGIC)]
    length, = struct.unpack('>I', data[-4:])
    data = data[:-12]
    for name, part in (('signature', data[-length:]), ('content', data[:-length])):
        (scratch / name).write_bytes(part)
    return subprocess.run(
        ['openssl', 'cms', '-verify', '-binary', '-inform', 'DER', '-in', scratch / 'signature',
         '-content', scratch / 'content', '-certfile', certificate, '-nointern', '-noverify',
         '-out', '/dev/null'], check=False, capture_output=True).returncode == 0


def sign(scratch):
    """Sign by lethe-mok, with the kernel's own sign-file; points."""
    with root_of(KERNEL) as root:
        for source in (MOK, UNSIGNED):
            shutil.copy(source, root.file('tmp'))
        before = root.file('tmp/lethe.ko').read_bytes()
        status = root.run('/tmp/lethe-mok', 'sign', '/tmp/lethe.ko', root.image.release)
        point(status == 0 and 'made /var/lib/dkms/mok.key' in root.said,
              'lethe-mok makes a key and signs a module', root.said)
        key = root.file('var/lib/dkms/mok.key')
        point(key.stat().st_mode & 0o777 == 0o600 and
              key.parent.stat().st_mode & 0o777 == 0o755,
              'the key is for root\'s eyes', oct(key.stat().st_mode))
        first = key.read_bytes()
        signed = root.file('tmp/lethe.ko').read_bytes()
        root.run('modinfo', '-F', 'signer', '/tmp/lethe.ko')
        point('Key for kernel modules of' in root.said, 'modinfo names it', root.said)
        certificate = scratch / 'mok.pem'
        subprocess.run(['openssl', 'x509', '-inform', 'DER', '-in', root.file('var/lib/dkms/mok.pub'),
                        '-out', certificate], check=True)
        broken = signed.replace(b'license=GPL', b'license=GPX', 1)
        point(verifies(signed, certificate, scratch) and broken != signed and
              not verifies(broken, certificate, scratch) and signed.startswith(before),
              'openssl says that the signature is good; control: not with a byte changed')
        root.run('/tmp/lethe-mok', 'sign', '/tmp/lethe.ko', root.image.release)
        point(key.read_bytes() == first, 'the next module is signed by the same key', root.said)
        key.unlink()
        key.write_bytes(b'')
        point(root.run('/tmp/lethe-mok', 'enroll') != 0 and 'nothing was changed' in root.said,
              'of half a key it makes none', root.said)
        return signed


def enrolling(scratch):
    """What lethe-mok says and calls, with and without mokutil; points."""
    tools = scratch / 'bin'
    tools.mkdir()
    for name in ('sh', 'openssl', 'uname', 'mkdir', 'chmod', 'od', 'tr', 'sed', 'grep', 'cat'):
        (tools / name).symlink_to(shutil.which(name))
    # A machine with Secure Boot on, as the kernel tells of it.
    efi = scratch / 'efi' / 'efivars'
    efi.mkdir(parents=True)
    (efi / 'SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c').write_bytes(b'\6\0\0\0\1')
    script = scratch / 'lethe-mok'
    script.write_text(MOK.read_text('utf-8').replace('/sys/firmware/efi', str(efi.parent)), 'utf-8')

    def call(*words):
        done = subprocess.run(['sh', script, *words], check=False, text=True, cwd=scratch,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              env={'PATH': str(tools), 'LETHE_MOK': str(scratch / 'mok')})
        return done.returncode, done.stdout

    status, said = call('enroll')
    point(status == 1 and 'mokutil is not installed' in said and
          f'mokutil --import {scratch}/mok/mok.pub' in said,
          'without mokutil lethe-mok says what it would have called', said)
    status, said = call('status')
    point('Secure Boot: yes' in said and 'not known, mokutil is not installed' in said,
          'and what is known', said)
    (tools / 'mokutil').write_text('#!/bin/sh\necho "mokutil $*"\n', 'utf-8')
    (tools / 'mokutil').chmod(0o755)
    status, said = call('enroll')
    point(status == 0 and f'mokutil --import {scratch}/mok/mok.pub' in said and
          'Enroll MOK' in said, 'with it it hands the key over, and says what comes at the boot', said)
    (efi.parent / 'efivars').rename(scratch / 'gone')
    efi.parent.rmdir()
    status, said = call('enroll')
    point(status == 0 and 'no Secure Boot' in said,
          'without UEFI it says that there is nothing to do', said)


def demanding(signed, scratch):
    """A kernel that demands signatures; points."""
    with root_of(KERNEL) as root:
        own = root.image.drivers(['lz4'])
    files, words = [], []
    for name, data in (*own, ('unsigned', UNSIGNED.read_bytes()),
                       ('dkms', (DIRECTORY / 'lethe.ko').read_bytes()), ('mok', signed)):
        (scratch / f'{name}.ko').write_bytes(data)
        files += ['--file', f'{scratch}/{name}.ko:/{name}.ko']
        words.append(f'insmod /{name}.ko 2>/dev/null; echo "{name}: $? '
                     '$(dmesg -c | grep -o "Loading of.*" | head -n 1)"')
    _, said = vm(KERNEL, 'run', ['sh', '-c', '; '.join(words)], '--append', 'module.sig_enforce=1', *files)

    def refused(name, why):
        return re.search(rf'^{name}: [1-9]\d* Loading of {why} is rejected$', said, re.M)
    point(own and all(f'{name}: 0' in said for name, _ in own),
          'control: under module.sig_enforce=1 the kernel loads a module of its own', said)
    point(refused('unsigned', 'unsigned module'),
          'an unsigned lethe.ko is refused', said)
    point(refused('dkms', 'module with unavailable key') and
          refused('mok', 'module with unavailable key'),
          'so are those that DKMS and lethe-mok signed, while nobody has enrolled the key', said)


def main():
    """All of it, in this order: the last two need a module that is signed."""
    with tempfile.TemporaryDirectory() as scratch:
        scratch = Path(scratch)
        enrolling(scratch)
        demanding(sign(scratch), scratch)
    print(tap.write(POINTS), end='')
    return int(not all(good for good, _, _ in POINTS))


if __name__ == '__main__':
    sys.exit(main())
