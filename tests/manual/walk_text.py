# SPDX-License-Identifier: MIT
"""What a document has one type: its commands in order, what they are shown to print,
and the programs to save; and whether what was really printed is that.

In Markdown a block is what stands between ```console (or ```c) and ```; in mdoc, a
literal display. Of these

    a line `$ WORDS`        is a command, with the lines that follow while each ends
                            in a backslash; up to the next, the lines are its output
    ...                     in a line of output is anything, alone in one any lines
    /* NAME.c */            as the first line makes the block a program to be saved
    walk: vm                in a comment just before a block: typed in the virtual machine
    walk: last              typed after all that has neither
    walk: no REASON         not typed

A command has to end with 0, unless the next one is `echo $?`. Blocks that are neither
commands nor a program are not for typing. What is not understood is an error, and
never passed over. Nothing is run here.
"""

import difflib
import re
import sys
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
import mdoc     # noqa: E402

NATIVE, VM, LAST, NO = 'native', 'vm', 'last', 'no'
_PROGRAM = re.compile(r'/\* ([\w.+-]+\.(?:c|cpp|h)) \*/$')
_COMMENT = re.compile(r'<!--\s*(walk\b.*?)\s*-->$')
_WALK = re.compile(r'walk:\s*(?:(vm|last)|no\s+(\S.*))$')


class Problem(ValueError):
    """What is not in the format; says where."""


@dataclass
class Command:
    """Something to type, and what it is shown to print."""
    where: str
    text: str
    output: list = field(default_factory=list)


@dataclass
class Program:
    """A file to save."""
    where: str
    name: str
    text: str

    @property
    def save(self):
        """As a command that does so."""
        return f"cat >{self.name} <<'LETHE_WALK_PROGRAM'\n{self.text}LETHE_WALK_PROGRAM"


@dataclass
class Block:
    """Commands, or one program, and where they are typed."""
    mode: str
    steps: list


def _mode(comment, where):
    """What a comment before a block says of it."""
    if not comment.startswith('walk'):
        return NATIVE
    found = _WALK.match(comment)
    if not found:
        raise Problem(f'{where}: "{comment}" is none of walk: vm, walk: last, '
                      'walk: no REASON')
    return found[1] or NO


def _commands(text, where, line):
    """The commands of a block that begins after `line`."""
    steps, goes_on = [], False
    for number, one in enumerate(text.splitlines(), line + 1):
        if goes_on:
            steps[-1].text += f'\n{one}'
        elif one.startswith('$ '):
            steps.append(Command(f'{where}:{number}', one[2:]))
        elif steps:
            steps[-1].output.append(one)
            continue
        else:
            raise Problem(f'{where}:{number}: output before any command')
        goes_on = one.endswith('\\')
    if not steps:
        raise Problem(f'{where}:{line}: no command in it')
    return steps


def _block(text, comment, where, line, is_console):
    """A block; None if it is nothing to type."""
    first = text.partition('\n')[0]
    program = _PROGRAM.match(first)
    if not program and not is_console:
        if comment.startswith('walk'):
            raise Problem(f'{where}:{line}: "{comment}" before what is not typed')
        return None
    steps = [Program(f'{where}:{line}', program[1], text)] if program else \
        _commands(text, where, line)
    return Block(_mode(comment, f'{where}:{line}'), steps)


def _of_mdoc(path, where):
    shown = mdoc.displays(path)
    with open(path, encoding='utf-8') as file:
        said = [line for line in file if (mdoc.comment_of(line) or '').startswith('walk')]
    if len(said) != sum(one.comment.startswith('walk') for one in shown):
        raise Problem(f'{where}: a comment "walk" that no display follows')
    return [_block(one.text, one.comment, where, one.line,
                   bool(re.search(r'^\$ ', one.text, re.M))) for one in shown]


def _of_markdown(path, where):
    blocks, fence, comment, comment_line = [], None, '', 0
    for number, line in enumerate(Path(path).read_text('utf-8').splitlines(), 1):
        if fence is not None:
            if line.startswith('```'):
                if fence == 'console' or fence == 'c':
                    blocks.append(_block(''.join(f'{one}\n' for one in text), comment,
                                         where, begun, fence == 'console'))
                elif comment:
                    raise Problem(f'{where}:{begun}: "{comment}" before what is not typed')
                fence, comment = None, ''
            else:
                text.append(line)
        elif line.startswith('```'):
            fence, begun, text = line[3:].strip(), number, []
        elif found := _COMMENT.match(line):
            if comment:
                raise Problem(f'{where}:{comment_line}: "{comment}" that no block follows')
            comment, comment_line = found[1], number
        elif line.strip() and comment:
            raise Problem(f'{where}:{comment_line}: "{comment}" that no block follows')
    if fence is not None or comment:
        raise Problem(f'{where}: its last block or comment has no end')
    return blocks


def read(path):
    """The blocks of a document, Markdown or mdoc, in order."""
    where = Path(path).name
    try:
        found = (_of_markdown if where.endswith('.md') else _of_mdoc)(path, where)
    except mdoc.Problem as error:
        raise Problem(str(error)) from None
    return [block for block in found if block]


def steps(documents, mode):
    """All that is typed in one place, in order, of documents as read() gives them."""
    return [step for blocks in documents for block in blocks if block.mode == mode
            for step in block.steps]


def _line(shown):
    """A line as a regular expression."""
    return re.compile('.*'.join(map(re.escape, shown.rstrip().split('...'))) + r'\Z')


def _pairs(shown, printed):
    """Which line that is shown each printed one is, as far as that goes: a list with
    None for what `...` stands for; and whether it is all."""
    best = []

    def go(i, j, way):
        # Depth first, with what failed remembered: a page has few lines of `...`.
        nonlocal best
        if len(way) > len(best):
            best = way
        if (i, j) in failed:
            return False
        if i == len(shown):
            good = j == len(printed)
        elif shown[i].strip() == '...':
            good = any(go(i + 1, k, way + [None] * (k - j))
                       for k in range(j, len(printed) + 1))
        else:
            good = j < len(printed) and _line(shown[i]).match(printed[j].rstrip()) \
                and go(i + 1, j + 1, way + [i])
        if not good:
            failed.add((i, j))
        return good

    failed = set()
    return best, go(0, 0, [])


def difference(command, printed):
    """'' if what was printed is what is shown; else a unified diff from the one to
    the other."""
    shown = command.output
    printed = printed.splitlines()
    way, good = _pairs(shown, printed)
    if good:
        return ''
    # What matched is the same in both; so are the lines that `...` stood for.
    now = [shown[at] if at is not None and at is not ... else line
           for at, line in zip([*way, *[...] * len(printed)], printed)]
    for number, at in enumerate(way):
        if at is None:
            now[number] = '...'
    now = [line for number, line in enumerate(now)
           if line != '...' or not number or now[number - 1] != '...']
    return '\n'.join(difflib.unified_diff([line.rstrip() for line in shown],
                                          [line.rstrip() for line in now],
                                          command.where, 'what was printed',
                                          lineterm='', n=30))
