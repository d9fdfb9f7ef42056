#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Builds the programs of the manual as it says that they are built, for run.sh to run.
KTAP on stdout.

    examples.py SOURCES LIBRARIES OUT	CC and CXX in the environment

Every display under EXAMPLES in section 3 is a whole program, in C11 and in C++17. A
comment in the page just before it, `C alone`, says that it is no C++: then it must not
be, so that none of these is left where it no longer holds. A program's first line may
say how it is built, `/* cc FILE.c ... */`; else it is with -llethe.

What one prints it says in comments, a line each: `/* prints: WORDS */`, where `...` is
whatever there is. `prints on the module:` and `prints elsewhere:` hold there alone. In
OUT are the programs, what each prints as expressions for grep, and `list`: what run.sh
takes. What could not be built is not in there, and is a failure here.
"""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import mdoc

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from points import Document  # noqa: E402

SOURCES, LIBRARIES, OUT = (Path(word).resolve() for word in sys.argv[1:])
COMPILERS = {'c': os.environ.get('CC', 'cc'), 'c++': os.environ.get('CXX', 'c++')}
STANDARD = {'c': '-std=gnu11', 'c++': '-std=gnu++17'}
FLAGS = ['-O2', '-Wall', '-Wextra', '-Werror', f'-I{SOURCES}/user/include',
         f'-I{SOURCES}/kmod/uapi']
# As seen from the program: in the virtual machine it all lies elsewhere.
LINK = [f'-L{LIBRARIES}', f'-Wl,-rpath,$ORIGIN/{os.path.relpath(LIBRARIES, OUT)}']
# Its own programs are its own to try.
ELSEWHERE = {'lethe.hpp.3'}
BUILT = re.compile(r'/\* cc (.*) \*/\n')
PRINTS = re.compile(r'/\* prints( on the module| elsewhere)?: (.*?) \*/')

DOCUMENT = Document()
ok = DOCUMENT.ok


def expression(words):
    """As grep -x takes it: what is said of a line that is printed."""
    return '.*'.join(re.sub(r'([][.*^$\\])', r'\\\1', part) for part in words.split('...'))


def command_for(language, program, source, text):
    """As the page says, with where things are here. C++ is looked at, and not linked."""
    if language == 'c++':
        return ['-x', 'c++', '-fsyntax-only', source]
    said = BUILT.match(text)
    words = shlex.split(said[1] if said else 'FILE.c -llethe')
    return [*LINK, *(source if word.endswith('.c') else word for word in words), '-o', program]


def compile_as(language, program, source, text):
    """Does it fail, and what the compiler says."""
    # A file of the linker's that the words name is found where the libraries are.
    done = subprocess.run([COMPILERS[language], STANDARD[language], *FLAGS,
                           *command_for(language, program, source, text)],
                          cwd=LIBRARIES, capture_output=True, text=True, check=False)
    return done.returncode != 0, done.stderr


def build(one, program):
    """One example. Is it there to be run?"""
    source = program.with_suffix('.c')
    source.write_text(one.text, 'utf-8')
    program.unlink(missing_ok=True)
    name = f'{Path(one.page).name}:{one.line}'
    failed, why = compile_as('c', program, source, one.text)
    ok(not failed, f'{name} is built', why)
    no_cxx, why_not = compile_as('c++', program, source, one.text)
    alone = one.comment == 'C alone'
    ok(no_cxx == alone, f'{name} is {"no " if alone else ""}C++ too', why_not)
    for place, other in (('module', 'elsewhere'), ('elsewhere', 'on the module')):
        lines = [words for where, words in PRINTS.findall(one.text)
                 if where.strip() != other]
        program.with_suffix(f'.{place}').write_text(
            ''.join(f'{expression(words)}\n' for words in lines), 'utf-8')
    return not failed


def main():
    OUT.mkdir(parents=True, exist_ok=True)
    pages = [page for page in sorted((SOURCES / 'user/man').glob('*.3'))
             if page.name not in ELSEWHERE and not page.read_text('utf-8').startswith('.so')]
    examples = {page: [one for one in mdoc.displays(page) if one.section == 'EXAMPLES']
                for page in pages}
    count = sum(len(ones) for ones in examples.values())
    without = [page.name for page, ones in examples.items() if not ones]
    ok(pages and not without, 'each page has an example', ' '.join(without))
    built = []
    for page, ones in examples.items():
        for number, one in enumerate(ones, 1):
            program = OUT / (page.stem if number == 1 else f'{page.stem}.{number}')
            program = program.with_name(program.name.replace('.', '-'))
            if build(one, program):
                built.append(program)
    (OUT / 'list').write_text(''.join(
        f'{os.path.relpath(path)}\n' for program in built
        for path in (program, program.with_suffix('.module'), program.with_suffix('.elsewhere'))),
        'utf-8')
    sys.exit(DOCUMENT.end(2 * count + 1))


if __name__ == '__main__':
    main()
