# SPDX-License-Identifier: MIT
"""A root, booted: a disk is made of it, QEMU (tcg) boots the kernel and the initrd
that are installed there, systemd starts what it starts, and then a script runs as root.

What there is more on the disk than in the root: the script, and a unit that runs it
when multi-user.target is reached, prints on ttyS1 and notes its status on ttyS3, then
switches the machine off. Both are gone from what is read back of the disk. Disks are
written by mkfs.ext4 and debugfs and read by debugfs, so nothing is ever mounted.
"""

import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / 'vm'))
# pylint: disable=wrong-import-position
import klog  # noqa: E402
from debian import DebianError, call  # noqa: E402
from kernel import extract_vmlinux  # noqa: E402
from machine import BOOTS, Machine, Setup  # noqa: E402

_UNIT = 'lethe-test.service'
_UNITS = '/etc/systemd/system'
_SCRIPT = '/lethe-test.sh'

_UNIT_TEXT = f'''\
[Unit]
Description=What a test wants to be run
After=multi-user.target
[Service]
Type=exec
ExecStart=/bin/bash {_SCRIPT} start
Environment=HOME=/root LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive
KillMode=process
'''

# `start` is what the unit runs; the rest of the file is the script. ttyS3 answers
# each note, so that what was printed before it is with the host before it.
_PROLOGUE = '''\
if [ "$1" = start ]; then
	stty -F /dev/ttyS1 raw -echo
	stty -F /dev/ttyS3 raw -echo
	exec 9<>/dev/ttyS3
	note() {
		echo "$*" >&9
		read -r _ <&9
	}
	note "state $(systemctl is-system-running --wait)"
	note "booted $(cut -d ' ' -f 1 /proc/uptime)"
	cd /root
	bash "$0" </dev/null >/dev/ttyS1 2>&1 9>&-
	status=$?
	stty -F /dev/ttyS1 raw -echo
	note "status $status"
	systemctl --no-block poweroff
	exit
fi
'''

# An emulated processor whose host is busy is slow: no service is given up for that, and
# no lockup is seen in it (6.12 saw one in clear_page_erms() on a host with a load of 17).
PARAMETERS = ['watchdog_thresh=60', 'systemd.default_timeout_start_sec=600', 'root=/dev/nvme0n1', 'rw', 'rootfstype=ext4', 'fsck.mode=skip',
              'systemd.wants=' + _UNIT]


@dataclass
class Booted:
    """What became of it."""
    output: str = ''
    status: int | None = None       # the script's; None if it did not end
    lost: str | None = None         # why the machine did not come to its own end
    state: str = ''                 # systemd's word: `running`, or `degraded`
    console: str = ''
    seconds: float = 0              # from QEMU's start to its end
    booted: float = 0               # in the guest, until the script began
    log: list = field(default_factory=list)     # what a clean kernel never says
    _disk: Path | None = None

    @property
    def good(self):
        """Did the script end with 0, the machine in order, its log clean?"""
        return self.status == 0 and not self.lost and not self.log

    def why(self):
        """Lines for a reader, where it is not good."""
        told = [f'LOST: {self.lost}'] if self.lost else []
        told += [f'the script\'s status is {self.status}'] if self.status else []
        return [*told, *self.log, *self.output.splitlines()[-30:],
                *(self.console.splitlines()[-30:] if self.lost else [])]

    def read_back(self, target):
        """The disk's files into a directory that is not there; hard links come
        as files, and no device comes at all."""
        target.mkdir()
        _debugfs(self._disk, f'rdump / {target}')


def _debugfs(disk, *lines, write=False):
    """debugfs ends with 0 whatever happened: all that it says is an error."""
    done = subprocess.run(['debugfs', *(['-w'] if write else []), '-f', '-', disk],
                          input='\n'.join(lines) + '\n', text=True, check=False,
                          capture_output=True)
    told = [line for line in (done.stdout + done.stderr).splitlines()
            if not re.match(r'debugfs( [\d.]+ \(.*\)$|: )|Allocated inode: ', line)]
    if done.returncode or any(told):
        raise DebianError(f'debugfs: {" ".join(told)[:300]}')


def make_disk(root, disk, script, size):
    """An ext4 image of a root, with the script and what runs it."""
    disk.unlink(missing_ok=True)
    call(['truncate', '-s', size, disk])
    call(['mkfs.ext4', '-q', '-F', '-d', root, disk])
    with tempfile.TemporaryDirectory() as scratch:
        for name, text in (('unit', _UNIT_TEXT), ('script', _PROLOGUE + script)):
            (Path(scratch) / name).write_text(text, 'utf-8')
        _debugfs(disk, f'write {scratch}/unit {_UNITS}/{_UNIT}',
                 f'write {scratch}/script {_SCRIPT}', write=True)


def _run(setup, timeout, booted):
    output = bytearray()
    notes = {}

    def note(line):
        word, _, rest = line.partition(' ')
        notes[word] = rest

    with Machine(setup, output.extend, note, lambda text: None) as machine:
        ending = machine.run(timeout)
    booted.output = output.decode('utf-8', 'replace').replace('\r', '')
    booted.status = int(notes['status']) if 'status' in notes else None
    booted.state = notes.get('state', '')
    booted.booted = float(notes.get('booted', 0))
    booted.seconds = ending.seconds
    booted.lost = ending.lost
    if not booted.lost and booted.status is None:
        booted.lost = 'it was switched off before the script had ended'
    booted.console = setup.console.read_text('utf-8', 'replace') \
        if setup.console.exists() else ''


def boot(root, kernel, script, timeout=300, memory=1024, size='6G', parameters=(),
         firmware=None):
    """Boot a root on one of its kernels (image.kernels()), and run a script there.
    The root stays as it is; the disk lies beside it until the next boot. The kernel is
    started directly, or by the firmware that is given (uefi.py)."""
    directory = root.parent.resolve()
    disk = directory / 'disk'
    vmlinux = directory / f'vmlinux-{kernel}'
    if not firmware and not vmlinux.exists():
        vmlinux.write_bytes(extract_vmlinux((root / 'boot' / f'vmlinuz-{kernel}').read_bytes()))
    parameters = [*PARAMETERS, *parameters]
    allowed = klog.read_allowed(klog.ALLOW_FILE.read_text('utf-8'))
    booted = Booted(_disk=disk)
    for _ in range(BOOTS):
        make_disk(root, disk, script, size)
        setup = Setup(vmlinux, root / 'boot' / f'initrd.img-{kernel}', directory,
                      Path('ramsearch'), memory=memory,
                      parameters=parameters, drives=[disk], switches_off=True,
                      firmware=firmware.words(root, kernel, parameters) if firmware else [])
        _run(setup, timeout, booted)
        # Lost by no fault of what runs in it: see machine.py and klog.py.
        if not booted.lost or 'Run /init as init process' in booted.console and \
                not klog.stale_int3(booted.console, allowed):
            break
    booted.log = klog.scan(booted.console, allowed, whole=False)
    if not booted.lost:
        _debugfs(disk, f'rm {_UNITS}/{_UNIT}', f'rm {_SCRIPT}', write=True)
    return booted
