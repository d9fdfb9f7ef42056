#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What systemd's units deny to a program that has sections, and what the remedies of
user/packaging/README.md and its drop-in make of that: on a Debian, booted in the virtual
machine, the module loaded by the files that `make install-module` puts. KTAP on stdout.

    units.py MAKE PROGRAM RELEASE DIRECTORY

PROGRAM is static and says what a section is on; DIRECTORY is where dkms.py left what it
made of the module for the kernel of that name, which the release has.
"""
import os
import shutil
import subprocess
import sys
from pathlib import Path

from kmod_root import BUILD, say, tap

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / 'packages'))
import image  # noqa: E402

MAKE, PROGRAM, RELEASE, DIRECTORY = *sys.argv[1:4], Path(sys.argv[4])
KMOD, SECRET, LOCKED = 'kmod stack 2 block 2', 'memfd_secret stack 2 block 2', 'mlock stack 1 block 1'
DROPIN = Path('user/packaging/lethe.conf')

# Sentence, properties of the unit, what the program says or None where it says an
# error, and a word of what else is said.
CASES = [
    ('a unit that denies nothing: the module', [], KMOD, ''),
    ('DynamicUser=, ProtectSystem=, NoNewPrivileges=, MemoryDenyWriteExecute=: the module',
     ['DynamicUser=yes', 'ProtectSystem=strict', 'NoNewPrivileges=yes',
      'MemoryDenyWriteExecute=yes'], KMOD, ''),
    ('PrivateDevices=: no device, and memfd_secret', ['PrivateDevices=yes'], SECRET, ''),
    ('and DeviceAllow= with BindPaths=: the module again',
     ['PrivateDevices=yes', 'DeviceAllow=/dev/lethe rw', 'BindPaths=/dev/lethe'], KMOD, ''),
    ('DevicePolicy=closed: memfd_secret', ['DevicePolicy=closed'], SECRET, ''),
    ('and DeviceAllow=: the module again',
     ['DevicePolicy=closed', 'DeviceAllow=/dev/lethe rw'], KMOD, ''),
    ('SystemCallFilter=@system-service: the module needs no memfd_secret',
     ['SystemCallFilter=@system-service'], KMOD, ''),
    ('without the module there the program is killed',
     ['SystemCallFilter=@system-service', 'PrivateDevices=yes'], None, 'SYS'),
    ('SystemCallErrorNumber= makes that locked memory',
     ['SystemCallFilter=@system-service', 'PrivateDevices=yes',
      'SystemCallErrorNumber=EPERM'], LOCKED, 'secret memory is locked'),
    ('SystemCallFilter=memfd_secret besides: memfd_secret',
     ['SystemCallFilter=@system-service memfd_secret mincore', 'PrivateDevices=yes'], SECRET, ''),
    ('SystemCallFilter=~@memlock: the module, all the same',
     ['SystemCallFilter=~@memlock'], KMOD, ''),
    ('a LimitMEMLOCK= that is too small: an error, and why',
     ['User=nobody', 'LimitMEMLOCK=64K'], None, 'RLIMIT_MEMLOCK is 64 KiB'),
]

_SCRIPT = '''\
modprobe -c | grep -c '^options lethe' ; stat -c '%a %U' /dev/lethe; cat /sys/module/lethe/parameters/hibernate
systemctl is-active dev-lethe.device; systemctl --version | head -n 1
unit() {
	echo "== $1"
	shift
	systemd-run --quiet --wait --pipe "$@" /usr/local/bin/use 2>&1
	echo "status $?"
}
'''


def script():
    """What the machine runs."""
    lines = [_SCRIPT]
    for number, (_, properties, _, _) in enumerate(CASES):
        options = ' '.join(f"-p '{text}'" for text in properties)
        lines.append(f'unit {number} {options}\n')
    # The drop-in as it is, every line of it in force, on a unit of its own.
    lines.append('''\
echo "== dropin"
systemctl start guarded.service
journalctl -q -o cat -u guarded.service | grep stack
systemctl show guarded.service -p LimitMEMLOCK -p MemorySwapMax -p LimitCORE -p Environment
journalctl -q -o cat -b | grep -i 'guarded.*unknown\\|lethe.conf' || true
''')
    return ''.join(lines)


def furnish(root):
    """The module by its files, the program, and a unit with the drop-in."""
    environment = {key: value for key, value in os.environ.items()
                   if key not in ('MAKEFLAGS', 'MFLAGS', 'MAKELEVEL')}
    subprocess.run([MAKE, '-s', f'O={BUILD}', 'install-module', f'DESTDIR={root}'], check=True,
                   env=environment, stdout=subprocess.DEVNULL)
    options = root / 'etc/modprobe.d/lethe.conf'
    options.write_text(options.read_text('utf-8').replace('#options lethe hibernate=wipe',
                                                          'options lethe hibernate=veto'), 'utf-8')
    kernel = next(name for name in image.kernels(root) if name.startswith(f'{DIRECTORY.name}.'))
    place = root / 'lib/modules' / kernel / 'updates/dkms'
    place.mkdir(parents=True)
    shutil.copy(DIRECTORY / 'lethe.ko', place)
    image.enter(root, ['depmod', kernel])
    shutil.copy(PROGRAM, root / 'usr/local/bin/use')
    unit = root / 'etc/systemd/system/guarded.service'
    unit.write_text('[Service]\nType=oneshot\nExecStart=/usr/local/bin/use\nDevicePolicy=closed\n'
                    'SystemCallFilter=@system-service\n', 'utf-8')
    dropin = unit.with_name('guarded.service.d')
    dropin.mkdir()
    lines = [line[1:] if line.startswith(('#Dev', '#Bind', '#System')) else line
             for line in DROPIN.read_text('utf-8').splitlines()]
    (dropin / 'lethe.conf').write_text('\n'.join(lines) + '\n', 'utf-8')
    return kernel


def main():
    points = []

    def point(good, sentence, said):
        points.append((bool(good), sentence, [] if good else said.splitlines()[-20:]))

    with image.fresh(RELEASE, BUILD, say) as root:
        kernel = furnish(root)
        done = image.boot(root, kernel, script(), timeout=900,
                          parameters=['secretmem.enable=1'])
    parts = done.output.split('== ')
    point(done.good, 'the machine is in order', '\n'.join(done.why()))
    why = 'nothing was said of it'
    point(parts[0].startswith('1\n666 root\nveto\nactive\n'),
          'it loads the module at boot, by its options, and /dev/lethe is everybody\'s', parts[0])
    said = {part.partition('\n')[0]: part.partition('\n')[2] for part in parts[1:]}
    for number, (sentence, _, wanted, word) in enumerate(CASES):
        text = said.get(str(number), why)
        good = f'{wanted}\n' in text and 'status 0' in text if wanted else \
            ' block ' not in text and 'status 0' not in text
        point(good and (word in text or word == 'SYS'), sentence, text)
    text = said.get('dropin', why)
    point(all(line in text for line in (KMOD, 'LimitMEMLOCK=67108864', 'MemorySwapMax=0',
                                        'LimitCORE=0', 'LETHE_REQUIRE=unmapped')) and
          'unknown' not in text.lower(), 'the drop-in, each line in force, on a closed unit: the module', text)
    print(tap.write(points), end='')
    return int(not all(good for good, _, _ in points))


if __name__ == '__main__':
    sys.exit(main())
