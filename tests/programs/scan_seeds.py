#!/usr/bin/python3
# SPDX-License-Identifier: MIT
#
# lethectl scan, seeded: 500 copies of secrets, in 500 kinds of places and forms, and all
# of them found, each where it is and as what it is, and none more. KTAP on stdout.
#
#	scan_seeds.py LETHECTL DIRECTORY	where scan_target is; SEED= plants the same again
#	scan_seeds.py LETHECTL DIRECTORY FILE	only writes what is to be planted, for scan_guest
import json
import os
import random
import re
import struct
import subprocess
import sys
import tempfile

import scan_forms

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..'))
from points import Document  # noqa: E402

LETHECTL, TARGET = sys.argv[1], os.path.join(sys.argv[2], 'scan_target')
SEED = int(os.environ.get('SEED') or int.from_bytes(os.urandom(4), 'big'))
RANDOM = random.Random(SEED)
with open('/proc/cpuinfo') as cpuinfo:
    WIDE = ' avx512bw' in cpuinfo.read() and len(sys.argv) < 4

# What is said of the place of each; None: nothing of its own.
PLACES = {
    'heap': r'^\[heap\]', 'heap-large': 'anonymous memory', 'mmap': 'anonymous memory',
    'bss': 'in_bss', 'data': 'in_data', 'tls': None, 'stack': '^the stack',
    'thread-stack': '^the stack', 'thread-tls': None, 'arena': 'anonymous memory',
    'file-shared': '/tmp/scan_target', 'file-private': '/tmp/scan_target',
    'file-hole': '/tmp/scan_target', 'file-untouched': '/tmp/scan_target',
    'memfd': '/memfd:scan_target', 'memfd-untouched': '/memfd:scan_target',
    'shared': '/dev/zero', 'sysv': '/SYSV', 'locked': 'anonymous memory',
    'none': 'anonymous memory', 'write-only': 'anonymous memory',
    'exec-only': 'anonymous memory', 'read-only': 'anonymous memory', 'page-end': None,
    'buffer-end': None, 'last': None, 'two': None, 'huge': None, 'sparse': None,
    'dontdump': None, 'pageout': None, 'named': None, 'growsdown': None, 'altstack': None,
}
GENERAL = ['rax', 'rcx', 'r11', 'rbx', 'rdx', 'rsi', 'rdi', 'rbp', 'r8', 'r9', 'r10', 'r12',
           'r13', 'r14', 'r15']
# pause(2) is what these hold, for a thread that is asleep.
CALLS = GENERAL[:3]


def fit(data):
    """Eight bytes that are not met by chance, somewhere in it?"""
    for i in range(len(data) - 7):
        eight = data[i:i + 8]
        steps = {(b - a) % 256 for a, b in zip(eight, eight[1:])}
        if len(set(eight)) >= 4 and len(steps) > 1 and \
                not any(len(set(eight[j:j + 5])) == 1 for j in range(4)):
            return True
    return False


def need(form, data, secret):
    """So much of the form says as much as eight bytes of the secret."""
    ratio = round(len(data) / len(secret))
    return {'hex': {2: 16, 3: 23}, 'base64': {1: 10}, 'utf16': {2: 16, 4: 32}}.get(
        form, {}).get(ratio, 8)


class Seed:
    """One copy: of what it is, and then where it is."""

    def __init__(self, maker, form, data, whole):
        self.form, self.data, self.whole = form, data, whole
        self.forms, self.near = set(), set()
        for other, pattern in maker.patterns:
            at = pattern.find(data)
            while at >= 0:
                self.forms.add(other)
                self.near |= set(pattern[max(at - 1, 0):at])
                self.near |= set(pattern[at + len(data):at + len(data) + 1])
                at = pattern.find(data, at + 1)
        # Nothing that would make the run longer.
        self.guard = bytes([next(b for b in (0xff, 0xfe, 0xf5, 0xc1, 0xc0, 0xa5)
                                 if b not in self.near)])
        self.address = self.where = None

    def guarded(self):
        return self.guard + self.data + self.guard

    def is_found_by(self, finding):
        return (finding['run'] == len(self.data) and finding['form'] in self.forms and
                finding['whole'] == (self.whole or finding['whole']) and
                (self.address is None or finding.get('address') == self.address) and
                (self.where is None or re.search(self.where, finding['place'])))

    def __str__(self):
        return '%s, %d bytes%s, in %s at %s' % (self.form, len(self.data),
                                                ' (whole)' if self.whole else '', self.where,
                                                self.address and hex(self.address))


class Maker:
    """A process, what is planted there, and the secret that all that is of."""

    def __init__(self, secret):
        self.secret = secret
        self.patterns = [(f, d) for f, d in scan_forms.forms(secret)
                         if len(d) >= need(f, d, secret) and fit(d)]
        # libc reads its own name in vectors, and what lies behind it gets into registers.
        self.seeds, self.plants, self.environment = [], [], {'A': 'a' * 64}
        self.arguments = ['a' * 64]
        self.turn = 0

    def make(self, most=10 ** 6, least=0, only=None, text=False):
        """Each form in its turn, whole and in part in theirs."""
        while True:
            form, data = self.patterns[self.turn % len(self.patterns)]
            self.turn += 1
            minimum = max(need(form, data, self.secret), least)
            if (only and form not in only) or (text and not data.isalnum()) or minimum > most:
                continue
            length = len(data)
            if RANDOM.random() < 0.6 or length > most:
                length = RANDOM.randint(minimum, min(length, most))
            at = RANDOM.randint(0, len(data) - length)
            # Of a schedule the words that the block itself is say little.
            if form == 'sha' and len(data) >= 256 and length < len(data):
                at = max(at, {256: 64, 640: 128}[len(data)])
                length = max(min(length, len(data) - at), 8)
                at = min(at, len(data) - length)
            if form == 'chacha' and length < len(data):
                at, length = 16, min(length, len(self.secret))
            part = data[at:at + length]
            if fit(part) and (not text or part.isalnum()) and not self.ambiguous(part):
                whole = length == len(data)
                # Of words that begin later, some bytes are missing.
                return Seed(self, form, part,
                            whole and (form != 'words' or length == len(self.secret)))

    def ambiguous(self, part):
        """Another form of it, and a byte or two that may be there by chance?"""
        shorter = [part[i:len(part) - j] for i in range(3) for j in range(3) if 0 < i + j < 3]
        return any(part not in data and any(s in data for s in shorter)
                   for _, data in self.patterns)

    def plant(self, place, shift=None, most=None):
        if most:
            seed = self.make(most=most)
        elif place == 'random':
            seed = self.make(most=14)
        elif place == 'name':
            seed = self.make(most=13, only=['base64'])
        else:
            seed = self.make()
        data = seed.guarded()
        seed.where = PLACES.get(place)
        shift = RANDOM.randint(0, 200) if shift is None else shift
        self.plants.append((place, shift, data, seed))
        self.seeds.append(seed)

    def in_environment(self, number):
        seed = self.make(text=True)
        self.environment['SEED_%d' % number] = '!' + seed.data.decode() + '!'
        seed.where = '^the environment, variable SEED_%d$' % number
        self.seeds.append(seed)

    def in_arguments(self):
        seed = self.make(text=True)
        self.arguments.append('!' + seed.data.decode() + '!')
        seed.where = '^the arguments, number %d$' % len(self.arguments)
        self.seeds.append(seed)

    def in_registers(self, spin):
        image = b''
        for number in range(32):
            value = bytes(64)
            if not spin:
                seed = self.make(most=62)
                at = RANDOM.randint(1, 63 - len(seed.data))
                value = seed.guarded().rjust(at + 1 + len(seed.data), seed.guard)
                value = value.ljust(64, seed.guard)
                seed.where = '^zmm%d$' % number
                self.seeds.append(seed)
            image += value
        names = ['k%d' % i for i in range(8)] + ['st%d' % i for i in range(8)] + GENERAL
        for name in names:
            if (name in CALLS) != spin:
                image += bytes(8)
                continue
            seed = self.make(most=8)
            # Of an x87 register, an MMX one is the first eight bytes; then follows this.
            while name[0] == 's' and 0xff in seed.near:
                seed = self.make(most=8)
            seed.where = '^%s$' % name
            image += seed.data
            self.seeds.append(seed)
        self.plants.append(('registers-spin' if spin else 'registers', 0, image, None))

    def run(self):
        process = subprocess.Popen([TARGET] + self.arguments, stdin=subprocess.PIPE,
                                   stdout=subprocess.PIPE, env=self.environment)
        for place, shift, data, seed in self.plants:
            process.stdin.write(struct.pack('<24sII', place.encode(), len(data), shift) + data)
            process.stdin.flush()
            if not seed:
                continue
            address = int(process.stdout.readline(), 16)
            if address:
                seed.address = address + 1
        process.stdin.write(struct.pack('<24sII', b'', 0, 0))
        process.stdin.flush()
        if process.stdout.readline() != b'ready\n':
            raise SystemExit('Bail out! the target did not get ready')
        return process


def scan(pid, secret, *options):
    with tempfile.TemporaryFile() as file:
        file.write(secret)
        file.seek(0)
        run = subprocess.run([LETHECTL, 'scan', '--json', '--pid', str(pid), '--secret-fd',
                              str(file.fileno()), *options], stdout=subprocess.PIPE,
                             pass_fds=[file.fileno()], check=False)
    return run.returncode, json.loads(run.stdout)


def compare(seeds, findings):
    """What was missed, and what is none of these."""
    findings = list(findings)
    missed = []
    for seed in seeds:
        match = next((f for f in findings if seed.is_found_by(f)), None)
        if match:
            findings.remove(match)
        else:
            missed.append(seed)
    return missed, findings


DOCUMENT = Document()
ok, note = DOCUMENT.ok, DOCUMENT.say


def key(length):
    """None that has a run which is met by chance."""
    while True:
        secret = RANDOM.randbytes(length)
        if all(fit(secret[i:i + 8]) for i in range(length - 7)):
            return secret


def makers():
    """500 seeds: places by forms, in four processes with a secret each."""
    text = 'Pässw0rd of %08x, geheim' % RANDOM.getrandbits(32)
    makers = [Maker(key(32)), Maker(key(24)), Maker(key(16)), Maker(text.encode())]
    first = makers[0]
    for split in range(1, 8):
        first.plant('chunk-end', split, 8)
    if WIDE:
        first.in_registers(False)
        first.in_registers(True)
    for maker in makers:
        maker.plant('random')
        for place in PLACES:
            maker.plant(place)
        for number in range(8):
            maker.in_environment(number)
            maker.in_arguments()
    while sum(len(m.seeds) for m in makers) < 500 - len(makers):
        RANDOM.choice(makers).plant(RANDOM.choice(['arena', 'stack', 'bss', 'data', 'heap',
                                                   'page-end', 'buffer-end', 'two', 'none']))
    # The last, as threads have it of who made them.
    for maker in makers:
        maker.plant('name')
    return makers


FORMS = ['plain', 'words', 'hex', 'base64', 'utf16', 'limbs', 'aes', 'sha', 'chacha']


def counted(data):
    return struct.pack('<I', len(data)) + data


def strings(texts):
    return struct.pack('<I', len(texts)) + b''.join(counted(text.encode()) for text in texts)


def write(all_of, path):
    """For a guest that has no Python: as scan_guest.c reads it."""
    with open(path, 'wb') as file:
        file.write(struct.pack('<II', SEED, len(all_of)))
        for maker in all_of:
            file.write(counted(maker.secret) + strings(maker.arguments) +
                       strings(['%s=%s' % item for item in maker.environment.items()]))
            plants = {id(seed): plant for *plant, seed in maker.plants}
            file.write(struct.pack('<I', len(maker.seeds)))
            for seed in maker.seeds:
                place, shift, data = plants.get(id(seed), ('', 0, b''))
                file.write(struct.pack('<24sII', place.encode(), len(data), shift) + data)
                forms = sum(1 << FORMS.index(form) for form in seed.forms)
                file.write(struct.pack('<III', len(seed.data), seed.whole, forms) +
                           counted((seed.where or '').encode()))


def main():
    scan_forms.check()
    all_of = makers()
    if len(sys.argv) > 3:
        write(all_of, sys.argv[3])
        return 0
    note('SEED=%d' % SEED)
    total = found = 0
    for maker in all_of:
        process = maker.run()
        try:
            status, answer = scan(process.pid, maker.secret)
            other, nothing = scan(process.pid, key(32))
        finally:
            process.kill()
            process.wait()
        # Nobody plants there; what calls were given may have stayed: prctl(2) has the name.
        kernel = [f for f in answer['findings'] if f['in'] == 'kernel']
        missed, more = compare(maker.seeds, (f for f in answer['findings'] if f not in kernel))
        for finding in kernel:
            note('left by a call: %s, %d bytes' % (finding['place'], finding['run']))
        for seed in missed:
            note('missed: %s' % seed)
        for finding in more:
            note('none of ours: %s' % finding)
        total += len(maker.seeds)
        found += len(maker.seeds) - len(missed)
        ok(status == 1 and not missed and not more,
           'of a secret of %d bytes, all %d copies are found where they are, and no more' %
           (len(maker.secret), len(maker.seeds)))
        ok(other == 0 and not nothing['findings'],
           'and none of a secret that is not there')
        if other:
            note('%d: %s' % (other, {name: nothing.get(name) for name in (
                'error', 'notes', 'findings', 'unreadable')}))
    ok(total == 500 and found == 500, '500 copies in 500 kinds of places and forms: %d found' % found)
    kinds = {(s.form, len(s.data), s.where, s.address and s.address % 4) for m in all_of
             for s in m.seeds}
    ok(len(kinds) > 400, 'they are of %d kinds' % len(kinds))
    return DOCUMENT.end(2 + 2 * len(all_of))


sys.exit(main())
