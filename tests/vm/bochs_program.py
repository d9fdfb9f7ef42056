#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Run a program that prints KTAP on an emulated processor with AVX-512, which QEMU's have
not: Bochs's, as Skylake.

    bochs_program.py [options of vm.py test] -- PROGRAM [ARG...]

What Bochs says of the size of a compacted XSAVE area is wrong, and Linux then does without
XSAVE: so the kernel is told that there is none that is compacted. One processor. What is
tried is handed on; whether the machine did its part is a document of its own.

The exit status is that of vm.py.
"""

import re
import sys
import time

import bochs
import kernel
import klog
import tap
import vm

_SKYLAKE = 'corei7_skylake_x'
# And of a mitigation that this processor would need it does not warn.
_PARAMETERS = ['clearcpuid=xsavec,xsaves', 'retbleed=off']
_DOCUMENT = re.compile(r'^KTAP version .*?^# Totals.*?$', re.MULTILINE | re.DOTALL)


def judge(options, directory):
    """Run it; vm.py's exit status."""
    image = kernel.fetch(options.kernel, options.build, vm.say)
    options.module = options.module.replace('{kernel}', image.name)
    options.append += _PARAMETERS
    options.words.insert(0, str(options.build / 'tests/vm/bochs_stop'))
    begun = time.monotonic()
    bochs.write_iso(directory, options, image)
    vm.say(f'{options.kernel}: in Bochs, with AVX-512')
    # What is out of the direct map, its debugger could not write down.
    lost = bochs.emulate(directory, options.timeout, _SKYLAKE, dump=False)
    log = directory / 'console.log'
    console = log.read_text('utf-8', 'replace').replace('\r', '') if log.exists() else ''
    if not lost and not re.search(r'^ended \d+$', console, re.MULTILINE):
        lost = 'the program did not end'
    bad = klog.scan(console, vm.allowed(), whole=False)
    told = klog.evidence(console, vm.allowed())
    document = _DOCUMENT.search(console)
    text = document[0] + '\n' if document else ''
    parsed = tap.parse(text)

    points = [
        (not lost, 'the emulated machine comes to its end',
         [f'LOST: {lost}', *told] if lost else []),
        ('insmod 0' in console.splitlines(), 'lethe.ko loads', []),
        ('ended 0' in console.splitlines() and parsed.complete and not parsed.failed,
         f'the program passes ({parsed.passed} passed, {parsed.failed} failed, '
         f'{parsed.skipped} skipped)', parsed.problems),
        (not bad, "the kernel's log is clean",
         bad if lost or not bad else [*bad, *told]),
    ]
    text += tap.write(points, [f'Linux {image.release}, Bochs, Skylake'])
    return bochs.conclude(options, image, begun, console, lost, points, text)


def main(arguments):
    """bochs_program.py"""
    options = vm.parse_arguments(['test', *arguments])
    return vm.guarded(options, lambda directory: judge(options, directory))


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
