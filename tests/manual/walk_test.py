#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The walk's own test: that it reads its format, types word for word, and is red
wherever what is printed is not what is shown. KTAP on stdout. Types in a bash of this
machine, in a directory of its own; nothing of Lethe.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import walk_text     # noqa: E402
from points import Document     # noqa: E402
from walk_text import LAST, NATIVE, NO, VM, Command, Problem, Program     # noqa: E402
from walk_typed import Session     # noqa: E402

SAMPLE = Path(__file__).with_name('walk_sample.md')

# What is shown, what is printed, and whether that is the same.
MATCHES = [
    ('', '', True),
    ('a', 'a\n', True),
    ('a  ', 'a\n', True),
    ('a', 'a', True),
    ('a', 'b\n', False),
    ('a', '', False),
    ('a', '\n', False),
    ('', 'a\n', False),
    ('a\nb', 'a\n', False),
    ('a', 'a\nb\n', False),
    ('a\n\nb', 'a\n\nb\n', True),
    ('a\n\nb', 'a\nb\n', False),
    ('a...c', 'abc\n', True),
    ('a...c', 'ac\n', True),
    ('a...c', 'ab\n', False),
    ('a...', 'b\n', False),
    ('a...c...e', 'a b c d e\n', True),
    ('...s, x', '1s, xx\n', False),
    ('a.c', 'abc\n', False),
    ('[a]*', 'aa\n', False),
    ('...', '', True),
    ('...', 'a\nb\n', True),
    ('  ...', 'a\nb\n', True),
    ('...\nb', 'a\nb\n', True),
    ('...\nb', 'b\n', True),
    ('...\nb', 'a\n', False),
    ('...\nb', 'a\nb\nc\n', False),
    ('a\n...', 'a\n', True),
    ('a\n...\nb\n...\nc', 'a\nx\nb\nb\ny\nc\n', True),
    ('a\n...\nb\n...\nc', 'a\nx\nc\ny\nb\n', False),
    ('a\n...\na', 'a\n', False),
]

# What is no walk, and what the complaint has to say.
MALFORMED = [
    ('<!-- walk: sometimes -->\n```console\n$ true\n```\n', 'none of walk'),
    ('<!-- walk -->\n```console\n$ true\n```\n', 'none of walk'),
    ('<!-- walk: no -->\n```console\n$ true\n```\n', 'none of walk'),
    ('<!-- walk: vm -->\ntext\n\n```console\n$ true\n```\n', 'no block follows'),
    ('<!-- walk: vm -->\n<!-- walk: vm -->\n```console\n$ true\n```\n', 'no block follows'),
    ('<!-- walk: vm -->\n', 'no end'),
    ('<!-- walk: vm -->\n```\n$ true\n```\n', 'not typed'),
    ('<!-- walk: vm -->\n```c\nint x;\n```\n', 'not typed'),
    ('```console\n$ true\n', 'no end'),
    ('```console\nprinted\n$ true\n```\n', 'output before'),
    ('```console\n```\n', 'no command'),
]

PAGE = r'''.Dd November 26, 2026
.Dt WALK 7
.Os
.Sh NAME
.Bd -literal
/* two.c */
char s[] = "\en";
.Ed
.\" walk: vm
.Bd -literal -offset indent
$ echo a \e
    b
\&...
.Ed
.Bd -literal
struct not_for_typing;
.Ed
'''
PAGES = [
    (PAGE.replace('walk: vm', 'walk: on'), 'none of walk'),
    (PAGE.replace('.Bd -literal -offset', '.Pp\n.Bd -literal -offset'), 'no display follows'),
    (PAGE.replace('$ echo', '.Nm echo'), 'macro'),
]

# One command each, after which `echo $?` or something else may come; whether all is
# as shown, and what is said where it is not.
TYPED = [
    ('$ echo a\na\n', [''], 'as shown'),
    ('$ echo a\nb\n', ['-b\n+a'], 'wrong output'),
    ('$ echo a\na\nb\n', ['-b'], 'a line that is missing'),
    ('$ echo a; echo b\na\n', ['+b'], 'a line too many'),
    ('$ echo a\n', ['+a'], 'output where none is shown'),
    ('$ echo a >&2\n', ['+a'], 'so on standard error'),
    ('$ false\n$ echo a\na\n', ['ended with 1', 'not come to'], 'a failing command'),
    ('$ false\n$ echo $?\n1\n', ['', ''], 'one whose status is shown'),
    ('$ false\n$ echo $?\n0\n', ['', '-0\n+1'], 'one whose status is shown wrongly'),
    ('$ false\n$ echo $?\n1\n$ false\n', ['', '', 'ended with 1'], 'and one later'),
    ('$ no-such-command\n...\n', ['ended with 127'], 'a command that is not there'),
    ('$ exit 0\n$ echo a\na\n', ['did not end', 'not come to'], 'the end of the shell'),
    ("$ printf 'walk-0 end 0 1 0'\nwalk-0 end 0 1 0\n", [''], 'what looks like a mark'),
    ('$ echo a |\n$ echo b\nb\n', ['ended with', 'not come to'], 'half a command'),
]


def read(text, name, scratch):
    """A document of this text; or what is said against it."""
    path = Path(scratch, name)
    path.write_text(text, 'utf-8')
    try:
        return walk_text.read(path)
    except Problem as error:
        return str(error)


def typed(steps, scratch):
    """What came of steps in a bash of this machine."""
    session = Session(steps)
    with tempfile.TemporaryDirectory(dir=scratch) as home:
        script = Path(scratch, 'script')
        script.write_text(session.script(f'cd {home}'), 'utf-8')
        done = subprocess.run(['bash', script], capture_output=True, text=True,
                              check=False, timeout=60,
                              env={'PATH': os.environ['PATH'], 'LC_ALL': 'C'})
    return session.outcomes(done.stdout)


def of_the_format(document, scratch):
    """Reading."""
    blocks = walk_text.read(SAMPLE)
    document.ok([block.mode for block in blocks] == [NATIVE] * 3 + [NO, VM, LAST],
                'the sample has six blocks to type, each where it belongs', blocks)
    document.ok([step.name for step in walk_text.steps([blocks], NATIVE)
                 if isinstance(step, Program)] == ['one.c'], 'and a program', blocks)
    for number, (text, said) in enumerate(MALFORMED, 1):
        answer = read(text, 'bad.md', scratch)
        document.ok(isinstance(answer, str) and said in answer and 'bad.md:' in answer,
                    f'Markdown that is not in the format, {number}: {said}', answer)
    page = read(PAGE, 'page.7', scratch)
    document.ok(not isinstance(page, str) and [block.mode for block in page] == [NATIVE, VM]
                and page[0].steps[0].text == '/* two.c */\nchar s[] = "\\n";\n'
                and page[1].steps[0].text == 'echo a \\\n    b'
                and page[1].steps[0].output == ['...'], 'a page is read as one reads it', page)
    for number, (text, said) in enumerate(PAGES, 1):
        answer = read(text, 'bad.7', scratch)
        document.ok(isinstance(answer, str) and said in answer,
                    f'a page that is not in the format, {number}: {said}', answer)


def of_matching(document):
    """Comparing."""
    for shown, printed, same in MATCHES:
        command = Command('here', 'true', shown.splitlines())
        answer = walk_text.difference(command, printed)
        document.ok((answer == '') == same,
                    f'{printed!r} {"is" if same else "is not"} {shown!r}', answer)


def of_typing(document, scratch):
    """The sample as it is, and all that has to be red."""
    steps = walk_text.steps([walk_text.read(SAMPLE)], NATIVE)
    outcomes, place = typed(steps, scratch)
    for outcome in outcomes:
        document.ok(not outcome.why(), f'typed: {outcome.step.where}', outcome.why())
    document.ok(place and place.endswith('/there'), 'where the session stood is known', place)
    for text, expected, sentence in TYPED:
        blocks = read(f'```console\n{text}```\n', 'typed.md', scratch)
        outcomes, _ = typed(walk_text.steps([blocks], NATIVE), scratch)
        said = [outcome.why() for outcome in outcomes]
        document.ok(len(said) == len(expected) and
                    all((want in one) if want else not one
                        for want, one in zip(expected, said)),
                    f'{sentence}: {"green" if not any(expected) else "red"}', said)


def main():
    document = Document()
    with tempfile.TemporaryDirectory() as scratch:
        of_the_format(document, scratch)
        of_typing(document, scratch)
    of_matching(document)
    return document.end()


if __name__ == '__main__':
    sys.exit(main())
