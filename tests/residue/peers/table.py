#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The table of peers: where each leaves residue.

	O=build table.py			print it, and write O/peers.tsv
	O=build table.py --check DOCUMENT...	a KTAP document: are their tables true?
	O=build table.py --write DOCUMENT...	put there what was measured

A document has some of the columns, or all. How many copies there are differs between
machines and days. What is held true is where there are none, and where there are any.
"""

import sys
from pathlib import Path

from measure import BUILD, PEERS, Measured, Unsearched
from document import NotThere, Table  # measure has made it known where

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from points import Document  # noqa: E402

FIRST = 'the code leaves'
BY_TITLE = {title: peer for peer, title, _ in PEERS}


def rows_of(table, titles):
    """The cells of the rows, in the columns that have these titles."""
    for row, _, title in table.rows:
        yield [title, *(table.text(row, BY_TITLE[peer]) for peer in titles)]


def write(table, document):
    """Put what was measured in the place of what is there, in the same columns."""
    there = Table(document, FIRST)
    there.write(rows_of(table, there.head[1:]))


def kind(text):
    """What of a cell is held true."""
    number = text.strip('()')
    if not number.isdigit():
        return text
    return text.replace(number, 'none' if number == '0' else 'some')


def has_avx512():
    """What libc leaves in registers depends on which it takes: those of AVX-512,
    where the table was made, which compilers leave alone."""
    return ' avx512vl' in Path('/proc/cpuinfo').read_text(encoding='utf-8')


def holds_here(table, peer, where):
    """Can this machine say something of a cell?"""
    if table.missing[peer] or table.other_go(peer):
        return False
    return where != 'register' or peer in ('nothing', 'lethe') or has_avx512()


def differences(table, document):
    """What a document says and is not so."""
    there = Table(document, FIRST)
    titles = there.head[1:]
    unknown = set(titles) - BY_TITLE.keys()
    if unknown or not titles:
        yield f'nothing is measured for its columns {sorted(unknown)}'
        return
    if [row[0] for row in there.rows] != [title for *_, title in table.rows]:
        yield 'its rows are not those that were measured'
        return
    for said, cells, (_, where, title) in zip(there.rows, rows_of(table, titles), table.rows):
        if len(said) != len(cells):
            yield f'{title}: it has {len(said)} cells of {len(cells)}'
            continue
        for peer, cell, measured in zip(titles, said[1:], cells[1:]):
            if holds_here(table, BY_TITLE[peer], where) and kind(cell) != kind(measured):
                yield f'{title}, {peer}: it has {cell}, and {measured} was measured'


def faults(table, row, where):
    """What is wrong with a row, in sentences."""
    for peer, _, control in PEERS:
        if control and not table.cells[row, peer].why and not table.left(row, control):
            yield f'{control}, the control of {peer}, leaves no copy'
    if not table.cells[row, 'nothing'].has(where):
        yield f'nothing done leaves no copy in this place: {where}'
    if table.cells[row, 'lethe'].copies:
        yield f'Lethe leaves: {table.cells[row, "lethe"]}'
    # Of what a section allocated and has not freed, the secret heap keeps all.
    readable = table.cells[row, 'lethe-mlock']
    if row == 'live' and not readable.has('secret'):
        yield f'what is in use is not on the secret heap but: {readable}'
    if row != 'live' and readable.copies:
        yield f'Lethe leaves, where it can be read: {readable}'


def unasked(table, row):
    """Why a row says nothing on this machine, or None."""
    if row == 'text' and not has_avx512():
        return 'snprintf() leaves it in registers of AVX-512, which are not here'
    return table.missing['lethe']


def check(table, documents):
    """Prints KTAP; True if all is well."""
    document = Document()
    for peer, why in table.missing.items():
        if why:
            document.say(f'{peer} was not measured: {why}')
    for peer in table.missing:
        if table.other_go(peer):
            document.say(f'{peer} is of another version here, and was not asked')
    for row, where, title in table.rows:
        missing = unasked(table, row)
        wrong = [] if missing else list(faults(table, row, where))
        document.ok(not wrong, f'{title}: nothing done leaves copies, Lethe none',
                    '\n'.join(wrong), missing)
    for path in documents:
        wrong = list(differences(table, path))
        document.ok(not wrong, f'{path}: where peers leave residue is so (table.py --write)',
                    '\n'.join(wrong))
    return document.end() == 0


def show(table):
    """For a person."""
    titles = list(BY_TITLE)
    for cells in [FIRST, *titles], *rows_of(table, titles):
        print('| ' + ' | '.join(cells) + ' |')
    for peer, why in table.missing.items():
        if why:
            print(f'{peer}: not measured: {why}')
    for (row, peer), cell in table.cells.items():
        if cell.why and not table.missing[peer]:
            print(f'{peer}, {row}: {cell.why}')


def main(words):
    """As the module's comment says."""
    table = Measured()
    table.write_tsv(BUILD / 'peers.tsv')
    if words[:1] == ['--check']:
        return 0 if check(table, words[1:]) else 1
    if words[:1] == ['--write']:
        for document in words[1:]:
            write(table, document)
    show(table)
    return 0


if __name__ == '__main__':
    try:
        sys.exit(main(sys.argv[1:]))
    except (Unsearched, NotThere) as error:
        print(f'not measured: {error}', file=sys.stderr)
        sys.exit(2)
