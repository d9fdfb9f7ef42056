#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Bring a virtual machine to an end, and search what it leaves behind.

    power.py hibernate|restart|panic [options of vm.py test] -- PROGRAM [ARG...]

The program tells the host what to search for (hostlink_later: needles whose names
begin with "control" are in ordinary memory, the others in regions) and ends the
machine.

    hibernate   to a disk, whose raw image is searched; a second boot then goes
                on with the program, whose KTAP document counts
    restart     RAM is searched as it is when the machine is reset
    panic       likewise

Whatever is not found is worth something only because each control is. The exit
status is that of vm.py.
"""

import subprocess
import sys
from dataclasses import replace

import guest
import kernel
import klog
import result
import tap
import vm
from link import SearchError
from machine import BOOTS, Machine, Setup
from qmp import QmpError

ENDINGS = ('hibernate', 'restart', 'panic')
_SWAP_BYTES = 512 << 20
# Where mkswap left SWAPSPACE2 before, at the end of the first page.
_HIBERNATED = (4096 - 10, b'S1SUSPEND')
_LAST_WORDS = {'restart': 'reboot: Restarting system',
               'panic': 'Kernel panic - not syncing: sysrq triggered crash'}
# From here on, a panic's log is a panic's.
_PANIC_BEGINS = 'sysrq: Trigger a crash'


def _make_swap(path):
    """A disk to hibernate to, on which nothing is."""
    with open(path, 'wb') as file:
        file.truncate(_SWAP_BYTES)
    subprocess.run(['/usr/sbin/mkswap', '-q', path], check=True)


def _is_hibernated(path):
    """Is there an image on it that nobody has read?"""
    with open(path, 'rb') as file:
        file.seek(_HIBERNATED[0])
        return file.read(len(_HIBERNATED[1])) == _HIBERNATED[1]


class Run:
    """One machine, in as many boots as it takes."""

    def __init__(self, how, options, directory):
        self._how, self._options = how, options
        self._directory = directory
        self.image = kernel.fetch(options.kernel, options.build, vm.say)
        options.module = options.module.replace('{release}', self.image.release)
        titles = guest.make(directory / 'initrd', 'test', options, self.image,
                            options.build)
        self._titles = titles
        self.record = result.Record(titles)
        self.points = []
        self.console = ''
        self.seconds = 0

    def _boot(self, setup, *, first=True, words=''):
        """Boot, and anew where that says nothing; the ending, and what was found
        of each needle after. `first`: nothing came before it. `words`: what the
        log has if it ended as it should."""
        found = 'no machine came so far'
        for left in reversed(range(BOOTS)):
            if first:
                self.record = result.Record(self._titles)
                for drive in setup.drives:
                    _make_swap(drive)
            with Machine(setup, self.record.output, self.record.note,
                         vm.say) as machine:
                ending = machine.run(self._options.timeout)
                console = vm.read_console(setup)
                if words not in console and not ending.lost:
                    ending.lost = f'its log has no "{words}"'
                # What was hibernated goes on once, and then its disk has it no more.
                why = (first or _is_hibernated(setup.drives[0])) and \
                    vm.why_again(self._options, self.record, ending, console)
                if why and left:
                    vm.say(f'{self.image.release}: {why}: booting again')
                    continue
                if not setup.drives:
                    found = self._search(machine, None)
                elif first:
                    found = self._search(machine, setup.drives[0])
            break
        self.console += console
        self.seconds += ending.seconds
        return ending, found

    def _search(self, machine, image):
        try:
            return machine.link.search_later(image)
        except (SearchError, QmpError) as error:
            return str(error)

    def _judge_found(self, found, place):
        if isinstance(found, str):
            self.points.append((False, f'{place} is searched', [found]))
            return
        needles, searched = found
        controls = [name for name in needles if name.startswith('control')]
        self.points.append((bool(controls), 'a control is searched for', []))
        for name in controls:
            copies = needles.pop(name).copies
            self.points.append((copies > 0, f'{place}: the {name} is found '
                                f'({copies} copies in {searched} bytes)', []))
        for name, one in needles.items():
            self.points.append((
                not one.copies, f'{place}: of the {name} there is nothing '
                f'({one.copies} copies in {searched} bytes)',
                [one.line(name)] if one.copies else []))
        if not needles:
            self.points.append((False, 'a secret is searched for', []))

    def _setup(self):
        options = self._options
        return Setup(kernel=self.image.vmlinux,
                     initrd=self._directory / 'initrd',
                     directory=self._directory, ramsearch=options.ramsearch,
                     memory=options.mem, processors=options.smp,
                     parameters=vm.parameters(options))

    def hibernate(self):
        """To disk and back: the verdict."""
        swap = self._directory / 'swap'
        # A compressed image could not be searched.
        setup = replace(self._setup(), drives=[swap])
        setup.parameters.append('hibernate=nocompress')
        ending, found = self._boot(setup)
        good = _is_hibernated(swap)
        self.points.append((good, 'the machine hibernates to its disk',
                            [] if good else [str(ending.lost)]))
        self._judge_found(found, 'the image on the disk')
        lost = 'it did not hibernate'
        if good:
            second = self._directory / 'second'
            second.mkdir()
            ending, _ = self._boot(replace(
                setup, directory=second, parameters=[
                    *setup.parameters, 'LETHE_RESUME=nvme0n1']), first=False)
            lost = ending.lost
        verdict = result.judge(self.record, lost, self.console, module=True,
                               allowed=vm.allowed())
        verdict.points += self.points
        return verdict

    def end(self):
        """Restart or panic: the verdict."""
        words = _LAST_WORDS[self._how]
        ending, found = self._boot(replace(self._setup(), keep=True), words=words)
        lost = ending.lost
        log, after = self.console, ''
        if self._how == 'panic':
            log, _, after = self.console.partition(_PANIC_BEGINS)
        bad = klog.scan(log, vm.allowed(), whole=False)
        told = klog.evidence(log, vm.allowed())
        # What wipes must not itself go wrong.
        if after.count('Kernel panic') > 1 or 'nable to handle' in after:
            bad.append('it panicked, and then once more')
            told = klog.evidence(after.partition(words)[2], vm.allowed())
        self.points.append((self.record.values.get('insmod') == '0',
                            'lethe.ko loads', []))
        self.points.append((not lost, f'the machine comes to its {self._how}',
                            [f'LOST: {lost}', *told] if lost else []))
        self._judge_found(found, f'RAM after the {self._how}')
        self.points.append((not bad, "until then, the kernel's log is clean",
                            bad if lost or not bad else [*bad, *told]))
        return result.Verdict(lost, self.points, [])


def write(options, text):
    """Put the documents where they were asked for."""
    if options.tap:
        options.tap.parent.mkdir(parents=True, exist_ok=True)
        options.tap.write_text(text, encoding='utf-8')
    else:
        print(text, end='', flush=True)


def judge(how, options, directory):
    """Run it; vm.py's exit status."""
    image = kernel.fetch(options.kernel, options.build, vm.say)
    if how == 'hibernate' and 'nvme' not in options.driver and \
            not image.has_built_in('nvme'):
        write(options, 'KTAP version 1\n1..0 # SKIP a kernel with NVMe built '
              f'in: {image.release} has no disk to hibernate to\n')
        return 0
    run = Run(how, options, directory)
    verdict = run.hibernate() if how == 'hibernate' else run.end()
    title = f'Linux {run.image.release}, {options.mem} MiB, {how}'
    # A machine that is ended from within leaves half a document.
    text = result.documents(run.record, verdict, title) \
        if how == 'hibernate' else tap.write(verdict.points, [title])
    write(options, text)
    outcome = f'LOST ({verdict.lost})' if verdict.lost else verdict.summary()
    vm.say(f'{run.image.release}: {outcome}, {run.seconds:.1f} s')
    for good, sentence, notes in verdict.points:
        if not good:
            print('\n    '.join([f'not ok - {sentence}', *notes]),
                  file=sys.stderr)
    if verdict.good:
        return 0
    vm.keep_log(options, run.console, 'LOST' if verdict.lost else 'failed')
    return vm.LOST if verdict.lost else vm.FAILED


def main(arguments):
    """power.py"""
    if not arguments or arguments[0] not in ENDINGS:
        print(__doc__, file=sys.stderr)
        return vm.UNTRIED
    options = vm.parse_arguments(['test', *arguments[1:]])
    return vm.guarded(options, lambda directory: judge(arguments[0], options,
                                                       directory))


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
