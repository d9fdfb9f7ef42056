#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Runs a command with Debian trixie's compilers and libc around it.

    trixie.py COMMAND...

The root is made of packages below build/, on the kernel that runs here; the
command runs where this was called, which is the same place in there. Nothing is
installed, and no root is needed. Without a network an earlier root will do.
"""
import os
import shutil
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / 'vm'))
from debian import Debian, DebianError, is_whole, locked, run_within  # noqa: E402

PACKAGES = ('g++', 'libc6-dev', 'libc-bin', 'libcriterion-dev', 'libssl-dev',
            'linux-libc-dev', 'openssl')


def say(text):
    """For whoever waits."""
    print(f'  TRIXIE  {text}', file=sys.stderr, flush=True)


def have_root(build):
    """The root, made if it is not there or was made of other packages."""
    directory = build / 'vm' / 'trixie'
    root, stamp = directory / 'root', directory / 'packages'
    with locked(directory):
        if stamp.exists() and is_whole(root) and \
                stamp.read_text(encoding='ascii') == ' '.join(PACKAGES):
            return root
        debian = Debian('trixie', build)
        with debian.lock(), tempfile.TemporaryDirectory(dir=directory) as scratch:
            fresh = Path(scratch) / 'root'
            fresh.mkdir()
            debian.update(say)
            try:
                debian.unpack(PACKAGES, fresh, say)
            except DebianError:
                # A newer one may have come since the lists did, and this gone.
                debian.update(say, force=True)
                shutil.rmtree(fresh)
                fresh.mkdir()
                debian.unpack(PACKAGES, fresh, say)
            # Last, and by renaming: what stands there is always whole.
            stamp.unlink(missing_ok=True)
            shutil.rmtree(root, ignore_errors=True)
            fresh.rename(root)
            stamp.write_text(' '.join(PACKAGES), encoding='ascii')
    return root


def main(words):
    build = Path(os.environ.get('TRIXIE_BUILD', 'build'))
    build.mkdir(exist_ok=True)
    try:
        return run_within(have_root(build), [Path.cwd()], words)
    except DebianError as error:
        print(f'no trixie: {error}', file=sys.stderr)
        return 1


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
