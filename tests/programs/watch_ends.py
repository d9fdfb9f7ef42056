#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
#
# lethectl watch on the probes' double: the ways in which it ends, on a pipe, on a
# terminal, with a process, and before it began; and that it leaves nothing, whichever it
# is. KTAP on stdout.
"""watch_ends.py LETHECTL-DOUBLE"""

import contextlib
import os
import re
import signal
import subprocess
import sys
import time

import metrics
from double import (CLEAN, ME, SEEN, UNKNOWN, VIOLATION, Double, leaving, names_of,
                    scratch_directory, swap)
from watching import Document, Watch, held, is_there, still_there

TOTAL = r"0 of 48,211 pages that left were secret"


def test_signals(tap, double):
    for number, status, name in ((signal.SIGINT, CLEAN, "SIGINT"), (signal.SIGTERM, CLEAN, "SIGTERM"),
                                 (signal.SIGHUP, UNKNOWN, "SIGHUP")):
        path = os.path.join(double.scratch, "signal.prom")
        watch = double.watch("--metrics", path, "--interval", "3600")
        double.tell_all(watch, SEEN)
        ended = watch.end(number)
        with open(path) as file:
            samples, _ = metrics.read(file.read())
        tap.ok(ended == status and re.search(TOTAL, watch.text()) and
               metrics.value(samples, "lethe_left_pages_total", way="out") == 48211 and
               metrics.value(samples, "lethe_watch_running") == 0,
               f"{name} ends it, with its verdict ({status}) and its last metrics",
               watch.everything())
    watch = double.watch("--seconds", "0.5")
    began = time.monotonic()
    ended = watch.end(0, 10)
    tap.ok(ended == CLEAN and time.monotonic() - began < 5 and "time is up" in watch.text(),
           "--seconds: it ends by itself", watch.everything())
    watch = double.watch(before=["nohup", "--"], stdout=subprocess.PIPE)
    watch.process.send_signal(signal.SIGHUP)
    time.sleep(0.3)
    tap.ok(watch.process.poll() is None and watch.end() == CLEAN,
           "a SIGHUP that whoever started it ignores, as nohup(1), does not end it",
           watch.everything())


def test_pipe(tap, double):
    watch = double.watch(read=False)
    watch.process.stdout.close()
    watch.source = None
    double.tell(leaving())
    ended = watch.end(0, 20)
    tap.ok(ended == UNKNOWN and "not complete: Broken pipe" in watch.said(),
           "who reads its lines is gone: it says so, ends, not to be told",
           (ended, watch.said()))
    watch = double.watch("--only", "swap", read=False)
    watch.process.stdout.close()
    watch.source = None
    tap.ok(watch.end(0, 20) == UNKNOWN, "it notices that, too, when it has nothing to say")
    watch = double.watch(read=False)
    double.tell(leaving(times=100000))
    time.sleep(1)
    began = time.monotonic()
    ended = watch.end()
    tap.ok(ended == UNKNOWN and time.monotonic() - began < 20,
           "who reads its lines has stopped reading: it can be ended all the same",
           (ended, watch.said()))


def screen(watch):
    """What of the last line there is, as a terminal shows it."""
    return re.split(r"\r\n|\r", watch.text())[-1].replace("\x1b[K", "")


def test_terminal(tap, double):
    watch = double.watch("--interval", "0.1", terminal=(24, 120))
    double.tell_all(watch, leaving(), SEEN)
    shown = watch.wait_for(r"leaving write.*\r" + TOTAL)
    width = len(screen(watch))
    double.tell("count swap 1 50000 0 0")
    tap.ok(shown and watch.wait_for("0 of 50,000 pages"),
           "a terminal: a line an event, and a total that is kept current", watch.everything())
    watch.resize(24, 40)
    os.kill(watch.process.pid, signal.SIGWINCH)
    time.sleep(0.5)
    narrow = len(screen(watch))
    watch.resize(2, 1)
    time.sleep(0.3)
    tiny = len(screen(watch))
    watch.resize(50, 300)
    time.sleep(0.3)
    tap.ok(80 < width < 120 and narrow == 39 and tiny == 0 and len(screen(watch)) == width,
           "a terminal that is resized: the total is as wide as it is",
           (width, narrow, tiny, watch.everything()))
    os.write(watch.master, b"\x03")
    ended = watch.end(0, 10)
    tap.ok(ended == CLEAN and re.search(r"\r\x1b\[K0 of 50,000.*clean", watch.text(), re.S) and
           watch.text().endswith("\r\n"),
           "Ctrl-C ends it, the total is taken away, and the verdict is the last line",
           watch.everything())
    watch = double.watch("--interval", "0.2", terminal=(24, 120))
    double.tell(leaving(times=3000))
    more = watch.wait_for(r"2,990 more: leaving write sender")
    lines = len(re.findall("leaving write sender.*memfd_secret", watch.text()))
    tap.ok(more and lines == 10 and watch.end() == CLEAN and "3,000 of 0 calls" not in watch.said(),
           "a terminal: of many of a kind ten are shown, and how many more there were",
           (lines, watch.everything()))
    watch = double.watch("--interval", "0.1", env={"TERM": "dumb"}, terminal=(24, 120))
    double.tell(SEEN)
    time.sleep(0.5)
    before = TOTAL in watch.text()
    watch.end()
    tap.ok(not before and re.search(TOTAL, watch.text()) and "\x1b" not in watch.text(),
           "a terminal that cannot do it has no total but the last", watch.everything())


def test_terminal_gone(tap, double):
    there = os.path.join(double.scratch, "gone")
    os.mkdir(there)
    path = os.path.join(there, "gone.prom")
    for controls, how in ((True, "vanishes"), (False, "vanishes, with no signal for it")):
        watch = double.watch("--interval", "0.1", "--metrics", path, terminal=(24, 80),
                             controls=controls)
        things = held(watch.process.pid)
        double.tell_all(watch, leaving(), SEEN)
        watch.wait_for(TOTAL)
        watch.hang_up()
        ended = watch.end(0, 20)
        with open(path) as file:
            samples, _ = metrics.read(file.read())
        tap.ok(ended == UNKNOWN and metrics.value(samples, "lethe_watch_running") == 0 and
               metrics.value(samples, "lethe_watch_verdict") == UNKNOWN and
               metrics.value(samples, "lethe_left_pages_total", way="out") == 48211 and
               names_of(there) == ["gone.prom"],
               f"a terminal that {how}: it ends, status 2, and its metrics are whole",
               (ended, watch.said(), samples))
        tap.ok(things and not still_there(things),
               f"a terminal that {how}: nothing is left attached", things)
    watch = double.watch("--interval", "0.1", terminal=(24, 80), read=False, wait=False)
    time.sleep(1)
    double.tell(*[leaving(times=1000, pid=n) for n in range(1, 60)])
    time.sleep(1)
    began = time.monotonic()
    ended = watch.end(signal.SIGTERM, 30)
    tap.ok(ended == UNKNOWN and time.monotonic() - began < 20,
           "a terminal that takes nothing (Ctrl-S): it can be ended all the same",
           (ended, watch.said()))


@contextlib.contextmanager
def sleeper(*command):
    process = subprocess.Popen(command or ["sleep", "1000"])
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def test_target(tap, double):
    with sleeper() as process:
        watch = double.watch("--pid", str(process.pid))
        double.tell_all(watch, SEEN, f"event leaving 3 {process.pid} 0 0 0 0 0 2 MARK")
        process.kill()
        process.wait()
        ended = watch.end(0, 20)
    tap.ok(ended == CLEAN and "process is gone" in watch.text() and
           "1 of 0 calls" in watch.text(), "--pid: it ends with the process, and its verdict",
           watch.everything())
    refused(tap, double, [str(process.pid)], "is gone", "--pid: a process that is gone")
    refused(tap, double, ["2"], "kernel thread", "--pid: a kernel thread")
    with subprocess.Popen(["true"]) as zombie:
        os.waitid(os.P_PID, zombie.pid, os.WEXITED | os.WNOWAIT)
        refused(tap, double, [str(zombie.pid)], "has ended", "--pid: one that nobody waited for")
    with sleeper(sys.executable, "-c", "import threading, time\n"
                 "threading.Thread(target=time.sleep, args=(1000,)).start()") as process:
        time.sleep(0.5)
        threads = [t for t in os.listdir(f"/proc/{process.pid}/task") if t != str(process.pid)]
        refused(tap, double, threads[:1], "is a thread", "--pid: a thread")
    for bad in ("0", "-1", "x", "1x", "4194305", "99999999999999999999", ""):
        refused(tap, double, [bad], "not a pid", f'--pid "{bad}"')


def refused(tap, double, arguments, words, sentence, option="--pid", before=()):
    watch = Watch([*before, double.lethectl, "watch", option, *arguments])
    ended = watch.end(0, 20)
    tap.ok(ended == UNKNOWN and words in watch.said() and len(watch.said().splitlines()) <= 2 and
           not watch.out, f"{sentence}: a clear line, status 2", watch.everything())


def test_usage(tap, double):
    refused(tap, double, ["swap,disk"], "none of swap, access, leaving", "--only of no probe",
            "--only")
    refused(tap, double, [""], "none of swap, access, leaving", "--only of nothing", "--only")
    for option, bad in (("--seconds", "0"), ("--seconds", "nan"), ("--interval", "0.01"),
                        ("--interval", "1s"), ("--seconds", "-5"), ("--interval", "inf")):
        refused(tap, double, [bad], "not a number of seconds", f"{option} {bad}", option)


def test_rights(tap, double):
    nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=-all",
              "--"]
    watch = Watch([*nobody, double.lethectl, "watch", "--pid", str(ME)])
    ended = watch.end(0, 20)
    tap.ok(ended == UNKNOWN and "another user's process" in watch.said(),
           "--pid: another user's process, without being root: a clear line, status 2",
           watch.everything())
    watch = Watch([*nobody, double.lethectl, "watch"])
    ended = watch.end(0, 20)
    tap.ok(ended == UNKNOWN and "no CAP_BPF" in watch.said(),
           "without CAP_BPF: a clear line, status 2", watch.everything())
    watch = Watch(["setpriv", "--bounding-set=-bpf,-sys_admin", "--inh-caps=-bpf,-sys_admin", "--",
                   double.lethectl, "watch"])
    ended = watch.end(0, 20)
    tap.ok(ended == UNKNOWN and "no CAP_BPF" in watch.said(),
           "root without CAP_BPF and CAP_SYS_ADMIN: likewise", watch.everything())
    watch = Watch(["unshare", "--pid", "--fork", "--mount-proc", double.lethectl, "watch", "--pid",
                   "1"])
    ended = watch.end(0, 20)
    tap.ok(ended == UNKNOWN and "outside of this pid namespace" in watch.said(),
           "--pid in a pid namespace of its own: a clear line, status 2", watch.everything())


def test_leaves(tap, double):
    watch = double.watch()
    things = held(watch.process.pid)
    during = [thing for thing in things if is_there(*thing)]
    ended = watch.end()
    left = still_there(things)
    tap.ok(ended == CLEAN and len(during) == len(things) >= 9 and not left,
           "what it loaded is there as long as it watches, and then no longer",
           (things, during, left))
    watch = double.watch()
    things = held(watch.process.pid)
    watch.process.kill()
    watch.end(0)
    left = still_there(things)
    tap.ok(things and not left, "nor is it when it was killed", (things, left))
    watch = double.watch()
    things = held(watch.process.pid)
    double.tell_all(watch, "count swap 3 9 1 0", swap())
    ended = watch.end()
    left = still_there(things)
    tap.ok(ended == VIOLATION and things and not left, "nor after a violation", (things, left))


def main():
    tap = Document()
    with scratch_directory() as scratch:
        double = Double(os.path.abspath(sys.argv[1]), scratch)
        # So that nobody may be who runs it, too.
        os.chmod(scratch, 0o755)
        os.environ.setdefault("TERM", "xterm")
        test_signals(tap, double)
        test_pipe(tap, double)
        test_terminal(tap, double)
        test_terminal_gone(tap, double)
        test_target(tap, double)
        test_usage(tap, double)
        test_rights(tap, double)
        test_leaves(tap, double)
    return tap.end()


if __name__ == "__main__":
    sys.exit(main())
