# SPDX-License-Identifier: MIT
"""Scan a guest's console log for anything that a clean kernel never says.

What programs write to the console is not looked at: a kernel's line is known by
its timestamp. A log that cannot be scanned (empty, cut short, lines dropped) is
never clean.
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
    for number, message in messages:
        if any(pattern.search(message) for pattern in allowed):
            continue
        for name, pattern in DENY:
            if pattern.search(message):
                found.append(f'line {number}, {name}: {message}')
                break
    return found
