# SPDX-License-Identifier: MIT
#
# Programs that are searched while they have a secret: two agents and a service, after they
# were used; minisign and ssh-keygen, with a key in hand. Each is used as a person does, and
# what it is for is seen to be done.
"""Programs as they serve."""

import contextlib
import hashlib
import os
import re
import select
import subprocess
import time

import known
from way import SECONDS, Failed, terminate, whole


def ssh_agent(way):
    """Adds a key, signs with it, verifies: and has the key still."""
    key, sock = way.path("key"), way.path("agent")
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", key],
                   check=True)
    secret = known.ed25519_of_openssh(key)
    text = way.run(["ssh-agent", "-a", sock])
    pid = int(re.search(r"SSH_AGENT_PID=(\d+)", text).group(1))
    try:
        env = {**os.environ, "SSH_AUTH_SOCK": sock}
        subprocess.run(["ssh-add", "-q", key], env=env, check=True, timeout=SECONDS)
        os.unlink(key)
        message = way.path("message")
        with open(message, "w") as file:
            file.write("a message\n")
        subprocess.run(["ssh-keygen", "-q", "-Y", "sign", "-f", key + ".pub", "-n", "test",
                        message], env=env, check=True, timeout=SECONDS,
                       stderr=subprocess.DEVNULL)
        with open(key + ".pub") as public, open(way.path("signers"), "w") as signers:
            signers.write("me " + public.read())
        with open(message) as file:
            subprocess.run(["ssh-keygen", "-Y", "verify", "-f", way.path("signers"), "-I",
                            "me", "-n", "test", "-s", message + ".sig"], stdin=file,
                           stdout=subprocess.DEVNULL, check=True)
        # What signs has it expanded: the scalar and the prefix.
        expanded = hashlib.sha512(secret).digest()
        counts = way.search(pid, [secret, expanded])
        for memory, place in way.memory(pid):
            counts[place] += known.unshielded(memory, secret)
        return counts, way.core(pid, lambda memory: known.unshielded(memory, secret))
    finally:
        terminate(pid)


def gpg_agent(way):
    """Decrypts a message, by a key without a passphrase."""
    home = way.path("gnupg")
    os.mkdir(home, 0o700)
    env = {**os.environ, "GNUPGHOME": home}

    def gpg(*args, **more):
        return subprocess.run(["gpg", "--batch", "--quiet", "--yes", "--trust-model",
                               "always", *args], env=env, timeout=SECONDS,
                              stderr=subprocess.DEVNULL, stdout=subprocess.PIPE, check=True,
                              **more).stdout

    way.run(["gpg-agent", "--homedir", home, "--daemon"], env=env)
    text = subprocess.run(["gpg-connect-agent", "--no-autostart", "getinfo pid", "/bye"],
                          env=env, capture_output=True, check=True, timeout=SECONDS).stdout
    pid = int(text.split()[1])
    try:
        gpg("--passphrase", "", "--quick-gen-key", "me", "rsa2048", "default", "never")
        # The line after a key's has its fingerprint.
        keys = gpg("--with-colons", "--list-keys").decode()
        fingerprint = re.search(r"^pub:.*\n\w+:+(\w+):", keys, re.M).group(1)
        gpg("--passphrase", "", "--quick-add-key", fingerprint, "rsa2048", "encr")
        grips = re.findall(r"^grp:+(\w+):", gpg("--with-colons", "--with-keygrip",
                                                "--list-secret-keys").decode(), re.M)
        numbers = [known.number_of_gpg(f"{home}/private-keys-v1.d/{grips[1]}.key", letter)
                   for letter in (b"d", b"p", b"q")]
        sealed = gpg("-e", "-r", "me", input=b"a message")
        if gpg("-d", input=sealed) != b"a message":
            raise Failed("gpg did not decrypt")
        # libgcrypt has its numbers in words, the lowest first.
        core = [q[::order] for q in numbers[1:] for order in (1, -1)]
        return way.search(pid, numbers), way.core(pid, whole(*core))
    finally:
        terminate(pid)


def with_key_in_hand(way, command, message, secrets):
    """
    Searches a program that has read its key and waits for what it is to sign. As it
    ends it has wiped the key, and nothing could be found that way.
    """
    os.mkfifo(message)
    process = way.start(command, stdout=subprocess.DEVNULL)
    try:
        out = None
        deadline = time.monotonic() + SECONDS
        while out is None:
            if process.poll() is not None or time.monotonic() > deadline:
                raise Failed(f"{command[0]} did not read its message: {way.words()}")
            # There is a reader from when it opens it, and it waits for us.
            with contextlib.suppress(OSError):
                out = os.open(message, os.O_WRONLY | os.O_NONBLOCK)
            time.sleep(0.01)
        try:
            counts = way.search(process.pid, secrets)
            os.write(out, b"a message\n")
        finally:
            os.close(out)
        if process.wait(SECONDS):
            raise Failed(f"{command[0]}: status {process.returncode}: {way.words()}")
    finally:
        process.kill()
        process.wait()
    os.unlink(message)
    with open(message, "w") as file:
        file.write("a message\n")
    return counts


def answer(terminal, *replies):
    """Types each when it is asked for: what is typed before that is thrown away."""
    for reply in (*replies, None):
        asked = b""
        while not asked.endswith(b": "):
            if not select.select([terminal], [], [], SECONDS)[0]:
                raise Failed(f"nothing asks for a passphrase after: {asked!r}")
            asked += os.read(terminal, 1024)
        if reply:
            os.write(terminal, reply + b"\n")


def ssh_keygen(way):
    """Gives a key another passphrase; searched where it waits for that a second time."""
    key, old, new = way.path("key"), known.password(), known.password()
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", key],
                   check=True)
    seed = known.ed25519_of_openssh(key)
    subprocess.run(["ssh-keygen", "-q", "-p", "-N", old, "-f", key], check=True,
                   stdout=subprocess.DEVNULL)
    terminal, theirs = os.openpty()
    process = way.start(["ssh-keygen", "-q", "-p", "-f", key], True, stdin=theirs,
                        stdout=subprocess.DEVNULL)
    try:
        answer(terminal, old, new)
        counts = way.search(process.pid, [seed, old, new])
        os.write(terminal, new + b"\n")
        if process.wait(SECONDS):
            raise Failed(f"ssh-keygen: status {process.returncode}: {way.words()}")
        subprocess.run(["ssh-keygen", "-q", "-p", "-P", new, "-N", "", "-f", key], check=True,
                       stdout=subprocess.DEVNULL)
    finally:
        process.kill()
        process.wait()
        os.close(terminal)
        os.close(theirs)
    if known.ed25519_of_openssh(key) != seed:
        raise Failed("ssh-keygen did not keep the key")
    return counts, None


def minisign(way):
    """Signs a file."""
    key, public, message = way.path("m.key"), way.path("m.pub"), way.path("message")
    subprocess.run(["minisign", "-G", "-W", "-f", "-p", public, "-s", key], check=True,
                   capture_output=True, timeout=SECONDS)
    counts = with_key_in_hand(way, ["minisign", "-S", "-s", key, "-m", message], message,
                              [known.seed_of_minisign(key)])
    subprocess.run(["minisign", "-V", "-p", public, "-m", message], check=True,
                   capture_output=True)
    return counts, None


def python(way):
    """A script that has a key, seals and signs by it, and goes on to serve."""
    sealing, seed = os.urandom(32), os.urandom(32)
    script = os.path.join(os.path.dirname(os.path.abspath(__file__)), "service.py")
    process = way.start(["/usr/bin/python3", "-s", script], stdin=subprocess.PIPE,
                        stdout=subprocess.PIPE)
    try:
        try:
            for key in (sealing, seed):
                process.stdin.write(known.text_of(key).decode() + "\n")
            process.stdin.flush()
        except BrokenPipeError:
            pass
        if process.stdout.readline() != "ready\n":
            raise Failed("python: " + way.words())
        return (way.search(process.pid, [sealing, seed]),
                way.core(process.pid, whole(sealing, seed, known.text_of(sealing))))
    finally:
        process.kill()
        process.communicate()
