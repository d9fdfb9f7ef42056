# SPDX-License-Identifier: MIT
"""Packages of any Debian release, below build/ and installed nowhere.

apt is used as it is on this machine, proxies and all, but with lists, a cache
and a list of installed packages (an empty one) of its own; so it works out what
a package needs, whatever this machine has. What came is unpacked, no script of
a package is run, and a command can be run within.

None of it needs root. Where it is not there, user namespaces take its place.
"""

import fcntl
import os
import re
import subprocess
import tarfile
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

KEYRING = '/usr/share/keyrings/debian-archive-keyring.gpg'
DEFAULT_MIRROR = 'http://deb.debian.org/debian'
DEFAULT_SECURITY = 'http://deb.debian.org/debian-security'
LISTS_LAST = 24 * 60 * 60

# What a build needs that no package of the kernel's depends on: what is
# essential to Debian, and binutils for `as`. Newer headers ask for x86_64's own
# alone, while gcc calls it by its plain name; and a kernel's make that cannot
# assemble does not fail, but takes each option that it tries for unknown.
TOOLS = ('bash', 'binutils', 'coreutils', 'dash', 'diffutils', 'findutils',
         'grep', 'make', 'mawk', 'perl', 'sed', 'sparse')

# In a root: with what it was made.
_MADE_WITH = 'tools'

# Of a kernel's modules, those that a guest may be given (kernel.py), and what they
# in turn need: the rest is most of a kernel's packages.
DRIVERS = ('arch/x86/crypto/', 'block/', 'crypto/', 'drivers/block/zram/',
           'drivers/net/wireguard/', 'drivers/nvme/', 'fs/ext4/', 'fs/jbd2/',
           'fs/mbcache.ko', 'lib/', 'mm/', 'net/ipv4/udp_tunnel.ko',
           'net/ipv6/ip6_udp_tunnel.ko')

# With what a root is made: one of another day's is no longer whole.
_MAKING = ' '.join((*TOOLS, *DRIVERS))

# As every Debian has them since 12, while its packages did not all say so.
_MERGED = ('bin', 'sbin', 'lib', 'lib64')

# $1 is the root; directories that are the same inside and outside follow, up to
# a "--", and then a command. The mounts end with the namespace: no way to end
# leaves one.
_ENTER = r'''
set -e
root=$1 work=$2
shift
mount --rbind /proc "$root/proc"
mount --rbind /dev "$root/dev"
while [ "$1" != -- ]; do
    mkdir -p "$root$1"
    mount --rbind "$1" "$root$1"
    shift
done
shift
exec chroot "$root" /usr/bin/env -C "$work" "$@"
'''


class DebianError(Exception):
    """No packages, and why not, for a person to read."""


def call(words, cwd=None):
    """A command's output, or DebianError with the end of what it said."""
    try:
        return subprocess.run(words, cwd=cwd, check=True, text=True,
                              capture_output=True).stdout
    except FileNotFoundError:
        raise DebianError(f'{words[0]} is not installed') from None
    except subprocess.CalledProcessError as error:
        # apt warns ("W: ") of much that does not matter.
        tail = [line for line in error.stderr.strip().splitlines()
                if not line.startswith('W: ')][-3:]
        raise DebianError(' '.join([*map(str, words[:6]), 'failed:', *tail])) \
            from None


@contextmanager
def locked(directory):
    """One at a time: two machines may be started at once."""
    directory.mkdir(parents=True, exist_ok=True)
    with open(directory / '.lock', 'w', encoding='ascii') as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def mirrors():
    """Where this machine's own apt gets Debian from: main and security."""
    main, security = DEFAULT_MIRROR, DEFAULT_SECURITY
    targets = call(['apt-get', 'indextargets', '--format',
                    '$(REPO_URI) $(RELEASE) $(COMPONENT)',
                    'Created-By: Packages'])
    release = re.search(r'^VERSION_CODENAME=(\w+)$',
                        Path('/etc/os-release').read_text('utf-8'), re.M)
    own = release[1] if release else 'stable'
    for line in targets.splitlines():
        uri, suite, component = line.split()
        if component == 'main' and suite == own:
            main = uri
        elif component == 'main' and suite == f'{own}-security':
            security = uri
    return main, security


class Debian:
    """One release: what apt knows of it, and what was downloaded of it."""

    def __init__(self, release, build):
        self._release = release
        self._place = (build / 'vm' / 'debian' / release).resolve()
        self._archives = self._place / 'cache' / 'archives'
        self._stamp = self._place / 'updated'

    def _configure(self):
        for folder in ('state/lists/partial', 'cache/archives/partial'):
            (self._place / folder).mkdir(parents=True, exist_ok=True)
        (self._place / 'status').write_text('', encoding='ascii')
        main, security = mirrors()
        (self._place / 'sources.list').write_text(''.join(
            f'deb [signed-by={KEYRING}] {uri} {self._release}{suite} main\n'
            for uri, suite in ((main, ''), (main, '-updates'),
                               (main, '-backports'), (security, '-security'))),
            encoding='utf-8')
        # apt would take nothing from there of its own accord, nor what a kernel
        # from there needs.
        (self._place / 'preferences').write_text(
            'Package: linux-*\n'
            f'Pin: release n={self._release}-backports\n'
            'Pin-Priority: 500\n', encoding='ascii')
        place = self._place
        (place / 'apt.conf').write_text(f'''\
Dir::Etc::sourcelist "{place}/sources.list";
Dir::Etc::sourceparts "/dev/null";
Dir::Etc::preferences "{place}/preferences";
Dir::Etc::preferencesparts "/dev/null";
Dir::State "{place}/state";
Dir::State::status "{place}/status";
Dir::Cache "{place}/cache";
APT::Architecture "amd64";
#clear APT::Architectures;
APT::Architectures {{ "amd64"; }};
APT::Sandbox::User "root";
Acquire::Languages "none";
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
#clear DPkg::Post-Invoke;
''', encoding='utf-8')

    def _apt(self, tool, *words, cwd=None):
        return call([tool, '-q', '-c', self._place / 'apt.conf', *words], cwd)

    def update(self, say, force=False):
        """Bring the lists up to date: once a day, or now. Without a network
        those from an earlier day will do."""
        old = self._stamp.stat().st_mtime if self._stamp.exists() else None
        if old and not force and time.time() - old < LISTS_LAST:
            return
        self._configure()
        say(f'what Debian {self._release} has today (apt-get update)')
        try:
            self._apt('apt-get', '-o', 'APT::Update::Error-Mode=any', 'update')
        except DebianError as error:
            if not old:
                raise
            say(f'{error}; the lists from an earlier day will do')
            return
        self._stamp.touch()

    def dependencies(self, package):
        """What each version of a package depends on, the newest first."""
        shown = self._apt('apt-cache', 'show', package)
        return re.findall(r'^Depends: (.*)$', shown, re.M)

    def names(self, start):
        """The packages that begin with this."""
        return self._apt('apt-cache', 'pkgnames', start).split()

    def unpack_alone(self, packages, root, say):
        """Download packages and nothing that they need, and unpack them. The
        caller holds `self.lock()`."""
        say(f'{" and ".join(packages)} (apt-get download)')
        with tempfile.TemporaryDirectory(dir=self._place) as scratch:
            self._apt('apt-get', 'download', *packages, cwd=scratch)
            for deb in sorted(Path(scratch).glob('*.deb')):
                _unpack(deb, root)

    def unpack(self, packages, root, say):
        """Download packages with all that they need, and make a root of them.
        The caller holds `self.lock()`."""
        wanted = [*packages, *TOOLS]
        install = ['install', '--no-install-recommends', '-y', *wanted]
        plan = self._apt('apt-get', *install, '--simulate')
        names = [f'{name}_{version}_{arch}.deb'.replace(':', '%3a')
                 for name, version, arch in
                 re.findall(r'^Inst (\S+) \((\S+) .*\[(\w+)\]\)', plan, re.M)]
        say(f'{packages[0]} and {len(names) - 1} packages that its build '
            'needs (apt-get install --download-only)')
        self._apt('apt-get', *install, '--download-only')
        for name in _MERGED:
            (root / 'usr' / name).mkdir(parents=True)
            (root / name).symlink_to(f'usr/{name}')
        for name in ('proc', 'dev', 'tmp'):
            (root / name).mkdir()
        for name in names:
            _unpack(self._archives / name, root)
            # Of no use to another kernel, and large.
            if name.startswith('linux-'):
                (self._archives / name).unlink()
        # Chosen by a script of the package's, which is not run.
        if not (root / 'usr/bin/awk').exists():
            (root / 'usr/bin/awk').symlink_to('mawk')
        (root / _MADE_WITH).write_text(_MAKING, encoding='ascii')

    def lock(self):
        """Held by whoever uses apt here."""
        return locked(self._place)


def _unpack_drivers(deb, root):
    """Of a kernel's packages, the modules that a guest may be given."""
    with subprocess.Popen(['dpkg-deb', '--fsys-tarfile', deb],
                          stdout=subprocess.PIPE) as data, \
            tarfile.open(fileobj=data.stdout, mode='r|') as archive:
        for member in archive:
            place = re.match(r'\./(?:usr/)?(lib/modules/[^/]+/kernel/)(.*)',
                             member.name)
            if place and member.isfile() and place[2].startswith(DRIVERS):
                path = root / 'usr' / place[1] / place[2]
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(archive.extractfile(member).read())


def _unpack(deb, root):
    """One package; of a kernel's modules, which are most of it, only DRIVERS."""
    words = ['tar', '-x', '-C', root, '--keep-directory-symlink',
             '--no-same-owner', '--no-same-permissions',
             '--exclude', '*/lib/modules/*/kernel']
    with subprocess.Popen(['dpkg-deb', '--fsys-tarfile', deb],
                          stdout=subprocess.PIPE) as data:
        done = subprocess.run(words, stdin=data.stdout, check=False, text=True,
                              stderr=subprocess.PIPE)
    if done.returncode or data.returncode:
        raise DebianError(f'{deb.name} could not be unpacked: '
                          f'{done.stderr.strip()[-200:]}')
    if deb.name.startswith('linux-'):
        _unpack_drivers(deb, root)


def is_whole(root):
    """Is this a root with all that is in one today?"""
    made_with = root / _MADE_WITH
    return made_with.exists() and made_with.read_text(encoding='ascii') == _MAKING


def run_within(root, places, words):
    """Run a command with `root` as its root and `places` (the first is where it
    runs) as they are out here; its exit status. Descriptors are handed on:
    make's job server is one."""
    flags = os.environ.get('MAKEFLAGS', '').partition(' -- ')[0]
    environment = {'PATH': '/usr/sbin:/usr/bin', 'HOME': '/tmp', 'LC_ALL': 'C',
                   'MAKEFLAGS': flags}
    namespace = ['unshare', '--mount']
    if os.geteuid() != 0:
        namespace.append('--map-root-user')
    try:
        return subprocess.run(
            [*namespace, 'sh', '-c', _ENTER, 'sh', root.resolve(),
             *(place.resolve() for place in places), '--', *words],
            env=environment, close_fds=False,
            check=False).returncode
    except FileNotFoundError:
        raise DebianError('unshare is not installed') from None
