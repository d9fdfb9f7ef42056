#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Does lethe(4) say all that there is of the device, and nothing else? KTAP on stdout.

    device.py SOURCES OUT	CC in the environment

What there is are the header <linux/lethe.h> and the module's sources: names, structures,
errors of each call, parameters, files in sysfs, tracepoints, and what the log is told. The
programs under EXAMPLES are built, in C11; what they print is run.sh's, in the virtual
machine, for whom they are listed in OUT/device-list as examples.py lists its own.
"""
import os
import re
import subprocess
import sys
from pathlib import Path

import header
import mdoc

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from points import Document     # noqa: E402

SOURCES, OUT = (Path(word).resolve() for word in sys.argv[1:3])
PAGE = SOURCES / 'user/man/lethe.4'
UAPI = SOURCES / 'kmod/uapi/linux/lethe.h'
KMOD = SOURCES / 'kmod'
# The call that a structure's comment is about, as the page's sections are called.
CALLS = {'lethe_create': 'LETHE_IOC_CREATE', 'lethe_wipe': 'LETHE_IOC_WIPE',
         'lethe_query': 'LETHE_IOC_QUERY', 'lethe_uring_cmd': 'By io_uring'}
NAME = re.compile(r'\bLETHE_[A-Z0-9_]+\b')
PRINTS = re.compile(r'/\* prints: (.*?) \*/')

document = Document()


def ok(sentence, bad):
    """A point that holds if there is nothing bad."""
    document.ok(not bad, sentence, '\n'.join(sorted(map(str, bad))))


def both(here, there):
    """What only one of both has, and which."""
    return [f'not in the page: {name}' for name in there - here] + \
           [f'in the page alone: {name}' for name in here - there]


def kernel_sources():
    """All of the module's, as one text, for what is looked for in it."""
    return '\n'.join(path.read_text('utf-8') for path in sorted(KMOD.glob('*.[ch]')))


def parts(source, macro):
    """The text of a page after each `.Sh` or `.Ss`, by its title."""
    pieces = re.split(rf'^\.{macro} ', source, flags=re.M)[1:]
    return {piece.split('\n')[0]: piece for piece in pieces}


def prose(source):
    """The words of a piece of a page, without macros and line ends."""
    return ' '.join(re.sub(r'^\.\w\w ?', '', source, flags=re.M).replace('\\&', '').split())


def items(source, macro):
    """Names that have an item of a list: `.It Cm NAME`."""
    return {name for line in re.findall(rf'^\.It {macro} (.*)', source, re.M)
            for name in re.findall(r'[\w:/.-]+', line) if name != macro}


def errors_said(text):
    """Errors that have an item of a list."""
    return {name for line in re.findall(r'^\.It (B[qo] Er.*)', text, re.M)
            for name in header.ERROR.findall(line)}


def errors_meant():
    """By call, what the header's comment has after `Errors:`."""
    found = {}
    for comment in re.findall(r'/\*\*(.*?)\*/', UAPI.read_text('utf-8'), re.S):
        name = re.search(r'struct (\w+) -', comment)[1]
        if name in CALLS and 'Errors:' in comment:
            found[CALLS[name]] = set(header.ERROR.findall(comment.split('Errors:')[1]))
    return found


def look_at_header(source, declared):
    """Its names and structures."""
    defined = set(re.findall(r'^#define\s+(LETHE_\w+)[\s(]+\S', UAPI.read_text('utf-8'), re.M))
    ok('each name of the header is in the page, and no other',
       both(set(NAME.findall(source)), defined))
    shown = [header.tokens(one.text) for one in mdoc.displays(PAGE)]
    ok('each structure is shown as the header has it',
       [name for name, words in declared.structs.items() if [*words, ';'] not in shown])
    version = re.search(r'LETHE_ABI_VERSION\s+(\d+)', UAPI.read_text('utf-8'))[1]
    ok('the version of the ABI is the header\'s',
       [] if f'LETHE_ABI_VERSION is raised when something is added: it is {version}.' in
       prose(source) else [version])


def look_at_errors(source):
    """Of each call."""
    errors = parts(parts(source, 'Sh')['ERRORS'], 'Ss')
    general = errors_said(parts(source, 'Sh')['ERRORS'].split('\n.Ss ')[0])
    meant = errors_meant()
    ok('the header names errors of each call', set(CALLS.values()) - {
        call for call, names in meant.items() if names})
    for call, names in meant.items():
        said = errors_said(errors.get(call, ''))
        ok(f'each error that the header has for {call} is in the page, and no other',
           [f'not in the page: {name}' for name in names - said - general] +
           [f'in the page alone: {name}' for name in said - names])


def look_at_module(source):
    """What its sources have of parameters, files, tracepoints and messages."""
    text = kernel_sources()
    parameters = set(re.findall(r'^module_param\w*\((\w+),', text, re.M))
    ok('each parameter of the module is in the page, and no other',
       both(items(parts(source, 'Ss')['Parameters'].split('\n.Sh ')[0], 'Cm'), parameters))
    files = items(parts(source, 'Sh')['FILES'], 'Pa')
    attributes = set(re.findall(r'^FILE\((\w+),', text, re.M))
    ok('each file in sysfs is in the page, and no other',
       both({name for name in files if '/' not in name}, attributes))
    points = set(re.findall(r'^(?:TRACE_EVENT\(|DEFINE_EVENT\(\w+, )(\w+),', text, re.M))
    ok('each tracepoint is in the page, and no other',
       both(items(parts(source, 'Sh')['FILES'], 'Li'), {f'lethe:{name}' for name in points}))
    words = prose(source)
    # What check_block() returns is put behind the same words.
    told = re.findall(r'pr_(?:err|notice|info|warn)\(\s*"(.*?)\\n"', text) + [
        f'not loaded: {fault}' for fault in
        re.findall(r'(?:fault = |return )"(.*?)";', (KMOD / 'directmap.c').read_text('utf-8'))]
    ok('all that the log is told is in the page',
       [line for line in told
        if not all(piece.strip(' (),') in words for piece in re.split(r'%\w+', line))])
    kernels = set(re.findall(r"^    '(\d+\.\d+)':",
                             (SOURCES / 'tests/vm/kernel.py').read_text('utf-8'), re.M))
    ok('each kernel that is tested is in COMPATIBILITY, and no other',
       both(set(re.findall(r'(?<![\w.])\d+\.\d+(?!\w)', parts(source, 'Sh')['COMPATIBILITY'])),
            kernels))


def build(examples):
    """Each program, and how run.sh is to run it. Listed if all of them are there."""
    OUT.mkdir(parents=True, exist_ok=True)
    listed = []
    for number, one in enumerate(examples, 1):
        program = OUT / f'lethe-4-{number}'
        program.with_suffix('.c').write_text(one.text, 'utf-8')
        done = subprocess.run(
            [os.environ.get('CC', 'cc'), '-std=gnu11', '-O2', '-Wall', '-Wextra', '-Werror',
             f'-I{KMOD}/uapi', program.with_suffix('.c'), '-o', program],
            capture_output=True, text=True, check=False)
        ok(f'lethe.4:{one.line} is built, and says what it prints',
           done.stderr.splitlines() + ([] if PRINTS.search(one.text) else ['it does not']))
        # As grep has them.
        lines = ''.join(re.sub(r'([][.*^$\\])', r'\\\1', words) + '\n'
                        for words in PRINTS.findall(one.text))
        for place in ('module', 'elsewhere'):
            program.with_suffix(f'.{place}').write_text(lines, 'utf-8')
        listed += [program, program.with_suffix('.module'), program.with_suffix('.elsewhere')]
    (OUT / 'device-list').write_text(
        ''.join(f'{os.path.relpath(path)}\n' for path in listed), 'utf-8')


def main():
    source = PAGE.read_text('utf-8')
    examples = [one for one in mdoc.displays(PAGE) if one.section == 'EXAMPLES']
    look_at_header(source, header.read(UAPI, [KMOD / 'uapi']))
    look_at_errors(source)
    look_at_module(source)
    ok('there are programs', [] if examples else ['none'])
    build(examples)
    sys.exit(document.end(14 + len(examples)))


if __name__ == '__main__':
    main()
