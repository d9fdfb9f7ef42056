#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The table of peers: where each leaves residue.

	O=build table.py			print it, and write O/peers.tsv
	O=build table.py --check DOCUMENT	a KTAP document: is its table true?
	O=build table.py --write DOCUMENT	put the table there

How many copies there are differs between machines and days. What is held true is
where there are none, and where there are any.
"""

import sys
from pathlib import Path

from measure import BUILD, PEERS, Table, Unmeasured

HEAD = '| the code leaves | ' + ' | '.join(title for _, title, _ in PEERS) + ' |'


def markdown(table):
    """The lines of the table."""
    yield HEAD
    yield '|---|' + '---|' * len(PEERS)
    for row, _, title in table.rows:
        yield (f'| {title} | '
               + ' | '.join(table.text(row, peer) for peer, *_ in PEERS) + ' |')


def in_document(document):
    """A document's lines, and from where to where they are the table."""
    lines = document.read_text(encoding='utf-8').splitlines()
    start = end = lines.index(HEAD) if HEAD in lines else len(lines)
    while end < len(lines) and lines[end].startswith('|'):
        end += 1
    return lines, start, end


def write(table, document):
    """Put the table where the old one is."""
    lines, start, end = in_document(document)
    if start == end:
        raise Unmeasured(f'{document} has no table with this head: {HEAD}')
    lines[start:end] = markdown(table)
    document.write_text('\n'.join(lines) + '\n', encoding='utf-8')


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
    if table.missing[peer] or (peer.startswith('go') and not table.same_go()):
        return False
    return where != 'register' or peer in ('nothing', 'lethe') or has_avx512()


def differences(table, document):
    """What is said and is not so."""
    lines, start, end = in_document(document)
    said = lines[start + 2:end]
    if len(said) != len(table.rows):
        yield f'it has {len(said)} rows, and {len(table.rows)} were measured'
        return
    for line, (row, where, title) in zip(said, table.rows):
        first, *cells = (cell.strip() for cell in line.strip('|').split('|'))
        if first != title or len(cells) != len(PEERS):
            yield f'its row "{first}" is not "{title}", or has not {len(PEERS)} cells'
            continue
        for cell, (peer, *_) in zip(cells, PEERS):
            measured = table.text(row, peer)
            if holds_here(table, peer, where) and kind(cell) != kind(measured):
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


def result(number, sentence, wrong, skipped=None):
    """One KTAP result; True if it is good."""
    for line in wrong:
        print(f'# {line}')
    print(f'{"not " if wrong else ""}ok {number} - {sentence}'
          + (f' # SKIP {skipped}' if skipped and not wrong else ''))
    return not wrong


def check(table, document):
    """Prints KTAP; True if all is well."""
    print('KTAP version 1')
    print(f'1..{len(table.rows) + 1}')
    for peer, why in table.missing.items():
        if why:
            print(f'# {peer} was not measured: {why}')
    if not table.same_go():
        print("# what the table has of Go is of another version, and was not asked")
    good = [result(number, f'{title}: nothing done leaves copies, Lethe none',
                   [] if unasked(table, row) else list(faults(table, row, where)),
                   unasked(table, row))
            for number, (row, where, title) in enumerate(table.rows, 1)]
    good.append(result(len(table.rows) + 1,
                       f'{document}: where peers leave residue is so (table.py --write)',
                       list(differences(table, document))))
    return all(good)


def show(table):
    """For a person."""
    print('\n'.join(markdown(table)))
    for peer, why in table.missing.items():
        if why:
            print(f'{peer}: not measured: {why}')
    for (row, peer), cell in table.cells.items():
        if cell.why and not table.missing[peer]:
            print(f'{peer}, {row}: {cell.why}')


def main(words):
    """As the module's comment says."""
    table = Table()
    table.write_tsv(BUILD / 'peers.tsv')
    if words[:1] == ['--check']:
        return 0 if check(table, Path(words[1])) else 1
    if words[:1] == ['--write']:
        write(table, Path(words[1]))
    else:
        show(table)
    return 0


if __name__ == '__main__':
    try:
        sys.exit(main(sys.argv[1:]))
    except Unmeasured as error:
        print(f'not measured: {error}', file=sys.stderr)
        sys.exit(2)
