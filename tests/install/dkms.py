#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""DKMS makes lethe.ko of what `make install-module` puts: adds, builds, installs and
removes it, for a kernel of Debian's with that Debian's own DKMS; and the module is
loaded by that kernel, in the virtual machine. KTAP on stdout.

    dkms.py MAKE KERNEL PROGRAM

PROGRAM is static, and runs a section. What DKMS made stays in
$O/tests/install, for signing.py.
"""
import os
import re
import subprocess
import sys


from kmod_root import BUILD, keep, plain_module, root_of, tap, vm

MAKE, KERNEL, PROGRAM = sys.argv[1:]
POINTS = []


def point(good, sentence, said=''):
    """One result; what was said, if it is bad."""
    POINTS.append((bool(good), f'{KERNEL}: {sentence}',
                   [] if good else said.splitlines()[-30:]))


def put(verb, root):
    """make install-module or uninstall-module there; as a person calls it."""
    environment = {key: value for key, value in os.environ.items()
                   if key not in ('MAKEFLAGS', 'MFLAGS', 'MAKELEVEL')}
    return subprocess.run([MAKE, '-s', f'O={BUILD}', verb, f'DESTDIR={root.path}'],
                          check=True, env=environment, stdout=subprocess.DEVNULL)


def main():
    with root_of(KERNEL) as root:
        release = root.image.release
        # What depmod writes is there before and after.
        root.run('depmod', release)
        before = root.tree()
        put('install-module', root)
        version = next(root.file('usr/src').glob('lethe-*')).name.partition('-')[2]
        module = f'lethe/{version}'

        point(root.run('dkms', 'add', module) == 0, 'dkms add', root.said)
        built = root.run('dkms', 'build', module, '-k', release)
        point(built == 0, 'dkms build', root.said)
        point(root.run('dkms', 'install', module, '-k', release) == 0,
              'dkms install', root.said)
        root.run('dkms', 'status')
        point(re.search(rf'^{module}, {re.escape(release)}, x86_64: installed$',
                        root.said, re.M), 'dkms status has it installed', root.said)
        root.run('modinfo', '-k', release, '-F', 'filename', 'lethe')
        installed = root.said.strip()
        point('/updates/dkms/lethe.ko' in installed,
              'modprobe would find it', root.said)
        root.run('modinfo', '-k', release, '-F', 'signer', 'lethe')
        point(root.said.strip(), 'it is signed, by the key that DKMS made', root.said)

        ko = plain_module(root.file(installed.removesuffix('.xz')))
        ko = keep(f'{KERNEL}/lethe.ko', ko)
        keep(f'{KERNEL}/mok.pub', root.file('var/lib/dkms/mok.pub').read_bytes())
        status, said = vm(KERNEL, 'test', ['tests/ktap.sh', 'a section runs', PROGRAM],
                          '--module', ko, '--env', 'LETHE_BACKEND=kmod',
                          '--env', 'LETHE_REQUIRE=unmapped')
        point(status == 0, 'the kernel loads it, and a section runs on it', said)

        # Where it cannot be made it is not tried.
        for other, words in (('a kernel before 6.1', ['-k', '5.10.0-1-amd64']),
                             ('another processor', ['-k', release, '-a', 'aarch64', '--force'])):
            headers = f'/lib/modules/{release}/build'
            status = root.run('dkms', 'build', module, *words, '--kernelsourcedir', headers)
            point(status == 77 and 'should not be built' in root.said.replace('\n', ' '),
                  f'for {other} DKMS says that it is not for it', root.said)

        between = root.tree() - before
        point(root.run('dkms', 'remove', module, '--all') == 0, 'dkms remove', root.said)
        put('uninstall-module', root)
        # The key is DKMS's: the next module's too. With a DESTDIR, directories of the
        # system's that had to be made stay (install.sh has it without).
        left = {name for name in root.tree() - before
                if not re.fullmatch(r'var/lib/dkms(/mok\.(key|pub)|/dkms_dbversion)?|'
                                    r'(usr/lib|etc)/[a-z-]+\.d', name)}
        point(not left and any(name.endswith('lethe.ko') or name.endswith('lethe.ko.xz')
                               for name in between),
              'after it and make uninstall-module nothing is left; control: it was there',
              '\n'.join(sorted(left)))
    print(tap.write(POINTS), end='')
    return int(not all(good for good, _, _ in POINTS))


if __name__ == '__main__':
    sys.exit(main())
