#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Clean machines of Debian 12 and 13: a root, a command within it, and a boot of it.

    with image.fresh('bookworm', build, say) as root:
        image.enter(root, ['apt-get', 'install', ...])
        booted = image.boot(root, image.kernels(root)[0], 'id; lethectl status')

    image.py shell bookworm         a shell in a copy, gone when it ends

What is made once is what a newcomer has after installing: the packages of priority
important, sudo, man, an ordinary user `user` who may use sudo, the release's kernels
with initrds of its own making, and its apt sources with updates, security and
backports. It is a directory below build/vm/images, made anew when it is a day old, so
that what apt knows within is what there is to download; without a network an older one
will do. Each use has a copy (`cp -a`, 3 s): an overlay would be quicker by as much, and
then be a root in one mount namespace alone, which neither mkfs nor a second command
would find. Packages that a copy downloaded are kept for the next one.

mmdebstrap makes it, of the mirrors that this machine's own apt uses, and by its
proxies. It needs root: the files of a Debian belong to many users. Nothing is ever
mounted but in a namespace of the command's own, which ends with it.
"""

import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / 'vm'))
# pylint: disable=wrong-import-position
from booted import Booted, boot  # noqa: E402,F401
from debian import KEYRING, LISTS_LAST, DebianError, call, locked, mirrors  # noqa: E402

# Of each release: what apt knows by its name, and what it takes of the backports.
KERNELS = {
    'bookworm': (['linux-image-cloud-amd64', 'linux-image-6.12-cloud-amd64'], []),
    'trixie': (['linux-image-cloud-amd64'], ['linux-image-cloud-amd64']),
}

# Beside what is important to Debian: what its installer brings.
PACKAGES = ('ca-certificates', 'dbus', 'libpam-systemd', 'man-db', 'sudo')

USER = 'user'
_DOWNLOADS = 'var/cache/apt/archives'

_SETTLE = f'''
set -e
useradd --create-home --shell /bin/bash {USER}
echo '{USER} ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/{USER}
chmod 440 /etc/sudoers.d/{USER}
echo debian >/etc/hostname
chmod 644 /etc/hostname
printf '127.0.0.1\\tlocalhost debian\\n::1\\tlocalhost\\n' >/etc/hosts
systemd-machine-id-setup
'''

# $1 is the root; pairs of what is to be seen within and where follow, up to a "--",
# and then a command. It is the first process of a namespace: with it all others end.
_ENTER = r'''
set -e
root=$1
shift
hostname debian
mount --bind "$root" "$root"
mount -t proc proc "$root/proc"
mount --rbind /sys "$root/sys"
mount -t tmpfs -o mode=755 dev "$root/dev"
for node in null zero full random urandom tty; do
    : >"$root/dev/$node"
    mount --bind "/dev/$node" "$root/dev/$node"
done
mkdir "$root/dev/pts" "$root/dev/shm"
mount -t devpts -o newinstance,ptmxmode=666,mode=620,gid=5 devpts "$root/dev/pts"
mount -t tmpfs -o mode=1777 shm "$root/dev/shm"
ln -s pts/ptmx "$root/dev/ptmx"
ln -s /proc/self/fd "$root/dev/fd"
for n in 0:stdin 1:stdout 2:stderr; do
    ln -s "/proc/self/fd/${n%:*}" "$root/dev/${n#*:}"
done
mount -t tmpfs -o mode=755 run "$root/run"
mkdir -m 1777 "$root/run/lock"
[ ! -e /etc/resolv.conf ] || mount --bind /etc/resolv.conf "$root/etc/resolv.conf"
while [ "$1" != -- ]; do
    if [ -d "$1" ]; then mkdir -p "$root$2"; else : >>"$root$2"; fi
    mount --rbind "$1" "$root$2"
    shift 2
done
shift
chroot "$root" /usr/bin/env "$@"
'''


def _quiet(_):
    pass


def _host_settings():
    """How this machine's apt reaches its mirrors, for apt.conf."""
    kept = [line for line in call(['apt-config', 'dump']).splitlines()
            if line.startswith(('Acquire::http::', 'Acquire::https::',
                                'Acquire::Check-'))]
    for scheme in ('http', 'https'):
        proxy = os.environ.get(f'{scheme}_proxy') or \
            os.environ.get(f'{scheme.upper()}_PROXY')
        if proxy:
            kept.append(f'Acquire::{scheme}::Proxy "{proxy}";')
    # apt, which a newcomer types, would remove what it downloaded.
    return [*kept, 'Binary::apt::APT::Keep-Downloaded-Packages "true";']


def _sources(release):
    main, security = mirrors()
    return ''.join(f'deb [signed-by={KEYRING}] {uri} {release}{suite} main\n'
                   for uri, suite in ((main, ''), (main, '-updates'),
                                      (main, '-backports'), (security, '-security')))


def _make(release, place, say):
    """A clean root of a release at `place`, which is not there."""
    if not shutil.which('mmdebstrap'):
        raise DebianError('mmdebstrap is not installed')
    if os.geteuid():
        raise DebianError('a clean root belongs to root: there is no making it as another')
    say(f'a clean Debian {release} (mmdebstrap)')
    own, backports = KERNELS[release]
    archives = place.parent / 'archives'
    archives.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=place.parent) as scratch:
        scratch = Path(scratch)
        (scratch / 'sources.list').write_text(_sources(release), 'utf-8')
        (scratch / 'apt.conf').write_text('\n'.join(_host_settings()) + '\n', 'utf-8')
        root = scratch / 'root'
        # What it mounts is nobody else's, and does not stay if it is killed.
        call(['unshare', '--mount', 'mmdebstrap', '--mode=root', '--variant=important',
              '--format=directory', f'--aptopt={scratch}/apt.conf',
              '--include=' + ','.join([*PACKAGES, *own]),
              '--skip=essential/unlink,cleanup/apt',
              f'--setup-hook=mkdir -p "$1/{_DOWNLOADS}" && '
              f'cp -lf {archives}/*.deb "$1/{_DOWNLOADS}" || :',
              release, root, scratch / 'sources.list'])
        (root / 'etc/resolv.conf').write_text('', 'ascii')
        (root / 'etc/resolv.conf').chmod(0o644)
        _check(enter(root, ['sh', '-c', _SETTLE]))
        if backports:
            _check(enter(root, ['apt-get', 'install', '-y', '--no-install-recommends',
                                '-t', f'{release}-backports', *backports]))
        keep_downloads(root)
        root.rename(place)


def _check(done):
    if done.returncode:
        raise DebianError(f'{done.args[-1][:60]}: status {done.returncode}')


def keep_downloads(root):
    """What a root has downloaded is taken out of it, for the next one."""
    archives = root.parent.parent / 'archives'
    for deb in (root / _DOWNLOADS).glob('*.deb'):
        if not (archives / deb.name).exists():
            os.link(deb, archives / deb.name)
        deb.unlink()


def base(release, build, say=_quiet):
    """The root that copies are made of: made if it is not there, or a day old."""
    if release not in KERNELS:
        raise DebianError(f'no image of "{release}": there is {", ".join(KERNELS)}')
    directory = (build / 'vm' / 'images' / release).resolve()
    root, stamp = directory / 'root', directory / 'made'
    recipe = f'{_SETTLE}{PACKAGES}{KERNELS[release]}'
    with locked(directory):
        have = stamp.exists() and stamp.read_text('utf-8') == recipe
        if have and time.time() - stamp.stat().st_mtime < LISTS_LAST:
            return root
        new = directory / 'new'
        shutil.rmtree(new, ignore_errors=True)
        try:
            _make(release, new, say)
        except DebianError as error:
            if not have:
                raise
            say(f'{error}; the image of an earlier day will do')
            return root
        stamp.unlink(missing_ok=True)
        shutil.rmtree(root, ignore_errors=True)
        new.rename(root)
        stamp.write_text(recipe, 'utf-8')
    return root


@contextmanager
def fresh(release, build, say=_quiet):
    """A copy of the clean root, gone after `with`; the packages that were
    downloaded before lie in its cache, and those that it downloads are kept."""
    root = base(release, build, say)
    with locked(root.parent):
        _sweep(root.parent)
        place = Path(tempfile.mkdtemp(dir=root.parent, prefix='copy-'))
        held = os.open(place, os.O_RDONLY)
        fcntl.flock(held, fcntl.LOCK_EX)
    copy = place / 'root'
    try:
        with locked(root.parent):
            call(['cp', '-a', '--reflink=auto', root, copy])
            for deb in (root.parent / 'archives').glob('*.deb'):
                os.link(deb, copy / _DOWNLOADS / deb.name)
        yield copy
    finally:
        keep_downloads(copy)
        shutil.rmtree(place, ignore_errors=True)
        os.close(held)


def _sweep(directory):
    """Copies whose users were killed: nobody holds them."""
    for place in directory.glob('copy-*'):
        held = os.open(place, os.O_RDONLY)
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(place, ignore_errors=True)
        except BlockingIOError:
            pass
        finally:
            os.close(held)


def kernels(root):
    """The kernels that are installed in a root, the oldest first."""
    names = [path.name.removeprefix('vmlinuz-') for path in
             (root / 'boot').glob('vmlinuz-*')]
    return sorted(names, key=lambda name: [int(part) for part in
                                           name.partition('-')[0].partition('+')[0].split('.')])


def words_to_enter(root, words, binds=(), env=None, user=None):
    """The words that run a command in a root, as root or as `user`, with this
    machine's network, and processes of its own that end with it. `binds`: pairs of
    a path here and one within, below /run if it is to leave no directory behind."""
    home = f'/home/{user}' if user else '/root'
    settings = {'PATH': '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
                'HOME': home, 'USER': user or 'root', 'LOGNAME': user or 'root',
                'LC_ALL': 'C.UTF-8', 'TERM': 'dumb',
                'DEBIAN_FRONTEND': 'noninteractive', **(env or {})}
    pairs = [str(Path(path).resolve()) if number == 0 else str(path)
             for pair in binds for number, path in enumerate(pair)]
    become = ['runuser', '-u', user, '--'] if user else []
    return ['setpriv', '--pdeathsig', 'KILL',
            'unshare', '--mount', '--uts', '--pid', '--fork', '--kill-child=KILL',
            'sh', '-c', _ENTER, 'sh', str(Path(root).resolve()), *pairs, '--',
            '-i', '-C', home, *(f'{name}={value}' for name, value in settings.items()),
            *become, *map(str, words)]


def enter(root, words, binds=(), env=None, user=None, **options):
    """Run a command in a root; `options` are those of subprocess.run(), whose
    result it returns. What it prints is returned too, unless they say where to."""
    if not options.keys() & {'stdout', 'stderr', 'capture_output'}:
        options |= {'stdout': subprocess.PIPE, 'stderr': subprocess.STDOUT}
    if 'input' not in options:
        options.setdefault('stdin', subprocess.DEVNULL)
    return subprocess.run(words_to_enter(root, words, binds, env, user),
                          check=False, **{'text': True, 'errors': 'replace', **options})


def main(words):
    """image.py shell RELEASE"""
    if len(words) != 2 or words[0] != 'shell':
        print(__doc__, file=sys.stderr)
        return 2
    build = Path(os.environ.get('O', 'build'))
    with fresh(words[1], build, lambda text: print(text, file=sys.stderr)) as root:
        return enter(root, ['bash', '-i'], stdin=None, stdout=None).returncode


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
