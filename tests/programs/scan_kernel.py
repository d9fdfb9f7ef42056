#!/usr/bin/python3
# SPDX-License-Identifier: MIT
#
# lethectl scan, where the kernel has copies of registers: those that are old are found, what
# they are is said, and those that are the registers themselves are not told twice. On the
# processor that this runs on: an emulated one does not keep what a real one does. KTAP on
# stdout.
#
#	scan_kernel.py LETHECTL DIRECTORY	where scan_kept is
import os
import subprocess
import sys
import time

from scanning import DIRECTORY, DOCUMENT, Subject, answer, end, key, note, result, scan

PLANNED = 20
NOBODY = ('setpriv', '--reuid=65534', '--regid=65534', '--clear-groups')


class Kept:
    """A thread of whose registers the kernel has copies, or had."""

    def __init__(self, way, secret):
        self.process = subprocess.Popen([os.path.join(DIRECTORY, 'scan_kept'), way],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.pid = self.process.pid
        self.process.stdin.write(secret)
        self.process.stdin.close()
        self.process.stdout.readline()
        time.sleep(0.2)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()


def kept(way, *options, part=slice(0, 32), zero=None):
    secret = key()
    # An offset in a file is not negative.
    secret = secret[:7] + bytes([secret[7] & 0x7f]) + secret[8:]
    if zero is not None:
        secret = secret[:zero] + b'\0' + secret[zero + 1:]
    with Kept(way, secret) as target:
        secret = secret[part]
        status, said = answer(target.pid, secret, *options)
        other = scan(target.pid, key())
    return status, said, other.returncode


def in_kernel(said):
    return [f for f in said['findings'] if f['in'] == 'kernel']


def area():
    status, said, other = kept('live')
    registers = {f['place'] for f in said['findings']}
    alone = all(f['in'] == 'register' for f in said['findings'])
    if not result(status == 1 and registers and alone and said['kernel']['live'] >= 16,
                  'control: what is in registers is found there: in %d of them' % len(registers)):
        note([(f['in'], f['place'], f['what'], f['bytes']) for f in said['findings']
              if f['in'] != 'register'])
    result(said['kernel']['live'] >= len(registers),
           'and known to be in the XSAVE area, and not told of twice')
    result(other == 0, 'what is nowhere is not found there either')
    # The upper halves of ymm0 to ymm15 begin with byte 16, and before them is a zero.
    status, said, _ = kept('live', zero=15)
    if not result(status == 1 and all(f['in'] == 'register' for f in said['findings']),
                  'nor is it where it reaches out of its component by a byte that fits'):
        note(in_kernel(said))
    status, said, _ = kept('stale', '--no-kernel')
    result(status == 0 and 'kernel' not in said and not said['found'],
           '--no-kernel: what the kernel keeps is left out')
    status, said, other = kept('stale')
    found = in_kernel(said)
    places = ' '.join(f['place'] for f in found)
    result(status == 1 and found and len(found) == said['found'] == len(said['findings']),
           'of registers that are zeroed, %d copies are found, all of them the kernel\'s' %
           len(found))
    result(all(f['state'] == 'stale' and '(stale)' in f['place'] and f['thread']
               for f in found), 'each is said to be stale')
    parts = ['AVX component (stale), upper half of ymm%d,' % n for n in range(16)]
    if 'zmm31' in places:
        parts += ['ZMM_Hi256 component (stale), upper half of zmm%d,' % n for n in range(16)]
        parts += ['Hi16_ZMM component (stale), zmm%d,' % n for n in range(16, 32)]
    missing = [part for part in parts if part not in places]
    if not result(not missing, 'all %d registers are named' % len(parts)):
        note(missing)
    result(other == 0, 'of another secret none')
    note('%d of %d whole, in %d bytes' % (said['found_whole'], said['found'],
                                          said['kernel']['searched_bytes']))
    # Where no register begins, nor a word.
    status, said, _ = kept('stale', part=slice(19, 30))
    found = in_kernel(said)
    result(status == 1 and len(found) >= 16 and {f['run'] for f in found} == {11} and
           {f['offset'] % 16 for f in found} == {3},
           'of 11 bytes in the middle of a register, too: %d times' % len(found))
    status, said, _ = kept('junk')
    result(status == 0 and not said['found'] and said['kernel']['searched_bytes'] > 8192,
           'once others are saved over them, none are')


def not_stopped():
    status, said, other = kept('vfork')
    found = in_kernel(said)
    places = ' '.join(f['place'] for f in found)
    if not result(status == 1 and other == 2 and 'did not stop' in str(said['notes']) and
                  len(found) >= 16 and {f['state'] for f in found} == {'in use'} and
                  'kernel: pt_regs' in places and 'AVX component (in use), upper' in places,
                  'of a thread that does not stop, the kernel\'s copies are all there is: they '
                  'are found, %d times' % len(found)):
        note('%d %d %s' % (status, other, said))


def mean(offsets):
    return sum(offsets) / len(offsets) if offsets else 0


def stack():
    """The stop itself overwrites some of it; so it is tried until both kinds are met."""
    found, tries, clean = {'dead': [], 'in use': []}, 0, True
    while not all(found.values()) and tries < 20:
        status, said, other = kept('call')
        tries += 1
        clean &= status == bool(said['findings']) and other == 0
        for finding in in_kernel(said):
            clean &= finding['bytes'] == 8 and \
                finding['place'].startswith('kernel: stack, ' + finding['state'])
            found[finding['state']].append(finding['offset'])
    result(clean and found['in use'],
           'an argument of system calls is found on the kernel\'s stack, by %d tries' % tries)
    result(found['dead'] and max(found['dead']) < mean(found['in use']),
           'dead is what is below the others: %d of %d' % (
               len(found['dead']), len(found['dead']) + len(found['in use'])))


def cost():
    secret = key()
    with Subject('threads', 10, secret) as subject:
        took = 100
        # Others may be at work here, too.
        for _ in range(5):
            begun = time.monotonic()
            status, said = answer(subject.pid, secret)
            took = min(took, time.monotonic() - begun)
    result(status == 1 and took < 1 and said['kernel']['searched_bytes'] > 11 * 16384,
           'the kernel\'s copies of 11 threads, searched within a second: %.0f ms' %
           (took * 1000))
    secret = os.urandom(16000)
    with Subject('threads', 10, secret[:32]) as subject:
        begun = time.monotonic()
        status, said = answer(subject.pid, secret)
        took = time.monotonic() - begun
        result(status == 1 and said['kernel']['words_left_out'] > 0 and
               'too long for all' in str(said['notes']),
               'of 16000 bytes not all forms fit, and that is said: %.0f ms' % (took * 1000))
        status, said = answer(subject.pid, secret[:32])
        result(status == 1 and not said['kernel']['words_left_out'], 'of 32 all do')


def without():
    secret = key()
    with Subject('count', 1, secret) as subject:
        result(scan(subject.pid, key(), '--kernel').returncode == 0,
               '--kernel: clean where they were searched')
        result(scan(subject.pid, key(), '--kernel', '--no-kernel').returncode == 2,
               '--kernel and --no-kernel: bad usage')
    program = 'import time; x = %r; print(flush=True); time.sleep(100)'
    process = subprocess.Popen([*NOBODY, '/usr/bin/python3', '-c', program % 'abcdefgh'],
                               stdout=subprocess.PIPE)
    process.stdout.readline()
    plain = scan(process.pid, secret, before=NOBODY)
    forced = scan(process.pid, secret, '--kernel', before=NOBODY)
    process.kill()
    process.wait()
    said = 'kernel\'s copies of registers were not searched: '
    if not result(plain.returncode == 0 and forced.returncode == 2 and
                  said in plain.stdout.decode() + plain.stderr.decode(),
                  'who may not look says so, and is clean without --kernel alone'):
        note(plain)
        note(forced)


def main():
    if os.geteuid() or not os.path.exists('/sys/kernel/btf/vmlinux'):
        return DOCUMENT.skip_all('only root may look, and by BTF')
    return end((area, not_stopped, stack, cost, without), PLANNED)


if __name__ == '__main__':
    sys.exit(main())
