#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Where promtool is: this machine's, or Debian's below build/, installed nowhere (a
package that is installed would start a service).

	O=build promtool.py

Prints the path. Where there is none, as without a network, it says why on stderr,
prints nothing, and that is no error: a test is skipped.
"""

import os
import shutil
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / 'vm'))
from debian import Debian, DebianError, locked  # pylint: disable=C0413

# Of any release: it reads a format that does not change.
RELEASE = 'bookworm'


def say(text):
    """A line for whoever waits."""
    print(f'  {"FETCH":<7} {text}', file=sys.stderr, flush=True)


def fetched(build):
    """Debian's; unpacked if it is not there."""
    directory = build / 'vm' / 'prometheus'
    tool = directory / 'root/usr/bin/promtool'
    with locked(directory):
        if tool.exists():
            return tool
        debian = Debian(RELEASE, build)
        with debian.lock(), tempfile.TemporaryDirectory(dir=directory) as scratch:
            debian.update(say)
            root = Path(scratch) / 'root'
            root.mkdir()
            debian.unpack_alone(['prometheus'], root, say)
            # By renaming: what stands there is always whole.
            root.rename(directory / 'root')
    return tool


def main():
    """Finds it."""
    found = shutil.which('promtool')
    try:
        print(found or fetched(Path(os.environ.get('O', 'build'))).resolve())
    except (DebianError, OSError) as error:
        say(f'no promtool: {error}')


if __name__ == '__main__':
    main()
