#!/usr/bin/python3
# SPDX-License-Identifier: MIT
#
# lethectl scan: what it does to the processes that it searches, which is nothing; what
# it says of what it cannot read; and what it refuses. KTAP on stdout.
#
#	scan_test.py LETHECTL DIRECTORY		where scan_subject is
import contextlib
import ctypes
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time

from scanning import DIRECTORY, LETHECTL, Subject, answer, command, end, is_refused, key, \
    note, opened, result, scan

PLANNED = 49


def undisturbed():
    secret = key()
    with Subject('count', 16, secret) as subject:
        status, said = answer(subject.pid, secret)
        result(status == 1 and said['found'] == 1 and said['findings'][0]['whole'],
               'control: what a process has is found')
        result(subject.goes_on() and subject.status('TracerPid') == '0',
               'the process goes on afterwards, and is traced by nobody')
        result(scan(subject.pid, key()).returncode == 0, 'what it has not is not found')
        libc = ctypes.CDLL(None, use_errno=True)
        with opened(secret) as fd:
            scanning = [subprocess.Popen(command(subject.pid, fd), pass_fds=[fd],
                                         stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)]
            for number in range(500):
                libc.sigqueue(subject.pid, signal.SIGRTMIN, ctypes.c_void_p(number))
                time.sleep(0.001)
                if scanning[-1].poll() is not None:
                    os.lseek(fd, 0, os.SEEK_SET)
                    scanning.append(subprocess.Popen(
                        command(subject.pid, fd), pass_fds=[fd], stdout=subprocess.DEVNULL,
                        stderr=subprocess.DEVNULL))
            scanning[-1].wait()
        subject.goes_on()
        result(subject.counts()[1] == 500 and len(scanning) > 1,
               'no signal is lost nor comes twice, in %d scans' % len(scanning))
        os.kill(subject.pid, signal.SIGSTOP)
        time.sleep(0.05)
        status, said = answer(subject.pid, secret)
        result(status == 1 and subject.status('State') == 'T' and not subject.goes_on_soon(),
               'one that was stopped is searched, and stays stopped')
        os.kill(subject.pid, signal.SIGCONT)
        result(subject.goes_on(), 'and goes on when it is told to')


def signals():
    """Of what comes between the seizure of a thread and its stop, lethectl has the first."""
    secret = key()
    with Subject('count', 1, secret) as subject, opened(secret) as fd:
        libc, met, before = ctypes.CDLL(None, use_errno=True), 0, subject.counts()[1]
        for _ in range(5):
            os.lseek(fd, 0, os.SEEK_SET)
            with subprocess.Popen(
                    command(subject.pid, fd), pass_fds=[fd], stdout=subprocess.DEVNULL,
                    env={'LD_PRELOAD': os.path.join(DIRECTORY, 'scan_slowly.so')}) as scanning:
                while scanning.poll() is None and subject.status('TracerPid') == '0':
                    pass
                for number in range(3):
                    libc.sigqueue(subject.pid, signal.SIGRTMIN, ctypes.c_void_p(number))
                until = time.monotonic() + 0.08
                while subject.status('State') != 't' and time.monotonic() < until:
                    pass
                met += subject.status('State') == 't'
                scanning.wait()
            subject.goes_on()
        result(met > 2 and subject.counts()[1] - before == 15,
               'a signal that stops it before lethectl does is given back: %d of 15 arrive' %
               (subject.counts()[1] - before))


def killed():
    """lethectl dies in the midst of it, of this signal: how often it was met so."""
    with Subject('count', 256) as subject:
        for number in (signal.SIGKILL, signal.SIGTERM, signal.SIGINT):
            met, good = 0, True
            for _ in range(15):
                with opened(key()) as fd:
                    scanning = subprocess.Popen(command(subject.pid, fd), pass_fds=[fd],
                                                stdout=subprocess.DEVNULL,
                                                stderr=subprocess.DEVNULL)
                    while scanning.poll() is None and subject.status('TracerPid') == '0':
                        pass
                    time.sleep(random.random() * 0.02)
                    stopped = subject.status('State') == 't'
                    scanning.send_signal(number)
                    met += stopped and scanning.wait() == -number
                good &= subject.goes_on() and subject.status('State') in 'SR'
            result(good and met > 7, 'of %s in the midst of it lethectl dies, and leaves it '
                   'running (%d times of 15)' % (number.name, met))
        with opened(key()) as fd:
            scanning = subprocess.Popen(command(subject.pid, fd, '--json'), pass_fds=[fd],
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            while subject.status('State') != 't':
                pass
            os.kill(subject.pid, signal.SIGKILL)
            said = json.loads(scanning.communicate()[0])
        if not result(scanning.returncode == 2 and said['verdict'] == 'unknown' and
                      'ended' in said['error'],
                      'of one that is killed meanwhile it is not known'):
            note('%d: %s' % (scanning.returncode, said))


def own_copies():
    secret = key()
    with Subject('count', 512) as subject, opened(secret) as fd:
        scanning = subprocess.Popen(command(subject.pid, fd), pass_fds=[fd],
                                    stdout=subprocess.DEVNULL)
        while subject.status('State') != 't':
            pass
        os.kill(scanning.pid, signal.SIGSTOP)
        time.sleep(0.05)
        midst = subject.status('State') == 't'
        status, said = answer(scanning.pid, secret)
        os.kill(scanning.pid, signal.SIGCONT)
        scanning.wait()
        if not result(midst and status == 0 and said['searched_bytes'] > 1 << 20,
                      'lethectl itself, searched in the midst of a scan, has no copy'):
            note(json.dumps(said, indent=1))


def threads():
    secret = key()
    with Subject('threads', 3000, secret) as subject:
        status, said = answer(subject.pid, secret)
        result(status == 1 and said['threads'] == 3001 and said['found'] == 1,
               '3001 threads are all stopped and searched')
        note('stopped for %.0f ms' % (said['stopped_ns'] / 1e6))
        result(subject.goes_on(), 'and go on')
    for way, what in (('spawn', 'makes threads'), ('fork', 'forks')):
        with Subject(way, 0, secret) as subject:
            good = all(answer(subject.pid, secret)[0] == 1 and
                       scan(subject.pid, key()).returncode == 0 for _ in range(20))
            result(good and subject.goes_on(), 'one that %s all the time is searched and goes on'
                   % what)
    with Subject('exec') as subject:
        statuses = [scan(subject.pid, secret).returncode for _ in range(30)]
        result(set(statuses) <= {0, 2} and statuses.count(0) > 15 and subject.goes_on(),
               'one that executes programs all the time goes on; %d of 30 scans could tell'
               % statuses.count(0))
    with Subject('leader', 0, secret) as subject:
        status, said = answer(subject.pid, secret)
        result(subject.status('State') == 'Z' and status == 1 and said['found'] == 1 and
               subject.goes_on(), 'one whose first thread has ended is searched')
    with Subject('vfork', 0, secret) as subject:
        status, said = answer(subject.pid, secret)
        other, nothing = answer(subject.pid, key())
        result(status == 1 and other == 2 and 'did not stop' in str(nothing['notes']),
               'of a thread that waits for its child of vfork(2) the registers are unknown, '
               'and so is the verdict')


def unreadable():
    secret = key()
    with Subject('secret', 0, secret) as subject:
        if subject.answer == 'none':
            for _ in range(2):
                result(True, 'secret pages', 'no memfd_secret')
        else:
            status, said = answer(subject.pid, secret)
            result(status == 0 and len(said['protected']) == 1 and
                   said['protected'][0]['bytes'] == 65536 and
                   said['protected'][0]['why'] == 'memfd_secret' and not said['unreadable'],
                   'secret pages cannot be read: they are named, with what protects them')
            result(b'protected: 64 KiB' in scan(subject.pid, secret).stdout, 'in text, too')
    with Subject('device') as subject:
        if subject.answer == 'none':
            result(True, 'pages of a device', 'no perf_event_open')
        else:
            status, said = answer(subject.pid, secret)
            if said['unreadable']:
                result(status == 2 and said['verdict'] == 'unknown' and
                       scan(subject.pid, secret).returncode == 2,
                       'where a device\'s pages cannot be read, the verdict is unknown')
            else:
                result(True, 'pages of a device', 'this kernel lets them be read')
    with Subject('sparse', 0, secret) as subject:
        status, said = answer(subject.pid, secret)
        took = said['stopped_ns'] / 1e9
        result(status == 1 and said['found'] == 1 and took < 1,
               'a page in 100 GiB, beside a file of 100 GiB of holes: found in %.0f ms'
               % (1000 * took))
        note('%d KiB searched' % (said['searched_bytes'] >> 10))


def refused_processes():
    secret = key()
    ended = subprocess.Popen(['true'])
    ended.wait()
    result(is_refused(scan(ended.pid, secret), 'there is no process'), 'no such process')
    zombie = subprocess.Popen(['true'])
    time.sleep(0.1)
    result(is_refused(scan(zombie.pid, secret), 'has ended'), 'a process that has ended')
    zombie.wait()
    kernel = kernel_thread()
    result(kernel and is_refused(scan(kernel, secret), 'thread of the kernel'),
           'a thread of the kernel', None if kernel else 'none is seen from here')
    with Subject('count', 1) as subject:
        nobody = ('setpriv', '--reuid=65534', '--regid=65534', '--clear-groups')
        run = scan(subject.pid, secret, before=nobody) if not os.geteuid() else None
        result(run and is_refused(run, 'not allowed'), 'another user\'s process',
               None if run else 'not root')
        result(subject.goes_on(), 'which goes on')
        with opened(secret) as fd, Subject('count', 256) as other:
            first = subprocess.Popen(command(other.pid, fd), pass_fds=[fd],
                                     stdout=subprocess.DEVNULL)
            while other.status('State') != 't':
                pass
            os.kill(first.pid, signal.SIGSTOP)
            run = scan(other.pid, secret)
            os.kill(first.pid, signal.SIGCONT)
            result(first.wait() == 0 and
                   is_refused(run, 'is traced by process %d' % first.pid),
                   'one that is traced already, and by whom')
    own = 'exec "$0" scan --pid $$ --secret-fd 3 3<"$1"'
    with tempfile.NamedTemporaryFile() as file:
        file.write(secret)
        file.flush()
        run = subprocess.run(['sh', '-c', own, LETHECTL, file.name], capture_output=True,
                             check=False)
    result(is_refused(run, 'this very one'), 'itself')


def refused_secrets():
    pid = str(os.getpid())
    for secret, words, sentence in (
            (b'', 'is empty', 'an empty secret'),
            (b'seven77', 'shorter than 8', 'one of seven bytes'),
            (b'seven77\n', 'shorter than 8', 'one of seven bytes and the end of its line'),
            (bytes(32), 'by chance', 'one of zeros'),
            (bytes(range(32)), 'by chance', 'one that counts up'),
            (b'ab' * 16, 'by chance', 'one of two letters'),
            (os.urandom(16385), 'longer than 16384', 'one that is too long')):
        result(is_refused(scan(pid, secret), words), 'refused: ' + sentence)
    run = subprocess.run(command(pid, 77), capture_output=True, check=False)
    result(is_refused(run, 'descriptor 77', 'Give one that is open'),
           'a file descriptor that is not open')
    for options, words, sentence in (
            (['--pid', pid, '--secret', 'hunter2hunter2'], 'every user can read',
             'a secret on the command line'),
            (['--secret-fd', '0'], 'which process?', 'no process'),
            (['--pid', pid], 'which secret?', 'no secret'),
            (['--pid', 'x', '--secret-fd', '0'], 'is no number', 'a process that is no number'),
            (['--pid', pid, '--secret-fd', '0', '--minimum', '7'], 'from 8 on',
             'a minimum of seven bytes'),
            (['--pid', pid, '--secret-fd', '0', '--forms', 'plain,rot13'],
             'no form "rot13"', 'a form that there is not')):
        run = subprocess.run([LETHECTL, 'scan', *options], capture_output=True,
                             stdin=subprocess.DEVNULL, check=False)
        result(is_refused(run, words) and b'hunter2' not in run.stderr, 'refused: ' + sentence)
    run = scan(pid, b'0123zyxw', '--minimum', '9')
    result(is_refused(run, 'more than the 8 bytes'), 'refused: a minimum above the secret')


def options():
    secret = key()
    with Subject('count', 1, secret) as subject:
        status, said = answer(subject.pid, secret[:20] + os.urandom(12))
        result(status == 1 and [f['bytes'] for f in said['findings']] == [20] and
               said['forms'][0]['longest'] == 20, 'of twenty bytes of it, as many are found')
        part = secret[:20] + os.urandom(12)
        result(scan(subject.pid, part, '--minimum', '22').returncode == 0,
               'and none where 22 are wanted')
        result(scan(subject.pid, secret, '--forms', 'hex,base64').returncode == 0,
               'a form that is not asked for is not searched for')
        with open('/dev/full', 'w') as full:
            result(scan(subject.pid, key(), stdout=full).returncode == 2,
                   'a verdict that does not arrive is none')


def kernel_thread():
    for pid in filter(str.isdigit, os.listdir('/proc')):
        with contextlib.suppress(OSError), open('/proc/%s/stat' % pid) as file:
            if int(file.read().rpartition(')')[2].split()[6]) & 0x200000:
                return int(pid)
    return None


if __name__ == '__main__':
    sys.exit(end((undisturbed, signals, killed, own_copies, threads, unreadable, refused_processes,
                  refused_secrets, options), PLANNED))
