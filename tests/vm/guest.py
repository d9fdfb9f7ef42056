# SPDX-License-Identifier: MIT
"""What the guest is given: its root, made of busybox, init, modules, the
programs that were asked for and whatever these need.

    a word that names a file of this project     comes along, and is replaced by
                                                 where it lies in the guest
    any other word                               is handed on as it is, so a
                                                 program is busybox's, or one
                                                 of --needs
"""

import re
import shlex
from pathlib import Path

import room
from initramfs import Guest, InitramfsError
from machine import EXIT_VALUE

HERE = Path(__file__).resolve().parent
SOURCES = HERE.parents[1]

_ETC = {
    'passwd': 'root:x:0:0:root:/tmp:/bin/sh\n'
              'nobody:x:65534:65534:nobody:/nonexistent:/bin/false\n',
    'group': 'root:x:0:\nnogroup:x:65534:\n',
    'hosts': '127.0.0.1 localhost lethe-vm\n::1 localhost\n',
}
_HOSTLINK = '/dev/ttyS2'


def split_programs(words):
    """The programs of a command line, which `;` stands between."""
    programs = [[]]
    for word in words:
        if word == ';':
            programs.append([])
        else:
            programs[-1].append(word)
    return [program for program in programs if program]


def module_release(path):
    """The kernel that a module was built for (its vermagic's first word)."""
    data = Path(path).read_bytes()
    start = data.find(b'vermagic=')
    if start < 0:
        raise InitramfsError(f'{path} is no kernel module')
    return data[start + len(b'vermagic='):].split(b' ', 1)[0].decode()


def _check_module(module, kernel):
    if not Path(module).is_file():
        raise InitramfsError(f'{module} is not there: it was not built')
    built_for = module_release(module)
    if built_for != kernel.release:
        raise InitramfsError(
            f'{module} was built for {built_for}, and today\'s kernel is '
            f'{kernel.release}: build it again')


def _config(**values):
    """What init is told, in shell."""
    return ''.join(f'{name}={shlex.quote(str(value))}\n'
                   for name, value in values.items())


def _environment(variables, mode):
    # Whoever sits there does not wait until all of RAM was searched.
    lines = [f'export LETHE_HOSTLINK={_HOSTLINK}\n'] if mode != 'shell' else []
    for variable in variables:
        name, mark, value = variable.partition('=')
        if not mark or not name.isidentifier():
            raise InitramfsError(f'--env {variable}: not NAME=VALUE')
        lines.append(f'export {name}={shlex.quote(value)}\n')
    return ''.join(lines)


def _title(words):
    """A name for a program in results: one line, and nothing that KTAP reads
    ("#" begins a directive)."""
    text = ' '.join(' '.join(words).replace('/lethe/', '').split())
    text = re.sub(r'[^ -~]|#', '?', text)
    return text if len(text) <= 60 else f'{text[:57]}...'


def make(path, mode, options, kernel, build, size=(80, 24)):
    """Write the guest's root to `path`; the titles of its programs."""
    guest = Guest(SOURCES, build)
    root = guest.archive
    for place in ('dev', 'proc', 'sys', 'tmp', 'run', 'lethe', 'vm'):
        root.directory(f'/{place}')
    # The kernel opens it before anything is mounted.
    root.node('/dev/console', 5, 1)
    for name, text in _ETC.items():
        root.file(f'/etc/{name}', text)
    if mode == 'shell':
        room.furnish(guest, options, kernel)
    guest.busybox()
    for name in ('vmexit', 'hold_events'):
        guest.data(build / 'tests' / 'vm' / name, f'/usr/bin/{name}')
    root.file('/init', (HERE / 'init').read_bytes(), 0o755)

    drivers = []
    for name, data in kernel.drivers(options.driver):
        drivers.append(f'/vm/drivers/{name}.ko')
        root.file(drivers[-1], data)
    module = ''
    if options.module:
        _check_module(options.module, kernel)
        module = guest.bring(options.module)
    for name in options.needs:
        guest.program(name)
    for source, _, place in (name.partition(':') for name in options.file):
        if place:
            guest.data(source, place)
        else:
            guest.bring(source)

    programs, titles = split_programs(options.words), []
    for number, words in enumerate(programs, 1):
        if '/' in words[0] and guest.path_of(words[0]).startswith('/lethe/') \
                and not Path(words[0]).is_file():
            raise InitramfsError(f'{words[0]} is not there: it was not built')
        words = [guest.bring(word) if '/' in word and guest.is_ours(word)
                 else word for word in words]
        titles.append(_title(words))
        root.file(f'/vm/program.{number}',
                  '. /vm/environment\ncd /lethe || exit 126\n'
                  f'exec {shlex.join(words)}\n')
    root.file('/vm/environment', _environment(options.env, mode))
    root.file('/vm/config', _config(
        MODE=mode, DRIVERS=' '.join(drivers), MODULE=module, PROGRAMS=len(programs),
        DIRECT_MAP='yes' if getattr(options, 'direct_map', False) else '', EXIT_VALUE=EXIT_VALUE,
        COLUMNS=size[0], ROWS=size[1]))
    root.write(path)
    return titles
