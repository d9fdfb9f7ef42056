#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""mdoc.py against mandoc and groff: what it takes from a page is what they print of it.
KTAP on stdout.

    mdoc_test.py PAGE ...

mandoc is the judge, in every page and in one that has all that a display may have; that
a judge would notice is shown by the same search for a text that is wrong by a sign.
groff, which is what man(1) runs on Debian, is another: a program must be the same in
both, since readers copy it from either.
"""

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import mdoc

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from points import Document     # noqa: E402

document = Document()

HEAD = '.Dd November 26, 2026\n.Dt T 3\n.Os\n.Sh NAME\n.Nm t\n.Nd a page\n'
# Each line of a display, and what is to be copied of it.
LINES = {
    'int x = 1;\t/* a\ttab */': 'int x = 1;\t/* a\ttab */',
    '\tputs("\\(dqa\\(dq\\en");': '\tputs(""a"\\n");',
    "char c = \\(aq\\e0\\(aq;": "char c = '\\0';",
    '\\&.so a line that begins with a dot': '.so a line that begins with a dot',
    "\\&'quoted": "'quoted",
    'cc \\-o x x.c \\-llethe': 'cc -o x x.c -llethe',
    '\\(ha \\(ti \\(ga \\(rs \\[at] \\(sh \\(ba': '^ ~ ` \\ @ # |',
    'a \\fBbold\\fR b\\fI.c\\fP': 'a bold b.c',
    '$ a "b" | c > d; e & # {f} [g] %h (j) *k': '$ a "b" | c > d; e & # {f} [g] %h (j) *k',
    '\\(lqa\\(rq \\(en \\[u00E9]': '\u201ca\u201d \u2013 \u00e9',
    'before \\" after': 'before',
    '.\\" left out': None,
    '': '',
    'end': 'end',
}
# What no display may have.
WRONG = ('.Fn f "int a"', '.Pp', "'br", 'a \\\\n', 'a\\ b', 'a \\(zz', 'a \\*(Ba', 'a \\s+1b',
         'goes on \\', '\\h\\(aq3\\(aq', '.Bd -literal')


def ok(right, sentence, note=''):
    """A point, and where it failed what tells why, on one line."""
    document.ok(right, sentence, repr(str(note)[:2000]) if note else '')


def printed(command, page):
    """The lines of a page as it is printed, without what makes them bold; tabs are
    columns there."""
    done = subprocess.run([*command, page], capture_output=True, check=True,
                          env={**os.environ, 'LC_ALL': 'C.UTF-8'})
    text = re.sub('.\b', '', done.stdout.decode())
    return re.sub('\x1b\\[[0-9;]*m', '', text).splitlines()


def stands(text, lines, after=0):
    """Where a display ends among printed lines, which are all as far in as each other;
    0 if it is not there."""
    wanted = [line.expandtabs(8).rstrip() for line in text.splitlines()]
    first = next((n for n, line in enumerate(wanted) if line), None)
    if first is None:
        return 0
    for start in range(after, len(lines) - len(wanted) + 1):
        line = lines[start + first]
        indent = len(line) - len(wanted[first])
        if indent >= 0 and line == ' ' * indent + wanted[first] and all(
                there == (' ' * indent + want if want else '')
                for there, want in zip(lines[start:], wanted)):
            return start + len(wanted)
    return 0


def differs(page, lines):
    """Of a page's displays, in order, the first that is not printed so; else None."""
    after = 0
    for one in mdoc.displays(page):
        after = stands(one.text, lines, after)
        if not after:
            return f'{page}:{one.line}'
    return None


def control(page, lines):
    """Would it be noticed? Each display with its last sign another."""
    for one in mdoc.displays(page):
        body = one.text.rstrip()
        if stands(body[:-1] + chr(ord(body[-1]) ^ 1) + '\n', lines):
            return f'{page}:{one.line}'
    return None


def judge(name, command, pages):
    """All pages, as one program prints them."""
    shown = {page: printed(command, page) for page in pages}
    bad = [found for page, lines in shown.items() if (found := differs(page, lines))]
    ok(not bad, f'{name} prints every display as it is taken', bad)
    blind = [found for page, lines in shown.items() if (found := control(page, lines))]
    ok(not blind, f'control: {name} prints none of them with a sign changed', blind)


def write(directory, name, body):
    path = os.path.join(directory, name)
    with open(path, 'w', encoding='utf-8') as file:
        file.write(HEAD + body)
    return path


def wrong(directory):
    """Those of WRONG that are taken for plain text all the same."""
    taken = []
    for line in WRONG:
        page = write(directory, 'wrong.3', f'.Bd -literal\n{line}\n.Ed\n')
        try:
            mdoc.displays(page)
        except mdoc.Problem:
            continue
        taken.append(line)
    return taken


def main():
    pages = sys.argv[1:]
    with tempfile.TemporaryDirectory() as directory:
        page = write(directory, 'all.3', '.Sh EXAMPLES\nWords.\n.\\" walk: vm\n'
                     '.Bd -literal -offset indent\n' + '\n'.join(LINES) + '\n.Ed\n.Pp\n'
                     '.Dl not this\n.Sh "SEE ALSO"\n.Bd -unfilled\nnor this\n.Ed\n'
                     '.Bd -literal\nsecond\n.Ed\n')
        found = mdoc.displays(page)
        text = ''.join(f'{line}\n' for line in LINES.values() if line is not None)
        ok([(one.section, one.comment, one.text) for one in found] ==
           [('EXAMPLES', 'walk: vm', text), ('SEE ALSO', '', 'second\n')],
           'a page\'s literal displays, each with its section and comment', found)
        taken = wrong(directory)
        ok(not taken, 'what is not plain text is an error', taken)
        judge('mandoc', ['mandoc', '-T', 'utf8'], [page, *pages])
        judge('groff', ['groff', '-k', '-Tutf8', '-mdoc', '-rLL=200n'], [page, *pages])
    sys.exit(document.end(6))


if __name__ == '__main__':
    main()
