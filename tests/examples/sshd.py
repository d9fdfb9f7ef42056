# SPDX-License-Identifier: MIT
#
# A real sshd for a test to log in to: Debian's below build/, installed nowhere, since the
# package, installed, would serve the whole machine. It runs in a mount namespace of its
# own with the user that it wants to exist, on loopback, and leaves nothing.
"""Debian's sshd, for a login or two."""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / 'vm'))
from debian import Debian, DebianError, locked  # noqa: E402  pylint: disable=C0413

# What it needs that not every machine has.
PACKAGES = ['openssh-server', 'libwrap0']
# $1 is a user list, and what follows the server.
ALONE = ('mount --bind "$1" /etc/passwd && mount -t tmpfs none /run && mkdir -m 755 /run/sshd '
         '&& shift && exec "$@"')
CONFIG = '''\
ListenAddress 127.0.0.1
Port {port}
HostKey {scratch}/host
PidFile none
UsePAM no
StrictModes no
PasswordAuthentication no
AuthorizedKeysFile {scratch}/authorized
'''


def fetched(build):
    """Its root; or an error that says why there is none."""
    directory = Path(build).resolve() / 'vm' / 'openssh-server'
    with locked(directory):
        if not (directory / 'root').exists():
            debian = Debian('bookworm', Path(build))
            with debian.lock(), tempfile.TemporaryDirectory(dir=directory) as scratch:
                debian.update(lambda text: None)
                root = Path(scratch) / 'root'
                root.mkdir()
                debian.unpack_alone(PACKAGES, root, lambda text: None)
                # By renaming: what stands there is always whole.
                root.rename(directory / 'root')
    return directory / 'root'


class Sshd:
    """Serves until it is left. @scratch has the file `authorized`."""

    def __init__(self, build, scratch):
        root = fetched(build)
        program = root / 'usr/sbin/sshd'
        with socket.socket() as free:
            free.bind(('127.0.0.1', 0))
            self.port = free.getsockname()[1]
        self.scratch = scratch
        subprocess.run(['ssh-keygen', '-q', '-t', 'ed25519', '-N', '', '-f', f'{scratch}/host'],
                       check=True)
        with open(f'{scratch}/sshd_config', 'w') as file:
            file.write(CONFIG.format(port=self.port, scratch=scratch))
        shutil.copy('/etc/passwd', f'{scratch}/passwd')
        with open(f'{scratch}/passwd', 'a') as file:
            file.write('sshd:x:65533:65534::/run/sshd:/usr/sbin/nologin\n')
        libraries = ':'.join(str(path.parent) for path in root.glob('**/libwrap.so.0'))
        with open(f'{scratch}/sshd.log', 'w') as log:
            self.process = subprocess.Popen(
                ['unshare', '--mount', 'sh', '-c', ALONE, 'sh', f'{scratch}/passwd', program,
                 '-D', '-e', '-f', f'{scratch}/sshd_config'], stdin=subprocess.DEVNULL,
                stderr=log, env={**os.environ, 'LD_LIBRARY_PATH': libraries})

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()

    def serves(self):
        with socket.socket() as to:
            return to.connect_ex(('127.0.0.1', self.port)) == 0

    def words(self):
        with open(f'{self.scratch}/sshd.log') as log:
            return log.read()


__all__ = ['DebianError', 'Sshd']
