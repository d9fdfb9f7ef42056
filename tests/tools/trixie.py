#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Runs a command with Debian trixie's compilers and libc around it.

    trixie.py COMMAND...

The root is made of packages below build/, on the kernel that runs here; the
command runs where this was called, which is the same place in there. Nothing is
installed, and no root is needed. Without a network an earlier root will do.
"""
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / 'vm'))
from debian import DebianError, have_root, run_within  # noqa: E402

PACKAGES = ('g++', 'libc6-dev', 'libc-bin', 'libcriterion-dev', 'libssl-dev',
            'linux-libc-dev', 'openssl')


def say(text):
    """For whoever waits."""
    print(f'  TRIXIE  {text}', file=sys.stderr, flush=True)


def main(words):
    build = Path(os.environ.get('TRIXIE_BUILD', 'build'))
    build.mkdir(exist_ok=True)
    try:
        return run_within(have_root('trixie', PACKAGES, build / 'vm' / 'trixie',
                                    build, say), [Path.cwd()], words)
    except DebianError as error:
        print(f'no trixie: {error}', file=sys.stderr)
        return 1


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
