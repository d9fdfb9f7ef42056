# SPDX-License-Identifier: MIT
"""What a public header declares, as the compiler's preprocessor sees it in C: functions
with their prototypes and the errors that their comments name, structures, enumerations,
macros. For comparison with the manual alone: no types are looked at, only their words.
"""

import re
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

TOKEN = re.compile(r'[A-Za-z_]\w*|\d\w*|"(?:\\.|[^"])*"|\.\.\.|\S')
ERROR = re.compile(r'\bE[A-Z0-9]{3,}\b')


def tokens(text):
    """The words and signs of a piece of C, without comments."""
    return TOKEN.findall(re.sub(r'/\*.*?\*/|//[^\n]*', ' ', text, flags=re.S))


@dataclass
class Header:
    """functions: name to prototype; structs and enums: name to definition, each as
    tokens; members: structure to its members; constants: of enumerations, and macros;
    errors: function to the errors that the comment before it names."""
    functions: dict = field(default_factory=dict)
    structs: dict = field(default_factory=dict)
    members: dict = field(default_factory=dict)
    enums: dict = field(default_factory=dict)
    constants: set = field(default_factory=set)
    errors: dict = field(default_factory=dict)


def _own_text(path, include, compiler):
    """What is left of the header itself, without what it includes."""
    text = subprocess.run(
        [compiler, '-E', '-x', 'c', '-D__attribute__(x)=',
         *(f'-I{place}' for place in include), str(path)],
        check=True, capture_output=True, text=True).stdout
    own, here = [], False
    for line in text.splitlines():
        if mark := re.match(r'# \d+ "([^"]*)"', line):
            here = mark[1] == str(path)
        elif here:
            own.append(line)
    # <stdbool.h> has made it a word that nobody writes.
    return re.sub(r'\b_Bool\b', 'bool', '\n'.join(own))


def _statements(words):
    """Declarations at file level, each a list of tokens without its `;`."""
    statement, depth = [], 0
    for word in words:
        depth += {'{': 1, '}': -1}.get(word, 0)
        if depth or word != ';':
            statement.append(word)
        is_body = word == '}' and not depth and '(' in statement[:statement.index('{')]
        if not depth and (word == ';' or is_body):
            yield statement
            statement = []


def _take(header, statement):
    while statement and statement[0] in ('static', 'inline', 'extern'):
        statement = statement[1:]
    if statement[:1] in (['struct'], ['enum']) and statement[2:3] == ['{']:
        name, inside = statement[1], ' '.join(statement[3:-1])
        if statement[0] == 'enum':
            header.enums[name] = statement
            header.constants |= {one.split()[0] for one in inside.split(',') if one.split()}
        else:
            header.structs[name] = statement
            header.members[name] = [one.split()[-1] for one in inside.split(';') if one.split()]
    elif '(' in statement:
        header.functions[statement[statement.index('(') - 1]] = \
            statement[:statement.index('{')] if '{' in statement else statement


def read(path, include, compiler='cc'):
    """The header at this path."""
    header = Header()
    for statement in _statements(tokens(_own_text(path, include, compiler))):
        _take(header, statement)
    text = Path(path).read_text('utf-8')
    # But for what keeps the header from being read twice, which has no value.
    header.constants |= set(re.findall(r'^#define (LETHE_\w+)[ \t(]+\S', text, re.M))
    for name in header.functions:
        before = re.search(rf'/\*((?:(?!\*/).)*)\*/\n[^\n/;]*\b{name}\(', text, re.S)
        header.errors[name] = set(ERROR.findall(before[1])) if before else set()
    return header
