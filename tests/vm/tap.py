# SPDX-License-Identifier: MIT
"""Read a KTAP document as a test program prints it, and tell whether it kept
its own promise. It judges the form of one document and never the machine that
it was printed on: result.py does that.
"""

import re
from dataclasses import dataclass, field

_PLAN = re.compile(r'1\.\.(\d+)(\s*#\s*SKIP\b.*)?\s*$')
_POINT = re.compile(r'(ok|not ok)\s+(\d+)\b(.*)$')
_SKIP = re.compile(r'#\s*SKIP\b', re.IGNORECASE)


@dataclass
class Document:
    """What one document said. `problems` is empty where it is complete."""
    plan: int | None = None
    passed: int = 0
    failed: int = 0
    skipped: int = 0
    problems: list[str] = field(default_factory=list)

    @property
    def complete(self):
        return not self.problems


def _count(document, word, rest):
    if _SKIP.search(rest):
        document.skipped += 1
    elif word == 'ok':
        document.passed += 1
    else:
        document.failed += 1


def parse(text):
    """Parse one document. Subtests are indented, and their parent's line counts
    for them, so only lines without indentation are looked at.
    """
    document = Document()
    problems = document.problems
    versions = seen = 0
    for line in text.replace('\r', '').split('\n'):
        if line.startswith('KTAP version '):
            versions += 1
        elif line.startswith('Bail out!'):
            problems.append(line)
        elif plan := _PLAN.match(line):
            if document.plan is not None:
                problems.append('a second plan')
            document.plan = int(plan[1])
            # "1..0 # SKIP what": the whole program could not be run.
            document.skipped += bool(plan[2]) and not document.plan
        elif point := _POINT.match(line):
            seen += 1
            if int(point[2]) != seen:
                problems.append(f'point {point[2]} stands where {seen} should')
            _count(document, point[1], point[3])
    if versions != 1:
        problems.append(f'{versions} lines "KTAP version", not 1')
    if document.plan is None:
        problems.append('no plan')
    elif not document.plan and not document.skipped:
        problems.append('an empty plan')
    elif seen != document.plan:
        problems.append(f'{seen} of {document.plan} planned points')
    return document


def write(points, notes=()):
    """The document of `points`, a list of (ok, sentence, notes)."""
    lines = ['KTAP version 1', *(f'# {note}' for note in notes),
             f'1..{len(points)}']
    for number, (good, sentence, why) in enumerate(points, 1):
        lines += [f'# {line}' for line in why]
        lines.append(f'{"ok" if good else "not ok"} {number} - {sentence}')
    return '\n'.join(lines) + '\n'
