#!/usr/bin/python3
# SPDX-License-Identifier: MIT
#
# lethectl scan, where it is the memory that is out of the ordinary: on a disk, on huge
# pages, full of copies, or that of a process that traces another, or ends just then. KTAP
# on stdout.
#
#	scan_memory.py LETHECTL DIRECTORY	where scan_subject is
import contextlib
import ctypes
import mmap
import os
import random
import signal
import subprocess
import sys
import tempfile
import time

from scanning import DOCUMENT, Subject, answer, command, end, is_refused, key, note, opened, result, scan

PLANNED = 20
HUGE = '/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages'
PRIVATE, SHARED = 2, 1


def many():
    secret = key()
    with Subject('many', 5000, secret) as subject:
        status, said = answer(subject.pid, secret)
        form = said['forms'][0] if said['forms'] else {}
        if not result(status == 1 and said['found'] == 5001 and said['found_whole'] == 1 and
                      form['count'] == 5001 and form['longest'] == 32,
                      'of 5000 copies of half of it, and one that is whole, each is counted'):
            note({name: said[name] for name in ('found', 'found_whole', 'forms')})
        result(len(said['findings']) == 4096 and 'first 4096 are named' in str(said['notes']),
               'the first 4096 are named, and it is said')


def rss(pid):
    with open('/proc/%d/status' % pid) as file:
        lines = dict(line.split(':', 1) for line in file)
    return int(lines['VmRSS'].split()[0]), int(lines['VmSwap'].split()[0])


@contextlib.contextmanager
def swap(mib):
    """A file to swap to; taken back also if this test is killed. None: it cannot be."""
    with tempfile.TemporaryDirectory(dir='.') as directory:
        path = os.path.abspath(os.path.join(directory, 'swap'))
        with open(path, 'wb') as file:
            os.fchmod(file.fileno(), 0o600)
            os.posix_fallocate(file.fileno(), 0, mib << 20)
        keeper = subprocess.Popen(['/bin/sh', '-c', 'read -r x; /sbin/swapoff "$0"; rm -f "$0"',
                                   path], stdin=subprocess.PIPE, start_new_session=True,
                                  stderr=subprocess.DEVNULL)
        try:
            good = not subprocess.run(['/sbin/mkswap', '-q', path], check=False).returncode and \
                not subprocess.run(['/sbin/swapon', path], stderr=subprocess.PIPE,
                                   check=False).returncode
            yield path if good else None
        finally:
            keeper.stdin.close()
            keeper.wait()


def is_active(path):
    with open('/proc/swaps') as file:
        return path in file.read()


def swapped():
    secret = key()
    with swap(96) as path:
        if not path:
            for _ in range(3):
                result(True, 'memory that is swapped out', 'no swap can be had here')
            return
        with Subject('swapped', 64, secret) as subject:
            before = rss(subject.pid)
            status, said = answer(subject.pid, secret)
            after = rss(subject.pid)
            result(before[1] > 32 << 10 and status == 1 and said['found'] == 1 and
                   said['findings'][0]['whole'] and said['searched_bytes'] > 64 << 20,
                   'of memory of which %d MiB are swapped out, all is searched' %
                   (before[1] >> 10))
            note('swapped out: %d MiB before, %d after; in memory: %d, %d' % (
                before[1] >> 10, after[1] >> 10, before[0] >> 10, after[0] >> 10))
            result(scan(subject.pid, key()).returncode == 0, 'what is not there is not found')
    result(not is_active(path), 'the swap is gone again')


def other_file(secret, before):
    """Put into the file by another; in no page table of who has it mapped."""
    sentence = 'in a huge page of a file that it has not touched, it is found, too'
    libc = ctypes.CDLL(None, use_errno=True)
    fd = libc.memfd_create(b'huge', 4) if before else -1
    if fd < 0:
        result(True, sentence, 'no pages of 2 MiB')
        return
    try:
        os.ftruncate(fd, 8 << 20)
        child = os.fork()
        if not child:
            try:
                with mmap.mmap(fd, 8 << 20) as memory:
                    memory[(3 << 20) + 77:(3 << 20) + 109] = secret
            finally:
                os._exit(0)
        os.waitpid(child, 0)
        with open('/proc/meminfo') as file:
            free = next(line for line in file if line.startswith('HugePages_Free'))
        # Python has the secret: it must not be what is searched.
        program = 'import mmap, time; m = mmap.mmap(%d, 8 << 20); print(flush=True); ' \
            'time.sleep(100)'
        process = subprocess.Popen(['/usr/bin/python3', '-c', program % fd], pass_fds=[fd],
                                   stdout=subprocess.PIPE)
        process.stdout.readline()
        status, said = answer(process.pid, secret)
        process.kill()
        process.wait()
        with open('/proc/meminfo') as file:
            same = free in file.read()
        if not result(status == 1 and said['found'] == 1 and same and
                      'memfd:huge' in said['findings'][0]['place'], sentence):
            note(said)
    finally:
        os.close(fd)


def huge():
    secret = key()
    try:
        with open(HUGE) as file:
            before = file.read().strip()
        with open(HUGE, 'w') as file:
            file.write(str(int(before) + 4))
    except OSError:
        before = None
    try:
        for flags, what in ((PRIVATE, 'private'), (SHARED, 'shared')):
            with Subject('hugetlb', flags, secret) as subject:
                missing = 'no pages of 2 MiB' if subject.answer == 'none' or not before else None
                status, said = (0, {}) if missing else answer(subject.pid, secret)
                if not result(status == 1 and said['found'] == 1 and
                              said['findings'][0]['whole'],
                              'on a huge page it is found, %s' % what, missing=missing):
                    note(said)
                result(missing or scan(subject.pid, key()).returncode == 0,
                       'and nothing else, without one being taken for what is not there',
                       missing=missing)
        other_file(secret, before)
    finally:
        if before:
            with open(HUGE, 'w') as file:
                file.write(before)


def faults():
    """Whoever reads what is not there waits for a process that is stopped."""
    secret = key()
    for number, what in ((0, 'of its own'), (1, 'of a file')):
        with Subject('faults', number, secret) as subject:
            missing = 'no userfaultfd' if subject.answer == 'none' else None
            try:
                status, said = (0, {}) if missing else answer(subject.pid, secret)
            except subprocess.TimeoutExpired:
                status, said = 3, {}
            result(status == 1 and said['found_whole'] == 1,
                   'with userfaultfd, pages that are not there are not waited for, %s' % what,
                   missing=missing)


def edge():
    """It ends in zeros, and these are of pages that nobody touched."""
    secret = key()[:28] + bytes(4)
    with Subject('edge', 0, secret) as subject:
        counted = [subject.goes_on()]
        before = subject.counts()[1]
        status, said = answer(subject.pid, secret)
        counted.append(subject.goes_on())
        after = subject.counts()[1]
        if not result(status == 1 and said['found_whole'] == 2,
                      'at the end of what was touched it is found whole, its zeros behind that'):
            note(said)
        result(all(counted) and before == after == 2,
               'and the process has as many pages as before (%d, %d)' % (before, after))


def tracer():
    secret = key()
    with Subject('tracer', 0, secret) as subject:
        child = subject.children()[0]
        status, said = answer(subject.pid, secret)
        result(status == 1 and said['found'] == 1 and subject.goes_on(),
               'one that traces another is searched, and goes on')
        with open('/proc/%d/status' % child) as file:
            state = file.read()
        result('State:\tt' in state and 'TracerPid:\t%d\n' % subject.pid in state,
               'what it has stopped stays so, and its own')
        result(is_refused(scan(child, secret), 'is traced by process %d' % subject.pid),
               'which nobody else can search, and that is said')
        result(subject.goes_on(), 'nor does that disturb it')


def ends():
    secret, statuses = key(), []
    for _ in range(60):
        with Subject('exits', random.randrange(1, 200000), secret) as subject:
            time.sleep(random.random() * 0.05)
            statuses.append(scan(subject.pid, secret).returncode)
    result(set(statuses) <= {1, 2} and 1 in statuses and 2 in statuses,
           'one that ends meanwhile is never clean: found %d times of 60, else unknown' %
           statuses.count(1))
    statuses = []
    for _ in range(60):
        with Subject('exits', 10 ** 7, secret) as subject, opened(secret) as fd:
            with subprocess.Popen(command(subject.pid, fd), pass_fds=[fd],
                                  stdout=subprocess.DEVNULL,
                                  stderr=subprocess.DEVNULL) as scanning:
                while subject.status('TracerPid') == '0' and scanning.poll() is None:
                    pass
                time.sleep(random.random() * 0.004)
                os.kill(subject.pid, signal.SIGKILL)
                statuses.append(scanning.wait())
    result(set(statuses) <= {1, 2} and 2 in statuses,
           'nor one that is killed in the midst of it: found %d times of 60' % statuses.count(1))


def main():
    if os.geteuid():
        return DOCUMENT.skip_all('only root has swap and huge pages')
    return end((many, swapped, huge, faults, edge, tracer, ends), PLANNED)


if __name__ == '__main__':
    sys.exit(main())
