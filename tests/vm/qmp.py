# SPDX-License-Identifier: MIT
"""QEMU's monitor, as far as the harness needs it: one command at a time over a
connected socket. Events are read past.
"""

import json
import socket

# A pmemsave of some GiB to a slow disk takes this long at worst.
_ANSWER_SECONDS = 120


class QmpError(Exception):
    """The monitor is gone, or refused a command."""


class Qmp:
    """The host's end of a `-chardev socket` that is QEMU's monitor."""

    def __init__(self, sock):
        self._sock = sock
        self._buffer = b''
        self._ready = False
        sock.settimeout(_ANSWER_SECONDS)

    def _read(self):
        while b'\n' not in self._buffer:
            try:
                data = self._sock.recv(65536)
            except socket.timeout:
                raise QmpError('the monitor does not answer') from None
            except OSError as error:
                raise QmpError(f'the monitor: {error}') from None
            if not data:
                raise QmpError('the monitor is gone')
            self._buffer += data
        line, self._buffer = self._buffer.split(b'\n', 1)
        return json.loads(line)

    def _send(self, message):
        try:
            self._sock.sendall(json.dumps(message).encode() + b'\n')
        except OSError as error:
            raise QmpError(f'the monitor: {error}') from None
        while True:
            answer = self._read()
            if 'error' in answer:
                raise QmpError(answer['error'].get('desc', 'refused'))
            elif 'return' in answer:
                return answer['return']

    def execute(self, command, **arguments):
        """Run a command and return its answer, or raise QmpError."""
        if not self._ready:
            self._send({'execute': 'qmp_capabilities'})
            self._ready = True
        return self._send({'execute': command, 'arguments': arguments})
