#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The host link's own tests, with a monitor and a searcher that are made up;
the real ones meet in link_test.c. Run on the host; no machine is started.
"""

import socket
import sys
import tempfile
from pathlib import Path

import link
import selftest
from qmp import QmpError

GIB = 1 << 30
# `info mtree -f` of QEMU 7.2, q35, as far as it matters.
ONE_RANGE = '''FlatView #1
 AS "memory", root: system
 Root memory region: system
  0000000000000000-000000000009ffff (prio 0, ram): pc.ram
  00000000000a0000-00000000000bffff (prio 1, i/o): smram-region
  00000000000c0000-00000000000dffff (prio 1, rom): pc.ram @00000000000c0000
  00000000000e0000-000000001fffffff (prio 0, ram): pc.ram @00000000000e0000
  00000000fffc0000-00000000ffffffff (prio 0, rom): pc.bios
'''
TWO_RANGES = '''  0000000000000000-000000007fffffff (prio 0, ram): pc.ram
  00000000b0000000-00000000bfffffff (prio 0, i/o): pcie-mmcfg-mmio
  0000000100000000-00000001ffffffff (prio 0, ram): pc.ram @0000000080000000
  0000000000000000-000000007fffffff (prio 0, ram): pc.ram
'''
# One range of RAM of 16 bytes and one of 8, far above it.
SMALL = '''  0000000000000000-000000000000000f (prio 0, ram): pc.ram
  0000000100000000-0000000100000007 (prio 0, ram): pc.ram @0000000000000010
'''
REQUEST = b'SEARCH a label\nNEEDLE n1 00 00\nNEEDLE n2 00 00\nFRAMES 1 2\nGO\n'


class Monitor:
    """A monitor whose machine has SMALL as its memory."""

    def __init__(self, fail=''):
        self.fail = fail
        self.commands = []

    def execute(self, command, **arguments):
        """As Qmp's."""
        self.commands.append(command)
        if command == self.fail:
            raise QmpError('no room on the disk')
        if command == 'human-monitor-command':
            return SMALL
        if command == 'query-memory-size-summary':
            return {'base-memory': 24}
        if command == 'pmemsave':
            Path(arguments['filename']).write_bytes(b'x' * arguments['size'])
        return {}


def ask(searcher, request=REQUEST, fail='', drives=()):
    """What the link answers; the searcher is the text of a shell script that is
    handed its file as $1. Also the monitor's commands, and files left over."""
    with tempfile.TemporaryDirectory() as directory:
        directory = Path(directory)
        program = directory / 'searcher'
        program.write_text(f'#!/bin/sh\n{searcher}\n', encoding='ascii')
        program.chmod(0o755)
        monitor = Monitor(fail)
        ours, theirs = socket.socketpair()
        with ours, theirs:
            host = link.HostLink(ours, monitor, program, directory,
                                 lambda text: None, drives)
            for byte in request:
                host.feed(bytes([byte]))
            theirs.settimeout(5)
            answer = theirs.recv(65536).decode()
        program.unlink()
        return answer, monitor.commands, list(directory.iterdir())


# Finds n1 once in every file, at the first byte of the range it is told.
GOOD = '''range=$(sed -n 's/RANGE 0 \\([^ ]*\\) .*/\\1/p')
echo "FOUND n1 1 0 9 0 1 $range"
echo "FOUND n2 0 0 0 0 0 0x0"
echo "DONE $(wc -c <"$1")"'''


def ranges():
    """the RAM ranges are read from the monitor's memory tree"""
    selftest.equal(link.ram_ranges(ONE_RANGE, GIB // 2), [(0, GIB // 2)])
    selftest.equal(link.ram_ranges(TWO_RANGES, 6 * GIB),
                   [(0, 2 * GIB), (4 * GIB, 4 * GIB)])


def wrong_ranges():
    """RAM ranges that are not all of the machine's memory are refused"""
    for text, size in ((ONE_RANGE, GIB), (TWO_RANGES, 2 * GIB), ('', GIB)):
        selftest.raises(link.SearchError, link.ram_ranges, text, size)


def round_trip():
    """an answer adds up all ranges, and nothing is left on the disk"""
    answer, commands, left = ask(GOOD)
    selftest.equal(answer, 'FOUND n1 2 0 9 0 2 0x0\n'
                           'FOUND n2 0 0 0 0 0 0x0\nDONE 24\n')
    selftest.equal(commands[2:], ['stop', 'pmemsave', 'pmemsave', 'cont'])
    selftest.equal(left, [])


def hands_on():
    """the searcher gets the needles and the frames as they came"""
    check = 'cat >"$0.in"; grep -qx "NEEDLE n2 00 00" "$0.in" && ' \
            'grep -qx "FRAMES 1 2" "$0.in" && exec <"$0.in" || exit 1\n' \
            'rm "$0.in"\n'
    answer, _, left = ask(check + GOOD)
    selftest.equal((answer.count('FOUND'), left), (2, []))


def bad_searchers():
    """a searcher that fails, leaves a needle or a byte out is an error"""
    for searcher in ('exit 2', GOOD + '; exit 1', GOOD.replace('n2', 'n3'),
                     GOOD.replace('n2', 'n1'), 'echo "DONE $(wc -c <"$1")"',
                     GOOD.replace('$(wc -c <"$1")', '15'), 'true'):
        answer, commands, left = ask(searcher)
        selftest.equal((answer[:6], commands[-1], left), ('ERROR ', 'cont', []))


def bad_monitor():
    """where memory cannot be written down, the machine goes on all the same"""
    answer, commands, left = ask(GOOD, fail='pmemsave')
    selftest.equal((answer, commands[-1], left),
                   ('ERROR no room on the disk\n', 'cont', []))


def bad_requests():
    """a request that makes no sense is an error, and nothing is stopped"""
    for request in (b'GO\n', b'SEARCH x\nGO\n', b'SEARCH x\nHELLO\nGO\n',
                    b'NEEDLE n1 00 00\nGO\n', b'SEARCH x\nNEEDLE n1\nGO\n'):
        answer, commands, _ = ask(GOOD, request)
        selftest.equal((answer[:6], commands), ('ERROR ', []))


def next_request():
    """a request after a bad one is answered"""
    answer, _, _ = ask(GOOD, b'FRAMES\nSEARCH x\n' + REQUEST)
    selftest.equal(answer[-8:], 'DONE 24\n')


def later():
    """what is for later waits, and the machine is not made to go on after it"""
    with tempfile.TemporaryDirectory() as directory:
        directory = Path(directory)
        program, image = directory / 'searcher', directory / 'image'
        program.write_text(f'#!/bin/sh\n{GOOD}\n', encoding='ascii')
        program.chmod(0o755)
        image.write_bytes(b'x' * 40)
        monitor = Monitor()
        ours, theirs = socket.socketpair()
        with ours, theirs:
            host = link.HostLink(ours, monitor, program, directory,
                                 lambda text: None)
            selftest.raises(link.SearchError, host.search_later)
            host.feed(REQUEST.replace(b'SEARCH', b'LATER'))
            theirs.settimeout(5)
            selftest.equal((theirs.recv(65536), monitor.commands),
                           (b'DONE 0\n', []))
            found, searched = host.search_later()
            selftest.equal((found['n1'].copies, found['n2'].copies, searched),
                           (2, 0, 24))
            selftest.equal(monitor.commands[2:], ['stop'] + ['pmemsave'] * 2)
            found, searched = host.search_later(image)
            selftest.equal((found['n1'].copies, searched), (1, 40))
        selftest.equal(sorted(directory.iterdir()), [image, program])


def drives():
    """a disk is searched instead of RAM, while the machine stands still"""
    with tempfile.NamedTemporaryFile() as first, \
            tempfile.NamedTemporaryFile() as second:
        first.write(b'x' * 7)
        second.write(b'x' * 40)
        first.flush()
        second.flush()
        images = [Path(first.name), Path(second.name)]
        answer, commands, left = ask(
            GOOD, REQUEST.replace(b'GO', b'DRIVE 1\nGO'), drives=images)
        selftest.equal(answer, 'FOUND n1 1 0 9 0 1 0x0\n'
                               'FOUND n2 0 0 0 0 0 0x0\nDONE 40\n')
        selftest.equal((commands, left), (['stop', 'cont'], []))
        selftest.equal([image.stat().st_size for image in images], [7, 40])
        answer, commands, _ = ask('exit 2', REQUEST.replace(b'GO', b'DRIVE 0\nGO'),
                                  drives=images)
        selftest.equal((answer[:6], commands[-1]), ('ERROR ', 'cont'))
        answer, commands, _ = ask(GOOD, REQUEST.replace(b'GO', b'DRIVE 2\nGO'),
                                  drives=images)
        selftest.equal((answer[:6], commands), ('ERROR ', []))


if __name__ == '__main__':
    sys.exit(selftest.run([ranges, wrong_ranges, round_trip, hands_on,
                           bad_searchers, bad_monitor, bad_requests,
                           next_request, later, drives]))
