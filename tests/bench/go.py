#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The Go peer of `make bench`: Debian's newest Go, from trixie and its backports,
below build/ and installed nowhere, and go/ built with it.

	O=build go.py SOURCE PROGRAM

Where that cannot be done, as without a network, PROGRAM.missing says why, and
that is no error: the bench has a row for it. A Go from an earlier day will do.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / 'vm'))
from debian import Debian, DebianError, locked  # pylint: disable=C0413

RELEASE = 'trixie'
# The first with runtime/secret.
OLDEST = 26


def say(text):
    """A line for whoever waits."""
    print(f'  {"FETCH":<7} {text}', flush=True)


def newest(debian):
    """The name of the newest Go, without its -go."""
    found = (re.fullmatch(r'golang-1\.(\d+)-go', name)
             for name in debian.names('golang-1.'))
    minor = max((int(match[1]) for match in found if match), default=0)
    if minor < OLDEST:
        raise DebianError(f'Debian {RELEASE} has no Go 1.{OLDEST} or newer')
    return f'golang-1.{minor}'


def install(directory, build, minor):
    """Make what stands in `directory` a Go: 1.minor, or the newest."""
    debian = Debian(RELEASE, build)
    with debian.lock():
        debian.update(say)
        name = f'golang-1.{minor}' if minor else newest(debian)
        with tempfile.TemporaryDirectory(dir=directory) as scratch:
            root = Path(scratch) / 'root'
            root.mkdir()
            debian.unpack_alone([f'{name}-go', f'{name}-src'], root, say)
            shutil.rmtree(directory / 'root', ignore_errors=True)
            # By renaming: what stands there is always whole.
            root.rename(directory / 'root')


def place_of(build, minor=None):
    """Where 1.minor is to be, or the newest."""
    return build / 'vm' / (f'go-1.{minor}' if minor else 'go')


def goroot(build, minor=None):
    """Where Go is; fetched if it is not there."""
    directory = place_of(build, minor)
    with locked(directory):
        if not (directory / 'root').exists():
            install(directory, build, minor)
    return next((directory / 'root/usr/lib').glob('go-*')).resolve()


def environment(root, build):
    """Nothing of Go's is kept or asked for outside of build/."""
    cache = (build / 'vm' / 'go').resolve()
    return {'PATH': f'{root}/bin:/usr/bin:/bin', 'HOME': str(cache),
            'GOROOT': str(root), 'GOPATH': str(cache / 'path'),
            'GOCACHE': str(cache / 'cache'), 'GOENV': 'off',
            'GOTOOLCHAIN': 'local', 'GOPROXY': 'off', 'GOFLAGS': '-mod=mod',
            'GOTELEMETRY': 'off', 'CGO_ENABLED': '0',
            'GOEXPERIMENT': 'runtimesecret'}


def build_peer(root, build, source, program):
    """Have `program` made of the module in `source`."""
    try:
        subprocess.run([root / 'bin/go', 'build', '-o', program.resolve(), '.'],
                       cwd=source, env=environment(root, build), check=True,
                       text=True, stderr=subprocess.PIPE)
    except subprocess.CalledProcessError as error:
        raise DebianError(' '.join(error.stderr.split())) from None


def main(source, program):
    """Build, or say why not: in a few words for the table, and all of it here."""
    build = Path(os.environ.get('O', 'build'))
    missing = program.with_suffix('.missing')
    missing.unlink(missing_ok=True)
    why = 'Go could not be fetched'
    try:
        root = goroot(build)
        why = 'Go does not build it'
        build_peer(root, build, source, program)
    except DebianError as error:
        program.unlink(missing_ok=True)
        missing.write_text(f'{why}\n', encoding='utf-8')
        say(f'{why}: {error}')


if __name__ == '__main__':
    main(Path(sys.argv[1]), Path(sys.argv[2]))
