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
    """The person typed Ctrl-]."""


class Terminal:
    """stdin and stdout within `with`; raw if they are a terminal."""

    def __init__(self):
        self._fd = sys.stdin.fileno()
        self._was = None

    def __enter__(self):
        if os.isatty(self._fd):
            self._was = termios.tcgetattr(self._fd)
            tty.setraw(self._fd)
        return self

    def __exit__(self, *_):
        if self._was:
            termios.tcsetattr(self._fd, termios.TCSADRAIN, self._was)

    @staticmethod
    def size():
        """(columns, rows)."""
        return tuple(shutil.get_terminal_size())

    def join(self, machine):
        """From now on, what is typed goes to the machine."""
        def typed():
            data = os.read(self._fd, 4096)
            if self._was and _LEAVE in data:
                raise Leave
            if not data:
                # The end of a script on stdin is the end of the shell.
                machine.unwatch(self._fd)
                data = b'exit\n'
            machine.type(data)
        machine.watch(self._fd, typed)

    @staticmethod
    def show(data):
        """What the guest printed."""
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
