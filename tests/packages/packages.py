#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The packages on a clean machine: installed, used on each kernel that the release has,
purged, and nothing of them left. A KTAP document on stdout.

    packages.py RELEASE DIRECTORY-OF-DEBS

What is compared is each file of the machine: its mode, owner, size and bytes. A control
finds what the packages put there while they are installed, and a leftover that was put
there by hand. Nothing is built or loaded by hand: that is for what is installed.
"""

import os
import re
import sys
import time
from pathlib import Path

import image
import tap
from debian import DebianError
from kernel import KernelError
from listing import content, differences, metadata_of, metadata_said
from machine import MachineError

HERE = Path(__file__).resolve().parent
_DEBS = '/run/debs'
OURS = ('liblethe0', 'liblethe-dev', 'lethe-tools', 'lethe-dkms')

# What a newcomer types besides: README.md has it too.
COMPILER = ('gcc', 'libc6-dev', 'pkgconf')


class Document:
    """Results, as they come."""

    def __init__(self):
        self._points = []
        self._begun = time.monotonic()

    def point(self, good, sentence, notes=()):
        """One result; its notes are told where it is none."""
        self._points.append((good, sentence, [] if good else list(notes)))
        print(f'# {time.monotonic() - self._begun:.0f} s: {sentence}'
              f'{"" if good else " - NOT"}', file=sys.stderr, flush=True)
        return good

    def guest(self, booted, kernel):
        """The results that a script in the guest printed (guest.sh), and how it ended."""
        found = re.findall(r'^(not )?ok - (.*)$', booted.output, re.M)
        for bad, sentence in found:
            self.point(not bad, f'{kernel}: {sentence}', booted.output.splitlines()[-60:])
        planned = re.search(r'^1\.\.(\d+)$', booted.output, re.M)
        self.point(bool(planned) and int(planned[1]) == len(found) and not booted.lost,
                   f'{kernel}: every check was made, and the machine ends', booted.why())
        self.point(not booted.log, f"{kernel}: the kernel's log is clean", booted.why())

    def write(self):
        """The document, with its plan; whether all is well."""
        print(tap.write(self._points), end='')
        return all(good for good, _, _ in self._points)


def headers(kernel):
    """The package of a kernel's headers."""
    return f'linux-headers-{kernel}'


def apt_get(root, debs, *words):
    """apt-get in a root. dkms recommends the headers of a kernel that is not the
    cloud's, for which it would then build too: a minute, and nothing to be seen."""
    return image.enter(root, ['apt-get', '-y', '-q', '--no-install-recommends', *words],
                       [(debs, _DEBS)])


def files_of(debs):
    """The packages, where apt_get() has them in the root."""
    return [f'{_DEBS}/{path.name}' for path in sorted(debs.glob('*.deb'))
            if 'dbgsym' not in path.name]


def install(root, debs, kernels, document):
    """What a newcomer types; the oldest kernel's headers come after the packages."""
    files = files_of(debs)
    document.point(sorted(name.split('_')[0] for name in map(os.path.basename, files)) ==
                   sorted(OURS), 'there are four packages', files)
    *others, newest = kernels
    done = apt_get(root, debs, 'install', headers(newest), *COMPILER, *files)
    document.point(done.returncode == 0, 'they are installed, with what they need',
                   done.stdout.splitlines()[-40:])
    print(*(f'#   {line}' for line in done.stdout.splitlines()
            if re.search(r'lethe|dkms|newly installed', line)), sep='\n', file=sys.stderr)
    document.point(bool(module(root, newest)),
                   f'lethe-dkms has built the module for {newest}',
                   done.stdout.splitlines()[-40:])
    done = apt_get(root, debs, 'install', '--reinstall', *files)
    document.point(done.returncode == 0 and bool(module(root, newest)),
                   'they are installed over themselves', done.stdout.splitlines()[-40:])
    for kernel in others:
        done = apt_get(root, debs, 'install', headers(kernel))
        document.point(done.returncode == 0 and bool(module(root, kernel)),
                       f'headers that come later have the module built for {kernel}',
                       done.stdout.splitlines()[-40:])


def module(root, kernel):
    """Where DKMS has put the module, or nothing."""
    return list((root / 'lib/modules' / kernel / 'updates/dkms').glob('lethe.ko*'))


def compile_section(root, document):
    """A program of three lines, built as README.md says, for the guests."""
    home = root / 'home' / image.USER
    (home / 'section.c').write_text((HERE / 'section.c').read_text('utf-8'), 'utf-8')
    done = image.enter(root, ['sh', '-c', 'cc -Wall -Wextra -Werror -o section section.c '
                              '$(pkg-config --cflags --libs lethe) && ./section'],
                       user=image.USER)
    document.point(done.returncode == 0 and 'memfd_secret' in done.stdout,
                   'a program is built by pkg-config, and runs before the module is loaded',
                   done.stdout.splitlines())


def script(name, kernels):
    """What the guest runs: its functions, then this part of it."""
    words = ' '.join([*OURS, *COMPILER, *map(headers, kernels)])
    return f'PACKAGES="{words}"\nVERB={name}\n' + ''.join(
        (HERE / name).read_text('utf-8') for name in ('try.sh', 'guest.sh'))


def try_out(release, debs, build, document):
    """All of it, in one copy of the clean root."""
    with image.fresh(release, build, lambda text: print(f'# {text}', file=sys.stderr)) as root:
        kernels = image.kernels(root)
        before = content(root), metadata_of(image.enter, root)
        selections = image.enter(root, ['dpkg-query', '-W']).stdout
        install(root, debs, kernels, document)
        compile_section(root, document)
        image.keep_downloads(root)
        found = differences(before, (content(root), metadata_of(image.enter, root)))
        ours = [f for f in ('/usr/bin/lethectl', '/etc/modprobe.d/lethe.conf',
                            '/usr/include/lethe.h') if f not in found]
        document.point(not ours, 'control: the comparison finds what was installed', ours)

        *others, last = kernels
        for kernel in others:
            document.guest(image.boot(root, kernel, script('use', kernels), timeout=900), kernel)
        booted = image.boot(root, last, script('purge', kernels), timeout=1200)
        document.guest(booted, last)
        back = root.parent / 'back'
        booted.read_back(back)
        after = content(back), metadata_said(booted.output)
        left = differences(before, after)
        document.point(not left, 'after the purge each file of the machine is as it was',
                       left[:40])
        document.point(selections == booted.output.partition('PACKAGES:\n')[2]
                       .partition('END\n')[0],
                       'and so is each package that is known to dpkg',
                       booted.output.splitlines()[-40:])
        (back / 'etc/modprobe.d/lethe-left.conf').write_text('\n', 'ascii')
        found = differences(before, (content(back), after[1]))
        document.point('/etc/modprobe.d/lethe-left.conf' in found,
                       'control: a file that had been left would be found', found[:40])


def main(words, usage, tried):
    """RELEASE DIRECTORY-OF-DEBS: have `tried` do it, and write the document."""
    if len(words) != 2:
        print(usage, file=sys.stderr)
        return 2
    document = Document()
    try:
        tried(words[0], Path(words[1]), Path(os.environ.get('O', 'build')), document)
    except (DebianError, KernelError, MachineError, OSError) as error:
        document.point(False, f'Debian {words[0]} is had and tried', str(error).splitlines())
    return 0 if document.write() else 1


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:], __doc__, try_out))
