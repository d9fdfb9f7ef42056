#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
#
# Programs of Debian's, as they are and under real use, with a secret that is known
# here: how many copies of it a reader from outside finds, plainly and under
# `lethectl run`. One that serves on is searched while it does, after it was used,
# and its core file too; one that ends, as it ends. Writes a table, and KTAP.
"""programs.py BUILD TABLE: the table of real programs."""

import contextlib
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time

import known
from way import COLUMNS, SECONDS, Failed, Way, by_name, terminate, whole

NOT_FIT = re.compile(r"no \d+ bytes more for (\S+): (\d+) KiB|fork\(\) fails")


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
        counts = way.search(pid, by_name(key=secret, expanded=expanded))
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
        d, p, q = numbers
        # libgcrypt has its numbers in words, the lowest first.
        needles = by_name(d=d, p=p, q=q, d_words=d[::-1], p_words=p[::-1], q_words=q[::-1])
        return way.search(pid, needles), way.core(pid, whole(p, q, p[::-1], q[::-1]))
    finally:
        terminate(pid)


def openssl_genpkey(way):
    """Makes a key, and writes it down."""
    key = way.path("key.pem")

    def needles():
        # What comes before the key is the same in every such file.
        text = known.pem_body(key)[0][22:]
        return by_name(key=known.ed25519_of_pkcs8(key), text=text.encode())

    counts = way.search_at_exit(["openssl", "genpkey", "-algorithm", "ed25519", "-out", key],
                                way.path("out"), needles)
    return counts, None


def openssl_enc(way):
    """Encrypts a file by a password in a file."""
    salt, password = os.urandom(8), known.text_of(os.urandom(24))
    plain = known.text_of(os.urandom(300))
    with open(way.path("password"), "wb") as file:
        file.write(password)
    with open(way.path("plain"), "wb") as file:
        file.write(plain)
    derived = hashlib.pbkdf2_hmac("sha256", password, salt, 10000, 48)
    command = ["openssl", "enc", "-aes-256-cbc", "-pbkdf2", "-S", salt.hex(), "-pass",
               "file:" + way.path("password"), "-in", way.path("plain"), "-out",
               way.path("sealed")]
    counts = way.search_at_exit(command, way.path("out"), lambda: by_name(
        key=derived[:32], password=password, text=plain))
    opened = subprocess.run(["openssl", "enc", "-d", "-aes-256-cbc", "-pbkdf2", "-S",
                             salt.hex(), "-pass", "file:" + way.path("password"), "-in",
                             way.path("sealed")], capture_output=True, check=True).stdout
    if opened != plain:
        raise Failed("openssl did not encrypt")
    return counts, None


def with_key_in_hand(way, command, message, needles):
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
            counts = way.search(process.pid, needles)
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


def minisign(way):
    """Signs a file."""
    key, public, message = way.path("m.key"), way.path("m.pub"), way.path("message")
    subprocess.run(["minisign", "-G", "-W", "-f", "-p", public, "-s", key], check=True,
                   capture_output=True, timeout=SECONDS)
    counts = with_key_in_hand(way, ["minisign", "-S", "-s", key, "-m", message], message,
                              by_name(key=known.seed_of_minisign(key)))
    subprocess.run(["minisign", "-V", "-p", public, "-m", message], check=True,
                   capture_output=True)
    return counts, None


def wg_genkey(way):
    """Makes a key, and writes it to stdout."""
    out = way.path("wg.key")

    def needles():
        with open(out, "rb") as file:
            text = file.read().strip()
        return by_name(text=text, key=known.base64.b64decode(text))

    return way.search_at_exit(["wg", "genkey"], out, needles), None


def wg_pubkey(way):
    """Reads a private key from stdin, and writes the public one to stdout."""
    text = subprocess.run(["wg", "genkey"], capture_output=True, check=True).stdout.strip()
    way.input = way.path("wg.key")
    with open(way.input, "wb") as file:
        file.write(text + b"\n")
    out = way.path("wg.pub")
    counts = way.search_at_exit(["wg", "pubkey"], out, lambda: by_name(
        text=text, key=known.base64.b64decode(text)))
    if os.path.getsize(out) < 40:
        raise Failed("wg made no public key")
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
        text = known.text_of(sealing)
        needles = by_name(sealing=sealing, seed=seed, sealing_text=text,
                          seed_text=known.text_of(seed))
        return (way.search(process.pid, needles),
                way.core(process.pid, whole(sealing, seed, text)))
    finally:
        process.kill()
        process.communicate()


PROGRAMS = {
    "ssh-agent": ssh_agent,
    "gpg-agent": gpg_agent,
    "openssl genpkey": openssl_genpkey,
    "openssl enc": openssl_enc,
    "minisign": minisign,
    "wg genkey": wg_genkey,
    "wg pubkey": wg_pubkey,
    "python3, cryptography": python,
}


def measure(build, use, prefix, limit):
    """Copies by place and in a core file, what was said, KiB of secret heap."""
    scratch = tempfile.mkdtemp(prefix="lethe-programs-")
    way = Way(build, scratch, prefix, limit)
    try:
        counts, core = use(way)
        return counts, core, way.words(), way.secret
    except (Failed, subprocess.SubprocessError, OSError, ValueError, AttributeError,
            IndexError) as error:
        return None, None, f"{error}\n{way.words()}", 0
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def under_run(build, name, use):
    """Within the limit; if that does not do, without. And how much it came to."""
    prefix = [os.path.join(build, "bin/lethectl"), "run"]
    if name == "ssh-agent":
        prefix.append("--no-new-privs")
    prefix.append("--")
    counts, core, said, secret = measure(build, use, prefix, True)
    if not NOT_FIT.search(said):
        return counts, core, said, "yes", secret
    more = measure(build, use, prefix, False)
    return *more[:2], said, "no", more[3]


class Tap:
    """KTAP, to a file that the tally reads."""

    def __init__(self):
        self.lines, self.number, self.failed = [], 0, 0

    def ok(self, good, sentence):
        self.number += 1
        self.failed += not good
        self.lines.append(f"{'' if good else 'not '}ok {self.number} - {sentence}")

    def note(self, text):
        self.lines += ["# " + line for line in text.splitlines()]

    def print(self):
        print("KTAP version 1", f"1..{self.number}", *self.lines, sep="\n")


def total(counts):
    return sum(counts.values())


def judge(tap, name, plain, run, run_said, fits):
    counts, core = plain[:2]
    if not counts:
        tap.ok(False, f"{name}: works plainly")
        tap.note(plain[2])
        return
    tap.ok(total(counts) > 0, f"control: {name}, plainly: {total(counts)} copies are found")
    if core is not None:
        tap.ok(core > 0, f"control: {name}, plainly: {core} in its core file")
    if fits == "no":
        line = NOT_FIT.search(run_said)
        tap.ok(bool(line), f"{name} does not fit in 8 MiB, and one line says so")
        tap.note(run_said.strip().splitlines()[0] if run_said.strip() else "")
        if not run[0]:
            tap.note(f"{name}: no more could be had here, so that is all")
            return
    if not run[0]:
        tap.ok(False, f"{name}: works under lethectl run")
        tap.note(run_said)
        return
    # Threads have heaps of their own, and large blocks are mapped each by itself.
    left = [run[0]["heap"] + run[0]["mapped"], counts["heap"] + counts["mapped"]]
    tap.ok(left[0] == 0, f"{name}, under lethectl run: {left[0]} on the heap or mapped "
           f"({left[1]} plainly)")
    if run[1] is not None:
        tap.ok(run[1] <= core, f"{name}, under lethectl run: {run[1]} in its core file")


def main():
    build, table = sys.argv[1:3]
    chosen = sys.argv[3:] or list(PROGRAMS)
    os.environ["LC_ALL"] = "C"
    for name in ("LD_PRELOAD", "SSH_AUTH_SOCK", "GPG_AGENT_INFO"):
        os.environ.pop(name, None)
    build = os.path.abspath(build)
    tap = Tap()
    rows = ["program\twhere\tcopies plainly\tcopies under run\tfits in 8 MiB\tsecret heap, KiB"]
    for name in chosen:
        use = PROGRAMS[name]
        plain = measure(build, use, [], False)
        counts, core, said, fits, secret = under_run(build, name, use)
        judge(tap, name, plain, (counts, core), said, fits)
        for place in COLUMNS:
            if (plain[0] and plain[0][place]) or (counts and counts[place]):
                rows.append("\t".join((name, place, str(plain[0][place]) if plain[0] else "-",
                                       str(counts[place]) if counts else "-", fits,
                                       str(secret or "-"))))
        if plain[1] is not None:
            rows.append("\t".join((name, "core file", str(plain[1]),
                                   "-" if core is None else str(core), fits,
                                   str(secret or "-"))))
    with open(table, "w") as file:
        file.write("\n".join(rows) + "\n")
    tap.print()
    return 1 if tap.failed else 0


if __name__ == "__main__":
    sys.exit(main())
