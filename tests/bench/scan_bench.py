#!/usr/bin/python3
# SPDX-License-Identifier: MIT
#
# How fast lethectl scan searches: a process with so much memory that is full of noise, for
# a secret that is not there, in all forms; beside grep(1), which looks for its bytes alone in
# a file in memory that has the same length. By the processor's time, all of it, so that
# others on the machine do not count. A table of tab-separated values on stdout.
#
#	scan_bench.py LETHECTL DIRECTORY [MIB [ROUNDS]]		where scan_subject is
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile

LETHECTL, DIRECTORY = sys.argv[1], sys.argv[2]
MIB = int(sys.argv[3]) if len(sys.argv) > 3 else 1024
ROUNDS = int(sys.argv[4]) if len(sys.argv) > 4 else 7
GOAL = 1.0


def key(length):
    """Of letters, which grep takes for what they are."""
    return ''.join('abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+/'[b % 64]
                   for b in os.urandom(length)).encode()


def spent(command, expected, **more):
    """Its output, and seconds of the processor's time."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    run = subprocess.run(command, stdout=subprocess.PIPE, check=False, **more)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if run.returncode != expected:
        raise SystemExit('%s: exit status %d: %s' % (command[0], run.returncode,
                                                     run.stdout.decode()[:400]))
    return run.stdout, (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


def scan(pid, secret):
    with tempfile.TemporaryFile() as file:
        file.write(secret)
        file.seek(0)
        said, seconds = spent([LETHECTL, 'scan', '--json', '--pid', str(pid), '--secret-fd',
                               str(file.fileno())], 0, pass_fds=[file.fileno()])
    said = json.loads(said)
    return said['searched_bytes'] / seconds / 2 ** 30, said['stopped_ns'] / 1e9


def grep(path, secret):
    _, seconds = spent(['grep', '-a', '-c', '-F', '-e', secret.decode(), path], 1,
                       env={'LC_ALL': 'C'})
    return os.stat(path).st_size / seconds / 2 ** 30


def spread(values):
    return '%.2f..%.2f' % (min(values), max(values))


def row(name, ours, peer, goal):
    median = statistics.median(ours)
    other = statistics.median(peer) if peer else None
    print('\t'.join((name, '%.2f' % median, '%.2f' % other if peer else '-',
                     'grep -F' if peer else '-', '%.2f' % (median / other) if peer else '-',
                     '%.2f' % goal if goal else '-',
                     ('yes' if median >= goal else 'no') if goal else '-', spread(ours))))


def main():
    print('\t'.join('metric ours peer peer_name ratio goal met spread'.split()))
    with tempfile.NamedTemporaryFile() as count, tempfile.NamedTemporaryFile(
            dir='/dev/shm') as noise:
        count.write(bytes(4096))
        count.flush()
        for _ in range(MIB):
            noise.write(os.urandom(1 << 20))
        noise.flush()
        target = subprocess.Popen([os.path.join(DIRECTORY, 'scan_subject'), 'count', count.name,
                                   str(MIB)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        try:
            target.stdout.readline()
            for length in 16, 32, 256, 4096, 16384:
                ours, peer, stopped = [], [], []
                for _ in range(ROUNDS):
                    secret = key(length)
                    speed, seconds = scan(target.pid, secret)
                    ours.append(speed)
                    stopped.append(seconds)
                    peer.append(grep(noise.name, secret))
                row('a secret of %d bytes, GiB a second' % length, ours, peer,
                    GOAL if length in (32, 4096) else None)
                if length == 32:
                    row('stopped for it, seconds, of %d MiB' % MIB, stopped, [], None)
        finally:
            target.kill()
            target.wait()


main()
