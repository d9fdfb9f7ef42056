#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Adds up the results of every suite, and says so in one last line.

    tally.py FILE...

A file holds one or more KTAP or TAP documents, as a suite printed them. A
document whose plan is missing or not met is a failure of its own, so a program
that dies early never looks like one that had less to test; so is a file that is
missing or has no document at all. What stands as diagnostics right before a result
that failed is told with it: of a long run, the last lines are what is seen. Never
runs anything.
"""
import re
import sys

START = re.compile(r"^K?TAP version \d+$")
PLAN = re.compile(r"^1\.\.(\d+)")
RESULT = re.compile(r"^(not )?ok\b\s*\d*\s*-?\s*(.*)$")
SKIP = re.compile(r"#\s*SKIP\b\s*(.*)$", re.IGNORECASE)

# Of one failure. A lost virtual machine has 61 (tests/vm/klog.py).
MOST_NOTES = 64


class Tally:
    """Counts, and what is worth a line."""

    def __init__(self):
        self.passed = 0
        self.failures = []
        self.skips = []

    def document(self, where, lines):
        """Counts one document's results, and holds them against its plan."""
        planned, seen, notes = None, 0, []
        for line in lines:
            if line.startswith("#"):
                notes.append(line[1:].removeprefix(" "))
                continue
            plan = PLAN.match(line)
            if plan:
                planned = int(plan.group(1))
                skip = SKIP.search(line)
                if planned == 0 and skip:
                    self.skips.append(f"{where}: {skip.group(1)}")
                continue
            result = RESULT.match(line)
            if not result:
                continue
            seen += 1
            self.result(where, result, notes[-MOST_NOTES:])
            notes = []
        if planned is None:
            self.failures.append(f"{where}: no plan")
        elif planned != seen:
            self.failures.append(f"{where}: {seen} results of {planned} planned")

    def result(self, where, result, notes):
        """Counts one line of result."""
        text = result.group(2)
        skip = SKIP.search(text)
        if skip:
            self.skips.append(f"{where}: {text}")
        elif result.group(1):
            self.failures.append("\n    ".join([f"{where}: {text}", *notes]))
        else:
            self.passed += 1

    def file(self, name):
        """Counts a file's documents."""
        try:
            with open(name, encoding="utf-8", errors="replace") as stream:
                lines = [line.rstrip("\r\n") for line in stream]
        except OSError as error:
            self.failures.append(f"{name}: {error.strerror}")
            return
        starts = [i for i, line in enumerate(lines) if START.match(line)]
        if not starts:
            self.failures.append(f"{name}: not one TAP document")
        for start, end in zip(starts, starts[1:] + [len(lines)]):
            self.document(name, lines[start + 1:end])


def main(names):
    tally = Tally()
    for name in names:
        tally.file(name)
    for skip in tally.skips:
        print(f"skipped: {skip}")
    for failure in tally.failures:
        print(f"FAILED: {failure}")
    print(f"{tally.passed} passed, {len(tally.failures)} failed, {len(tally.skips)} skipped")
    return 1 if tally.failures or not tally.passed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
