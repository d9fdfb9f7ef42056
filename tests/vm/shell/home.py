#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The programs that one finds in the virtual machine's shell, built beside their
sources in root's home, as a reader of them would: by the line that each says.

    home.py TREE LIBDIR EXAMPLE.c... PAGE.3...

TREE is what `make install DESTDIR=TREE PREFIX=/usr` left, LIBDIR where in it the
libraries are. An example with main() says in its first comment `cc ...`; a program
in a page of the manual likewise, or else is linked with -llethe alone. (Those of
lethe.hpp(3) stay out: the machine has no C++.) What is compiled against is TREE,
and nothing of this machine's that Lethe brings.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / 'manual'))
import mdoc     # noqa: E402

# `cc app.c -llethe`, in a comment, up to where the line ends or the comment does.
_SAID = re.compile(r'^[ \t/*]*\$?[ \t]*(cc [^\n]*?)(?:\s*\*/)?$', re.M)


def _line(source, name):
    """The command that compiles it."""
    head = source[:source.find('\n#include')]
    said = re.sub(r'\\\n[ \t*]*', '', head)
    found = _SAID.search(said)
    command = found[1] if found else f'cc {name}.c -llethe'
    # What it is called in the page is for the page.
    if f'{name}.c' not in command:
        command = re.sub(r'\b[\w-]+\.c\b', f'{name}.c', command, count=1)
    command = re.sub(r' -o \S+', '', command)
    return f'{command} -o {name}'


def _build(folder, name, source, libraries, environment):
    """Compile one; False, and why, where that cannot be."""
    # ld looks for such a file where it is told to and nowhere else.
    words = _line(source, name).replace('@liblethe', f'@{libraries}/liblethe')
    done = subprocess.run(words, shell=True, cwd=folder, env=environment,
                          check=False, text=True, stderr=subprocess.STDOUT,
                          stdout=subprocess.PIPE)
    if done.returncode or done.stdout:
        print(f'{name}: {words}\n{done.stdout}', file=sys.stderr)
    return not done.returncode


def _environment(tree, libdir):
    """gcc's and pkg-config's own words for: look there first."""
    libraries = f'{tree}{libdir}'
    return {**os.environ, 'CPATH': f'{tree}/usr/include', 'LIBRARY_PATH': libraries,
            'LD_LIBRARY_PATH': libraries, 'PKG_CONFIG_SYSROOT_DIR': str(tree),
            'PKG_CONFIG_PATH': f'{libraries}/pkgconfig'}


def _of_pages(pages):
    """(name, source) of the programs in them: lethe_do-1, lethe_do-2."""
    for page in pages:
        shown = [one.text for one in mdoc.displays(page)
                 if re.search(r'^(?:int )?main\(', one.text, re.M)]
        for number, text in enumerate(shown, 1):
            yield f'{page.stem}-{number}', text


def main(tree, libdir, *paths):
    tree, paths = Path(tree).resolve(), [Path(path) for path in paths]
    environment = _environment(tree, libdir)
    home = tree / 'root'
    shutil.rmtree(home, ignore_errors=True)
    places = {name: home / name for name in ('examples', 'manual')}
    for place in places.values():
        place.mkdir(parents=True)

    examples = [path for path in paths if path.suffix in ('.c', '.h')]
    for path in examples:
        shutil.copy(path, places['examples'])
    programs = [('examples', path.stem, text) for path in examples
                if re.search(r'^int main\(', text := path.read_text('utf-8'), re.M)]
    programs += [('manual', *program) for program in
                 _of_pages(path for path in paths
                           if path.suffix == '.3' and '.hpp' not in path.suffixes)]
    good = True
    for kind, name, text in programs:
        (places[kind] / f'{name}.c').write_text(text, encoding='utf-8')
        good &= _build(places[kind], name, text, f'{tree}{libdir}', environment)
    return 0 if good else 1


if __name__ == '__main__':
    sys.exit(main(*sys.argv[1:]))
