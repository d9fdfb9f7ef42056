#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The pass rule's own tests: the scanner against golden logs, the reader of
KTAP, the verdict. Run on the host; no machine is started.

A golden log's first line names what must be found in it, in order.
"""

import re
import subprocess
import sys
import tempfile
from pathlib import Path

import klog
import result
import selftest
import tap

HERE = Path(__file__).resolve().parent
GOLDEN = HERE / 'golden'
WHOLE = 'KTAP version 1\n1..2\nok 1 - a\nok 2 - b # SKIP no device\n'


def names_of(findings):
    """What was found, without where."""
    return [re.sub(r'^line \d+, ', '', finding).split(':')[0]
            for finding in findings]


def golden(name):
    """A golden log's text, but for what it expects."""
    text = (GOLDEN / f'{name}.log').read_bytes().decode('utf-8')
    return text.partition('\n')[2]


def golden_test(path):
    """A test that this log says exactly what its first line names."""
    def test():
        # Line ends as they are: the guest's console sends \r\n.
        text = path.read_bytes().decode('utf-8')
        head = text.partition('\n')[0].strip()
        expected = [x for x in head.removeprefix('expect: ').split(', ')
                    if head != 'expect:' and x]
        selftest.equal(names_of(klog.scan(text, [])), expected)
    test.__doc__ = f'the scanner finds what it should in {path.name}'
    return test


def every_pattern():
    """every name on the deny list is met in a golden log"""
    heads = [path.read_text('utf-8').split('\n', 1)[0]
             for path in GOLDEN.glob('*.log')]
    met = {name for head in heads
           for name in head.removeprefix('expect: ').strip().split(', ')}
    selftest.equal({name for name, _ in klog.DENY} - met, set())


def allowed():
    """a line that is allowed is not found, and its neighbour is"""
    text = (GOLDEN / 'warning.log').read_text('utf-8')
    permitted = klog.read_allowed('free_unref_page\\+  # a reason\n')
    selftest.equal(names_of(klog.scan(text, permitted)), ['a call trace'])


def reasons():
    """a line of the allow list without a reason is refused"""
    for line in ('WARNING: x', 'WARNING: x  # ', 'WARNING: x # reason'):
        selftest.raises(ValueError, klog.read_allowed, line + '\n')
    klog.read_allowed(klog.ALLOW_FILE.read_text('utf-8'))


def lost_log():
    """a lost machine's log needs no last line, and is scanned all the same"""
    text = (GOLDEN / 'cut.log').read_text('utf-8')
    selftest.equal(klog.scan(text, [], whole=False), [])
    text += '[    3.000000] BUG: and a bug\n'
    selftest.equal(names_of(klog.scan(text, [], whole=False)), ['a bug'])


def evidence():
    """what is shown of a log begins with what is wrong and ends with the panic"""
    shown = klog.evidence(golden('int3'), [])
    selftest.equal(('Oops: int3: 0000 [#1]' in shown[0],
                    'Kernel panic - not syncing' in shown[-1]), (True, True))
    selftest.equal('[    5.539761] RIP: 0010:do_user_addr_fault+0xc5/0x810'
                   in shown, True)
    selftest.equal(klog.evidence(golden('int3') * 3, []), shown)


def evidence_limit():
    """a long one loses its middle, and says so; of a clean log the end is shown"""
    text = '[    1.000000] BUG: one\r\n' + 'a program\n' * 98 + \
        '[    2.000000] Kernel panic - not syncing: two\n'
    shown = klog.evidence(text, [], most=20)
    selftest.equal((len(shown), shown[0], shown[14], shown[-1]), (
        20, '[    1.000000] BUG: one', '[81 lines more]',
        '[    2.000000] Kernel panic - not syncing: two'))
    selftest.equal(klog.evidence(golden('clean'), [], most=2),
                   golden('clean').replace('\r', '').splitlines()[-2:])
    selftest.equal(klog.evidence('\x1b[31m\xe9', []), ['?[31m?'])
    # A panic without an oops tells what called it after that.
    text = '[    1.000000] Kernel panic - not syncing: a\n' \
        '[    1.000000] Call Trace:\n[    1.000000]  b\n'
    selftest.equal(klog.evidence(text, []), text.splitlines())


def last_lines():
    """an oops in the machine is in the last lines of all that is printed"""
    record = record_of(text='')
    verdict = result.judge(record, 'Kernel panic', golden('int3'))
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory, 'vm.tap')
        file.write_text(result.documents(record, verdict, 'x'), 'utf-8')
        tally = subprocess.run([sys.executable, HERE.parent / 'tally.py', file],
                               check=False, text=True, capture_output=True)
    selftest.equal(tally.returncode, 1)
    for line in klog.evidence(golden('int3'), []):
        selftest.equal((f'    {line}\n' in tally.stdout, line), (True, line))


def stale_int3():
    """an int3 that the kernel's patching took away is known, and no other is"""
    text = golden('int3')
    place = 'do_user_addr_fault+0xc5/0x810'
    for bytes_there, found in (
            ('44 00 00 0f <1f> 44 00 00 4c', place),
            ('44 00 00 e9 <81> 02 00 00 4c', place),
            # The next patch has begun.
            ('44 00 00 cc <1f> 44 00 00 4c', place),
            ('44 00 00 cc <81> 02 00 00 4c', place),
            ('44 00 00 cc <81> 02 ff ff 4c', place),
            # A breakpoint, what no straight line runs into, and padding.
            ('44 00 00 cc <1f> 44 00 48 4c', None),
            ('44 00 cd 03 <1f> 44 00 00 4c', None),
            ('ff e0 cc <48> 89 e1 83 e0 40', None),
            ('c3 cc cc <cc> cc 90 90 90 90', None),
            ('c3 cc cc <00> 00 00 00 90 90', None),
            ('cc cc cc <f3> 0f 1e fa 0f 1f', None),
            ('Unable to access opcode bytes', None)):
        log = text.replace('44 00 00 0f <1f> 44 00 00 4c', bytes_there)
        selftest.equal((bytes_there in log, klog.stale_int3(log, [])),
                       (True, found))


def other_oops():
    """nor is one that is not all that is wrong"""
    text = golden('int3')
    for log in (re.sub('.* RIP: 0010.*\n', '', text),
                # A module's, which that put there perhaps.
                re.sub('(RIP: 0010.*)', r'\1 [lethe]', text),
                re.sub('(RIP: 0010:).*', r'\g<1>0xffffffffc0201234', text),
                '[    0.100000] WARNING: a\n' + text,
                text.replace('int3: 0000 [#1]', 'int3: 0000 [#2]'),
                text.replace('int3: ', 'invalid opcode: '),
                golden('clean'), golden('oops')):
        selftest.equal((klog.stale_int3(log, []), log), (None, log))


def emulator():
    """a machine lost to that alone is no failure, and to more it is"""
    text, clean = golden('int3'), golden('clean')
    running = result.Record(['x', 'y'])
    for note in ('begin 1', 'end 1 0', 'begin 2'):
        running.note(note)
        running.output(WHOLE.encode() if note == 'begin 1' else b'')
    selftest.equal(result.fault_of_emulator(running, 'a panic', text),
                   'the emulator executed an int3 at do_user_addr_fault+0xc5/'
                   '0x810 that the kernel had taken away')
    selftest.equal(result.fault_of_emulator(running, None, text), None)
    selftest.equal(result.fault_of_emulator(running, 'a panic', clean), None)
    running.output(b'KTAP version 1\n1..2\nnot ok 1 - a\n')
    selftest.equal(result.fault_of_emulator(running, 'a panic', text), None)
    selftest.equal(result.fault_of_emulator(record_of(status=1), 'a panic', text),
                   None)


def counts():
    """a whole document is complete, and counted"""
    document = tap.parse(WHOLE + '    not ok 1 - a subtest\n# a note\n')
    selftest.equal((document.complete, document.passed, document.failed,
                    document.skipped), (True, 1, 0, 1))
    document = tap.parse('KTAP version 1\r\n1..1\r\nnot ok 1 - a\r\n')
    selftest.equal((document.complete, document.failed), (True, 1))
    document = tap.parse('KTAP version 1\n1..0 # SKIP no device\n')
    selftest.equal((document.complete, document.skipped), (True, 1))


def broken_documents():
    """a document that breaks its promise is not complete"""
    for text in ('', 'KTAP version 1\n', 'KTAP version 1\n1..0\n',
                 WHOLE.replace('1..2', '1..3'), WHOLE.replace('1..2', '1..1'),
                 WHOLE.replace('1..2\n', ''), WHOLE.replace('KTAP', 'TAP'),
                 WHOLE.replace('ok 2', 'ok 1'), WHOLE.replace('ok 2', 'ok 3'),
                 WHOLE.replace('ok 2', ' ok 2'), WHOLE + WHOLE,
                 WHOLE + '1..2\n', WHOLE + 'Bail out! no memory\n',
                 WHOLE + 'ok 3 - more\n'):
        selftest.equal((tap.parse(text).complete, text), (False, text))


def record_of(*notes, text=WHOLE, status=0):
    """A run of one program, with some notes more."""
    record = result.Record(['x'])
    for note in ('up 6.1', 'begin 1'):
        record.note(note)
    record.output(text.encode())
    for note in (f'end 1 {status}', *notes):
        record.note(note)
    return record


def verdict_of(record, lost=None, log='clean', **options):
    """The verdict, with a log of the golden ones."""
    text = (GOLDEN / f'{log}.log').read_bytes().decode('utf-8')
    return result.judge(record, lost, text, **options)


def passes():
    """a proper end, a kept plan and a clean log are a pass"""
    verdict = verdict_of(record_of('bye'))
    selftest.equal((verdict.good, verdict.summary()),
                   (True, '4 passed, 0 failed, 1 skipped'))
    selftest.equal(verdict_of(record_of(
        'bye', text='KTAP version 1\n1..0 # SKIP x\n', status=4)).good, True)


def each_alone():
    """without any one of the three there is no pass"""
    for verdict in (verdict_of(record_of('bye'), lost='a panic'),
                    verdict_of(record_of()),
                    verdict_of(record_of('bye', text='')),
                    verdict_of(record_of('bye'), log='warning'),
                    verdict_of(record_of('bye'), log='cut'),
                    verdict_of(record_of('bye'), log='empty')):
        selftest.equal(verdict.good, False)


def lost():
    """a lost machine is told as such, and its document says not ok"""
    record = record_of('bye')
    verdict = verdict_of(record, lost='no end')
    selftest.equal(verdict.lost, 'no end')
    text = result.documents(record, verdict, 'title')
    shown = ''.join(f'# {line}\n' for line in klog.evidence(
        (GOLDEN / 'clean.log').read_text('utf-8'), []))
    selftest.equal(f'# LOST: no end\n{shown}not ok 1 -' in text, True)
    selftest.equal(bool(verdict_of(record_of()).lost), True)


def statuses():
    """a program that fails, is killed, never ends or never ran is a failure"""
    failing = WHOLE.replace('ok 1', 'not ok 1')
    for record in (record_of('bye', status=1), record_of('bye', status=137),
                   record_of('bye', text=failing, status=1),
                   record_of('bye', text=failing, status=0)):
        selftest.equal(verdict_of(record).good, False)
    record = result.Record(['x', 'never run'])
    for note in ('begin 1', 'end 1 0', 'bye'):
        record.note(note)
    selftest.equal([good for good, _, _ in verdict_of(record).points],
                   [True, False, False, True])


def module():
    """a module that does not load or does not unload is a failure"""
    for notes, good in ((('insmod 0', 'rmmod 0'), True),
                        (('insmod 1',), False), (('insmod 0',), False),
                        (('insmod 0', 'rmmod 1'), False), ((), False)):
        verdict = verdict_of(record_of(*notes, 'bye'), module=True)
        selftest.equal((verdict.good, notes), (good, notes))
    verdict = verdict_of(record_of('insmod 1', 'rmmod 0', 'bye'), module=True)
    selftest.equal([good for good, _, _ in verdict.points],
                   [True, False, True, True, True])


def events():
    """a guest that lets go of perf's events before its end is a failure"""
    selftest.equal([verdict_of(record_of(*notes, 'bye')).good
                    for notes in ((), ('unheld',))], [True, False])


def direct_map():
    """small pages that the direct map gained are a failure"""
    before = 'directmap before DirectMap4k:26496 DirectMap2M:497664'
    after = 'directmap after DirectMap4k:{} DirectMap2M:497664'
    for notes, good in (((before, after.format(26496)), True),
                        ((before, after.format(28544)), False),
                        ((before,), False), ((), False)):
        verdict = verdict_of(record_of(*notes, 'bye'), direct_map=True)
        selftest.equal((verdict.good, notes), (good, notes))


def attribution():
    """what is printed belongs to the program that runs"""
    record = result.Record(['a', 'b'])
    for step in (b'stray', 'begin 1', b'one', 'end 1 0', 'begin 2', b'two'):
        (record.note if isinstance(step, str) else record.output)(step)
    selftest.equal([program.text for program in record.programs],
                   ['one', 'two'])


if __name__ == '__main__':
    sys.exit(selftest.run([
        *map(golden_test, sorted(GOLDEN.glob('*.log'))), every_pattern, allowed,
        reasons, lost_log, evidence, evidence_limit, last_lines, stale_int3,
        other_oops, emulator, counts, broken_documents, passes, each_alone,
        lost, statuses, module, events, direct_map, attribution]))
