#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The newcomer's walk: README.md and lethe.7, typed word for word on a clean Debian by
an ordinary user who may use sudo, and what is printed held against what is shown
(walk_text.py has the format). KTAP on stdout.

    walk.py RELEASE DOCUMENT...

The machine is an image of tests/packages; beside what every Debian has there is a clean
clone of what git has of this tree as HEAD, in ~/lethe, where the walk begins. What needs
the module is typed in the machine as it was then, booted in QEMU with its own kernel
and the module that the walk installed; then what is to be typed last, after which no
trace of Lethe is left, the user's home aside (walk_left.py).
"""

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SOURCES = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(SOURCES / 'tests'), str(SOURCES / 'tests' / 'packages')]
# pylint: disable=wrong-import-position
import image    # noqa: E402
import walk_left    # noqa: E402
import walk_text    # noqa: E402
from points import Document     # noqa: E402
from walk_text import LAST, NATIVE, VM, Program     # noqa: E402
from walk_typed import Session      # noqa: E402

NATIVE_SECONDS, VM_SECONDS = 1800, 900
HOME = f'/home/{image.USER}'
# A chroot has no kernel of its own: what it is asked for is that of the machine.
_UNAME = '''#!/bin/sh
[ "$*" = -r ] && exec echo {kernel}
exec /run/uname "$@"
'''
_IN_MACHINE = '''cat >/run/walk <<'LETHE_WALK_SESSION'
{script}LETHE_WALK_SESSION
exec su - {user} -c 'bash /run/walk'
'''


def say(text):
    """A line about progress, in the style of the build's."""
    print(f'  WALK    {text}', file=sys.stderr, flush=True)


def tell(document, outcome):
    """One step of the walk as a point."""
    step, why = outcome.step, outcome.why()
    what = f'{step.name} is saved' if isinstance(step, Program) else \
        step.text.splitlines()[0]
    if outcome.seconds > 1:
        document.say(f'{outcome.seconds:.0f} s')
    return document.ok(not why, f'{step.where}: {what}', why)


def clone(root):
    """HEAD of this tree in the user's home, as `git clone` leaves it."""
    target = root / HOME.lstrip('/') / 'lethe'
    subprocess.run(['git', 'clone', '-q', '--no-hardlinks', SOURCES, target], check=True)
    # Where it came from is nowhere in the machine.
    subprocess.run(['git', '-C', target, 'remote', 'remove', 'origin'], check=True)
    owner = (root / HOME.lstrip('/')).stat()
    subprocess.run(['chown', '-R', f'{owner.st_uid}:{owner.st_gid}', target], check=True)


def natively(root, session, place):
    """Type a session in the root; what it printed."""
    with tempfile.TemporaryDirectory() as scratch:
        os.chmod(scratch, 0o755)
        script, uname, real = (Path(scratch, name) for name in ('walk', 'uname', 'real'))
        script.write_text(session.script(f'cd {place}'), 'utf-8')
        uname.write_text(_UNAME.format(kernel=image.kernels(root)[0]), 'utf-8')
        real.write_bytes((root / 'usr/bin/uname').read_bytes())
        for program in (uname, real):
            program.chmod(0o755)
        binds = [(script, '/run/walk'), (real, '/run/uname'), (uname, '/usr/bin/uname')]
        try:
            return image.enter(root, ['bash', '/run/walk'], binds, user=image.USER,
                               timeout=NATIVE_SECONDS).stdout
        except subprocess.TimeoutExpired as late:
            return (late.output or b'').decode('utf-8', 'replace')


def in_machine(root, session, place, document):
    """Type a session in the machine, booted; what it printed."""
    kernel = image.kernels(root)[0]
    say(f'{kernel} boots')
    script = _IN_MACHINE.format(script=session.script(f'cd {place}'), user=image.USER)
    booted = image.boot(root, kernel, script, timeout=VM_SECONDS)
    document.ok(not booted.lost and not booted.log,
                f'{kernel} comes to its own end, its log clean', '\n'.join(booted.why()))
    return booted.output


def type_all(document, outcomes):
    """Say what came of a session; whether all of it is as shown."""
    return all([tell(document, outcome) for outcome in outcomes])


def walk(document, documents, root, before):
    """All of it, as far as there is going on; and that nothing is left."""
    place = f'{HOME}/lethe'
    for mode, typed in ((NATIVE, natively), (VM, in_machine), (LAST, natively)):
        steps = walk_text.steps(documents, mode)
        if not steps:
            continue
        if mode == LAST:
            found = walk_left.traces(root, before)
            document.ok(any('.ko' in line for line in found) and
                        any('a package' in line for line in found),
                        'control: as long as Lethe is there, it is found', '\n'.join(found))
        session = Session(steps)
        say(f'{len(steps)} steps {"in the machine, booted" if mode == VM else ""}')
        extra = (document,) if mode == VM else ()
        outcomes, at = session.outcomes(typed(root, session, place, *extra))
        if not type_all(document, outcomes) and not at:
            return
        if mode == NATIVE:
            place = at
    found = walk_left.traces(root, before)
    document.ok(not found, 'after it no trace of Lethe is in the machine', '\n'.join(found))


def main(release, *paths):
    # A SIGTERM or SIGHUP cleans up like a Ctrl-C does.
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, _: sys.exit(128 + number))
    build = Path(os.environ.get('O', SOURCES / 'build'))
    documents = [walk_text.read(path) for path in paths]
    document = Document(release)
    begun = time.monotonic()
    with image.fresh(release, build, say) as root:
        before = walk_left.listing(root)
        clone(root)
        walk(document, documents, root, before)
    document.say(f'{time.monotonic() - begun:.0f} s')
    return document.end()


if __name__ == '__main__':
    sys.exit(main(*sys.argv[1:]))
