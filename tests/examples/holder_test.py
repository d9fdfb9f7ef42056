#!/usr/bin/python3
# SPDX-License-Identifier: MIT
#
# The example's key holder, used by Debian's ssh-add, ssh-keygen and ssh as they are, and by
# a client that breaks the rules: it serves on, and its keys and the passphrase are nowhere,
# on mlock neither. The control, in the same run: the same program with what Lethe does
# taken out. KTAP on stdout.
#
#	holder_test.py BUILD BACKEND
"""The key holder, used and searched."""

import hashlib
import os
import shutil
import signal
import socket
import stat
import struct
import subprocess
import sys
import tempfile
import time

import agent
from agent import FAILURE, SUCCESS, Client, string
from sshd import DebianError, Sshd
from using import BACKEND, BUILD, EXAMPLES, SECONDS, Document, Example, fresh, limited, soon
import known  # using has made it known where

OWN = {"SSH_AUTH_SOCK": "", "SSH_ASKPASS_REQUIRE": "force"}
NOBODY = 65534
# As another user: whether it is listened to. Status 0: no.
REFUSED = """
import socket, sys
s = socket.socket(socket.AF_UNIX)
s.settimeout(20)
s.connect(sys.argv[1])
try:
    s.sendall(b"\\0\\0\\0\\1\\x0b")
    sys.exit(s.recv(1) != b"")
except (BrokenPipeError, ConnectionResetError):
    sys.exit(0)
"""


class Holder:
    """One holder's life."""

    def __init__(self, tap, scratch, hollow=False, options=()):
        self.tap, self.scratch, self.hollow = tap, scratch, hollow
        self.path = os.path.join(scratch, "socket")
        self.program = Example(scratch, ["holder", *options, self.path], hollow, True)
        soon(lambda: os.path.exists(self.path))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.program.__exit__()

    def ok(self, condition, sentence, said=""):
        if not condition or not self.hollow:
            self.tap.ok(condition, f"{'control' if self.hollow else BACKEND}: {sentence}",
                        f"{said}\n{self.program.words()}")

    def clean(self, moment, *secrets):
        outside, inside = self.program.found([b"".join(secrets)])
        if self.hollow:
            self.tap.ok(outside, f"control: {moment}: {outside} copies are found")
        else:
            self.tap.ok(not outside and not inside, f"{BACKEND}: {moment}: {outside} copies, "
                        f"{inside} on secret pages")

    def tool(self, *words, passphrase=None):
        """One of ssh's tools; whether it was content, and all that it said."""
        environment = {**os.environ, **OWN, "SSH_AUTH_SOCK": self.path}
        if passphrase:
            script = os.path.join(self.scratch, "askpass")
            with open(script, "w") as file:
                file.write(f"#!/bin/sh\necho '{passphrase.decode()}'\n")
            os.chmod(script, 0o700)
            environment["SSH_ASKPASS"] = script
        done = subprocess.run(words, env=environment, stdin=subprocess.DEVNULL, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              timeout=SECONDS, check=False)
        return done.returncode == 0, done.stdout

    def ask(self, message):
        return agent.ask(self.path, message)

    def count(self):
        with Client(self.path) as client:
            return client.count()

    def end(self, *secrets):
        self.program.end(signal.SIGTERM)
        if not self.hollow:
            self.clean("as it ends", *secrets)
        self.ok(self.program.ended() == 0 and not os.path.exists(self.path),
                "it ends with 0, and its socket is gone")
        self.ok(self.hollow or self.program.inside(), "libcrypto had its keys and the "
                "passphrase in sections alone")


def signed(holder, key):
    """By ssh-keygen, which asks the holder; and ssh-keygen verifies."""
    message = os.path.join(holder.scratch, "message")
    with open(message, "w") as file:
        file.write("a message\n")
    good, said = holder.tool("ssh-keygen", "-q", "-Y", "sign", "-f", f"{key}.pub", "-n", "test",
                             message)
    if not good:
        return False, said
    with open(f"{key}.pub") as public, open(f"{message}.signers", "w") as signers:
        signers.write("me " + public.read())
    return holder.tool("sh", "-c", f"ssh-keygen -Y verify -f {message}.signers -I me -n test "
                       f"-s {message}.sig <{message}; status=$?; rm {message}.sig; exit $status")


def by_ssh(holder):
    """What a person does; the key's secrets."""
    key = os.path.join(holder.scratch, "key")
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "me@here", "-f", key],
                   check=True)
    seed = known.ed25519_of_openssh(key)
    # What signs has it expanded: the scalar and the prefix.
    secrets = [seed, hashlib.sha512(seed).digest()]
    holder.ok(holder.tool("ssh-add", key)[0], "ssh-add adds a key")
    # From here on nobody has it but the holder.
    os.unlink(key)
    with open(f"{key}.pub") as public:
        line = public.read()
    holder.ok(holder.tool("ssh-add", "-L")[1] == line, "ssh-add -L lists it as its file has it")
    good, said = signed(holder, key)
    holder.ok(good, "ssh-keygen -Y sign, and what it signed is good", said)
    holder.clean("a key added and a signature made", *secrets)
    if not holder.hollow:
        login(holder, line)
        holder.clean("and after the login", *secrets)
    passphrase = known.password()
    holder.ok(holder.tool("ssh-add", "-x", passphrase=passphrase)[0], "ssh-add -x locks it")
    holder.ok("no identities" in holder.tool("ssh-add", "-l")[1] and not signed(holder, key)[0],
              "locked, it lists nothing and signs nothing")
    holder.clean("locked", *secrets, passphrase)
    holder.ok(not holder.tool("ssh-add", "-X", passphrase=b"another")[0],
              "another passphrase does not unlock it")
    time.sleep(0.2)
    holder.ok(holder.tool("ssh-add", "-X", passphrase=passphrase)[0] and signed(holder, key)[0],
              "its own does, and it signs")
    holder.clean("unlocked, and signed once more", *secrets, passphrase)
    holder.ok(holder.tool("ssh-add", "-d", key)[0] and holder.count() == 0, "ssh-add -d")
    holder.clean("the key removed", *secrets, passphrase)
    return [*secrets, passphrase]


def login(holder, public):
    """ssh to a real sshd, which knows the public key and nothing else."""
    if os.geteuid():
        holder.tap.skip(f"{BACKEND}: a login by ssh", "a mount namespace is root's")
        return
    with open(os.path.join(holder.scratch, "authorized"), "w") as authorized:
        authorized.write(public)
    try:
        server = Sshd(BUILD, holder.scratch)
    except DebianError as error:
        holder.tap.skip(f"{BACKEND}: a login by ssh", f"no sshd to be had: {error}")
        return
    with server:
        soon(server.serves)
        good, said = holder.tool(
            "ssh", "-F", "none", "-p", str(server.port), "-o", "StrictHostKeyChecking=no",
            "-o", "UserKnownHostsFile=/dev/null", "-o", "IdentityFile=none", "-o",
            "PreferredAuthentications=publickey", "root@127.0.0.1", "echo logged in")
        holder.ok(good and "logged in" in said, "ssh logs in to sshd by it",
                  said + server.words())


def by_hand(holder):
    """What no tool says."""
    key, other = agent.Key(fresh()), agent.Key(fresh())
    with Client(holder.path) as client:
        holder.ok(client.ask(key.add()) == SUCCESS and client.ask(key.add()) == SUCCESS and
                  client.count() == 1, "a key that is added twice is there once")
        answer = client.ask(key.sign(b"data"))
        holder.ok(key.signed(answer, b"data"), "it signs what it is given")
        holder.clean("who added the key is connected still", key.seed)
        holder.ok(client.ask(other.sign(b"data")) == FAILURE, "by no key that it has not")
        wrong = agent.Key(other.seed)
        wrong.public, wrong.blob = key.public, key.blob
        holder.ok(client.ask(wrong.add()) == FAILURE and client.count() == 1,
                  "a seed of another public key is refused")
        holder.ok(client.ask(other.add(b"\2")) == FAILURE and
                  client.ask(other.add(b"\xff" + string(b"x@y"))) == FAILURE,
                  "constraints that it cannot keep are refused")
        bad = [message for message in agent.rubbish(other)
               if client.ask(message) not in (FAILURE, b"")]
        holder.ok(not bad and client.count() == 1 and
                  key.signed(client.ask(key.sign(b"data")), b"data"),
                  "messages cut off anywhere, and of any type: refused, and it serves on", bad[:3])
    for length in (0, 16385, 0xffffffff):
        with Client(holder.path) as client:
            client.send(struct.pack(">I", length) + bytes(100))
            holder.ok(client.read(1) == b"", f"a message of {length} bytes: it hangs up")
    crowd(holder, key)
    holder.clean("after all that", key.seed, other.seed)
    locks(holder, key)
    lives(holder)
    return [key.seed, other.seed]


def crowd(holder, key):
    """More clients than it takes; messages in pieces; one that never reads."""
    clients = [Client(holder.path) for _ in range(40)]
    holder.ok(soon(lambda: clients[39].read(1) == b""), "of 40 clients at once some are refused")
    message = string(key.sign(b"data"))
    for byte in message:
        clients[0].send(bytes([byte]))
    holder.ok(key.signed(clients[0].answer(), b"data"), "a message byte by byte is answered")
    clients[1].send(string(bytes([agent.LIST])) * 2 + string(key.add())[:40])
    holder.ok(clients[1].answer() and clients[1].answer(), "two at once are, and half waits")
    clients[2].socket.setblocking(False)
    flood = string(key.sign(b"data")) * 200
    try:
        for _ in range(200):
            clients[2].socket.send(flood)
    except (BlockingIOError, BrokenPipeError, ConnectionResetError):
        pass
    holder.ok(key.signed(clients[0].ask(key.sign(b"more")), b"more"),
              "one that does not read its answers keeps nobody waiting")
    for client in clients:
        client.socket.close()
    holder.ok(soon(lambda: holder.count() == 1), "with them gone there is room again")


def locks(holder, key):
    """Locked; and how often one may guess."""
    word, wrong = known.password(), bytes([agent.UNLOCK]) + string(b"wrong")
    with Client(holder.path) as client:
        lock, unlock = (bytes([kind]) + string(word) for kind in (agent.LOCK, agent.UNLOCK))
        holder.ok(client.ask(unlock) == FAILURE and client.ask(lock) == SUCCESS and
                  client.ask(lock) == FAILURE, "it is locked once")
        holder.ok([client.ask(message) for message in (
            key.sign(b"data"), key.add(), bytes([agent.REMOVE]) + string(key.blob),
            bytes([agent.REMOVE_ALL]))] == [FAILURE] * 4 and client.count() == 0,
                  "locked, it does nothing of what it is asked")
        refused = client.ask(wrong), client.ask(unlock)
        time.sleep(0.15)
        holder.ok(refused == (FAILURE, FAILURE) and client.ask(unlock) == SUCCESS,
                  "right after a wrong passphrase the right one is refused too, and later not")
        client.ask(lock)
        for _ in range(8):
            client.ask(wrong)
            time.sleep(0.12)
        # Of those some were looked at: it now takes longer.
        refused = client.ask(wrong), client.ask(unlock)
        holder.ok(refused[1] == FAILURE and
                  soon(lambda: client.ask(unlock) == SUCCESS), "the wait grows, and ends")
        holder.ok(client.count() == 1, "unlocked, its key is there")
        holder.clean("the passphrase, with its client connected still", word)


def lives(holder):
    """A key with a life time."""
    key = agent.Key(fresh())
    with Client(holder.path) as client:
        constraint = b"\1" + struct.pack(">I", 1)
        holder.ok(client.ask(key.add(constraint)) == SUCCESS and client.count() == 2 and
                  key.signed(client.ask(key.sign(b"data")), b"data"), "a key for a second")
        time.sleep(1.1)
        holder.clean("which is over", key.seed)
        holder.ok(client.count() == 1 and client.ask(key.sign(b"data")) == FAILURE,
                  "is not there any more")


def secret_pages(pid):
    """Bytes of memory that is kept from swap and dumps, or locked pages in all."""
    with open(f"/proc/{pid}/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmLck:"))


def idle(holder):
    """When nothing is asked, it gives secret pages back, and has its keys still."""
    key = agent.Key(fresh())
    holder.ask(key.add())
    with Client(holder.path) as client:
        client.ask(key.sign(b"data"))
    before = secret_pages(holder.program.pid)
    holder.ok(soon(lambda: secret_pages(holder.program.pid) < before, 15),
              f"idle for 10 seconds, it gives secret pages back: of {before} KiB")
    # Piece by piece.
    soon(lambda: secret_pages(holder.program.pid) <= 64, 5)
    after = secret_pages(holder.program.pid)
    holder.ok(after <= 64, f"to {after} KiB")
    with Client(holder.path) as client:
        holder.ok(key.signed(client.ask(key.sign(b"data")), b"data"), "and signs when it is asked")
    holder.clean("after that", key.seed)


def other_users(holder):
    """Not even where the socket's mode would let them."""
    if os.geteuid():
        holder.tap.skip(f"{BACKEND}: another user", "only root can be another")
        return
    holder.ok(stat.S_IMODE(os.stat(holder.path).st_mode) == 0o600, "its socket is its user's")
    os.chmod(holder.path, 0o666)
    os.chmod(holder.scratch, 0o755)
    done = subprocess.run([sys.executable, "-c", REFUSED, holder.path], user=NOBODY, check=False,
                          capture_output=True)
    holder.ok(done.returncode == 0, "another user is hung up on", done.stderr)
    os.chmod(holder.path, 0o600)


def by_nobody(tap):
    """As an ordinary user: it works, and that user cannot get at its memory."""
    if os.geteuid():
        tap.skip(f"{BACKEND}: as another user", "only root can be another")
        return
    with tempfile.TemporaryDirectory(prefix="lethe-holder-") as scratch:
        os.chown(scratch, NOBODY, NOBODY)
        for file in (f"{EXAMPLES}/holder", f"{BUILD}/lib/liblethe.so.0",
                     f"{BUILD}/lib/liblethe-malloc.so.0"):
            shutil.copy(file, scratch)
        path = os.path.join(scratch, "socket")
        process = subprocess.Popen(
            [f"{scratch}/holder", path], user=NOBODY, group=NOBODY, extra_groups=[],
            env={"LD_LIBRARY_PATH": scratch, "LETHE_BACKEND": BACKEND}, preexec_fn=limited)
        try:
            soon(lambda: os.path.exists(path))
            key = agent.Key(fresh())
            ask = ("import sys; sys.path.insert(0, sys.argv[1]); import agent; key = agent.Key("
                   "bytes.fromhex(sys.argv[2])); ok = agent.ask(sys.argv[3], key.add()) == "
                   "agent.SUCCESS and key.signed(agent.ask(sys.argv[3], key.sign(b'x')), b'x'); "
                   "sys.exit(not ok)")
            for name in ("agent.py",):
                shutil.copy(os.path.join(os.path.dirname(os.path.abspath(__file__)), name),
                            scratch)
            done = subprocess.run([sys.executable, "-Bc", ask, scratch, key.seed.hex(), path],
                                  user=NOBODY, check=False, capture_output=True)
            tap.ok(done.returncode == 0, f"{BACKEND}: an ordinary user's holds and signs",
                   done.stderr)
            mem = f"/proc/{process.pid}/mem"
            read = subprocess.run([sys.executable, "-c", f"open({mem!r})"], user=NOBODY,
                                  check=False, capture_output=True)
            tap.ok(os.stat(mem).st_uid == 0 and b"PermissionError" in read.stderr,
                   f"{BACKEND}: whose memory that user cannot open", read.stderr)
            with open(f"/proc/{process.pid}/limits") as limits:
                tap.ok(any(line.split()[:6] == "Max core file size 0 0".split() for line in limits),
                       f"{BACKEND}: and which leaves no core file")
        finally:
            process.terminate()
            process.wait()


def taken(tap):
    """A path that is in use is not taken over; and -t is for what says nothing else."""
    with tempfile.TemporaryDirectory(prefix="lethe-holder-") as scratch, \
            Holder(tap, scratch, options=("-t", "1")) as holder:
        second = subprocess.run([f"{EXAMPLES}/holder", holder.path], capture_output=True,
                                check=False)
        holder.ok(second.returncode == 1 and b"in use" in second.stderr and
                  os.path.exists(holder.path), "a second one at its socket is refused")
        key = agent.Key(fresh())
        holder.ask(key.add())
        there = holder.count()
        holder.ok(there == 1 and soon(lambda: holder.count() == 0, 3), "-t 1: a second later "
                  "its keys are gone")


def main():
    tap = Document()
    for hollow in (True, False):
        with tempfile.TemporaryDirectory(prefix="lethe-holder-") as scratch, \
                Holder(tap, scratch, hollow) as holder:
            secrets = by_ssh(holder)
            if not hollow:
                secrets += by_hand(holder)
                other_users(holder)
                idle(holder)
            holder.end(*secrets)
    by_nobody(tap)
    taken(tap)
    return tap.end()


if __name__ == "__main__":
    sys.exit(main())
