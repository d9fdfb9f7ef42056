#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The residue table's own tests: what is taken for a record, what is wrong with a table,
and what README.md is held to. A KTAP document on stdout; nothing is measured.
"""

import contextlib
import io
import sys
import tempfile
from pathlib import Path

import records
import table
from records import ABSENT, BACKENDS, ROWS

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / 'vm'))
import selftest  # noqa: E402  pylint: disable=wrong-import-position

WHERE = {'kmod': 'vm-rows-6.1', 'memfd_secret': 'residue-table',
         'mlock': 'residue-table'}
ROW = ROWS[0]


def line(row, backend, control=4, copies=0, searched=4096, why=''):
    """A record, as a suite prints it."""
    return f'# residue\t{row}\t{backend}\t{control}\t{copies}\t{searched}\t{why}'


def whole():
    """Documents of a table with no gap in it."""
    documents = {name: [] for name in WHERE.values()}
    for row in ROWS:
        for backend in BACKENDS:
            if (row, backend) not in ABSENT:
                documents[WHERE[backend]].append(line(row, backend))
    return documents


def replaced(row, backend, other):
    """The same with another record in this one's place; or with none."""
    documents = whole()
    lines = documents[WHERE[backend]]
    at = lines.index(line(row, backend))
    lines[at:at + 1] = [other] if other else []
    return documents


@contextlib.contextmanager
def files(documents):
    """These documents as files."""
    with tempfile.TemporaryDirectory() as place:
        paths = []
        for name, lines in documents.items():
            paths.append(Path(place, f'{name}.tap'))
            paths[-1].write_text('\n'.join(['KTAP version 1', '1..0', *lines]) + '\n',
                                 encoding='utf-8')
        yield paths


def faults(documents):
    """What is wrong with such a table."""
    with files(documents) as paths:
        return list(records.faults(records.read(paths)))


def call(documents, *words):
    """table.py on it: status, and what it printed."""
    said = io.StringIO()
    with files(documents) as paths, contextlib.redirect_stdout(said), \
            contextlib.redirect_stderr(said):
        table.BUILD = paths[0].parent
        status = table.main([*words, *map(str, paths)])
        tsv = table.BUILD / 'residue.tsv'
        lines = tsv.read_text(encoding='utf-8').splitlines() if tsv.exists() else []
    return status, said.getvalue(), lines


def no_gap():
    """a table with no gap has no fault, and each record is a line of residue.tsv"""
    status, said, lines = call(whole())
    selftest.equal((faults(whole()), status), ([], 0))
    selftest.equal(len(lines), 1 + len(ROWS) * len(BACKENDS) - len(ABSENT))
    selftest.equal(lines[1], f'{ROW}\tnative\tmemfd_secret\t4\t0\t4096\tclean')
    selftest.equal([row for row in ROWS if row not in said], [])


def judged():
    """each of these is a fault of the table, and ends table.py with status 1"""
    for other, says in (
            (line(ROW, 'kmod', control=0), 'its control found nothing'),
            (line(ROW, 'kmod', copies=1), 'copies on the module: 1'),
            (line(ROW, 'kmod', copies=1, why='so'), 'copies on the module: 1'),
            (line(ROW, 'kmod', searched=0), 'nothing was searched'),
            (line('none such', 'kmod'), 'no row of the list'),
            (line(ROW, 'none such'), 'its backend is none of'),
            ('', f'{ROW}, kmod: measured nowhere')):
        found = faults(replaced(ROW, 'kmod', other))
        selftest.equal((bool(found), says in ' '.join(found)), (True, True))
        selftest.equal(call(replaced(ROW, 'kmod', other))[0], 1)


def explained():
    """copies on a fallback are a fault without a clause, and none with one"""
    plain = replaced(ROW, 'mlock', line(ROW, 'mlock', copies=3))
    told = replaced(ROW, 'mlock', line(ROW, 'mlock', copies=3, why='it is read'))
    selftest.equal(len(faults(plain)), 1)
    selftest.equal(faults(told), [])
    selftest.equal([text for text in call(told)[2] if text.endswith('told: it is read')],
                   [f'{ROW}\tnative\tmlock\t4\t3\t4096\ttold: it is read'])


def absent():
    """a cell that is said to be none is a fault where it is measured"""
    (row, backend), *_ = ABSENT
    documents = whole()
    documents['more'] = [line(row, backend)]
    selftest.equal(len(faults(documents)), 1)


def missing_row():
    """a row that nobody measured is told once"""
    documents = {name: [text for text in lines if f'\t{ROW}\t' not in text]
                 for name, lines in whole().items()}
    selftest.equal(faults(documents), [f'{ROW}: measured nowhere'])


def malformed():
    """what is taken for a record and is none is no table at all"""
    for wrong in ('# residue\tgeneral registers\tkmod', line(ROW, 'kmod', copies='few')):
        documents = whole()
        documents['more'] = [wrong]
        with files(documents) as paths:
            selftest.raises(records.TableError, records.read, paths)


def places():
    """a virtual machine's results are its kernel's, all others native"""
    for name, where in (('vm-rows-6.1', '6.1'), ('vm-rows-6.1-plain', '6.1-plain'),
                        ('vm-bochs-6.1', '6.1'), ('residue-table', 'native'),
                        ('vm-harness', 'native'), ('selftest-6.1', 'native')):
        selftest.equal(records.place(Path(f'{name}.tap')), where)


def document_of(documents):
    """A README.md with the table of these."""
    lines = [text for text in call(documents, '--readme')[1].splitlines()
             if not text.startswith('WRONG')]
    return '\n'.join(['before', table.BEGIN, *lines, table.END, 'after', ''])


def checked(documents, text):
    """table.py --check on that text: its status."""
    with tempfile.NamedTemporaryFile('w', suffix='.md', encoding='utf-8') as readme:
        readme.write(text)
        readme.flush()
        status, said, _ = call(documents, '--check', readme.name)
    selftest.equal(said.count('\nok ') + said.count('\nnot ok '), 2)
    selftest.equal('\nnot ok ' in said, status == 1)
    return status


def readme():
    """README.md holds what was measured: how many copies may differ, and no more"""
    told = replaced(ROW, 'mlock', line(ROW, 'mlock', copies=3, why='it is read'))
    others = replaced(ROW, 'mlock', line(ROW, 'mlock', copies=7, why='it is read'))
    otherwise = replaced(ROW, 'mlock', line(ROW, 'mlock', copies=3, why='so it is'))
    text = document_of(told)
    selftest.equal((checked(told, text), checked(others, text)), (0, 0))
    selftest.equal([checked(documents, text) for documents in
                    (otherwise, whole(), replaced(ROW, 'kmod', ''))], [1, 1, 1])
    first = next(one for one in text.split('\n') if one.startswith(f'| {ROW} |'))
    last = text.partition(f'\n{table.END}')[0].rpartition('\n')[2]
    final = next(one for one in text.split('\n') if one.startswith(f'| {ROWS[-1]} |'))
    for wrong in (text.replace(f'{final}\n', ''), text.replace('plainly', 'control'),
                  text.replace('3<sup>', '0<sup>', 1), text.replace(first + '\n', ''),
                  text.replace(ROW, 'registers'),
                  text.replace(first, first.replace('| 0 |', '| 1 |', 1)),
                  text.replace('<sup>1</sup>', '<sup>2</sup>', 1),
                  text.replace(f'{last}\n', ''), text.replace(last, f'{last}\n9. more'),
                  text.replace(table.BEGIN, ''), 'no table'):
        selftest.equal((checked(told, wrong), wrong != text), (1, True))
    gap = replaced(ROW, 'kmod', '')
    selftest.equal(checked(gap, document_of(gap)), 1)


def either():
    """where copies come and go, README.md may say so, and is right either way"""
    some = replaced(ROW, 'mlock', line(ROW, 'mlock', copies=3, why='it is read'))
    both = {**some, 'vm-more-6.1': [line(ROW, 'mlock')]}
    text = document_of(both)
    if '| 0 to 3<sup>1</sup> |' not in text:
        raise AssertionError(text)
    selftest.equal([checked(documents, text) for documents in (both, some, whole())],
                   [0, 0, 0])
    selftest.equal([checked(both, document_of(some)), checked(both, document_of(whole()))],
                   [0, 1])
    otherwise = replaced(ROW, 'mlock', line(ROW, 'mlock', copies=3, why='so it is'))
    selftest.equal(checked(otherwise, text), 1)


def written():
    """--write puts it between the markers, and touches nothing else; --check then holds"""
    with tempfile.NamedTemporaryFile('w+', suffix='.md', encoding='utf-8') as document:
        document.write(f'one\n{table.BEGIN}\nold\n{table.END}\ntwo\n')
        document.flush()
        selftest.equal(call(whole(), '--write', document.name)[0], 0)
        text = Path(document.name).read_text(encoding='utf-8')
        selftest.equal(call(whole(), '--check', document.name)[0], 0)
    before, _, rest = text.partition(f'{table.BEGIN}\n')
    selftest.equal((before, rest.partition(f'{table.END}\n')[2], '\nold\n' in text),
                   ('one\n', 'two\n', False))


def complete():
    """an option of a backend is beside it in its cell, and its copies are judged alike"""
    more = whole()
    more['more'] = [line(ROW, 'mlock, LETHE_COMPLETE', copies=0)]
    selftest.equal(faults(more), [])
    cells = next(one for one in document_of(more).split('\n')
                 if one.startswith(f'| {ROW} |'))
    selftest.equal(cells, f'| {ROW} | 4 | 0 | 0 | 0; 0 with `LETHE_COMPLETE` |')
    text = document_of(more)
    more['more'] = [line(ROW, 'mlock, LETHE_FAST', copies=0)]
    selftest.equal((checked(whole(), text), checked(more, text)), (1, 1))
    more['more'] = [line(ROW, 'mlock, LETHE_COMPLETE', copies=2)]
    selftest.equal(len(faults(more)), 1)


def left_out():
    """what the processor does not have is no fault, nor a difference, and is not written"""
    text = document_of(whole())
    lacking = replaced(ROW, 'mlock', f'ok 1 - {ROW}, mlock # SKIP the processor has no AVX-512')
    other = replaced(ROW, 'mlock', f'ok 1 - {ROW}, mlock # SKIP nobody felt like it')
    selftest.equal((checked(lacking, text), checked(other, text)), (0, 1))
    selftest.equal((call(lacking)[0], call(other)[0]), (0, 1))
    try:
        call(lacking, '--readme')
        selftest.equal('refused', 'written')
    except records.TableError as error:
        selftest.equal(f'{ROW}, mlock: the processor has no AVX-512' in str(error), True)


if __name__ == '__main__':
    sys.exit(selftest.run([no_gap, judged, explained, absent, missing_row, malformed,
                           places, readme, either, written, complete, left_out]))
