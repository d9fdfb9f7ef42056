# SPDX-License-Identifier: MIT
"""Scan a guest's console log for anything that a clean kernel never says.

What programs write to the console is not looked at: a kernel's line is known by
its timestamp. A log that cannot be scanned (empty, cut short, lines dropped) is
never clean.

It also takes out of a log what tells a reader what happened, and knows the one
oops that is the emulator's own.
"""

import re
from pathlib import Path

ALLOW_FILE = Path(__file__).with_name('klog.allow')

# The first line of every log, and what init has the kernel say as its last.
FIRST = 'Linux version '
LAST = 'lethe-vm: the log ends here'

# `[    1.234567] `; with PRINTK_CALLER also `[    1.234567][   T12] `.
_KERNEL = re.compile(r'\[ *\d+\.\d{6}\](?:\[ *[TC]\d+\])? ?(.*)$')

DENY = [(name, re.compile(pattern)) for name, pattern in (
    ('a warning', r'\bWARNING: '),
    ('a bug', r'\bBUG\b'),
    ('an oops', r'\bOops\b|\[#\d+\]'),
    ('a panic', r'Kernel panic'),
    ('a call trace', r'Call Trace:'),
    ('a bad access', r'[Uu]nable to handle'),
    ('a protection fault', r'general protection fault, '),
    ('a sanitizer', r'\b(?:KASAN|KCSAN|KMSAN|UBSAN|KFENCE)\b'),
    ('lockdep', r'possible (?:recursive|circular|irq lock)|'
                r'inconsistent lock state|bad unlock balance|'
                r'suspicious RCU usage|lock held when returning|'
                r'held lock freed|DEBUG_LOCKS_WARN_ON'),
    ('a broken list', r'list_(?:add|del)(?: double add| corruption)'),
    ('a reference count', r'refcount_t: '),
    ('an RCU stall', r'detected (?:expedited )?stalls?\b|'
                     r'self-detected stall|kthread starved'),
    ('a lockup', r'(?:soft|hard) (?:lockup|LOCKUP)|workqueue lockup'),
    ('SLUB', r'={20,}|\bFIX [\w-]+: |Poison overwritten|'
             r'Redzone overwritten|Object padding overwritten|'
             r'Objects remaining in'),
    ('a hung task', r'blocked for more than \d+ seconds'),
    ('a leak', r'kmemleak: \d+ new suspected'),
    ('a usercopy', r'usercopy: Kernel memory'),
    ('no memory', r'invoked oom-killer|page allocation failure'),
    ('lines lost', r'printk messages dropped'),
)]


def read_allowed(text):
    """The allow list: `regex  # reason` a line, each with a reason."""
    allowed = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith('#'):
            continue
        pattern, mark, reason = line.partition('  # ')
        if not mark or not reason.strip() or not pattern.strip():
            raise ValueError(f'allow list, line {number}: no reason given')
        allowed.append(re.compile(pattern.strip()))
    return allowed


def kernel_lines(text):
    """(line number, message) of each line that the kernel printed. A program
    may have left half a line of its own before it."""
    for number, line in enumerate(text.replace('\r', '').split('\n'), 1):
        if found := _KERNEL.search(line):
            yield number, found[1]


def _denied(messages, allowed):
    """(line number, name, message) of each that a clean kernel never says."""
    for number, message in messages:
        if any(pattern.search(message) for pattern in allowed):
            continue
        for name, pattern in DENY:
            if pattern.search(message):
                yield number, name, message
                break


def scan(text, allowed, whole=True):
    """What is wrong with this log: a list of sentences, empty for a clean one.
    `whole`: it must have its last line too.
    """
    found = []
    messages = list(kernel_lines(text))
    if not any(message.startswith(FIRST) for _, message in messages):
        found.append(f'no beginning: the log has no line "{FIRST.strip()}"')
    if whole and not any(message.startswith(LAST) for _, message in messages):
        found.append(f'no end: the log has no line "{LAST}"')
    return found + [f'line {number}, {name}: {message}'
                    for number, name, message in _denied(messages, allowed)]


def evidence(text, allowed, most=60):
    """The lines to read, at most so many: from the first that is wrong to the
    panic, programs' own among them, or, if that is the first, from there on; of
    a log with nothing wrong, its end."""
    lines = [re.sub(r'[^\t -~]', '?', line).rstrip()
             for line in text.replace('\r', '').rstrip('\n').split('\n')]
    first = next((number for number, _, _ in
                  _denied(kernel_lines(text), allowed)), None)
    if first is None:
        return lines[-most:]
    lines = lines[first - 1:]
    end = next((i for i, line in enumerate(lines, 1)
                if i > 1 and 'Kernel panic - not syncing' in line), len(lines))
    if end <= most:
        return lines[:end]
    # What happened stands first, and what came of it last.
    tail = most // 4
    head = most - tail - 1
    return [*lines[:head], f'[{end - head - tail} lines more]',
            *lines[end - tail:end]]


_INT3 = re.compile(r'\bint3: 0000 \[#1\]')
# Where, in the kernel's own text: of a module's its name would follow.
_PLACE = re.compile(r'RIP: 0010:(\S+\+0x[0-9a-f]+/0x[0-9a-f]+)\s*$')
# What memory has there; the byte in brackets is the next to be executed.
_CODE = re.compile(r'Code: ((?:[0-9a-f]{2} )+)<([0-9a-f]{2})>((?: [0-9a-f]{2}){3})')


def _was_patched(code):
    """No int3 at all, or the first byte of a jump, or of no operation, of five."""
    before, rest = code[1].split(), [code[2], *code[3].split()]
    if before[-1] == 'cc':
        return before[-2:] != ['cc', 'cc'] and \
            rest[2:] in (['00', '00'], ['ff', 'ff'])
    return before[-2:] != ['cd', '03']


def stale_int3(text, allowed):
    """Where the emulated processor executed an int3 that the kernel's own patching
    had taken away, if that is all that is wrong with this log; else None.

    The kernel patches its text by way of an int3, and waits for every processor
    when that is gone. QEMU, 7.2 and later ones, drops what it translated of
    a page and only then makes the store: with a thread for each processor, another
    can translate the old byte in between, and keeps it. Whoever comes by dies of
    an int3 that nobody claims. It takes no module: a program that opens and
    closes a software event of perf, while others take page faults, brings it
    about within seconds on 6.12 and 7.3 (6.1 tries such an int3 again).
    `thread=single` would do without, but then no two processors run at once, and
    races would not be found.

    So memory is asked, as the oops shows it: a jump into padding and
    a breakpoint of somebody's have an int3 there. So has the next patch of the same
    place, which waits for the processor that dies, but with the rest of the
    instruction behind it.
    """
    messages = list(kernel_lines(text))
    number, _, message = next(_denied(messages, allowed), (0, '', ''))
    if not _INT3.search(message):
        return None

    def look(word, pattern):
        # The first of them alone: those of callers follow.
        return pattern.search(next((said for at, said in messages
                                    if at > number and word in said), ''))

    place, code = look('RIP: ', _PLACE), look('Code: ', _CODE)
    return place[1] if place and code and _was_patched(code) else None
