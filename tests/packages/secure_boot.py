#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A clean machine with Secure Boot on: the packages are installed, the module that DKMS
built and signed is refused; its key is enrolled by lethe-mok and, at the firmware's own
screen, by the keys that lethe-mok says are to be typed; then it is loaded on each kernel
that the release has, locked down. A KTAP document on stdout.

    secure_boot.py RELEASE DIRECTORY-OF-DEBS

From boot to boot the disk is as it was, and the firmware's variables are what they have
become. Nothing is signed or loaded here but by what is installed.
"""

import sys
from pathlib import Path

import image
from packages import (COMPILER, apt_get, compile_section, files_of, headers, main,
                      module)
from uefi import PACKAGES, STEPS, Firmware

HERE = Path(__file__).resolve().parent
SOURCES = HERE.parents[1]
PASSWORD = 'once, at boot'
# On 6.1 memfd_secret is to be asked for.
PARAMETERS = ['secretmem.enable=1']


def install(root, debs, kernels, document):
    """What a newcomer types, and what a machine with Secure Boot has."""
    done = apt_get(root, debs, 'install', *map(headers, kernels), *COMPILER, *PACKAGES,
                   *files_of(debs))
    document.point(done.returncode == 0 and all(module(root, kernel) for kernel in kernels),
                   'the packages are installed, and the module is built for each kernel',
                   done.stdout.splitlines()[-40:])
    key = root / 'var/lib/dkms/mok.key'
    document.point(key.exists() and key.stat().st_mode & 0o777 == 0o600,
                   'DKMS has made a key, for root alone')


def compile_attacks(root, document):
    """The selftest that SECURITY.md names, built there of what is installed."""
    files = [f'tests/selftests/{name}' for name in ('attacks.c', 'attacked.c')]
    done = image.enter(root, ['sh', '-c', 'cd /run/sources && cc -O2 -std=gnu11 -D_GNU_SOURCE '
                              f'-o /root/attacks {" ".join(files)} '
                              '$(pkg-config --cflags --libs lethe) -pthread'],
                       [(SOURCES, '/run/sources')])
    document.point(done.returncode == 0, 'the selftest of attacks is built there',
                   done.stdout.splitlines())


def steps_said():
    """Does lethe-mok tell to do what is done here?"""
    told = ', '.join(STEPS[1:]).replace('the password', '(the password)')
    return told in (SOURCES / 'kmod/packaging/lethe-mok').read_text('utf-8')


def script(verb):
    """What the machine runs."""
    return f"VERB={verb}\nPASSWORD='{PASSWORD}'\n" + ''.join(
        (HERE / name).read_text('utf-8') for name in ('try.sh', 'secure_boot.sh'))


def try_out(release, debs, build, document):
    """All of it, in one copy of the clean root."""
    with image.fresh(release, build, lambda text: print(f'# {text}', file=sys.stderr)) as root:
        kernels = image.kernels(root)
        install(root, debs, kernels, document)
        compile_section(root, document)
        compile_attacks(root, document)
        image.keep_downloads(root)
        firmware = Firmware(root.parent)

        def boot(kernel, verb, *parameters):
            booted = image.boot(root, kernel, script(verb), timeout=900, firmware=firmware,
                                parameters=[*PARAMETERS, *parameters])
            document.guest(booted, f'{kernel}, {verb}')

        boot(kernels[-1], 'new')
        done = firmware.enroll(root, kernels[-1], PASSWORD)
        document.point(done == STEPS and steps_said(), 'at the next boot, at its screen, as '
                       f'lethe-mok says: {", ".join(STEPS)}', done)
        for kernel in kernels:
            boot(kernel, 'enrolled')
        boot(kernels[-1], 'confidential', 'lockdown=confidentiality')


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:], __doc__, try_out))
