#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Does the manual say all that there is of the library, and nothing else? KTAP on stdout.

    pages.py SOURCES

Each exported symbol, and each function, constant and structure member of the headers has
a page in section 3, with the header's own prototype; and what pages name, and refer to,
exists. What a page says of it is read by people: that it is there, and has the errors
that the header names, is all that is looked at here. Examples are examples.py's.
"""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import header
import mdoc

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from points import Document     # noqa: E402

SOURCES = Path(sys.argv[1])
MAN = SOURCES / 'user/man'
HEADERS = [SOURCES / 'user/include' / name for name in ('lethe.h', 'lethe_uring.h')]
INCLUDE = [SOURCES / 'user/include', SOURCES / 'kmod/uapi']
# libc's name, which is told of where sections are.
FORK, FORK_PAGE = 'fork', 'lethe_do'
OVERVIEW = 'liblethe'
# About libraries, not functions; and what is not C.
WITHOUT = {OVERVIEW: {'RETURN VALUES'},
           'lethe-malloc': {'SYNOPSIS', 'RETURN VALUES', 'THREADS AND SIGNALS'},
           'lethe_prep_wipe': {'LIBRARY'}}
ELSEWHERE = {'lethe.hpp'}
SECTIONS = ('NAME', 'LIBRARY', 'SYNOPSIS', 'DESCRIPTION', 'EXAMPLES', 'THREADS AND SIGNALS',
            'SEE ALSO')
WORD = re.compile(r'\b(?:lethe|LETHE)_\w+')
# What lint can not know: which manuals a reader has.
UNKNOWN_MANUAL = 'referenced manual not found'

document = Document()


def ok(sentence, bad):
    """A point that holds if there is nothing bad."""
    document.ok(not bad, sentence, '\n'.join(sorted(map(str, bad))))


class Page:
    """A page of mdoc: its text by sections, the names and prototypes that it has."""

    def __init__(self, path):
        self.path, self.name = path, path.stem
        self.source = path.read_text('utf-8')
        self.link = re.match(r'\.so man\d/(\S+)\.\d$', self.source.split('\n')[0])
        self.sections = {
            part.split('\n')[0].strip('"'): part.split('\n')[1:]
            for part in re.split(r'^\.Sh ', self.source, flags=re.M)[1:]}
        self.names = [line.split()[1] for line in self.sections.get('NAME', ())
                      if line.startswith('.Nm ')]
        self.prototypes = dict(self._prototypes())
        self.displays = [] if self.link else mdoc.displays(path)

    def _prototypes(self):
        returned, name, arguments = '', None, []
        for line in self.sections.get('SYNOPSIS', ()):
            macro, *words = shlex.split(line) or ['']
            if macro == '.Ft':
                returned = ' '.join(words)
            elif macro == '.Fn':
                name, *arguments = words
            elif macro == '.Fo':
                name, arguments = words[0], []
            elif macro == '.Fa':
                arguments += words
            if macro in ('.Fn', '.Fc'):
                yield name, header.tokens(f'{returned} {name}({", ".join(arguments)})')

    def described(self, macro):
        """What has an item in a list, `.It Dv NAME`, with words after it."""
        found, waiting = set(), set()
        for line in self.source.splitlines():
            if item := re.match(rf'\.It {macro} (\S+)', line):
                waiting.add(item[1])
            elif line.startswith('.El'):
                waiting.clear()
            elif line and not line.startswith('.'):
                found |= waiting
                waiting.clear()
        return found

    def references(self):
        """The pages that it refers to, as (name, section)."""
        return re.findall(r'^\.Xr (\S+) (\d)', self.source, re.M)


def exported():
    """The symbols of the first, public, node."""
    text = (SOURCES / 'user/src/liblethe.map').read_text('utf-8')
    return set(re.findall(r'^\t(\w+);$', text[:text.index('};')], re.M))


def words_of(*places):
    """Names of ours in files below these places, and the names of the headers."""
    found = {path.stem for path in HEADERS}
    for place in places:
        for path in [place] if place.is_file() else place.rglob('*.[chS]*'):
            found |= set(WORD.findall(path.read_text('utf-8')))
    return found


def environment():
    """The variables that the library reads."""
    text = ''.join(path.read_text('utf-8') for path in (SOURCES / 'user/src').glob('*.c'))
    return set(re.findall(r'getenv\("(LETHE_\w+)"\)', text))


def errors_of(page, pages, seen=()):
    """What a page says of errors, and those that it says are as another's."""
    lines = page.sections.get('ERRORS', [])
    found = set(header.ERROR.findall('\n'.join(lines)))
    for other in pages:
        if other.name not in seen and f'.Xr {other.name} 3' in '\n'.join(lines):
            found |= errors_of(other, pages, (*seen, page.name))
    return found


def look_for_functions(pages, declared, symbols):
    """Each has a page, and that has what the header has."""
    of = {name: page for page in pages for name in page.names}
    functions = {name: words for one in declared for name, words in one.functions.items()}
    ok('each exported symbol is declared, and has a page in section 3',
       (symbols - {FORK} - set(functions)) | (symbols - {FORK} - set(of)))
    ok('fork(), which is exported too, is told of', [] if '.Fn fork' in next(
        page.source for page in pages if page.name == FORK_PAGE) else [FORK])
    ok('each function of the headers is named in NAME, and in SYNOPSIS as the header has it',
       [f'{name}: the header has {" ".join(words)}; the page '
        f'{" ".join(of[name].prototypes.get(name, [])) if name in of else "is not there"}'
        for name, words in functions.items()
        if name not in of or of[name].prototypes.get(name) != words])
    ok('no page has a function in NAME or SYNOPSIS that is none',
       [f'{page.name}: {name}' for page in pages for name in (*page.names, *page.prototypes)
        if name not in functions and name not in WITHOUT])
    ok('each error that a function\'s comment in the header names is in its page',
       [f'{name}: {error}' for one in declared for name, errors in one.errors.items()
        for error in errors if name in of and error not in errors_of(of[name], pages)])
    overview = next(page for page in pages if page.name == OVERVIEW)
    ok(f'{OVERVIEW}(3) refers to each', set(functions) - {n for n, _ in overview.references()})


def look_for_data(pages, declared):
    """Structures, enumerations and what is defined."""
    shown = [header.tokens(one.text) for page in pages for one in page.displays]
    ok('each structure and enumeration is shown as the header has it',
       [name for one in declared for name, words in (one.structs | one.enums).items()
        if [*words, ';'] not in shown])
    constants = set().union(*(one.constants for one in declared))
    ok('each constant is described', constants.difference(*(p.described('Dv') for p in pages)))
    ok('each member of a structure is described where that is shown',
       [f'{name}.{member}' for one in declared for name, members in one.members.items()
        for member in members if not any(
            member in page.described('Va') and f'struct {name} {{' in page.source
            for page in pages)])


def look_for_names(pages, everything):
    """What is named, and referred to, exists."""
    public = words_of(*INCLUDE, SOURCES / 'user/src/liblethe.map') | environment()
    known = public | words_of(SOURCES / 'user', SOURCES / 'kmod', SOURCES / 'bpf')
    ok('nothing is named that does not exist',
       [f'{page.path.name}: {word}' for page in everything
        for word in set(WORD.findall(re.sub('^[.]Dt .*', '', page.source, flags=re.M)))
        if word not in (public if page in pages else known) and word not in
        {other.name for other in everything}])
    ours = {(page.name, page.path.suffix[1:]) for page in everything}
    ok('each page of ours that one refers to exists',
       {f'{page.path.name}: {name}({section})' for page in everything
        for name, section in page.references()
        if re.match('(lib)?lethe', name) and (name, section) not in ours})
    ok('each further name is a link to its page, and there is no other link',
       {name for page in pages for name in page.names if name != page.name and not any(
           other.link and other.name == name and other.link[1] == page.name
           for other in everything)} |
       {other.name for other in everything if other.link and not any(
           other.name in page.names and page.name == other.link[1] for page in pages)})


def look_at_form(pages, everything):
    """What every page has."""
    ok('each page is called by its first name, and has the sections that it must',
       [f'{page.name}: {missing}' for page in pages for missing in
        [*(name for name in SECTIONS if name not in page.sections),
         *(['RETURN VALUES'] if any(words[0] != 'void' or words[1] == '*'
                                    for words in page.prototypes.values())
           and 'RETURN VALUES' not in page.sections else []),
         *([] if page.names[:1] == [page.name] else ['its name'])]
        if missing not in WITHOUT.get(page.name, ())])
    ok('no line of a page is longer than 80 columns',
       [f'{page.path.name}:{number}' for page in pages
        for number, line in enumerate(page.source.splitlines(), 1) if len(line) > 80])
    lint = subprocess.run(
        ['mandoc', '-T', 'lint', *(page.path for page in everything if not page.link)],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=False)
    ok('mandoc has nothing to say',
       [line for line in lint.stdout.splitlines() if UNKNOWN_MANUAL not in line])


def main():
    declared = [header.read(path, INCLUDE) for path in HEADERS]
    everything = [Page(path) for path in sorted(MAN.glob('*.[1-9]'))]
    pages = [page for page in everything
             if page.path.suffix == '.3' and not page.link and page.name not in ELSEWHERE]
    symbols = exported()
    look_for_functions(pages, declared, symbols)
    look_for_data(pages, declared)
    look_for_names(pages, everything)
    look_at_form(pages, everything)
    sys.exit(document.end(15))


if __name__ == '__main__':
    main()
