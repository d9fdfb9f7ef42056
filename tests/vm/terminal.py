# SPDX-License-Identifier: MIT
"""The person's terminal, joined to the guest's ttyS1 for `vm.py shell`.

Whatever happens, the terminal is given back as it was found.
"""

import os
import shutil
import sys
import termios
import tty

# As telnet: Ctrl-] leaves, since Ctrl-C belongs to the guest.
_LEAVE = b'\x1d'


class Leave(Exception):
    """The person typed Ctrl-], or is gone."""


class Terminal:
    """stdin and stdout, which is_there() said are a terminal, raw within `with`."""

    def __init__(self):
        self._fd = sys.stdin.fileno()
        self._held = b''
        self._machine = None

    def __enter__(self):
        self._was = termios.tcgetattr(self._fd)
        tty.setraw(self._fd)
        return self

    def __exit__(self, *_):
        try:
            termios.tcsetattr(self._fd, termios.TCSADRAIN, self._was)
        except termios.error:
            pass    # it is gone

    @staticmethod
    def is_there():
        """Are they one?"""
        return sys.stdin.isatty() and sys.stdout.isatty()

    @staticmethod
    def size():
        """(columns, rows)."""
        return tuple(shutil.get_terminal_size())

    def watch(self, machine):
        """What is typed while the machine boots waits for join(); Ctrl-] does not."""
        self._machine = None
        machine.watch(self._fd, self._typed)

    def join(self, machine):
        """From now on, what is typed goes to the machine."""
        self._machine = machine
        machine.type(self._held)
        self._held = b''

    def _typed(self):
        try:
            data = os.read(self._fd, 4096)
        except OSError:
            data = b''
        # A terminal that is gone is left as by that key.
        if not data or _LEAVE in data:
            raise Leave
        if self._machine:
            self._machine.type(data)
        else:
            self._held += data

    @staticmethod
    def show(data):
        """What the guest printed."""
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
