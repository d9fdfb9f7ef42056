#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""When a machine that the emulator lost is booted once more: tests of vm.py and power.py.
No machine is booted here."""

import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace

import power
import result
import selftest
import vm
from machine import BOOTS, Ending

HERE = Path(__file__).parent
INT3 = (HERE / 'golden' / 'int3.log').read_text('utf-8').partition('\n')[2]


class Lost:
    """A machine that dies of the emulator each time; `boots` counts them, and with
    the boot of number `reads` the disk is read."""
    boots, reads = 0, 0

    def __init__(self, setup, *_):
        self._setup = setup

    def __enter__(self):
        Lost.boots += 1
        return self

    def __exit__(self, *_):
        pass

    def run(self, _):
        """It has the log of one that met a stale int3."""
        self._setup.console.write_text(INT3, encoding='utf-8')
        if Lost.boots == Lost.reads:
            self._setup.drives[0].write_bytes(bytes(4096))
        return Ending('Kernel panic - not syncing: Fatal exception', 1)


def boots(signature, reads=0):
    """How often the second boot of such a machine is begun."""
    with tempfile.TemporaryDirectory() as directory:
        swap, console = Path(directory, 'swap'), Path(directory, 'console.log')
        swap.write_bytes(bytes(4096 - len(signature)) + signature)
        run = power.Run.__new__(power.Run)
        run.record, run.console, run.seconds = result.Record(['a']), '', 0
        run.record.note('begin 1')
        run.image = SimpleNamespace(release='-')
        run._options = SimpleNamespace(verb='test', timeout=1)
        Lost.boots, Lost.reads, power.Machine = 0, reads, Lost
        run._boot(SimpleNamespace(drives=[swap], console=console), first=False)
        return Lost.boots


def again():
    """what nobody has read from the disk is gone on with in one boot more"""
    selftest.equal(boots(b'S1SUSPEND\0'), BOOTS)


def once():
    """what was read is not gone on with once more, nor is what was never there"""
    selftest.equal((boots(b'S1SUSPEND\0', reads=1), boots(b'S1SUSPEND\0', reads=2),
                    boots(b'SWAPSPACE2')), (1, 2, 1))


def seen():
    """before the shell is there one boot more shows nobody anything twice; then it would"""
    ending = Ending('Kernel panic', 1)
    for verb, notes, wanted in (('shell', [], True), ('shell', ['shell'], False),
                                ('run', ['up 7.3'], True), ('run', ['begin 1'], False),
                                ('test', ['begin 1'], True)):
        record = result.Record(['a'])
        for note in notes:
            record.note(note)
        # Its first process had begun.
        why = vm.why_again(SimpleNamespace(verb=verb), record, ending,
                           'Run /init as init process\n' + INT3)
        selftest.equal((verb, notes, bool(why)), (verb, notes, wanted))


if __name__ == '__main__':
    sys.exit(selftest.run([again, once, seen]))
