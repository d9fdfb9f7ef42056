#!/usr/bin/python3
# SPDX-License-Identifier: MIT
#
# The example's WireGuard, with a peer that is none of its code: they come to terms either
# way round, and none of its secrets is anywhere but on secret pages while it needs them,
# and nowhere once it does not. The control, in the same run: the same program with what
# Lethe does taken out. KTAP on stdout. With the kernel's WireGuard it is vm-examples.
#
#	handshake_test.py BUILD BACKEND
"""The WireGuard handshake, used and searched."""

import os
import signal
import socket
import struct
import subprocess
import sys
import tempfile

from using import BACKEND, EXAMPLES, Document, Example, fresh, limited, soon
from wireguard import InvalidTag, Key, Peer, Wrong


class Run:
    """One program's life with one peer."""

    def __init__(self, tap, scratch, hollow, listens):
        self.tap, self.hollow = tap, hollow
        self.name = ("control, " if hollow else f"{BACKEND}, ") + \
            ("answering" if listens else "beginning")
        self.key, theirs, self.preshared = Key(fresh()), Key(fresh()), fresh()
        self.peer = Peer(theirs, self.key.public, self.preshared)
        self.out = os.path.join(scratch, "out")
        files = {"key": self.key.text(), "preshared": Key(self.preshared).text()}
        for name, text in files.items():
            with open(os.path.join(scratch, name), "w") as file:
                file.write(text + "\n")
        fifo = os.path.join(scratch, "in")
        if not os.path.exists(fifo):
            os.mkfifo(fifo)
        self.stdin = os.open(fifo, os.O_RDWR | os.O_CLOEXEC)
        port = self.peer.port
        if listens:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
                free.bind(("127.0.0.1", 0))
                port = free.getsockname()[1]
            self.peer.at = ("127.0.0.1", port)
        words = ["handshake", "-k", f"{scratch}/key", "-p", f"{scratch}/preshared", "-r", "2",
                 theirs.public_text(), "127.0.0.1", str(port), *["listen"] * listens]
        self.program = Example(scratch, words, hollow, True, stdin=fifo, stdout=self.out)

    def good(self, condition, sentence, said=""):
        if not condition or not self.hollow:
            self.tap.ok(condition, f"{self.name}: {sentence}",
                        f"{said}\n{self.program.words()}")

    def type(self, line):
        os.write(self.stdin, line)

    def printed(self):
        with open(self.out, "rb") as out:
            return out.read()

    def clean(self, moment, *secrets):
        """Not outside of secret pages; and, of what is no longer needed, not on them."""
        outside, inside = self.program.found([b"".join(secrets)])
        if self.hollow:
            self.tap.ok(outside, f"{self.name}: {moment}: {outside} copies are found")
        else:
            self.tap.ok(not outside and not inside,
                        f"{self.name}: {moment}: {outside} copies, {inside} on secret pages")

    def in_use(self, moment, *secrets):
        """Nowhere but on secret pages, where root finds them on mlock."""
        outside, inside = self.program.found([b"".join(secrets)])
        if self.hollow:
            self.tap.ok(outside, f"{self.name}: {moment}: {outside} copies are found")
        else:
            self.tap.ok(not outside and (inside > 0) == (BACKEND == "mlock"),
                        f"{self.name}: {moment}: {outside} copies outside of secret pages"
                        f"{f', {inside} on them' if inside else ''}")

    def refused(self, what, message):
        """No answer, nothing printed, and it goes on."""
        printed = self.printed()
        self.peer.send(message)
        self.peer.socket.settimeout(0.3)
        try:
            answer = self.peer.receive()
        except TimeoutError:
            answer = b""
        self.peer.socket.settimeout(20)
        self.good(not answer and self.printed() == printed, f"no answer to {what}", answer)

    def exchange(self, ours, theirs):
        """A packet each way."""
        self.type(theirs)
        good = self.peer.packet() == theirs
        printed = self.printed()
        self.peer.send(self.peer.session.seal(ours))
        self.good(soon(lambda: self.printed() == printed + ours) and good,
                  f"packets each way: {ours.strip().decode()}")

    def end(self, *secrets):
        """Standard input is over: so is it, and all is gone."""
        os.close(self.stdin)
        self.program.end()
        if not self.hollow:
            self.clean("as it ends: everything that ever was secret", self.key.private,
                       self.preshared, *secrets)
        self.good(self.program.ended() == 0, "its status is 0")
        self.good(self.hollow or self.program.inside(),
                  "libcrypto had its keys in sections alone")


def beginning(run):
    """It begins each handshake: the first for the first packet, the second for the third."""
    peer = run.peer
    run.type(b"one\n")
    first_stamp = peer.answer(peer.receive())
    run.good(peer.packet() == b"one\n", "the first packet comes after a handshake")
    first = peer.session
    run.exchange(b"hello\n", b"two\n")
    run.in_use("the session's keys", *first.keys())
    run.clean("the private and the preshared key", run.key.private, run.preshared)
    run.clean("what the handshake was computed with", *first.on_the_way)
    run.refused("rubbish", os.urandom(148))
    packet = first.seal(b"x" * 40)
    run.refused("a packet of the session that was changed", packet[:-1] + bytes([packet[-1] ^ 1]))
    replayed = first.seal(b"once\n")
    peer.send(replayed)
    run.good(soon(lambda: b"once" in run.printed()), "a packet is printed")
    run.refused("the same packet once more", replayed)
    run.type(b"three\n")
    second_stamp = peer.answer(peer.receive())
    run.good(peer.packet() == b"three\n" and second_stamp > first_stamp,
             "after two packets there is a handshake with a later timestamp")
    run.exchange(b"again\n", b"four\n")
    run.in_use("the second session's keys", *peer.session.keys())
    run.clean("the first session's keys, with the second begun", *first.keys())
    run.refused("a packet of the first session", first.seal(b"late\n"))
    run.end(*first.keys(), *first.on_the_way, *peer.session.keys(), *peer.session.on_the_way)


def answering(run):
    """It waits for the peer's handshakes, and is not to be had by another's."""
    peer = run.peer
    # Its socket is there a little after it is.
    message, finish = peer.begin()
    peer.socket.settimeout(0.5)
    for _ in range(40):
        peer.send(message)
        try:
            finish(peer.receive())
            break
        except (TimeoutError, ConnectionRefusedError):
            continue
    peer.socket.settimeout(20)
    first = peer.session
    peer.send(first.seal(b"hello\n"))
    run.good(soon(lambda: run.printed() == b"hello\n"), "the peer's handshake is answered")
    run.exchange(b"hello\n", b"one\n")
    run.in_use("the session's keys", *first.keys())
    run.refused("the same handshake once more", message)
    run.refused("one of before that", peer.begin(struct.pack(">QI", 0x400000000000000a, 0))[0])
    key, peer.key = peer.key, Key(fresh())
    run.refused("one by another's key", peer.begin()[0])
    peer.key = key
    other, peer.preshared = fresh(), peer.preshared
    message, finish = peer.begin()
    peer.preshared, mine = other, peer.preshared
    peer.send(message)
    try:
        finish(peer.receive())
        refused = False
    except (InvalidTag, Wrong):
        refused = True
    peer.preshared = mine
    run.good(refused, "without the preshared key its answer is of no use")
    run.exchange(b"still\n", b"two\n")
    run.good(peer.session is first, "and the session goes on")
    message, finish = peer.begin()
    peer.send(message)
    finish(peer.receive())
    second = peer.session
    peer.session = first
    run.exchange(b"first\n", b"three\n")
    peer.session = second
    peer.send(second.seal(b"second\n"))
    run.good(soon(lambda: run.printed().endswith(b"second\n")),
             "the next one is in use once the peer has shown that it has the keys")
    run.clean("the first session's keys, with the second begun", *first.keys())
    run.refused("a packet of the first session", first.seal(b"late\n"))
    run.exchange(b"again\n", b"four\n")
    run.end(*first.keys(), *first.on_the_way, *second.keys(), *second.on_the_way)


def stopped(tap):
    """A signal ends it as the end of its input does."""
    with tempfile.TemporaryDirectory(prefix="lethe-handshake-") as scratch:
        run = Run(tap, scratch, False, False)
        with run.program:
            run.type(b"one\n")
            run.peer.answer(run.peer.receive())
            run.good(run.peer.packet() == b"one\n", "a session")
            run.program.end(signal.SIGTERM)
            run.clean("as it ends by SIGTERM", run.key.private, *run.peer.session.keys())
            run.good(run.program.ended() == 0, "its status is 0")
            os.close(run.stdin)


def pair(tap):
    """Two of them with each other, as its first lines say."""
    with tempfile.TemporaryDirectory(prefix="lethe-handshake-") as scratch, \
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        keys, port = [Key(fresh()), Key(fresh())], str(free.getsockname()[1])
        free.close()
        both = []
        for number, listens in ((1, ["listen"]), (0, [])):
            file = os.path.join(scratch, str(number))
            with open(file, "w") as out:
                out.write(keys[number].text() + "\n")
            both.append(subprocess.Popen(
                [f"{EXAMPLES}/handshake", "-k", file, keys[1 - number].public_text(),
                 "127.0.0.1", port, *listens], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                bufsize=0, preexec_fn=limited, env={**os.environ, "LETHE_BACKEND": BACKEND}))
        listener, other = both
        other.stdin.write(b"there\n")
        there = listener.stdout.readline()
        listener.stdin.write(b"and back\n")
        back = other.stdout.readline()
        for each in both:
            each.communicate()
        tap.ok((there, back) == (b"there\n", b"and back\n"),
               f"{BACKEND}: two of them, a packet each way", (there, back))
        tap.ok([each.returncode for each in both] == [0, 0], f"{BACKEND}: both end with 0")


def main():
    tap = Document()
    pair(tap)
    for listens, use in ((False, beginning), (True, answering)):
        for hollow in (True, False):
            with tempfile.TemporaryDirectory(prefix="lethe-handshake-") as scratch:
                run = Run(tap, scratch, hollow, listens)
                with run.program:
                    use(run)
    stopped(tap)
    return tap.end()


if __name__ == "__main__":
    sys.exit(main())
