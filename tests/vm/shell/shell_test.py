#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""make vm, as somebody has it who sits before it: on a pty, the commands of the first
screen and others are typed, and what appears is read. KTAP on stdout.

    shell_test.py --build O --kernel NAME [--all]

With --all more than the first screen, and what no kernel has a part in: leaving at once,
and no terminal.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from person import Person, alive, has_qemu, plain

SOURCES = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(SOURCES / 'tests'))
from points import Document     # noqa: E402
MOTD = Path(__file__).with_name('motd')
BOOT, SLOW, QUICK = 300, 240, 60
PROMPT = r'(?:root|user)@lethe-vm:[^\n]*[#$] \Z'
LEAVE = '\x1d'

# What a command of the first screen answers. Each is in it, or the test says so.
ANSWERS = {
    'lethectl status': r'(?s)backend +kmod, level unmapped.*verdict +clean',
    'man lethe_do': r'(?s)LETHE_DO\(3\).*\bNAME\b.*lethe_do',
    'manual/lethe_do-1': r'',
    'cc -o mine manual/lethe_keep-1.c -llethe && ./mine': r'who it is; 1 block',
    'lethe-mainjob README.md': r'(?s)sender.s private key.*PASS',
    'su user': r'',
}

# One's own program: that it comes along, and what it needs with it.
OWN = '''
#include <lethe.h>
#include <stdio.h>

static void in_section(void *arg)
{
	*(enum lethe_level *)arg = lethe_level_of(__builtin_frame_address(0));
}

int main(void)
{
	enum lethe_level level = LETHE_LEVEL_NONE;
	int err = lethe_do(in_section, &level);

	printf("mine: %d, %s\\n", err, level == LETHE_LEVEL_UNMAPPED ? "unmapped" : "not");
	return err ? 1 : 7;
}
'''


def first_screen():
    """The commands that it has."""
    lines = MOTD.read_text('utf-8').splitlines()
    return [re.split(r' {3,}', line.strip())[0] for line in lines
            if line.startswith('   ')]


class Shell:
    """The guest's shell, before which a person sits."""

    def __init__(self, person, document):
        self._person, self.document = person, document

    def command(self, line, seconds=SLOW):
        """Type it, and Enter; what it printed, and its exit status."""
        self._person.type(f'{line}\n')
        self._person.wait_for(r'\n', QUICK)
        shown = self._person.wait_for(PROMPT, seconds)
        self._person.type('echo "status=$?"\n')
        told = self._person.wait_for(r'\nstatus=(\d+)\n', QUICK) or ''
        self._person.wait_for(PROMPT, QUICK)
        status = re.search(r'status=(\d+)\n\Z', told)
        return shown or f'{self._person.seen}\n(no prompt)', \
            int(status[1]) if status else None

    def expect(self, line, pattern, sentence=None, status=0):
        """A command that ends with this status and prints this."""
        shown, ended = self.command(line)
        return self.document.ok(
            ended == status and re.search(pattern, shown), sentence or line,
            f'{line}: status {ended}\n{shown}')

    def page(self, line, pattern):
        """A command that shows something in a pager, which q leaves."""
        self._person.type(f'{line}\n')
        shown = self._person.wait_for(r'q leaves', SLOW)
        if not shown:
            return self.document.ok(False, line, plain(self._person.seen))
        self._person.type('q')
        back = self._person.wait_for(PROMPT, QUICK)
        return self.document.ok(re.search(pattern, shown) and back, line, shown)


def own_program(build, scratch):
    """Somebody's program, built on this machine."""
    source, program = Path(scratch, 'own.c'), Path(scratch, 'own-program')
    source.write_text(OWN, encoding='utf-8')
    subprocess.run(['gcc', '-o', program, source, f'-I{SOURCES}/user/include',
                    f'-I{SOURCES}/kmod/uapi', f'-L{build}/lib', '-llethe'], check=True)
    return program


def of_first_screen(shell):
    """Each of its commands, word for word."""
    for line in first_screen():
        pattern = ANSWERS.get(line)
        if pattern is None:
            shell.expect('false', '', f'{line}: this test does not know it')
        elif line.startswith('man '):
            shell.page(line, pattern)
        else:
            shell.expect(line, pattern)
    shell.expect('id -un; ls /root; exit 0', r'(?s)user\n.*[Pp]ermission denied',
                 'su user: it is somebody else, who comes back by exit')


def programs(shell):
    """What is built in the home: all of the manual's, as root and as user."""
    run = 'n=0; for p in manual/*; do [ -x $p ] || continue; n=$((n+1)); ' \
        './$p >/tmp/out.$USER 2>&1 </dev/null || ' \
        '{ echo "failed: $p: $?"; cat /tmp/out.$USER; }; done; echo "ran $n"'
    for who, words in (('root', run), ('user', f"su - user -c '{run}'")):
        shown, _ = shell.command(words, 2 * SLOW)
        ran = re.search(r'(?m)^ran (\d+)$', shown)
        shell.document.ok(ran and int(ran[1]) and 'failed:' not in shown,
                           f'each program of the manual ends well, as {who}', shown)


def others(shell):
    """What is not on the first screen, but promised."""
    shell.expect('examples/openssl_section', 'in unmapped memory')
    shell.expect('cc -o /tmp/x examples/openssl_section.c examples/openssl_memory.c '
                 '$(pkg-config --cflags --libs lethe) -lcrypto && /tmp/x',
                 'in unmapped memory', 'an example is compiled with pkg-config')
    shell.expect('./own-program', 'mine: 0, unmapped', 'FILE= is there, and runs',
                 status=7)
    shell.expect("su user -c '/home/user/own-program; ls -l /dev/lethe'",
                 r'(?s)mine: 0, unmapped.*rw-rw-rw-', 'for an ordinary user too')
    shell.expect('LETHE_BACKEND=memfd_secret ./own-program', 'mine: 0, unmapped',
                 'memfd_secret is there to compare', status=7)
    shell.expect('man', r'lethectl\(1\)', 'man alone lists its pages', status=2)
    shell.expect('man 1 lethectl | head -8', r'(?m)^NAME$', 'man into a pipe is plain')
    shell.expect('man nothing', 'no page nothing', 'man of no page says so', status=1)
    shell.expect('lethectl st\t --json', r'"backend": "kmod"', 'bash completes: st, Tab')
    shell.expect('lethectl watch --seconds 2 2>&1', '(?i)clean|nothing',
                 'probes attach: lethectl watch')
    shell.expect('sleep 1000 & rmmod lethe && ! lsmod | grep lethe', '',
                 'the module can be unloaded by hand')


def whole(document, options, scratch):
    """From the start to exit."""
    own = own_program(options.build, scratch)
    words = ['make', 'vm', f'O={options.build}', f'KERNEL={options.kernel}',
             f'FILE={own}']
    begun = time.monotonic()
    with Person(words, environment(options)) as person:
        screen = person.wait_for(PROMPT, BOOT)
        took = time.monotonic() - begun
        if not document.ok(screen, f'make vm comes to a shell on {options.kernel}',
                           person.seen):
            return
        document.say(f'in {took:.1f} s')
        document.ok(all(line in screen for line in first_screen()) and
                    max(map(len, screen[screen.index(' Lethe on'):].splitlines())) <= 80,
                    'its first screen is shown, and fits', screen)
        document.ok(not person.is_as_before(),
                    'control: meanwhile the terminal is another')
        person.note_started()
        document.ok(has_qemu(person.started), 'control: QEMU runs')
        shell = Shell(person, document)
        of_first_screen(shell)
        if options.all:
            programs(shell)
            others(shell)
        else:
            # That it does not keep the module, the status of all of it tells.
            shell.expect('sleep 1000 <>/dev/lethe & ! rmmod lethe 2>&1',
                         "can't unload", 'what is left running has the module')
        person.type('exit\n')
        left(document, person, 'exit')


def left(document, person, way):
    """After it: the status, the terminal, the processes."""
    status = person.ended(SLOW)
    document.ok(status == 0, f'{way} ends it, with status 0',
                f'status {status}\n{plain(person.seen)}')
    document.ok(person.is_as_before(), f'{way} leaves the terminal as it was')
    document.ok(not alive(person.started), f'{way} leaves no process',
                alive(person.started))


def environment(options):
    """As somebody has it who types it, not this test's make."""
    kept = {name: value for name, value in os.environ.items()
            if not name.startswith(('MAKE', 'MFLAGS', 'GNUMAKE'))}
    return {**kept, 'TERM': 'linux', 'LANG': 'C.UTF-8'}


def at_once(document, options):
    """Ctrl-] while it boots."""
    with Person(['make', 'vm', f'O={options.build}', f'KERNEL={options.kernel}'],
                environment(options)) as person:
        document.ok(person.wait_for('Ctrl-] at any time', BOOT),
                    'it says how it is left before it boots', person.seen)
        end = time.monotonic() + QUICK
        while not has_qemu(person.started) or person.is_as_before():
            person.note_started()
            if time.monotonic() > end:
                break
            time.sleep(0.1)
        document.ok(has_qemu(person.started), 'control: QEMU runs, which boots')
        person.type(LEAVE)
        left(document, person, 'Ctrl-]')


def no_terminal(document, options):
    """Neither in nor out."""
    done = subprocess.run(['make', 'vm', f'O={options.build}', f'KERNEL={options.kernel}'],
                          env=environment(options), stdin=subprocess.DEVNULL, check=False,
                          capture_output=True, text=True, timeout=BOOT)
    document.ok(done.returncode and 'a shell is for a terminal' in done.stderr,
                'without a terminal it says so, and is no success',
                done.stdout + done.stderr)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('--build', type=Path, required=True)
    parser.add_argument('--kernel', required=True)
    parser.add_argument('--all', action='store_true')
    options = parser.parse_args()
    os.chdir(SOURCES)
    document = Document()
    with tempfile.TemporaryDirectory() as scratch:
        whole(document, options, scratch)
    if options.all:
        at_once(document, options)
        no_terminal(document, options)
    return document.end()


if __name__ == '__main__':
    sys.exit(main())
