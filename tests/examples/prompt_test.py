#!/usr/bin/python3
# SPDX-License-Identifier: MIT
#
# The example's prompt, typed into on a terminal: what it edits, what signals do to it and
# to the terminal, and what it leaves of the passphrase, which is nothing. The controls, in
# the same run: the same program with what Lethe does taken out, and one that asks by
# getline(3). KTAP on stdout.
#
#	prompt_test.py BUILD BACKEND
"""The prompt, typed into and searched."""

import contextlib
import hashlib
import os
import select
import signal
import subprocess
import sys
import tempfile
import termios
import time

from using import BACKEND, EXAMPLES, SECONDS, Document, Example, Failed, limited, soon
import known  # using has made it known where

NEW, AGAIN, ASKED = b"New passphrase: ", b"The same again: ", b"Passphrase: "
PROMPT = f"{EXAMPLES}/prompt"


def derived(passphrase, salt):
    """The key, and what is stored of it."""
    key = hashlib.scrypt(passphrase, salt=salt, n=2048, r=8, p=4, dklen=32)
    return key, hashlib.sha256(key + b"prompt: check\0").digest()


class Terminal:
    """A person's side of one."""

    def __init__(self):
        self.ours, self.theirs = os.openpty()
        self.before = termios.tcgetattr(self.theirs)
        self.seen = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for fd in (self.ours, self.theirs):
            with contextlib.suppress(OSError):
                os.close(fd)

    def shown(self, text):
        """What is shown, until this is."""
        until = time.monotonic() + SECONDS
        while text not in self.seen:
            if not select.select([self.ours], [], [], max(0, until - time.monotonic()))[0]:
                raise Failed(f"{text} is not shown, but: {self.seen}")
            self.seen += os.read(self.ours, 4096)
        cut = self.seen.index(text) + len(text)
        seen, self.seen = self.seen[:cut], self.seen[cut:]
        return seen

    def quiet(self, seconds=0.2):
        """All that is shown until nothing more is."""
        while select.select([self.ours], [], [], seconds)[0]:
            self.seen += os.read(self.ours, 4096)
        seen, self.seen = self.seen, b""
        return seen

    def type(self, text):
        os.write(self.ours, text)

    def modes(self):
        return termios.tcgetattr(self.theirs)

    def restored(self):
        return soon(lambda: self.modes() == self.before, 5)


class Test:
    """The results."""

    def __init__(self, tap, scratch):
        self.tap, self.scratch = tap, scratch
        self.file = os.path.join(scratch, "stored")

    def ok(self, condition, sentence, said=""):
        self.tap.ok(condition, f"{BACKEND}: {sentence}", said)

    def store(self, passphrase):
        salt = os.urandom(16)
        with open(self.file, "wb") as file:
            file.write(salt + derived(passphrase, salt)[1])

    def answered(self, typed, *words, asked=(ASKED,)):
        """The status after each question was answered, what was shown, modes restored."""
        with Terminal() as terminal:
            process = subprocess.Popen(
                ["setsid", "--ctty", PROMPT, *(words or (self.file,))], stdin=terminal.theirs,
                stdout=terminal.theirs, stderr=terminal.theirs, preexec_fn=limited,
                env={**os.environ, "LETHE_BACKEND": BACKEND})
            for question in asked:
                terminal.shown(question)
                terminal.type(typed)
            status = process.wait(SECONDS)
            return status, terminal.quiet(), terminal.restored()


def searched(test, hollow):
    """A new passphrase: at the second question, half way through it, and as it ends."""
    passphrase = known.password()
    name = "control" if hollow else BACKEND
    with Terminal() as terminal, tempfile.TemporaryDirectory(dir=test.scratch) as scratch:
        file = os.path.join(scratch, "stored")
        with Example(scratch, ["prompt", "-n", file], hollow, True, terminal.theirs) as program:
            def look(moment, *secrets, in_use=False):
                outside, inside = program.found([b"".join(secrets)])
                if hollow:
                    test.tap.ok(outside, f"control: {moment}: {outside} copies are found")
                    return
                wanted = in_use and BACKEND == "mlock"
                test.tap.ok(not outside and bool(inside) == wanted,
                            f"{name}: {moment}: {outside} copies, {inside} on secret pages")

            terminal.shown(NEW)
            terminal.type(passphrase + b"\n")
            terminal.shown(AGAIN)
            look("a passphrase typed, and used", passphrase)
            terminal.type(passphrase[:24])
            shown = terminal.quiet()
            if not hollow:
                test.ok(not shown, "nothing of it is shown", shown)
            look("half of it typed once more", passphrase, in_use=True)
            terminal.type(passphrase[24:] + b"\n")
            program.end()
            with open(file, "rb") as stored:
                salt, check = stored.read(16), stored.read()
            key, right = derived(passphrase, salt)
            if not hollow:
                look("as it ends: the passphrase and the key", passphrase, key)
                test.ok(program.inside(), "libcrypto had it in sections alone", program.words())
                test.ok(check == right, "what is stored is scrypt's, hashed")
                test.ok(os.stat(file).st_mode & 0o777 == 0o600, "for its user alone")
            if program.ended() or not terminal.restored():
                test.ok(False, "it ends with 0, and the terminal is as it was", program.words())


def careful(test):
    """getline(3), and the line wiped."""
    passphrase = known.password()
    with Terminal() as terminal, tempfile.TemporaryDirectory(dir=test.scratch) as scratch, \
            Example(scratch, ["plain_prompt"], terminal=terminal.theirs,
                    stdin="/dev/tty") as program, open(program.said, "rb") as said:
        soon(lambda: NEW in said.read())
        terminal.type(passphrase + b"\n")
        soon(lambda: AGAIN in said.read())
        outside = program.found([passphrase])[0]
        test.tap.ok(outside, f"control: by getline(), and wiped: {outside} copies are found")


def edited(test):
    """What one may type, and what it comes to."""
    typed = {
        "as it is": b"correct horse", "after backspaces": b"correct mule\x7f\x7f\x7f\x7fhorse",
        "after a kill": b"anything at all\x15correct horse",
        "after a word erased": b"correct mule  \x17horse", "with ^H": b"correct horsee\x08",
        "after more backspaces than characters": b"ab\x7f\x7f\x7f\x7fcorrect horse",
        "and a backspace of two bytes": "correct horseü\x7f".encode(),
        "ended by ^D": b"correct horse\x04",
    }
    test.store(b"correct horse")
    for how, text in typed.items():
        end = b"" if text.endswith(b"\x04") else b"\n"
        status, shown, restored = test.answered(text + end)
        test.ok(status == 0 and restored and shown == b"\r\nit fits\r\n",
                f"typed {how}, it fits", (status, shown, restored))
    for how, text in {"another": b"correct mule\n", "none": b"\n", "case": b"Correct horse\n",
                      "more": b"correct horse \n"}.items():
        status, shown, restored = test.answered(text)
        test.ok(status == 1 and restored and b"does not fit" in shown,
                f"typed otherwise ({how}), it does not", (status, shown))
    test.store(b"")
    test.ok(test.answered(b"\n")[0] == 0, "an empty one can be the right one")
    longest = b"x" * 255
    test.store(longest)
    test.ok(test.answered(longest + b"\n")[0] == 0, "255 bytes are taken")
    status, shown, restored = test.answered(longest + b"y" * 100 + b"\n")
    test.ok(status == 2 and restored and b"too long" in shown, "more are refused, and read",
            shown)
    status, shown, restored = test.answered(b"\x04")
    test.ok(status == 2 and restored and b"No data" in shown, "and the end of file is no answer",
            shown)
    new = os.path.join(test.scratch, "new")
    ways = {NEW: b"one\n", AGAIN: b"two\n"}
    with Terminal() as terminal:
        process = subprocess.Popen(["setsid", "--ctty", PROMPT, "-n", new],
                                   stdin=terminal.theirs, stdout=terminal.theirs,
                                   stderr=terminal.theirs)
        for question, text in ways.items():
            terminal.shown(question)
            terminal.type(text)
        test.ok(process.wait(SECONDS) == 1 and not os.path.exists(new),
                "two that differ are not stored")
    done = subprocess.run(["setsid", "--wait", PROMPT, test.file], capture_output=True,
                          stdin=subprocess.DEVNULL, check=False)
    test.ok(done.returncode == 2 and b"No such device" in done.stderr,
            "without a terminal it says so", done.stderr)


def killed(test):
    """Signals that end it: the terminal is put back first."""
    for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGHUP, signal.SIGALRM):
        with Terminal() as terminal:
            process = subprocess.Popen(
                ["setsid", "--ctty", PROMPT, test.file], stdin=terminal.theirs,
                stdout=terminal.theirs, stderr=terminal.theirs, cwd=test.scratch,
                preexec_fn=limited)
            terminal.shown(ASKED)
            hidden = terminal.modes() != terminal.before
            terminal.type(b"half of it")
            by_key = {signal.SIGINT: b"\x03", signal.SIGQUIT: b"\x1c"}.get(number)
            if by_key:
                terminal.type(by_key)
            else:
                process.send_signal(number)
            status = process.wait(SECONDS)
            test.ok(hidden and status == -number and terminal.restored(),
                    f"{number.name}: it ends of it, and the terminal is as it was", status)


def flushed(test):
    """A key that sends a signal takes away what was typed before it, at any moment."""
    ended = []
    for _ in range(20):
        with Terminal() as terminal:
            process = subprocess.Popen(
                ["setsid", "--ctty", PROMPT, test.file], stdin=terminal.theirs,
                stdout=terminal.theirs, stderr=terminal.theirs, preexec_fn=limited)
            terminal.shown(ASKED)
            terminal.type(b"half\x03")
            try:
                ended.append(process.wait(10))
            except subprocess.TimeoutExpired:
                process.kill()
                ended.append(process.wait())
    test.ok(ended == [-signal.SIGINT] * 20, "^C right behind something typed ends it", ended)


def stopped(test):
    """Stopped in a shell, and continued: the terminal is the shell's in between."""
    test.store(b"correct horse")
    with Terminal() as terminal:
        shell = subprocess.Popen(
            ["setsid", "--ctty", "sh", "-i"], stdin=terminal.theirs, stdout=terminal.theirs,
            stderr=terminal.theirs, preexec_fn=limited,
            env={**os.environ, "PS1": "ready: ", "LETHE_BACKEND": BACKEND, "ENV": ""})

        def command(line):
            terminal.type(line + b"\n")
            return terminal.shown(b"ready: ")

        terminal.shown(b"ready: ")
        command(b"stty -g >modes")
        terminal.type(f"{PROMPT} {test.file}\n".encode())
        terminal.shown(ASKED)
        terminal.type(b"half of it\x1a")
        said = terminal.shown(b"ready: ")
        test.ok(b"Stopped" in said and terminal.modes() == terminal.before,
                "^Z: it is stopped, and the terminal as it was", said)
        terminal.type(b"bg\n")
        said = terminal.shown(b"ready: ") + terminal.quiet(0.5)
        test.ok(terminal.modes() == terminal.before and ASKED not in said,
                "continued in the background it leaves the terminal alone", said)
        terminal.type(b"fg\n")
        terminal.shown(ASKED)
        test.ok(soon(lambda: not terminal.modes()[3] & termios.ECHO, 5),
                "in the foreground it asks once more, without echo")
        with open(f"/proc/{shell.pid}/task/{shell.pid}/children") as children:
            os.kill(int(children.read()), signal.SIGSTOP)
        terminal.shown(b"ready: ")
        command(b"stty sane")
        terminal.type(b"fg\n")
        terminal.shown(ASKED)
        test.ok(soon(lambda: not terminal.modes()[3] & termios.ECHO, 5),
                "after SIGSTOP and other modes too")
        terminal.type(b"correct horse\n")
        said = terminal.shown(b"ready: ")
        test.ok(b"it fits" in said and b"horse" not in said,
                "and what was typed before the stop is no part of the answer", said)
        command(b"stty -g >modes.after")
        terminal.type(b"exit\n")
        shell.wait(SECONDS)


def main():
    tap = Document()
    with tempfile.TemporaryDirectory(prefix="lethe-prompt-") as scratch:
        test = Test(tap, scratch)
        os.chdir(scratch)
        searched(test, True)
        careful(test)
        searched(test, False)
        edited(test)
        killed(test)
        flushed(test)
        stopped(test)
    return tap.end()


if __name__ == "__main__":
    sys.exit(main())
