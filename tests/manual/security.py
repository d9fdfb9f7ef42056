#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""What SECURITY.md says is shown: that it is, by the tests of this very run.

    security.py DOCUMENT [--kernels NAME,...] [--some] [--vm SUITE,...] -- TAP...

The document has a heading for each attacker, with a table of assets by backends. Every
cell names, by numbers in brackets, notes below the table; a note has names of tests, or
says why there is none. A name is one of

    `suite::point`              a suite's results are O/tap/suite.tap, or, in the virtual
                                machine, O/tap/suite-KERNEL.tap of each kernel; "..."
                                stands for anything, as a number that varies
    `residue::row, backend: 0`  a row of the residue table; or "some"

A name holds if every point so named passed in every suite so named, of those that this
run has (--some: not for all kernels). One that was skipped on a kernel is so said; one
that was skipped everywhere is skipped here too, and never passed. Prints KTAP; exit
status 1 if anything does not hold. It runs no test.
"""

import argparse
import re
import sys
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path += [str(HERE.parent / 'vm'), str(HERE.parent / 'residue')]
import records  # noqa: E402  pylint: disable=wrong-import-position
import tap  # noqa: E402  pylint: disable=wrong-import-position

BACKENDS = ['`kmod`', '`memfd_secret`', '`mlock`']
ASSETS = ['pages', 'registers', 'left', 'ended']
ATTACKERS = [
    'Another user', 'Another process of the same user', 'Root, without code in the kernel',
    'A read gadget in the kernel', 'Cold boot', 'A stolen disk', 'A device that reads memory',
    'A child of the process', 'Another thread of the process',
]
NO_TEST = 'Not shown, because '

NOTE = re.compile(r'(\d+)\. +(.*)')
REFERENCE = re.compile(r'\[(\d+)\]')
CODE = re.compile(r'(?<!`)(`+)(?!`)(.+?)(?<!`)\1(?!`)')
RESULT = re.compile(r'(not )?ok\b\s*\d*\s*-?\s*(.*)')
SKIP = re.compile(r'\s*#\s*SKIP\b\s*(.*)', re.IGNORECASE)
SECONDS = re.compile(r'\s*\(\d+\.\d+s\)$')  # of Criterion
RULE = re.compile(r'\|(?:-+:?\|)+|\|(?::?-+:?\|)+')


@dataclass
class Attacker:
    """What stands below one heading."""
    name: str
    head: list = field(default_factory=list)
    rows: list = field(default_factory=list)
    notes: dict = field(default_factory=dict)


def cells_of(line):
    """A row's cells, without blanks around them."""
    return [cell.strip() for cell in re.split(r'(?<!\\)\|', line.strip().strip('|'))]


def parse(text):
    """The attackers, in order."""
    found, note = [], None
    for line in text.splitlines():
        if line.startswith('#'):
            note = None
            found.append(Attacker(line[4:].strip()) if line.startswith('### ') else None)
            continue
        attacker = found[-1] if found else None
        if not attacker:
            continue
        match = NOTE.match(line)
        if line.startswith('|'):
            note = None
            if not attacker.head:
                attacker.head = cells_of(line)
            elif not RULE.fullmatch(line.replace(' ', '')):
                attacker.rows.append(cells_of(line))
        elif match:
            note = match[1]
            attacker.notes[note] = (attacker.notes.get(note, '') + ' ' + match[2]).strip()
        elif note and line.startswith(' ') and line.strip():
            attacker.notes[note] += ' ' + line.strip()
        else:
            note = None
    return [one for one in found if one]


def names_in(text):
    """What a text names, in its order, each once."""
    spans = [' '.join(match[2].split()) for match in CODE.finditer(' '.join(text.split()))]
    return list(dict.fromkeys(span for span in spans if '::' in span))


def wrong_in(attacker):
    """What is missing of one attacker's table, in sentences."""
    if attacker.head[1:] != BACKENDS:
        yield f'the columns are {attacker.head[1:]}, and not {BACKENDS}'
    for asset in ASSETS:
        if not any(re.match(rf'{asset}\b', row[0]) for row in attacker.rows):
            yield f'there is no row of {asset}'
    used = set()
    for row in attacker.rows:
        if not any(re.match(rf'{asset}\b', row[0]) for asset in ASSETS):
            yield f'the row "{row[0]}" is of no asset'
        if len(row) != 1 + len(BACKENDS):
            yield f'the row "{row[0]}" has {len(row) - 1} cells'
        for cell, backend in zip(row[1:], BACKENDS):
            references = REFERENCE.findall(cell)
            used.update(references)
            if not REFERENCE.sub('', cell).strip():
                yield f'{row[0]}, {backend}: the cell says nothing'
            if not references:
                yield f'{row[0]}, {backend}: neither a test nor a reason'
    for number in sorted(used - attacker.notes.keys()):
        yield f'there is no note {number}'
    for number, text in attacker.notes.items():
        if number not in used:
            yield f'no cell has note {number}'
        if not names_in(text) and not re.match(NO_TEST + r'\S', text):
            yield f'note {number} names no test, and does not say why: "{text}"'


def check_tables(attackers):
    """Points: each attacker is there, and its table is whole."""
    there = [one.name for one in attackers]
    yield (there == ATTACKERS, 'the attackers are those that there have to be',
           [] if there == ATTACKERS else [f'there are {there}'])
    for one in attackers:
        wrong = list(wrong_in(one))
        yield (not wrong, f'{one.name}: each of {len(one.rows)} rows has, on each backend, '
               'a test or a reason', wrong)


@dataclass
class Results:
    """Of one file: what was passed, skipped, and not."""
    points: list = field(default_factory=list)   # (text, why it was skipped or None, ok)
    skipped: list = field(default_factory=list)  # why whole documents were


def read_results(path):
    """As tally.py does it."""
    results = Results()
    for line in path.read_text(encoding='utf-8', errors='replace').splitlines():
        if line.startswith('1..0'):
            results.skipped += SKIP.findall(line)
        match = RESULT.match(line)
        if match:
            why = SKIP.search(match[2])
            text = SECONDS.sub('', SKIP.sub('', match[2]))
            results.points.append((' '.join(text.split()), why and why[1], not match[1]))
    return results


class Run:
    """The results of one run of the tests, and what is asked of them."""

    def __init__(self, paths, kernels, suites, some):
        self.files = {path.stem: path for path in paths}
        self.kernels, self.suites, self.some = kernels, suites, some
        self._read = {}
        self._records = None

    def _results(self, stem):
        if stem not in self._read:
            self._read[stem] = read_results(self.files[stem])
        return self._read[stem]

    def ask(self, name):
        """(ok, why it counts as skipped or None, notes)."""
        suite, point = name.split('::', 1)
        try:
            return self._row(point) if suite == 'residue' else self._point(suite, point)
        except (OSError, records.TableError) as error:
            return False, None, [str(error)]

    def _nowhere(self, known, what):
        """Nothing of it is in this run: which is right where that is of some kernels."""
        if known and self.some:
            return True, 'it is of a kernel that was not chosen', []
        return False, None, [what]

    def _point(self, suite, point):
        stems = [stem for stem in (suite, *(f'{suite}-{one}' for one in self.kernels))
                 if stem in self.files]
        if not stems:
            return self._nowhere(suite in self.suites, f'this run has no suite {suite}')
        pattern = re.compile('.*'.join(map(re.escape, point.split('...'))))
        wrong, skipped, passed = [], [], 0
        for stem in stems:
            results = self._results(stem)
            mine = [one for one in results.points if pattern.fullmatch(one[0])]
            if not mine and results.skipped:
                skipped.append(f'{stem}: {results.skipped[0]}')
            elif not mine:
                wrong.append(f'{stem} has no such point')
            wrong += [f'{stem}: not ok - {text}' for text, _, ok in mine if not ok]
            skipped += [f'{stem}: {why}' for _, why, ok in mine if ok and why is not None]
            passed += sum(ok and why is None for _, why, ok in mine)
        why = skipped[0] if skipped and not passed else None
        return not wrong, why, wrong or [f'skipped: {one}' for one in skipped if passed]

    def _row(self, text):
        match = re.fullmatch(r'(.+): (0|some)', text)
        backends = [name + more for name in records.BACKENDS
                    for more in ('', ', LETHE_COMPLETE')]
        backend = match and next((name for name in sorted(backends, key=len, reverse=True)
                                  if match[1].endswith(f', {name}')), None)
        row = match and backend and match[1].removesuffix(f', {backend}')
        if not row or row not in records.ROWS:
            return False, None, ['no such row or backend, or it is neither 0 nor some']
        if self._records is None:
            self._records = records.read(list(self.files.values()))
        mine = [one for one in self._records if (one.row, one.backend) == (row, backend)]
        if not mine:
            # As a processor may not have what the row is of.
            why = [why for stem in self.files for text, why, ok in self._results(stem).points
                   if ok and why is not None and text == f'{row}, {backend}']
            return (True, why[0], []) if why else self._nowhere(True, 'it was not measured')
        wrong = [f'{one}: {one.wrong}' for one in mine if one.wrong]
        if match[2] == '0':
            wrong += [f'{one}: {one.copies} copies' for one in mine if one.copies]
        elif not any(one.copies for one in mine):
            wrong.append('there was no copy anywhere')
        return not wrong, None, wrong


def check(text, run):
    """All points of a document, each (ok, sentence, notes)."""
    points = list(check_tables(parse(text)))
    for name in names_in(text):
        ok, why, notes = run.ask(name)
        points.append((ok, name + (f' # SKIP {why}' if ok and why else ''), notes))
    return points


def main():
    parser = argparse.ArgumentParser(usage='%(prog)s DOCUMENT [options] -- TAP...')
    parser.add_argument('document', type=Path)
    parser.add_argument('taps', nargs='+', type=Path, metavar='TAP')
    parser.add_argument('--kernels', default='', type=str)
    parser.add_argument('--vm', default='', help='suites that are one for each kernel')
    parser.add_argument('--some', action='store_true', help='not all kernels were chosen')
    words = parser.parse_args()
    run = Run(words.taps, words.kernels.split(','), words.vm.split(','), words.some)
    points = check(words.document.read_text(encoding='utf-8'), run)
    print(tap.write(points), end='')
    return 0 if all(ok for ok, _, _ in points) else 1


if __name__ == '__main__':
    sys.exit(main())
