#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
#
# lethectl watch on the probes' double: what it makes of each thing that a probe can
# tell, how it ends on a terminal, a pipe and a full disk, and what it says of what it
# cannot do. KTAP on stdout.
"""watch_rules.py LETHECTL-DOUBLE [PROMTOOL]"""

import json
import os
import re
import shutil
import stat
import subprocess
import sys
import time

import metrics
from double import (ATTACH, BPF, CLEAN, CORE, ME, PERF, PIN, PROC_MEM, PROCESS_VM, PTRACE, SEEN,
                    UNKNOWN, VIOLATION, Double, access, leaving, names_of, scratch_directory,
                    swap)
from watching import Document

# sentence, what is told, the status, what is in its output
RULES = [
    ("pages leave, none of them secret: clean, of so many", [SEEN], CLEAN,
     "0 of 48,211 pages that left were secret.*\nclean"),
    ("a secret page that leaves is a violation", [swap(), "count swap 3 9 1 0"], VIOLATION,
     "frame 0x1a2b3 memfd_secret: A SECRET PAGE LEFT.*1 of 9 pages"),
    ("one that only the probe's count has, too", ["count swap 1 9 1 0"], VIOLATION,
     "1 secret pages left"),
    ("a decoy that leaves is none", [swap(kind=8), "count swap 3 9 0 0"], CLEAN, "0 of 9 pages"),
    ("nor is a page that was secret once, as its owner says",
     ["count swap 3 9 1 0", swap(frame="1", kind=4)], CLEAN, "0 of 9 pages"),
    ("but beside it one that is secret is",
     ["count swap 3 9 2 0", swap(frame="1", kind=4), swap()], VIOLATION, "1 of 9 pages"),
    ("an access that is refused is told, and no violation", [access(PROCESS_VM, -14, kind=2)], CLEAN,
     rf"process_vm gdb\[123\] on \S+\[{ME}\] 0x7f0000001000\+4096 memfd_secret: refused, EFAULT"),
    ("pinning that is refused, likewise", [access(PIN, -14)], CLEAN, "refused"),
    ("pinning its own pages, which on memory that is only locked it may, likewise",
     [access(PIN, 4096, pid=ME)], CLEAN, "its own"),
    ("pinning another's that is not refused is a violation", [access(PIN, 4096)], VIOLATION,
     "NOT REFUSED"),
    ("one that is not refused is a violation", [access(PROC_MEM, 4096)], VIOLATION,
     "NOT REFUSED.*1 accesses were not refused"),
    ("a peek that is not refused, too", [access(PTRACE, 0)], VIOLATION, "NOT REFUSED"),
    ("a BPF program that reads it, too", [access(BPF, 0)], VIOLATION, "NOT REFUSED"),
    ("a process that reads its own pages violates nothing",
     [access(PROC_MEM, 4096, pid=ME)], CLEAN, ": its own"),
    ("of pages that nobody may have, one that returned less than it asked for got none",
     [access(PROC_MEM, 2048, kind=2)], CLEAN, ": refused"),
    ("one that returned all that it asked for got them", [access(PROC_MEM, 4096, kind=2)],
     VIOLATION, "NOT REFUSED"),
    ("of pages that are only locked, it may have got them", [access(PROC_MEM, 2048)], VIOLATION,
     "NOT REFUSED"),
    ("one of other pages of such a process violates nothing", [access(PROC_MEM, 4096, kind=0)],
     CLEAN, ": no secret page"),
    ("nor does one that fails for another reason", [access(PROCESS_VM, -3)], CLEAN,
     ": failed, ESRCH"),
    ("a BPF program reads as who it runs in: a violation all the same",
     [access(BPF, 0, pid=ME)], VIOLATION, "NOT REFUSED"),
    ("a process that dumps core does it itself: not to be told all the same",
     [access(CORE, 0, pid=ME, kind=0)], UNKNOWN, "what it took is not seen"),
    ("who attaches may take what is not seen: not to be told", [access(ATTACH, 0)], UNKNOWN,
     "could not tell: 1 times something was not refused"),
    ("a core dump likewise", [access(CORE, 0)], UNKNOWN, "could not tell"),
    ("samples of a stack likewise", [access(PERF, 5)], UNKNOWN, "could not tell"),
    ("attaching that is refused is no violation", [access(ATTACH, -1)], CLEAN, "EPERM"),
    ("a call that gives secret pages away is told, and no violation", [leaving()], CLEAN,
     r"leaving write sender\[\d+\] 0x7f0000001000\+4096 memfd_secret at \S+ < 0x1234 < "),
    ("a page that could not be judged: not to be told", ["count swap 3 9 0 1"], UNKNOWN,
     "1 pages that left not judged"),
    ("a call that could not be judged is told; what it may do is allowed",
     ["count leaving 0 9 0 2"], CLEAN, "2 calls not judged"),
    ("a process that cannot be looked into likewise", ["unreadable 3"], UNKNOWN,
     "3 processes could not be looked into"),
    ("a probe whose counts are lost likewise", ["fail access"], UNKNOWN, "a probe was lost"),
    ("a violation stays one, whatever else is not known",
     [swap(), "count swap 3 9 1 1", "unreadable 3"], VIOLATION, "VIOLATION"),
]

# With --pid: what it makes of others' and of its own.
RULES_PID = [
    ("--pid: another's page that leaves is not told", [swap(target=1), "count swap 3 9 1 0"],
     CLEAN, r"\n0 of 9 pages that left were secret and its own"),
    ("--pid: nor is an access to another", [access(PROC_MEM, 4096, target=1)], CLEAN,
     "0 of 0 attempts on it"),
    ("--pid: nor what another gives away", [leaving(pid=1)], CLEAN, "1 of 0 calls"),
    ("--pid: its own page that leaves is a violation", [swap(), "count swap 3 9 2 0"], VIOLATION,
     "1 of 9 pages"),
    ("--pid: a page of whom is not known: not to be told", [swap(target=0)], UNKNOWN,
     "of whom is not known"),
]


def test_rules(tap, double):
    for sentence, lines, status, pattern in RULES:
        watch = double.run(*lines)
        tap.ok(watch.status == status and re.search(pattern, watch.text(), re.S), sentence,
               watch.everything())
    for sentence, lines, status, pattern in RULES_PID:
        watch = double.run(*lines, options=["--pid", str(ME)])
        good = "[1]" not in watch.text()
        tap.ok(good and watch.status == status and re.search(pattern, watch.text(), re.S),
               sentence, watch.everything())


def test_probes(tap, double):
    watch = double.run(SEEN)
    tap.ok("swap by double_there" in watch.said() and
           "not by double_not_there (it is a double): unseen: what the double does not tell"
           in watch.said() and "unseen by swap: what the double" in watch.text(),
           "says which hooks it has, which it has not, and what that leaves unseen",
           watch.everything())
    watch = double.run(SEEN, env={"LETHE_DOUBLE_ABSENT": "access"})
    tap.ok(watch.status == UNKNOWN and "access: not watched: the double" in watch.said() and
           "nothing of access seen" in watch.text(),
           "a probe that cannot be had: said, the others watch, not to be told",
           watch.everything())
    watch = double.run(SEEN, env={"LETHE_DOUBLE_ABSENT": "access"},
                       options=["--only", "swap,leaving"])
    tap.ok(watch.status == CLEAN and "access" not in watch.said() + watch.text(),
           "--only: what is not asked for is not missed", watch.everything())
    watch = double.run(env={"LETHE_DOUBLE_ABSENT": "swap access leaving"})
    tap.ok(watch.status == UNKNOWN and watch.said().count("not watched") == 3,
           "no probe at all: said, and it ends", watch.everything())
    watch = double.watch("-v")
    double.tell("holder 77 ssh 34")
    came = watch.wait_for(r"holder ssh\[77\] came: kmod 0, memfd_secret 34")
    double.tell("holder 77 ssh 0")
    tap.ok(came and watch.wait_for(r"holder ssh\[77\] went"),
           "-v: tells of processes that come to hold secret pages, and no longer do",
           watch.everything())
    watch.end()


def lost_of(objects):
    return objects[-1]["leaving"]["lost"], objects[-1]["leaving"]["ways"][0]["told"]


def test_lost(tap, double):
    sent = 200000
    watch = double.watch("--json", read=False, wait=False)
    time.sleep(1)
    double.tell(leaving(times=sent))
    time.sleep(3)
    watch.read()
    watch.wait_for("leaving", seconds=5)
    status = watch.end()
    lost, told = lost_of(watch.objects())
    tap.ok(lost > 0 and lost + told == sent and status == UNKNOWN and
           watch.objects()[-1]["verdict"] == "unknown",
           "nobody reads for a while: events are lost, each is counted, not to be told",
           (lost, told, status, watch.said()))
    sent = 2000
    watch = double.watch("--json")
    double.tell(leaving(times=sent))
    time.sleep(1)
    status = watch.end()
    tap.ok(lost_of(watch.objects()) == (0, sent) and status == CLEAN and
           sum(o.get("event") == "leaving" for o in watch.objects()) == sent,
           "control: as long as somebody reads none is, and each is a line",
           (lost_of(watch.objects()), status))
    return lost


NUMBER, TEXT, LIST = (int, float), str, list
EVENT = {"schema": int, "verb": TEXT, "event": TEXT, "time": NUMBER, "way": TEXT,
         "judgement": TEXT, "pid": int, "tid": int, "command": TEXT, "target": (int, None),
         "target_command": TEXT, "result": (int, None), "length": (int, None),
         "frame": (int, None), "address": (TEXT, None), "backends": LIST, "stack": LIST}
SCHEMA = {
    "begin": {"schema": int, "verb": TEXT, "event": TEXT, "pid": (int, None), "probes": LIST},
    "swap": EVENT, "access": EVENT, "leaving": EVENT,
    "holder": {"schema": int, "verb": TEXT, "event": TEXT, "time": NUMBER, "what": TEXT,
               "pid": int, "command": TEXT, "kmod": int, "memfd_secret": int, "mlock": int},
    "verdict": {"schema": int, "verb": TEXT, "verdict": TEXT, "notes": LIST, "event": TEXT,
                "why": TEXT, "ended": TEXT, "pid": (int, None), "milliseconds": int,
                "granted": int, "doubts": int, "unreadable": int, "swap": dict,
                "access": dict, "leaving": dict, "unseen": LIST},
}


def fits(value, kinds):
    kinds = kinds if isinstance(kinds, tuple) else (kinds,)
    return any(value is None if kind is None else isinstance(value, kind) and
               not (isinstance(value, bool)) for kind in kinds)


def misfits(objects):
    """What is not as the manual has it."""
    found = []
    for each in objects:
        wanted = SCHEMA.get(each.get("event"))
        if not wanted or set(each) != set(wanted) or each["schema"] != 1:
            found.append(("members", each))
        else:
            found += [(name, each) for name in wanted if not fits(each[name], wanted[name])]
    if [o["event"] for o in objects][:1] != ["begin"] or \
            [o["event"] for o in objects if o["event"] == "verdict"] != ["verdict"] or \
            objects[-1]["event"] != "verdict":
        found.append("the first is begin, the last and only the last the verdict")
    return found


def test_json(tap, double):
    nasty = b"\x1b[2J\xff\"\\\x07"
    lines = [swap(), access(PROCESS_VM, -14), access(ATTACH, 0), leaving(), "holder 77 ssh 34",
             leaving(how=2).encode().replace(b"sender", nasty), "count swap 3 9 1 0"]
    watch = double.watch("--json", "-v")
    double.tell(*lines)
    watch.wait_for('"holder".*"leaving"|"leaving".*"holder"')
    status = watch.end()
    objects = watch.objects()
    kinds = {o["event"] for o in objects}
    tap.ok(kinds == set(SCHEMA) and not misfits(objects), "--json: each line is an object, "
           "with the members that the manual has", misfits(objects) or kinds)
    tap.ok(status == VIOLATION and objects[-1]["verdict"] == "violation" and
           not re.search("hooks|by double", watch.said()),
           "--json: the last is the verdict, which the status has too; hooks are the first's",
           watch.everything())
    command = [o["command"] for o in objects if o.get("way") == "splice"]
    tap.ok(command == [r'\x1b[2J\xff"\\\x07'], "--json: a name that is not text is, escaped",
           command)
    watch = double.run(*lines)
    tap.ok(r'\x1b[2J\xff"\\\x07' in watch.text() and b"\x1b" not in watch.out and
           b"\xff" not in watch.out, "a name with escape codes reaches nobody's terminal",
           watch.everything())
    stack = next(o for o in objects if o["event"] == "leaving")["stack"]
    tap.ok(len(stack) == 3 and stack[1] == {"address": "0x1234", "mapping": None, "offset": None},
           "--json: the stack has an entry an address", stack)
    watch = subprocess.run([double.lethectl, "watch", "--json", "--pid", "2"],
                           stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    last = json.loads(watch.stdout.splitlines()[-1])
    tap.ok(watch.returncode == 2 and last["verdict"] == "unknown" and last["verb"] == "watch",
           "--json: where it does not come to watch, there is the verdict alone", watch)


def test_metrics(tap, double, promtool):
    there = os.path.join(double.scratch, "metrics")
    os.mkdir(there)
    path = os.path.join(there, "lethe.prom")
    os.umask(0o077)
    watch = double.watch("--metrics", path, "--interval", "0.1")
    double.tell(swap(), access(PROCESS_VM, -14), leaving(), "count swap 1 48211 3 2",
                "count access 3 7 5 0", "count leaving 0 100 9 1", "holder 77 ssh 34")
    time.sleep(0.5)
    with open(path) as file:
        live, _ = metrics.read(file.read())
    double.tell_all(watch, "count swap 1 48300 3 2")
    status = watch.end()
    with open(path) as file:
        text = file.read()
    samples, types = metrics.read(text)
    wanted = [(metrics.value(samples, "lethe_left_pages_total", way="out"), 48300),
              (metrics.value(live, "lethe_left_pages_total", way="out"), 48211),
              (metrics.value(samples, "lethe_left_secret_pages_total", way="out"), 3),
              (metrics.value(samples, "lethe_left_unjudged_pages_total", way="out"), 2),
              (metrics.value(samples, "lethe_access_attempts_total", way="process_vm"), 7),
              (metrics.value(samples, "lethe_access_refused_total", way="process_vm"), 5),
              (metrics.value(samples, "lethe_leaving_calls_total", way="write"), 100),
              (metrics.value(samples, "lethe_leaving_secret_calls_total", way="write"), 9),
              (metrics.value(samples, "lethe_leaving_unjudged_calls_total", way="write"), 1),
              (metrics.value(samples, "lethe_lost_events_total", probe="swap"), 0),
              (metrics.value(samples, "lethe_secret_pages", backend="memfd_secret"), 34),
              (metrics.value(samples, "lethe_watch_verdict"), 1),
              (metrics.value(live, "lethe_watch_running"), 1),
              (metrics.value(samples, "lethe_watch_running"), 0)]
    tap.ok(status == VIOLATION and all(a == b for a, b in wanted),
           "--metrics: the counts, while it watches and at the end; a strict reader reads them",
           (status, wanted, watch.said()))
    falls = [key for key in live if types[key[0]] == "counter" and samples[key] < live[key]]
    tap.ok(not falls and set(live) == set(samples), "--metrics: no counter falls or goes", falls)
    mode = stat.S_IMODE(os.stat(path).st_mode)
    tap.ok(mode == 0o644 and names_of(there) == ["lethe.prom"],
           "--metrics: 0644 whatever the umask, and nothing beside it",
           (oct(mode), names_of(there)))
    if promtool:
        said = subprocess.run([promtool, "check", "metrics"], input=text.encode(),
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        tap.ok(said.returncode == 0 and not said.stdout, "--metrics: promtool has no objection",
               said)
        bad = text.replace("# HELP lethe_holders", "# HULP lethe_holders")
        said = subprocess.run([promtool, "check", "metrics"], input=bad.encode(),
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        tap.ok(said.returncode != 0, "control: to one without a help it has", said)
    else:
        tap.skip("--metrics: promtool has no objection", "no promtool")
    # One of our own: were it not refused, it would be gone.
    device = os.path.join(double.scratch, "device")
    os.mknod(device, stat.S_IFCHR | 0o666, os.makedev(1, 3))
    for what, where in (("a folder", there), ("a device", device),
                        ("in no folder", os.path.join(double.scratch, "none", "x.prom"))):
        watch = double.run(options=["--metrics", where])
        tap.ok(watch.status == UNKNOWN and f"--metrics {where}: " in watch.said() and
               stat.S_ISCHR(os.stat(device).st_mode),
               f"--metrics FILE is {what}: a clear line, status 2", watch.everything())


FULL = r'''
mount -t tmpfs -o size=4k none "$1" || exit 99
shift
exec "$@"
'''


def test_full_disk(tap, double):
    there = os.path.join(double.scratch, "full")
    os.mkdir(there)
    path = os.path.join(there, "lethe.prom")
    before = ["unshare", "-m", "--propagation", "private", "sh", "-c", FULL, "sh", there]
    watch = double.watch("--metrics", path, "--interval", "0.1", before=before)
    time.sleep(0.5)
    root = f"/proc/{watch.process.pid}/root{there}"
    left = names_of(root)
    goes_on = double.tell_all(watch, SEEN)
    status = watch.end()
    tap.ok(goes_on and status == UNKNOWN and watch.said().count("No space left") == 1 and
           "0 of 48,211" in watch.text(),
           "a full disk for metrics: said once, it watches on, not to be told",
           watch.everything())
    tap.ok(left == [], "a full disk for metrics: no piece of a file is left", left)
    with open("/dev/full", "wb") as full:
        watch = double.watch(stdout=full)
        double.tell(leaving())
        status = watch.end(0, 20)
    tap.ok(status == UNKNOWN and "not complete: No space left" in watch.said(),
           "a full disk for lines: it says so and ends", (status, watch.said()))


def main():
    lethectl = os.path.abspath(sys.argv[1])
    promtool = sys.argv[2] if len(sys.argv) > 2 and sys.argv[2] else shutil.which("promtool")
    tap = Document()
    with scratch_directory() as scratch:
        double = Double(lethectl, scratch)
        test_rules(tap, double)
        test_probes(tap, double)
        test_lost(tap, double)
        test_json(tap, double)
        test_metrics(tap, double, promtool)
        test_full_disk(tap, double)
    return tap.end()


if __name__ == "__main__":
    sys.exit(main())
