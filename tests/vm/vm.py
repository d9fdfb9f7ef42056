#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Run programs in a virtual machine with one of Debian's own kernels.

    vm.py test [options] -- PROGRAM [ARG...] [; PROGRAM [ARG...]]...
    vm.py run [options] -- PROGRAM [ARG...]
    vm.py shell [options]
    vm.py fetch [--kernel NAME]
    vm.py make [--kernel NAME] -- [ARG...]

`test` runs programs that print KTAP, and judges (result.py): exit status 0 for
a pass, 1 for a failure, 3 where the machine was LOST. `run` shows one program's
output as it comes and ends with its exit status; `shell` joins the terminal to
a shell in the guest (room.py), and Ctrl-] leaves it. `fetch` downloads the kernel and
prints its release; `make` runs the kernel's own make, for a module, with the
project where it is and all else that Debian release's. 2 is for what could not be tried at all. `run` and `shell`
end with 125 where it was the machine that failed.

Nothing is installed, no root is needed, and nothing is left behind but
build/vm and, of a failed run, its console log.
"""

import argparse
import os
import shutil
import signal
import sys
import tempfile
from pathlib import Path

import guest
import kernel
import klog
import result
from drivers import DriverError
from initramfs import InitramfsError
from machine import BOOTS, Machine, MachineError, Setup, never_began
from terminal import Leave, Terminal

FAILED, UNTRIED, LOST, MACHINE_FAILED = 1, 2, 3, 125
FIRST = next(iter(kernel.KERNELS))


def say(text):
    """A line about progress, in the style of the build's."""
    print(f'  VM      {text}', file=sys.stderr, flush=True)


def parse_arguments(arguments):
    """The options; what stands behind `--` is options.words."""
    words = []
    if '--' in arguments:
        cut = arguments.index('--')
        arguments, words = arguments[:cut], arguments[cut + 1:]
    root = Path(os.environ.get('O', guest.SOURCES / 'build'))

    common = argparse.ArgumentParser(add_help=False)
    add = common.add_argument
    add('--kernel', default=FIRST, choices=kernel.KERNELS)
    add('--mem', type=int, default=512, metavar='MIB')
    add('--smp', type=int, default=2, metavar='N')
    add('--append', action='append', default=[], metavar='PARAMETER')
    add('--module', metavar='KO',
        help='load it; "{kernel}" in its path stands for NAME')
    add('--driver', action='append', default=[], metavar='NAME',
        help='load a module of the kernel\'s own, and what it needs, if it is one')
    add('--kaslr', action='store_true',
        help='boot the bzImage, whose decompressor randomizes addresses')
    add('--no-slub-debug', action='store_true',
        help='without it slab memory is poisoned, which hides missing wipes')
    add('--no-secretmem', action='store_true')
    add('--timeout', type=int, metavar='SECONDS',
        help='240 for a test; none otherwise')
    add('--file', action='append', default=[], metavar='SRC[:DST]',
        help='bring SRC and what it loads; with DST, its bytes alone to there')
    add('--needs', action='append', default=[], metavar='PROGRAM',
        help='bring a program of the host')
    add('--env', action='append', default=[], metavar='NAME=VALUE')
    add('--drive', action='append', default=[], type=Path, metavar='IMAGE',
        help='an NVMe disk: /dev/nvme0n1')
    add('--ramsearch', type=Path, metavar='PROGRAM',
        default=Path(os.environ.get('LETHE_RAMSEARCH',
                                    root / 'tests/residue/ramsearch')))

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    verbs = parser.add_subparsers(dest='verb', required=True)
    test = verbs.add_parser('test', parents=[common])
    test.add_argument('--tap', type=Path, metavar='FILE',
                      help='write the documents there, not to stdout')
    test.add_argument('--direct-map', action='store_true',
                      help='fail if the programs split the direct map')
    verbs.add_parser('run', parents=[common])
    shell = verbs.add_parser('shell', parents=[common])
    shell.add_argument('--tree', type=Path, metavar='DIR',
                       help='bring it to the root: what make install leaves')
    shell.add_argument('--tree-libraries', default='/usr/lib', metavar='PATH',
                       help='where in it the libraries are')
    shell.add_argument('--own', action='append', default=[], metavar='FILE',
                       help='bring it to where the shell begins')
    for verb in ('fetch', 'make'):
        verbs.add_parser(verb).add_argument('--kernel', default=FIRST,
                                            choices=kernel.KERNELS)
    options = parser.parse_args(arguments)
    options.words, options.build = words, root
    if (options.verb in ('test', 'run', 'make')) != bool(words):
        parser.error('words stand behind "--" for test, run and make')
    if options.verb == 'run' and len(guest.split_programs(words)) != 1:
        parser.error('run takes one program')
    if options.verb == 'test' and not options.timeout:
        options.timeout = 240
    return options


def parameters(options):
    """The kernel's parameters beside those that every boot has."""
    chosen = [] if options.no_slub_debug else ['slub_debug=FZPU']
    if not options.no_secretmem:
        chosen.append('secretmem.enable=1')
    return chosen + options.append


class Scratch:
    """A directory of this run alone, gone after it. Those of runs that were
    killed are removed on the way: they may hold a guest's whole memory."""

    def __init__(self, build):
        self._parent = build / 'vm' / 'run'

    def __enter__(self):
        self._parent.mkdir(parents=True, exist_ok=True)
        for old in self._parent.iterdir():
            if not Path('/proc', old.name.split('.')[0]).exists():
                shutil.rmtree(old, ignore_errors=True)
        self.path = Path(tempfile.mkdtemp(prefix=f'{os.getpid()}.',
                                          dir=self._parent))
        return self.path

    def __exit__(self, *_):
        shutil.rmtree(self.path, ignore_errors=True)


def keep_log(options, console, why):
    """Keep a failed run's console log. What tells of the failure was shown."""
    place = options.build / 'vm' / 'logs' / f'{os.getpid()}.console.log'
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(console, encoding='utf-8')
    print(f'{why}; the whole log is {place}', file=sys.stderr)


def allowed():
    """What a clean kernel may say."""
    return klog.read_allowed(klog.ALLOW_FILE.read_text('utf-8'))


def why_again(options, record, ending, console):
    """Why a lost machine says nothing of Lethe, so that all of it is to be done
    once more; or None. What was shown to somebody already stays."""
    if never_began(ending, console):
        return f'it never came to its first process ({ending.lost})'
    if options.verb != 'test' and record.is_seen:
        return None
    return result.fault_of_emulator(record, ending.lost, console, allowed())


def read_console(setup):
    """The console's log so far."""
    return setup.console.read_text('utf-8', 'replace') \
        if setup.console.exists() else ''


def boot(options, directory, take_output, terminal=None):
    """Run one machine: its kernel, record, ending and console log."""
    image = kernel.fetch(options.kernel, options.build, say)
    if options.module:
        options.module = options.module.replace('{kernel}', image.name)
    titles = guest.make(directory / 'initrd', options.verb, options, image,
                        options.build, Terminal.size())

    def on_output(data):
        record.output(data)
        take_output(data)

    def on_note(line):
        word, _, number = line.partition(' ')
        if word == 'begin' and options.verb == 'test':
            say(f'{options.kernel}: {titles[int(number) - 1]}')
        elif word == 'shell':
            terminal.join(machine)
        record.note(line)

    setup = Setup(kernel=image.bzimage if options.kaslr else image.vmlinux,
                  initrd=directory / 'initrd', directory=directory,
                  ramsearch=options.ramsearch, memory=options.mem,
                  processors=options.smp, parameters=parameters(options),
                  drives=options.drive)
    log = say if options.verb == 'test' else lambda text: None
    for left in reversed(range(BOOTS)):
        record = result.Record(titles)
        with Machine(setup, on_output, on_note, log) as machine:
            if terminal:
                terminal.watch(machine)
            ending = machine.run(options.timeout)
        console = read_console(setup)
        why = why_again(options, record, ending, console)
        if not why or not left:
            break
        say(f'{image.release}: {why}: booting again')
    return image, record, ending, console


def judge(options, record, ending, console):
    """The verdict on a run, by the rule of result.py."""
    return result.judge(
        record, ending.lost, console, module=bool(options.module),
        direct_map=getattr(options, 'direct_map', False), allowed=allowed())


def test(options, directory):
    """vm.py test"""
    image, record, ending, console = boot(options, directory, lambda data: 0)
    verdict = judge(options, record, ending, console)
    title = f'Linux {image.release}, {options.mem} MiB, ' \
            f'{" ".join(parameters(options))}'
    text = result.documents(record, verdict, title)
    if options.tap:
        options.tap.parent.mkdir(parents=True, exist_ok=True)
        options.tap.write_text(text, encoding='utf-8')
    else:
        print(text, end='', flush=True)
    outcome = f'LOST ({verdict.lost})' if verdict.lost else verdict.summary()
    say(f'{image.release}: {outcome}, {ending.seconds:.1f} s')
    if verdict.good:
        return 0
    for good, sentence, notes in verdict.points:
        if not good:
            print('\n    '.join([f'not ok - {sentence}', *notes]),
                  file=sys.stderr)
    keep_log(options, console, 'LOST' if verdict.lost else 'failed')
    return LOST if verdict.lost else FAILED


def machine_failed(options, record, ending, console):
    """After run and shell: was the machine itself all right?"""
    verdict = judge(options, record, ending, console)
    # Of the points, those about the programs do not bind here: no KTAP.
    titles = {result.judge_program(p)[1] for p in record.programs}
    bad = [(sentence, notes) for good, sentence, notes in verdict.points
           if not good and sentence not in titles]
    for sentence, notes in bad:
        print('\n    '.join([f'not ok - {sentence}', *notes]), file=sys.stderr)
    if bad:
        keep_log(options, console, 'LOST' if verdict.lost else 'failed')
    return bool(bad)


def run(options, directory):
    """vm.py run"""
    _, record, ending, console = boot(options, directory, Terminal.show)
    if machine_failed(options, record, ending, console):
        return MACHINE_FAILED
    return record.programs[0].status


def shell(options, directory):
    """vm.py shell"""
    if not Terminal.is_there():
        print('vm.py: a shell is for a terminal, and there is none here; one '
              'program alone is run by vm.py run', file=sys.stderr)
        return UNTRIED
    say(f'Linux {options.kernel}; leave with "exit", or Ctrl-] at any time')
    try:
        with Terminal() as terminal:
            _, record, ending, console = boot(options, directory,
                                              terminal.show, terminal)
    except Leave:
        return 0
    return MACHINE_FAILED * machine_failed(options, record, ending, console)


def guarded(options, work):
    """Run `work` with a directory of its own; the exit status."""
    # A SIGTERM or SIGHUP cleans up like a Ctrl-C does.
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, _: sys.exit(128 + number))
    try:
        with Scratch(options.build) as directory:
            return work(directory)
    except (kernel.KernelError, DriverError, InitramfsError,
            MachineError) as error:
        print(f'vm.py: {error}', file=sys.stderr)
        return UNTRIED
    except KeyboardInterrupt:
        return 128 + signal.SIGINT


def main(arguments):
    """vm.py"""
    options = parse_arguments(arguments)
    if options.verb == 'fetch':
        return guarded(options, lambda _: print(
            kernel.fetch(options.kernel, options.build, say).release) or 0)
    if options.verb == 'make':
        return guarded(options, lambda _: kernel.fetch(
            options.kernel, options.build, say).make(
                [guest.SOURCES, options.build], options.words))
    verbs = {'test': test, 'run': run, 'shell': shell}
    return guarded(options, lambda directory: verbs[options.verb](options,
                                                                  directory))


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
