#!/usr/bin/python3
# SPDX-License-Identifier: MIT
#
# The example's TLS server, with real clients: it serves them, and none of its secrets is
# anywhere but on secret pages, as it serves, after each connection, in a core file, and as
# it ends. The control, in the same run: the same program with sections that protect from
# nothing. KTAP on stdout.
#
#	tls_test.py BUILD BACKEND
"""The TLS server, used and searched."""

import contextlib
import os
import pwd
import signal
import ssl
import sys
import tempfile
import time

from tls_client import Clients, answer_of, facts
from tls_server import LEVELS, Keys, Server
from using import BACKEND, Document, soon
from way import whole

ECDHE = "ECDHE-%s-AES256-GCM-SHA384"
TLS13 = "TLS_AES_256_GCM_SHA384"
# Who connects; what must have been agreed on.
HANDSHAKES = (
    ("curl", ("--tlsv1.3",), "TLSv1.3", TLS13),
    ("curl", ("--tls-max", "1.2", "--ciphers", ECDHE % "ECDSA"), "TLSv1.2", ECDHE % "ECDSA"),
    ("curl", ("--tls-max", "1.2", "--ciphers", ECDHE % "RSA"), "TLSv1.2", ECDHE % "RSA"),
    ("s_client", ("-tls1_3", "-sigalgs", "ECDSA+SHA256"), "TLSv1.3", TLS13),
    ("s_client", ("-tls1_3", "-sigalgs", "RSA-PSS+SHA256"), "TLSv1.3", TLS13),
    ("s_client", ("-tls1_2", "-cipher", ECDHE % "RSA"), "TLSv1.2", ECDHE % "RSA"),
)


class Run:
    """One server's life, and what is found of it at each moment."""

    def __init__(self, tap, server, scratch):
        self.tap, self.server, self.scratch = tap, server, scratch
        self.clients = Clients(scratch, server.port, server.keys.authority)
        self.level = "ordinary" if server.hollow else LEVELS[server.backend]
        self.seen = list(server.keys.secrets)
        # Of every moment, how many copies there were outside of secret pages.
        self.moments = {}

    def look(self, moment, secrets):
        """Nothing outside; in the control, as much as there is."""
        outside, inside = self.server.found(secrets)
        self.moments[moment] = outside
        if not self.server.hollow:
            self.tap.ok(not outside, f"{BACKEND}: {moment}: {outside} copies outside of secret "
                        "pages")
        return inside

    def good(self, condition, sentence, note=""):
        """Said of the server itself, not of its control."""
        if self.server.hollow:
            return
        self.tap.ok(condition, f"{BACKEND}: {sentence}", f"{note}\n{self.server.words()}")

    def rest(self):
        inside = self.look("waiting, before any connection", self.server.keys.secrets)
        if BACKEND == "mlock":
            self.good(inside, f"its keys are on secret pages, which root can read here: {inside}")

    def handshakes(self):
        for client, options, version, cipher in HANDSHAKES:
            answer, secrets = getattr(self.clients, client)(*options)
            self.good(facts(answer) == (version, cipher, "new", self.level),
                      f"{client} {' '.join(options)}: served", answer)
            if client == "s_client":
                kind = "ECDSA" if "ECDSA" in " ".join(options) else "RSA"
                self.good(f"Peer signature type: {kind}" in answer and
                          "No ALPN negotiated" in answer, f"signed with {kind}, no ALPN", answer)
            self.look(f"after {client} {' '.join(options)}", secrets)
            self.seen.append(secrets[0])

    def resumed(self):
        for version in ("-tls1_3", "-tls1_2"):
            ticket = os.path.join(self.scratch, "ticket" + version)
            first = self.clients.s_client(version, "-sess_out", ticket)
            again = self.clients.s_client(version, "-sess_in", ticket)
            self.good(facts(first[0])[2] == "new" and facts(again[0])[2] == "resumed",
                      f"{version}: a session is resumed", again[0])
            self.look(f"after the resumption, {version}", first[1] + again[1])
            self.seen += [first[1][0], again[1][0]]

    def held(self):
        for version in (ssl.TLSVersion.TLSv1_3, ssl.TLSVersion.TLSv1_2):
            with self.clients.held(version) as secrets:
                inside = self.look(f"a session open, {version.name}", secrets)
                if BACKEND == "mlock":
                    self.good(inside, f"and on secret pages they are: {inside}")
            self.seen.append(secrets[0])

    def many(self):
        keylog = self.clients.keylog()
        context = self.clients.context(keylog)
        open_ones = [self.clients.connected(context) for _ in range(50)]
        with open(keylog) as lines:
            secrets = b"".join(bytes.fromhex(line.split()[2]) for line in lines
                               if line[0] != "#" and "TRAFFIC" in line)
        self.look("fifty connections at once", [secrets[:16384]])
        answers = [facts(answer_of(each))[3] for each in reversed(open_ones)]
        self.good(answers == [self.level] * 50, "all fifty are served")
        self.look("after the fifty", [secrets[:16384]])

    def rubbish(self):
        for name, act in self.clients.rubbish():
            before = self.server.lines(": connection ")
            act()
            self.good(soon(lambda: self.server.lines(": connection ") == before + 1) and
                      self.served(), f"from a client: {name}: a line, and it serves on")

    def served(self):
        return facts(self.clients.curl()[0])[3] == self.level

    def core(self):
        count = whole(*(each for secret in self.server.keys.secrets + self.seen
                        for each in (secret[i:i + 32] for i in range(0, len(secret) - 31, 32))))
        there = self.server.core(count)
        self.moments["in a core file"] = there
        return there

    def end(self):
        self.server.end(signal.SIGTERM)
        inside = self.look("as it ends", [b"".join(self.server.keys.secrets), *self.seen])
        if BACKEND == "mlock":
            self.good(not inside, "and everything has been freed: secret pages have none either")
        self.good(self.server.ended() == 0, "SIGTERM ends it with 0")
        self.good(self.server.inside(), "all that libssl did, it did in sections")


def life(tap, keys, scratch, hollow):
    """The same for both. What was found, by moment."""
    with Server(scratch, keys, ("-s", "600"), hollow) as server:
        run = Run(tap, server, scratch)
        if not hollow:
            tap.ok(server.backend == BACKEND, f"the server is on {BACKEND}")
        run.rest()
        run.handshakes()
        run.resumed()
        run.held()
        run.many()
        if not hollow:
            run.rubbish()
            run.look("after rubbish", keys.secrets)
        core = run.core()
        if not hollow:
            tap.ok(not core, f"{BACKEND}: in a core file that gdb makes: {core}")
        run.end()
    return run.moments


def control(tap, keys, scratch, moments):
    """Each moment's search finds something where nothing protects, or is told not to."""
    hollow = life(tap, keys, scratch, True)
    for moment, outside in hollow.items():
        if moment in moments:
            tap.say(f"{moment}: {outside} without protection, {moments[moment]} with")
    for kind in ("waiting", "a session open", "after curl", "after s_client",
                 "after the resumption", "fifty", "in a core", "as it ends"):
        found = [n for moment, n in hollow.items() if moment.startswith(kind)]
        tap.ok(found and any(found), f"control: without protection, {kind}: {found} copies")


def privileges(tap, keys, scratch):
    who = pwd.getpwnam("nobody")
    with Server(scratch, keys, ("-u", "nobody", "-s", "1")) as server:
        clients = Clients(scratch, server.port, keys.authority)
        with open(f"/proc/{server.pid}/limits") as limits:
            core = next(line.split()[4:6] for line in limits if "core file size" in line)
        tap.ok(server.status("Uid") == [str(who.pw_uid)] * 4 and
               server.status("CapEff") == ["0" * 16] and server.status("NoNewPrivs") == ["1"] and
               core == ["0", "0"] and os.stat(f"/proc/{server.pid}/mem").st_uid == 0,
               f"{BACKEND}: it serves as nobody, without privileges, and dumps no core")
        tap.ok(facts(clients.curl()[0])[3] == LEVELS[BACKEND], f"{BACKEND}: and serves")
        with clients.plain() as silent:
            begun = time.monotonic()
            silent.recv(1)
            took = time.monotonic() - begun
        tap.ok(took < 10 and server.lines("too slow") == 1,
               f"{BACKEND}: a client that says nothing is dropped after a second or two")


def kept_by_the_kernel(tap, keys, scratch):
    """With -c, which overwrites it without the module; what there is without protection."""
    counts = []
    for hollow in (False, True):
        with Server(scratch, keys, ("-c",), hollow) as server:
            clients = Clients(scratch, server.port, keys.authority)
            copies, searched = server.kept(keys.secrets)
            for _ in range(3):
                secrets = clients.curl()[1]
                more = server.kept(secrets[:1])
                copies, searched = copies + more[0], searched + more[1]
            counts.append(copies)
    tap.ok(not counts[0] and searched, f"{BACKEND}: with -c, in registers and what the kernel "
           f"keeps of them, {searched} bytes: {counts[0]} copies")
    # What libcrypto leaves in registers, libc may happen to overwrite on another processor.
    tap.ok(counts[1], "control: without protection, in registers and what the kernel keeps: "
           f"{counts[1]} copies", missing="" if counts[1] else "none are left on this processor")


def limit(tap, keys, scratch):
    """Those that do not fit are refused, with a line; the others are served."""
    with Server(scratch, keys, ("-n", "600", "-s", "600")) as server:
        clients = Clients(scratch, server.port, keys.authority)
        keylog = clients.keylog()
        early = clients.connected(clients.context(keylog))
        begun = []
        hello = clients.hello()[:100]
        refused = lambda: server.lines("no secret memory is left")
        while not refused() and len(begun) < 300:
            begun.append(clients.plain())
            with contextlib.suppress(ConnectionError):
                begun[-1].sendall(hello)
            if not len(begun) % 20:
                time.sleep(0.2)
        soon(refused)
        tap.ok(0 < refused() and len(begun) < 300,
               f"{BACKEND}: RLIMIT_MEMLOCK is used up: {len(begun)} handshakes begun, {refused()} "
               "refused with a line")
        locked = int(server.status("VmLck")[0])
        tap.ok(locked <= 8192, f"{BACKEND}: {locked} KiB are locked, of 8192")
        with open(keylog) as lines:
            secrets = [bytes.fromhex(line.split()[2]) for line in lines if line[0] != "#"]
        tap.ok(not server.found([b"".join(secrets), *keys.secrets])[0] and
               facts(answer_of(early))[3] == LEVELS[BACKEND],
               f"{BACKEND}: nothing went to ordinary memory, and who was there is served")
        for each in begun:
            each.close()
        tap.ok(soon(lambda: facts(clients.curl()[0])[2] == "new"),
               f"{BACKEND}: and so is the next one when they have gone")


def main():
    os.environ["LC_ALL"] = "C"
    tap = Document()
    with tempfile.TemporaryDirectory(prefix="lethe-tls-") as scratch:
        keys = Keys(scratch)
        moments = life(tap, keys, scratch, False)
        control(tap, keys, scratch, moments)
        if BACKEND == "memfd_secret":
            kept_by_the_kernel(tap, keys, scratch)
            limit(tap, keys, scratch)
        privileges(tap, keys, scratch)
    return tap.end()


if __name__ == "__main__":
    sys.exit(main())
