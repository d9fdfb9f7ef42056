#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
#
# How the tables of residue count: that a scan which did not see all is no 0, and that a
# place is counted once. KTAP on stdout.
#
#	O=build searcher_test.py
import base64
import copy
import json
import os
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from points import Document  # noqa: E402
from searcher import Look, Maps, Unsearched, count, fresh, understood  # noqa: E402

BUILD = Path(os.environ.get("O", "build"))
LETHECTL = BUILD / "bin/lethectl"
PEER = BUILD / "tests/residue/peers/residue-peer-nothing"
GOOD = {"notes": [], "findings": [], "unreadable": [], "protected": [], "found": 0,
        "searched_bytes": 4096, "searched_register_bytes": 2584}
FINDING = {"in": "memory", "address": 0x1000, "run": 32, "mapping": "[heap]", "place": "[heap]"}
PLANNED = 18
DOCUMENT = Document()
result = DOCUMENT.ok


def refuses(function, *arguments):
    """Is it said that there is no answer?"""
    try:
        answer = function(*arguments)
    except Unsearched:
        return True
    DOCUMENT.say(answer)
    return False


def said(**other):
    """What lethectl could say."""
    return json.dumps(copy.deepcopy(GOOD) | other).encode()


def answers():
    """What is taken for one."""
    found = {"findings": [FINDING], "found": 1}
    result(understood(0, said())["found"] == 0, "control: 0 and nothing found is clean")
    result(understood(1, said(**found))["found"] == 1, "control: 1 and a finding is one")
    for status, words, sentence in [
            (2, said(), "2 is no answer, and not clean"),
            (2, said(error="it ended"), "nor is 2 with an error"),
            (1, said(error="it ended", **found), "nor what was found until it ended"),
            (0, said(**found), "0 with a finding is none"),
            (1, said(), "nor is 1 without"),
            (1, said(findings=[FINDING], found=2), "nor findings that are not all named"),
            (0, said(unreadable=[{"bytes": 4096}]), "nor clean where something was unreadable"),
            (1, said(notes=["1 thread did not stop"], **found),
             "nor what has the registers of some threads alone"),
            (0, said(searched_bytes=0), "nor where nothing was searched"),
            (-9, b"", "nor one that was killed")]:
        result(refuses(understood, status, words), sentence)


class Kinds:
    """Maps of one kind."""

    @staticmethod
    def at(_):
        """All heap."""
        return {"locked": False, "file": False}


def places():
    """What is counted once, and what twice."""
    look = Look()
    register = {"in": "register", "thread": 7, "place": "zmm1", "run": 32}
    look.findings = [FINDING, dict(FINDING, address=0x1010), dict(FINDING, run=16),
                     dict(FINDING, address=0x1030), register, dict(register),
                     dict(register, thread=8), dict(register, place="zmm2")]
    counts = look.copies(Kinds)
    result(counts == {"heap": 2, "register": 3},
           "what overlaps is one copy; another register, or thread, another")
    print(f"# {dict(counts)}")


def processes():
    """With a process that has a secret in one place."""
    secret = fresh()
    with subprocess.Popen([PEER, "own"], stdin=subprocess.PIPE) as process:
        process.stdin.write(secret)
        process.stdin.close()
        while Path(f"/proc/{process.pid}/syscall").read_text().split()[0] != "34":
            pass
        one, _ = count(LETHECTL, process.pid, [secret])
        two, _ = count(LETHECTL, process.pid, [secret, secret[:24], base64.b64encode(secret)])
        none, _ = count(LETHECTL, process.pid, [fresh()])
        result(one == {"library": 1} and one == two and not sum(none.values()),
               f"a secret that is searched for in three ways is there {sum(two.values())} time")
        result(refuses(count, LETHECTL, process.pid, [b"short"]), "a short one is no 0")
        result(refuses(count, LETHECTL, process.pid, []), "nor is none")
        maps = Maps(process.pid)
        result(refuses(maps.at, 8), "where nothing is mapped there is no kind of place")
        process.kill()
        process.wait()
        result(refuses(count, LETHECTL, process.pid, [secret]), "nor is a process that ended")


def main():
    """All."""
    answers()
    places()
    processes()
    return DOCUMENT.end(PLANNED)


if __name__ == "__main__":
    sys.exit(main())
