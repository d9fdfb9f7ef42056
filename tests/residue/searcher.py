# SPDX-License-Identifier: MIT
#
# `lethectl scan`, asked by the tests that count: a process, some secrets, and how many
# copies of them lie in which kind of place. A scan that did not see all is no answer here.
"""The searcher of the tables: lethectl scan, and what it says, counted."""

import bisect
import json
import os
import re
import subprocess
from collections import Counter

SECONDS = 120
CLEAN, FOUND = 0, 1
# What the kernel keeps of a process, and nobody reads in its memory.
OF_THE_KERNEL = "thread name"


class Unsearched(Exception):
    """What should have been searched and was not, or not wholly: never taken for clean."""


def fresh(size=32):
    """A secret, no eight bytes of which would be met by chance."""
    while True:
        secret = os.urandom(size)
        if all(len(set(secret[i:i + 8])) > 4 for i in range(size - 7)):
            return secret


class Maps:
    """What is mapped in a process that stands still, and what of that is kept from swap
    and from dumps: other libraries' secret memory; and Lethe's on mlock."""

    def __init__(self, pid):
        self.starts, self.maps = [], []
        with open(f"/proc/{pid}/smaps", encoding="utf-8", errors="replace") as smaps:
            for line in smaps:
                words = line.split(maxsplit=5)
                if re.match("[0-9a-f]+-[0-9a-f]+ ", line):
                    start, end = (int(part, 16) for part in words[0].split("-"))
                    name = words[5].strip() if len(words) > 5 else ""
                    # What follows a file's without a gap is its .bss; and what follows that
                    # is not.
                    before = self.maps[-1] if self.maps else {"end": 0, "name": ""}
                    self.starts.append(start)
                    self.maps.append({"start": start, "end": end, "name": name,
                                      "locked": False, "file": name.startswith("/") or
                                      (not name and before["name"].startswith("/") and
                                       before["end"] == start)})
                elif words[0] == "VmFlags:":
                    self.maps[-1]["locked"] = {"lo", "dd"} <= set(line.split())

    def at(self, address):
        """The one that an address is in."""
        number = bisect.bisect_right(self.starts, address) - 1
        if number < 0 or address >= self.maps[number]["end"]:
            raise Unsearched(f"{address:#x}, where something was found, is not mapped")
        return self.maps[number]


def kind_of(finding, maps):
    """The kind of place that a finding is in."""
    if finding["in"] == OF_THE_KERNEL:
        return "kernel"
    if finding["in"] == "register":
        return "register"
    if finding["in"] != "memory":
        return "stack"
    there = maps.at(finding["address"])
    if there["locked"]:
        return "secret"
    if finding["mapping"] == "[heap]":
        return "heap"
    if finding["mapping"] == "[stack]" or "thread" in finding:
        return "stack"
    return "library" if there["file"] else "anonymous"


def interval(finding):
    """Where it is: two that have bytes in common are one copy, in whichever forms."""
    if "address" in finding:
        start = finding["address"]
        return "memory", start, start + finding["run"]
    return (finding["in"], finding.get("thread"), finding["place"], finding.get("offset")), 0, 1


class Look:
    """What was found of some secrets in one process."""

    def __init__(self):
        self.findings, self.protected, self.searched = [], 0, 0

    def copies(self, maps):
        """How many in each kind of place, each counted once."""
        counts, last = Counter(), {}
        order = sorted(self.findings, key=lambda f: (str(interval(f)[0]), *interval(f)[1:]))
        for finding in order:
            where, start, end = interval(finding)
            if where not in last or start >= last[where]:
                counts[kind_of(finding, maps)] += 1
            last[where] = max(end, last.get(where, 0))
        return counts


def ask(lethectl, pid, secret, *options):
    """One scan's object."""
    ours, theirs = os.pipe()
    try:
        os.write(theirs, secret)
        os.close(theirs)
        done = subprocess.run([lethectl, "scan", "--json", "--pid", str(pid), "--no-kernel",
                               "--secret-fd", str(ours), *options], pass_fds=[ours], timeout=SECONDS,
                              capture_output=True, check=False)
    finally:
        os.close(ours)
    return understood(done.returncode, done.stdout, done.stderr.decode().strip())


def understood(status, text, said=""):
    """The object, if it and the exit status agree that all was searched."""
    try:
        answer = json.loads(text)
    except ValueError as error:
        raise Unsearched(f"lethectl scan, status {status}, said no JSON: {said}") from error
    found = len(answer.get("findings", ()))
    if status not in (CLEAN, FOUND) or "error" in answer:
        raise Unsearched(f"lethectl scan, status {status}: {said or answer.get('unreadable')}")
    if answer["unreadable"] or any("did not stop" in note for note in answer["notes"]):
        raise Unsearched(f"not all could be read: {answer['unreadable']} {answer['notes']}")
    if found != answer["found"] or (found > 0) != (status == FOUND):
        raise Unsearched(f"lethectl scan, status {status}, named {found} findings of "
                         f"{answer['found']}")
    if not answer["searched_bytes"] or not answer["searched_register_bytes"]:
        raise Unsearched("lethectl scan searched nothing")
    return answer


def look(lethectl, pid, secrets, *options):
    """A scan for each of the secrets, and what they found together."""
    if not secrets:
        raise Unsearched("there is nothing to search for")
    seen = Look()
    for secret in secrets:
        answer = ask(lethectl, pid, secret, *options)
        seen.findings += answer["findings"]
        seen.protected = sum(part["bytes"] for part in answer["protected"])
        seen.searched = answer["searched_bytes"]
    return seen


def count(lethectl, pid, secrets, *options):
    """Copies by kind of place; and bytes that are kept from any reader."""
    seen = look(lethectl, pid, secrets, *options)
    return seen.copies(Maps(pid)), seen.protected
