# SPDX-License-Identifier: MIT
"""One virtual machine, from its start to its end: the QEMU process, its serial
ports, the time limit. What the guest says is collected here and judged nowhere
in this file.

The serial ports, and what the guest sees them as:
    ttyS0  the console: a file, and with `on_console` somebody who answers it
    ttyS1  what programs print, or a terminal: `on_output`
    ttyS2  the link to the host (link.py)
    ttyS3  the harness's own notes, of init alone: `on_note`
What is not a file is a socket pair, so no socket lies in any file system. QEMU
dies with this process, whatever ends it, and /dev/kvm is never used.
"""

import re
import selectors
import socket
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

from link import HostLink
from qmp import Qmp

# vmexit's value, which QEMU turns into its own status.
EXIT_VALUE = 0x10
EXIT_STATUS = EXIT_VALUE * 2 + 1

# How often a machine that is to be kept is asked whether it came to its end.
_KEEP_SECONDS = 0.3

# no_timer_check: at boot the kernel counts ticks while it spins, and panics when
# there were too few. An emulated processor whose host is busy may get none.
PARAMETERS = ('panic=-1 oops=panic panic_on_warn=1 softlockup_panic=1 '
              'no_timer_check console=ttyS0 printk.devkmsg=on')


# What the kernel says last when it does: a panic ends QEMU with status 0 too.
_OFF = 'reboot: Power down'


class MachineError(Exception):
    """No machine could be started."""


@dataclass
class Setup:
    """What a machine is made of."""
    kernel: Path
    initrd: Path
    directory: Path
    ramsearch: Path
    memory: int = 512
    processors: int = 2
    parameters: list[str] = field(default_factory=list)
    drives: list[Path] = field(default_factory=list)
    # Where it would end by itself, keep it as it is then: to be looked at.
    keep: bool = False
    # It ends as other machines do, by switching itself off, not by vmexit.
    switches_off: bool = False
    # Words for a firmware, which finds by itself what it boots: no kernel is given.
    firmware: list[str] = field(default_factory=list)

    @property
    def console(self):
        """The console's log."""
        return self.directory / 'console.log'


@dataclass
class Ending:
    """How it ended: `lost` says why the guest did not come to its own end."""
    lost: str | None
    seconds: float


# How often a machine is booted that is lost by no fault of what runs in it.
BOOTS = 3


def never_began(ending, console):
    """Was it lost before anything but Debian's kernel had run? That says nothing
    of Lethe. From the first process on, a lost machine is a failure, unless it
    is proved to be the emulator's (result.py)."""
    return bool(ending.lost) and 'Run /init as init process' not in console


def _kernel(setup):
    return ['-kernel', str(setup.kernel), '-initrd', str(setup.initrd),
            '-append', ' '.join([PARAMETERS, *setup.parameters])]


def _command(setup, fds):
    """QEMU's command line. setpriv: QEMU gets a SIGKILL when we die."""
    words = ['setpriv', '--pdeathsig', 'KILL', 'qemu-system-x86_64',
             '-nodefaults', '-no-user-config', '-accel', 'tcg', '-cpu', 'max',
             '-smp', str(setup.processors), '-m', f'{setup.memory}M',
             '-M', 'q35,sata=off,smbus=off,vmport=off', '-display', 'none',
             '-no-reboot', *(setup.firmware or _kernel(setup)),
             '-device', 'isa-debug-exit,iobase=0xf4,iosize=0x4']
    if 'console' in fds:
        words += ['-chardev', f'socket,id=console,fd={fds["console"]},'
                              f'logfile={setup.console}', '-serial', 'chardev:console']
    else:
        words += ['-serial', f'file:{setup.console}']
    for name in ('output', 'link', 'notes'):
        words += ['-chardev', f'socket,id={name},fd={fds[name]}',
                  '-serial', f'chardev:{name}']
    words += ['-chardev', f'socket,id=qmp,fd={fds["qmp"]}',
              '-mon', 'chardev=qmp,mode=control']
    if setup.keep:
        words += ['-action', 'shutdown=pause']
    for number, drive in enumerate(setup.drives):
        words += ['-drive', f'file={drive},if=none,id=drive{number},format=raw',
                  '-device', f'nvme,serial=lethe{number},drive=drive{number}']
    return words


class Machine:
    """A machine that runs within `with`, and is gone after it."""

    def __init__(self, setup, on_output, on_note, log, on_console=None):
        self._setup = setup
        self._on_output = on_output
        self._on_note = on_note
        self._on_console = on_console
        self._note_buffer = b''
        self._log = log
        self._begun = time.monotonic()
        self._selector = selectors.DefaultSelector()
        self._ports = {}
        self._qemu = None

    def __enter__(self):
        names = ['output', 'link', 'notes', 'qmp', *(['console'] if self._on_console else [])]
        pairs = {name: socket.socketpair() for name in names}
        self._ports = {name: pair[0] for name, pair in pairs.items()}
        fds = {name: pair[1].fileno() for name, pair in pairs.items()}
        self._errors = open(self._setup.directory / 'qemu.log', 'w+b')
        try:
            # A session of its own: a Ctrl-C is for us, who then end it.
            self._qemu = subprocess.Popen(
                _command(self._setup, fds), pass_fds=fds.values(),
                stdin=subprocess.DEVNULL, stdout=self._errors,
                stderr=self._errors, start_new_session=True)
        except FileNotFoundError as error:
            self._close()
            raise MachineError(f'{error.filename} is not installed') from None
        finally:
            for _, theirs in pairs.values():
                theirs.close()
        self._qmp = Qmp(self._ports['qmp'])
        self.link = HostLink(self._ports['link'], self._qmp, self._setup.ramsearch,
                             self._setup.directory, self._log, self._setup.drives)
        for name, take in (('output', self._on_output), ('link', self.link.feed),
                           ('notes', self._take_notes)):
            self._selector.register(self._ports[name], selectors.EVENT_READ,
                                    take)
        if self._on_console:
            self._selector.register(self._ports['console'], selectors.EVENT_READ,
                                    self._on_console)
        return self

    def __exit__(self, *_):
        if self._qemu.poll() is None:
            self._qemu.kill()
        self._qemu.wait()
        self._close()

    def _close(self):
        self._selector.close()
        self._errors.close()
        for sock in self._ports.values():
            sock.close()

    def watch(self, fd, take):
        """Hand on what comes from one more descriptor (a terminal)."""
        self._selector.register(fd, selectors.EVENT_READ, take)

    def type(self, data, port='output'):
        """Send to ttyS1, or to the console, as if typed there."""
        try:
            self._ports[port].sendall(data)
        except OSError:
            pass    # the machine is gone, which its end will show

    def run(self, timeout):
        """Run until the guest ends, or `timeout` seconds (None: for ever)."""
        open_ports = len(self._ports) - 1   # the monitor's is not read here
        while open_ports:
            left = None
            if timeout is not None:
                left = self._begun + timeout - time.monotonic()
                if left <= 0:
                    return self._ended(f'it did not end within {timeout} s')
            if self._setup.keep:
                left = _KEEP_SECONDS if left is None else min(left, _KEEP_SECONDS)
            events = self._selector.select(left)
            for key, _ in events:
                open_ports -= self._take(key)
            if self._setup.keep and not events and self._is_kept():
                return self._ended(None)
        self._qemu.wait()
        return self._ended(self._why_lost())

    def _is_kept(self):
        return self._qmp.execute('query-status')['status'] == 'shutdown'

    def _take(self, key):
        """Read what there is; 1 when the port is closed for good."""
        if isinstance(key.fileobj, int):
            key.data()
            return 0
        try:
            data = key.fileobj.recv(65536)
        except ConnectionResetError:
            data = b''
        if not data:
            self._selector.unregister(key.fileobj)
            return 1
        key.data(data)
        return 0

    def _drain_output(self):
        while True:
            try:
                data = self._ports['output'].recv(65536, socket.MSG_DONTWAIT)
            except OSError:
                return
            if not data:
                return
            self._on_output(data)

    def _take_notes(self, data):
        """init waits for an answer to each note, and drained ttyS1 before it:
        so all that was printed until now came before the note."""
        *lines, self._note_buffer = (self._note_buffer + data).split(b'\n')
        for line in lines:
            self._drain_output()
            self._on_note(line.decode('utf-8', 'replace').strip())
            try:
                self._ports['notes'].sendall(b'go\n')
            except OSError:
                pass    # the machine is gone, which its end will show

    def _ended(self, lost):
        return Ending(lost, time.monotonic() - self._begun)

    def _why_lost(self):
        status = self._qemu.returncode
        if status == EXIT_STATUS:
            return None
        log = self._setup.console
        text = log.read_text('utf-8', 'replace') if log.exists() else ''
        if self._setup.switches_off and not status and _OFF in text:
            return None
        if panic := re.search(r'Kernel panic - not syncing: .*', text):
            return panic[0].strip()
        self._errors.seek(0)
        said = self._errors.read().decode('utf-8', 'replace').strip()
        if status < 0:
            return f'QEMU was killed by signal {-status} {said}'.strip()
        return f'QEMU ended with status {status} {said}'.strip()
