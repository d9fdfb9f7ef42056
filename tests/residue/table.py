#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The residue table: every row that the suites have measured, in one place.

	O=build table.py [TAP...]		print it, and write O/residue.tsv
	O=build table.py --readme [TAP...]	for README.md, between its two markers
	O=build table.py --write README.md [TAP...]	put it there
	O=build table.py --check README.md [TAP...]	a KTAP document: is that so?

Without TAP, all of O/tap. It measures nothing itself. Exit status 1, and the sentence:
a row that nobody has measured, a control that found nothing, a copy on the module, a
copy elsewhere that nobody explains.

How many copies a control finds differs between machines and days. What README.md has to
have right is where there are none, where there are any, and why.
"""

import os
import re
import sys
from pathlib import Path

import records
from records import ABSENT, BACKENDS, NATIVE, PLACES, ROWS

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / 'vm'))
import tap  # noqa: E402  pylint: disable=wrong-import-position

BUILD = Path(os.environ.get('O', 'build'))
BEGIN, END = '<!-- residue -->', '<!-- /residue -->'
HEAD = ['row', 'plainly', *(f'`{name}`' for name in BACKENDS)]
NONE = '–'


def write_tsv(found, path):
    """Every record."""
    with path.open('w', encoding='utf-8') as out:
        print('row', 'where', 'backend', 'control', 'copies', 'searched_bytes',
              'verdict', sep='\t', file=out)
        for one in found:
            verdict = f'told: {one.why}' if one.verdict == 'told' else one.verdict
            print(one.row, one.where, one.backend, one.control, one.copies,
                  one.searched, verdict, sep='\t', file=out)


def span(numbers):
    """One number, or from where to where."""
    least, most = min(numbers), max(numbers)
    return str(most) if least == most else f'{least} to {most}'


def place_cell(found):
    """Of one row at one place: copies on each backend, and plainly."""
    if not found:
        return ''
    words = []
    for backend in BACKENDS:
        here = [one.copies for one in found if one.backend == backend]
        words.append(span(here) if here else '-')
    extra = sum(one.copies for one in found if one.backend != one.base)
    return (' '.join(words) + (f' +{extra}' if extra else '')
            + f' / {min(one.control for one in found)}')


def terminal(found):
    """For a person: a line a row, a column a place."""
    places = [name for name in PLACES if any(one.where == name for one in found)]
    lines = [['', *places]]
    for row in ROWS:
        mine = [one for one in found if one.row == row]
        lines.append([row, *(place_cell([one for one in mine if one.where == name])
                             for name in places)])
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    yield f'copies on {", ".join(BACKENDS)} / plainly, in the same run'
    for line in lines:
        yield '  '.join(text.ljust(width) for text, width in zip(line, widths)).rstrip()
    told = {}
    for one in found:
        if one.why and one.copies:
            told.setdefault(one.why, {})[f'{one.row} ({one.base})'] = True
    for why, where in told.items():
        yield f'{why}: {"; ".join(where)}'


class Notes:
    """Clauses, each once, by number."""

    def __init__(self):
        self.clauses = []

    def mark(self, clause):
        """What stands at a cell for it."""
        if clause not in self.clauses:
            self.clauses.append(clause)
        return f'<sup>{self.clauses.index(clause) + 1}</sup>'


def cell(found, row, backend, notes):
    """Of one row on one backend, everywhere."""
    if (row, backend) in ABSENT:
        return NONE + notes.mark(ABSENT[row, backend])
    texts = []
    for name in dict.fromkeys(one.backend for one in found if one.base == backend):
        here = [one for one in found if one.backend == name]
        more = name[len(backend):].lstrip(', ')
        text = str(max(one.copies for one in here)) + (f' with `{more}`' if more else '')
        whys = dict.fromkeys(one.why for one in here if one.copies and one.why)
        # In another place there may be none: which is no less true.
        if whys and any(not one.copies for one in here):
            text = f'0 to {text}'
        texts.append(text + ''.join(map(notes.mark, whys)))
    return '; '.join(texts) or NONE


def markdown(found):
    """The lines for README.md."""
    notes = Notes()
    yield '| ' + ' | '.join(HEAD) + ' |'
    yield '|---|' + '--:|' * (len(HEAD) - 1)
    for row in ROWS:
        mine = [one for one in found if one.row == row]
        yield '| ' + ' | '.join([
            row, span([one.control for one in mine]) if mine else NONE,
            *(cell(mine, row, backend, notes) for backend in BACKENDS)]) + ' |'
    if notes.clauses:
        yield ''
    for number, clause in enumerate(notes.clauses, 1):
        yield f'{number}. {clause}'


CELL = re.compile(r'(?:(\d+) to )?(\d+|–)([^<]*)((?:<sup>\d+</sup>)*)')
# What README.md may have of a cell of which this was measured.
MAY = {'absent': ['absent'], 'none': ['none', 'either'], 'some': ['some', 'either'],
       'either': ['some', 'either']}


def meaning(text, clauses):
    """What is held true of a cell: of each of its parts none, some or either, with which
    option, and why; not how many."""
    parts = []
    for part in text.split('; '):
        match = CELL.fullmatch(part)
        if not match:
            return None
        least, most, option, marks = match.groups()
        if most == NONE:
            kind = 'absent'
        elif int(most):
            kind = 'either' if least == '0' else 'some'
        else:
            kind = 'none'
        parts.append((kind, option, {clauses.get(number) for number
                                     in re.findall(r'>(\d+)<', marks)}))
    return parts


def agree(said, measured):
    """May README.md have this cell?"""
    if said is None or len(said) != len(measured):
        return False
    return all(one in MAY[other] and option == other_option
               and (why == other_why or (one, other) == ('either', 'none'))
               for (one, option, why), (other, other_option, other_why)
               in zip(said, measured))


def rows_of(lines):
    """A table's rows of cells, and its clauses."""
    clauses = dict(match.groups() for line in lines
                   if (match := re.fullmatch(r'(\d+)\. (.*)', line)))
    return [[cell.strip() for cell in line.strip('|').split('|')] for line in lines
            if line.startswith('|')], clauses


def between(document):
    """A document's lines, and from where to where they are the table; or None."""
    lines = document.read_text(encoding='utf-8').splitlines()
    if BEGIN not in lines or END not in lines:
        return lines, None
    return lines, slice(lines.index(BEGIN) + 1, lines.index(END))


def write(found, document):
    """Put the table between its markers."""
    lines, where = between(document)
    if not where:
        raise records.TableError(f'{document} has no lines {BEGIN} and {END}')
    lines[where] = ['', *markdown(found), '']
    document.write_text('\n'.join(lines) + '\n', encoding='utf-8')


def differences(found, document, excused=()):
    """What is said there and is not so, in sentences. Of `excused` cells that were
    measured nowhere this machine can say nothing."""
    lines, where = between(document)
    if not where:
        yield f'{document} has no lines {BEGIN} and {END}'
        return
    said, notes = rows_of(lines[where])
    measured, clauses = rows_of(list(markdown(found)))
    if len(said) != len(measured) or said[:2] != measured[:2]:
        yield f'it has {len(said)} lines, and not {len(measured)}, or another head'
        return
    for mine, other in zip(said[2:], measured[2:]):
        if mine[:1] != other[:1] or len(mine) != len(other) or not all(
                two == NONE and (mine[0], backend) in excused or
                agree(meaning(one, notes), meaning(two, clauses))
                for backend, one, two in zip((None, *BACKENDS), mine[1:], other[1:])):
            yield f'it has {" | ".join(mine)}'
            yield f'and so was measured: {" | ".join(other)}'
    text = ''.join(lines[where])
    yield from (f'no cell has its note {number}' for number in notes
                if f'<sup>{number}</sup>' not in text)


def check(found, faults, document, excused):
    """Prints KTAP; the exit status."""
    wrong = list(differences(found, document, excused))
    print(tap.write([
        (not faults, 'each row is measured: 0 copies on the module, none unexplained, '
         'every control above 0', faults),
        (not wrong, f'{document}: its residue table is so (table.py --write)', wrong),
    ]), end='')
    for (row, backend), why in excused.items():
        print(f'# not measured here: {row}, {backend}: {why}')
    return 1 if faults or wrong else 0


def main(words):
    """As the module's comment says."""
    verb, document = None, None
    if words and words[0].startswith('--'):
        verb, *words = words
    if verb in ('--check', '--write'):
        document, *words = Path(words[0]), *words[1:]
    elif verb not in (None, '--readme'):
        raise records.TableError(f'no option {verb}: there is --readme, --write, --check')
    paths = [Path(word) for word in words] or sorted((BUILD / 'tap').glob('*.tap'))
    found = records.read(paths)
    measured = {(one.row, one.base) for one in found}
    excused = {cell: why for cell, why in records.left_out(paths).items()
               if cell not in measured}
    faults = list(records.faults(found, excused))
    if verb == '--check':
        return check(found, faults, document, excused)
    if excused and verb:
        raise records.TableError('this machine cannot measure all of it: '
                                 + '; '.join(f'{row}, {backend}: {why}' for (row, backend), why
                                             in excused.items()))
    if verb == '--readme':
        print('\n'.join(markdown(found)))
    elif verb == '--write':
        write(found, document)
    else:
        write_tsv(found, BUILD / 'residue.tsv')
        print('\n'.join(terminal(found)))
    for fault in faults:
        print(f'WRONG: {fault}', file=sys.stderr)
    return 1 if faults else 0


if __name__ == '__main__':
    try:
        sys.exit(main(sys.argv[1:]))
    except (records.TableError, OSError, IndexError) as error:
        print(f'table.py: {error}', file=sys.stderr)
        sys.exit(2)
