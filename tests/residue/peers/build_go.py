#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Go's peers, built with the Go that tests/bench/go.py fetches.

	O=build build_go.py fetch|have newest|MINOR SOURCE PROGRAM [ARCHIVE]

With Debian's newest Go, or its 1.MINOR. With an archive, which C in Go is linked with,
by the system's own compiler. Where there is no Go, and it cannot be fetched, or shall
not be, PROGRAM.missing says so, and the table of peers goes without.
"""

import os
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / 'bench'))
import go  # pylint: disable=C0413

HERE = Path(__file__).parent.resolve()


def with_c(archive):
    """What Go is told to build C with."""
    if not archive:
        return {}
    return {'CGO_ENABLED': '1',
            'CGO_CFLAGS': f'-O2 -D_GNU_SOURCE -I{HERE} -I{HERE.parents[1]}/selftests',
            'CGO_LDFLAGS': f'{Path(archive).resolve()} -lcrypto -lpthread -Wl,-z,now'}


def goroot(fetch, minor):
    """Where Go is."""
    place = Path(os.environ.get('O', 'build'))
    if fetch == 'have' and not (go.place_of(place, minor) / 'root').exists():
        raise go.DebianError('Go was not fetched (make residue-peers)')
    return go.goroot(place, minor)


def main(fetch, version, source, program, archive=None):
    """Build; or, where there is no Go, say why not."""
    place = Path(os.environ.get('O', 'build'))
    note = Path(f'{program}.missing')
    note.unlink(missing_ok=True)
    try:
        root = goroot(fetch, None if version == 'newest' else version)
    except go.DebianError as error:
        Path(program).unlink(missing_ok=True)
        note.write_text(f'{error}\n', encoding='utf-8')
        go.say(f'no Go: {error}')
        return 0
    return subprocess.run([root / 'bin/go', 'build', '-o', Path(program).resolve(), '.'],
                          cwd=source, env=go.environment(root, place) | with_c(archive),
                          check=False).returncode


if __name__ == '__main__':
    sys.exit(main(*sys.argv[1:]))
