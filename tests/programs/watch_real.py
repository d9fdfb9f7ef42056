#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
#
# lethectl watch, with the probes themselves, on a program that has a secret page: what
# it gives away, what others try on it, what leaves; and as many events as it can take.
# KTAP on stdout.
"""watch_real.py LETHECTL WATCHED SCRATCH"""

import contextlib
import ctypes
import os
import re
import signal
import subprocess
import sys
import tempfile
import time

from watching import Document, Watch, held, is_there, still_there

CLEAN, VIOLATION, UNKNOWN = range(3)
RATE, SECONDS = 100000, 3
LIBC = ctypes.CDLL(None, use_errno=True)


class Watched:
    """The program, on one backend."""

    def __init__(self, program, backend):
        self.process = subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        text=True, env={**os.environ, "LETHE_BACKEND": backend})
        pid, address = self.process.stdout.readline().split()
        self.pid, self.address = int(pid), int(address, 16)

    def do(self, what):
        self.process.stdin.write(what + "\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().strip()

    def end(self):
        self.process.stdin.write("end\n")
        self.process.stdin.close()
        self.process.wait()


class Real:
    """What is run."""

    def __init__(self, lethectl, program, scratch):
        self.lethectl, self.program, self.scratch = lethectl, program, scratch
        self.file = os.path.join(scratch, "direct")

    @contextlib.contextmanager
    def watched(self, backend, *options):
        """A program, and the watch of it."""
        program = Watched(self.program, backend)
        watch = Watch([self.lethectl, "watch", "--pid", str(program.pid), *options])
        try:
            watch.ready()
            yield program, watch
        finally:
            watch.end()
            program.process.kill()
            program.process.wait()


def function_at(program, frame):
    """The function that a frame of the stack is in."""
    offset = int(frame.split("+")[1], 16)
    text = subprocess.run(["addr2line", "-f", "-e", program, hex(offset - 1)], check=True,
                          stdout=subprocess.PIPE).stdout.decode()
    return text.splitlines()[0]


def test_leaving(tap, real):
    for backend in ("memfd_secret", "mlock"):
        with real.watched(backend, "-v", "--only", "leaving") as (program, watch):
            program.do("calls 3")
            program.do("press 1")
            program.end()
            status = watch.end(0)
            lines = re.findall(rf"leaving write watched\[{program.pid}\] "
                               rf"{program.address:#x}\+32 {backend} at (.*)", watch.text())
            tap.ok(len(lines) == 3 and watch.text().count("leaving write") == 3 and
                   "3 of " in watch.text() and status == CLEAN,
                   f"{backend}: each call that gives its secret page away is a line; no other is",
                   watch.everything())
            frames = re.findall(r"\bwatched\+0x[0-9a-f]+", lines[0] if lines else "")
            tap.ok(frames and function_at(real.program, frames[0]) == "give_it_away",
                   f"{backend}: its stack says from where", (lines, frames))
            tap.ok("process is gone" in watch.text(), f"{backend}: it ends with the process",
                   watch.everything())


def test_left(tap, real):
    with real.watched("mlock", "--only", "swap") as (program, watch):
        said = program.do("ordinary " + real.file)
        status = watch.end()
        pages = re.search(r"0 of ([\d,]+) pages that left were secret", watch.text())
        tap.ok(said == "written" and status == CLEAN and pages and pages[1] != "0",
               "an ordinary page that is written to a disk is one of those that left",
               (said, watch.everything()))
    with real.watched("mlock", "--only", "swap") as (program, watch):
        said = program.do("direct " + real.file)
        watch.wait_for("SECRET PAGE LEFT", seconds=5)
        status = watch.end()
        tap.ok(said == "written" and status == VIOLATION and
               re.search(rf"swap block .*watched\[{program.pid}\].* frame 0x[0-9a-f]+ mlock: "
                         "A SECRET PAGE LEFT", watch.text()),
               "mlock: its secret page, written there, is a violation", (said, watch.everything()))
    with real.watched("memfd_secret", "--only", "swap") as (program, watch):
        said = program.do("direct " + real.file)
        status = watch.end()
        tap.ok(said == "refused" and status == CLEAN,
               "memfd_secret: the kernel refuses, and there is none", (said, watch.everything()))
    with contextlib.suppress(FileNotFoundError):
        os.unlink(real.file)


@contextlib.contextmanager
def swap_file(scratch):
    """One to swap to. None where that is not allowed here."""
    path = os.path.join(scratch, "swap")
    with open(path, "wb") as file:
        file.write(bytes(16 << 20))
    os.chmod(path, 0o600)
    on = False
    try:
        subprocess.run(["/usr/sbin/mkswap", path], check=True, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL)
        on = subprocess.run(["/usr/sbin/swapon", path], stdout=subprocess.DEVNULL,
                            stderr=subprocess.DEVNULL).returncode == 0
        yield path if on else None
    finally:
        if on:
            subprocess.run(["/usr/sbin/swapoff", path], check=True)
        os.unlink(path)


def test_swap(tap, real):
    sentence = "ordinary pages that go to swap are seen to leave, and no secret one"
    with swap_file(real.scratch) as swap:
        if not swap:
            tap.skip(sentence, "no file can be swapped to here")
            return
        with real.watched("memfd_secret", "--only", "swap", "--json") as (program, watch):
            gone = int(program.do("press 256"))
            status = watch.end()
            ways = {way["way"]: way for way in watch.objects()[-1]["swap"]["ways"]}
            tap.ok(gone > 0 and ways["reclaim"]["pages"] >= gone and status == CLEAN and
                   all(way["told"] == 0 for way in ways.values()), sentence,
                   (gone, ways, status, watch.said()))


class Piece(ctypes.Structure):
    """struct iovec."""
    _fields_ = [("base", ctypes.c_void_p), ("length", ctypes.c_size_t)]


def process_vm_readv(program):
    room = ctypes.create_string_buffer(64)
    here = Piece(ctypes.cast(room, ctypes.c_void_p), 64)
    there = Piece(program.address, 64)
    return LIBC.process_vm_readv(program.pid, ctypes.byref(here), 1, ctypes.byref(there), 1, 0)


def proc_mem(program):
    with open(f"/proc/{program.pid}/mem", "rb", buffering=0) as file:
        try:
            return len(os.pread(file.fileno(), 64, program.address))
        except OSError:
            return -1


PTRACE_PEEKDATA, PTRACE_DETACH, PTRACE_SEIZE, PTRACE_INTERRUPT = 2, 17, 0x4206, 0x4207


def ptrace(program):
    LIBC.ptrace.argtypes = [ctypes.c_long, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p]
    LIBC.ptrace.restype = ctypes.c_long
    LIBC.ptrace(PTRACE_SEIZE, program.pid, None, None)
    LIBC.ptrace(PTRACE_INTERRUPT, program.pid, None, None)
    os.waitpid(program.pid, os.WUNTRACED)
    ctypes.set_errno(0)
    LIBC.ptrace(PTRACE_PEEKDATA, program.pid, program.address, None)
    result = -1 if ctypes.get_errno() else 8
    LIBC.ptrace(PTRACE_DETACH, program.pid, None, None)
    return result


def test_access(tap, real):
    for way, attempt, mixed in (("process_vm", process_vm_readv, CLEAN),
                                ("proc_mem", proc_mem, CLEAN), ("ptrace", ptrace, UNKNOWN)):
        for backend, granted in (("memfd_secret", False), ("mlock", True)):
            with real.watched(backend, "--only", "access", "--json") as (program, watch):
                result = attempt(program)
                watch.wait_for(f'"way":"{way}"', seconds=5)
                status = watch.end()
                events = [o for o in watch.objects() if o.get("way") == way]
                good = len(events) == 1 and events[0]["pid"] == os.getpid() and \
                    events[0]["target"] == program.pid and events[0]["backends"] == [backend]
                if granted:
                    tap.ok(result > 0 and good and events[0]["judgement"] == "violation" and
                           status == VIOLATION,
                           f"{backend}: {way} by root is not refused, and a violation",
                           (result, status, watch.objects()[1:], watch.said()))
                else:
                    tap.ok(result < 0 and good and events[0]["judgement"] == "noted" and
                           events[0]["result"] < 0 and status == mixed,
                           f"{backend}: {way} is refused, and told"
                           f"{'' if mixed == CLEAN else '; attaching is not to be told'}",
                           (result, status, watch.objects()[1:], watch.said()))


def told_and_lost(watch):
    leaving = watch.objects()[-1]["leaving"]
    return leaving["ways"][0]["told"], leaving["lost"], leaving["ways"][0]["secret"]


def flooded(real, rate, stopped):
    """Events of a flood: made, told, lost; and the status. Perhaps it cannot run a while."""
    program = Watched(real.program, "memfd_secret")
    path = os.path.join(real.scratch, "flood")
    with open(path, "wb") as out:
        watch = Watch([real.lethectl, "watch", "--pid", str(program.pid), "--only", "leaving",
                       "--json"], stdout=out, read=False)
    while not os.path.getsize(path):
        time.sleep(0.02)
    if stopped:
        watch.process.send_signal(signal.SIGSTOP)
    made = int(program.do(f"flood {rate} {SECONDS}"))
    watch.process.send_signal(signal.SIGCONT)
    status = watch.end()
    with open(path, "rb") as file:
        watch.out = bytearray(file.read().splitlines()[-1])
    os.unlink(path)
    program.end()
    return made, *told_and_lost(watch), status


def test_flood(tap, real):
    made, told, lost, secret, status = flooded(real, RATE, False)
    # Of everybody's: what others lose, or give away, is among it.
    tap.ok(told <= made <= told + lost <= secret and status == (UNKNOWN if lost else CLEAN),
           f"at {RATE} events a second none is lost, or each that is is counted",
           (made, told, lost, secret, status))
    print(f"# {made / SECONDS:.0f} events a second: {made} made, {told} told, {lost} lost")
    made, told, lost, secret, status = flooded(real, RATE, True)
    tap.ok(told < made <= told + lost <= secret and status == UNKNOWN,
           "when it cannot run they are lost, each is counted, and it is not to be told",
           (made, told, lost, secret, status))
    print(f"# stopped meanwhile: {made} made, {told} told, {lost} lost")


def test_hooks(tap, real):
    watch = Watch([real.lethectl, "watch", "--seconds", "1"])
    watch.ready()
    things = held(watch.process.pid)
    links = [thing for thing in things if thing[0] == "link" and is_there(*thing)]
    watch.end(0)
    left = still_there(things)
    tap.ok(len(links) >= 5 and re.search("(?m)^swap by .*block_bio_queue", watch.said()) and
           re.search("(?m)^leaving by .*sys_enter", watch.said()) and
           re.search("(?m)^access by ", watch.said()) and
           re.search(r"(?m)^secret frames by ", watch.said()),
           "says by which hooks it watches", watch.everything())
    tap.ok(links and not left, "and none of them is left attached", (links, left))


def main():
    os.environ["LC_ALL"] = "C"
    tap = Document()
    with tempfile.TemporaryDirectory(dir=sys.argv[3]) as scratch:
        real = Real(os.path.abspath(sys.argv[1]), os.path.abspath(sys.argv[2]), scratch)
        test_hooks(tap, real)
        test_leaving(tap, real)
        test_left(tap, real)
        test_swap(tap, real)
        test_access(tap, real)
        test_flood(tap, real)
    return tap.end()


if __name__ == "__main__":
    sys.exit(main())
