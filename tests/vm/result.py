# SPDX-License-Identifier: MIT
"""The pass rule. A run has passed if the guest came to its own end (QEMU's
status is vmexit's), and every program asked for kept its plan, and the kernel's
log is clean; any one of them alone proves nothing. A guest that did not come to
its end is LOST, which is neither a pass nor an ordinary failure.

It reads what the machine left and never talks to it.
"""

from dataclasses import dataclass, field

import klog
import tap

# tap.h: every point was skipped.
SKIPPED = 4


@dataclass
class Program:
    """One program that was asked for: what it printed and how it ended."""
    title: str
    output: bytearray = field(default_factory=bytearray)
    begun: bool = False
    status: int | None = None

    @property
    def text(self):
        """What it printed."""
        return self.output.decode('utf-8', 'replace').replace('\r', '')


class Record:
    """What the guest's notes and programs said, as it came in."""

    def __init__(self, titles):
        self.programs = [Program(title) for title in titles]
        self.values = {}
        self._now = None
        self.stray = bytearray()

    def note(self, line):
        """Take a note of init's (see there)."""
        word, _, rest = line.partition(' ')
        if word == 'begin':
            self._now = self.programs[int(rest) - 1]
            self._now.begun = True
        elif word == 'end':
            number, status = rest.split()
            self.programs[int(number) - 1].status = int(status)
            self._now = None
        elif word == 'directmap':
            when, *counters = rest.split()
            self.values[f'directmap {when}'] = dict(
                counter.split(':') for counter in counters)
        else:
            self.values[word] = rest

    @property
    def is_seen(self):
        """Has whoever looks on been given the shell, or a program's output?"""
        return 'shell' in self.values or any(p.begun for p in self.programs)

    def output(self, data):
        """Take what was printed: it is the running program's."""
        (self._now.output if self._now else self.stray).extend(data)


@dataclass
class Verdict:
    """The outcome, and the harness's own document about it."""
    lost: str | None
    points: list
    documents: list

    @property
    def good(self):
        """Did all of it pass?"""
        return all(good for good, _, _ in self.points)

    def summary(self):
        """One line for a person."""
        count = [sum(getattr(d, what) for d in self.documents)
                 for what in ('passed', 'failed', 'skipped')]
        bad = sum(not good for good, _, _ in self.points)
        return (f'{count[0] + len(self.points) - bad} passed, '
                f'{count[1] + bad} failed, {count[2]} skipped')


def judge_program(program):
    """(good, sentence, notes) for one program."""
    sentence = f'{program.title} ends well, its plan kept'
    if not program.begun:
        return False, sentence, ['it was never run']
    if program.status is None:
        return False, sentence, ['it did not end']
    document = tap.parse(program.text)
    notes = list(document.problems)
    if program.status > 128:
        notes.append(f'it was killed by signal {program.status - 128}')
    elif program.status not in (0, SKIPPED):
        notes.append(f'its exit status is {program.status}')
    elif document.failed:
        notes.append(f'its exit status is {program.status}, although a point '
                     'failed')
    return not notes, sentence, notes


def fault_of_emulator(record, lost, console, allowed=()):
    """Why a lost machine says nothing of what ran in it, or None: one int3 that
    was gone (klog.py) is all that is known to be wrong."""
    place = klog.stale_int3(console, allowed) if lost else None
    if not place or any(tap.parse(program.text).failed or
                        program.status is not None and
                        not judge_program(program)[0]
                        for program in record.programs):
        return None
    return f'the emulator executed an int3 at {place} that the kernel had ' \
        'taken away'


def _judge_direct_map(values):
    before = values.get('directmap before', {})
    after = values.get('directmap after', {})
    notes = [f'{name}: {before[name]} kB before, {after.get(name)} kB after'
             for name in sorted(before)]
    good = 'DirectMap4k' in before and \
        before['DirectMap4k'] == after.get('DirectMap4k')
    return good, 'the direct map has no more small pages than before', notes


def judge(record, lost, console, *, module=False, direct_map=False,
          allowed=()):
    """The verdict on one run. `lost` is the machine's own reason (or None)."""
    values = record.values
    points = []
    if not lost and 'bye' not in values:
        lost = 'it ended before init was done'
    told = klog.evidence(console, allowed)
    points.append((not lost, 'the virtual machine comes to its own end',
                   [f'LOST: {lost}', *told] if lost else []))
    if 'nodriver' in values:
        points.append((False, f'{values["nodriver"]} loads', []))
    if module:
        points.append((values.get('insmod') == '0', 'lethe.ko loads', []))
    points += [judge_program(program) for program in record.programs]
    if module:
        points.append((values.get('rmmod') == '0', 'lethe.ko unloads', []))
    if 'unheld' in values:
        points.append((False, "perf's events are held to the end", []))
    if direct_map:
        points.append(_judge_direct_map(values))
    # A lost machine's log has no last line: its end is told above already.
    found = klog.scan(console, allowed, whole=not lost)
    points.append((not found, "the kernel's log is clean",
                   found if lost or not found else [*found, *told]))
    return Verdict(lost, points, [tap.parse(program.text)
                                  for program in record.programs])


def documents(record, verdict, title):
    """All documents as text: each program's own, then the harness's."""
    parts = []
    for program in record.programs:
        parts.append(f'# {title}: {program.title}\n')
        text = program.text
        parts.append(text if text.endswith('\n') or not text else text + '\n')
    return ''.join(parts) + tap.write(verdict.points, [title])
