#!/usr/bin/python3
# SPDX-License-Identifier: MIT
#
# The porting notes: each call that they name is there, none is left out, and what they say
# that comes of it does. The programs beside them are compiled as they say themselves, and
# do the same before and after. KTAP on stdout.
#
#	porting_test.py BUILD
"""What the porting notes say is so."""

import os
import re
import shlex
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, ".."))
from points import Document  # noqa: E402  pylint: disable=C0413

BUILD = os.path.abspath(sys.argv[1])
EXAMPLES = os.path.join(HERE, "../../user/examples")
NOTES = os.path.join(EXAMPLES, "porting.md")
LETHE = os.path.join(HERE, "../../user/include/lethe.h")
BACKENDS = ("memfd_secret", "mlock")
CALL = re.compile(r"\b((?:sodium|CRYPTO|OPENSSL|BN)_\w+)\s*\(")
# Beside what has "secure" in its name.
ALSO = {"CRYPTO_set_mem_functions", "CRYPTO_memcmp", "OPENSSL_cleanse"}


def calls_of(header):
    """What a header declares or defines. Without comments, which name functions too."""
    done = subprocess.run(["cc", "-E", "-dD", "-"], input=f"#include <{header}>\n", text=True,
                          capture_output=True, check=True)
    own, calls = False, set()
    for line in done.stdout.splitlines():
        if line.startswith("# "):
            own = f"/{header}" in line
        elif own and (not line.startswith("#") or line.startswith("#define")):
            calls |= set(CALL.findall(line))
    return calls


def tables():
    """The notes' sections: of each, the rows of its table without the head."""
    rows, found = None, {}
    with open(NOTES) as lines:
        for line in lines:
            if line.startswith("## "):
                rows = found.setdefault(line[3:].strip(), [])
            elif line.startswith("|") and rows is not None:
                rows.append([cell.strip() for cell in line.strip().strip("|").split("|")])
    return {title: rows[2:] for title, rows in found.items() if rows}


def named(cell):
    """The calls in a cell."""
    return re.findall(r"`([\w.]+)`", cell)


def peer(tap, title, rows, wanted, there):
    """A table of a peer that is installed."""
    old = {call for row in rows for call in named(row[0])}
    tap.ok(old and old <= there, f"{title}: each of {len(old)} old calls is in its header",
           " ".join(sorted(old - there)))
    tap.ok(wanted and wanted <= old, f"{title}: none of {len(wanted)} is left out",
           " ".join(sorted(wanted - old)))


def new_calls(tap, title, rows, lethe):
    """Each new call is one; or there is none, and it is said what to do."""
    new = {call for row in rows for call in named(row[1])}
    tap.ok(new and new <= lethe, f"{title}: each of {len(new)} new calls is in lethe.h",
           " ".join(sorted(new - lethe)))
    tap.ok(all(len(row) == 3 and (named(row[1]) or row[1] == "none") for row in rows),
           f"{title}: each row has a new call, or says that there is none")


def tried(*arguments):
    """What the program that tries it says."""
    done = subprocess.run([os.path.join(BUILD, "tests/examples/porting_claims"), *arguments],
                          text=True, capture_output=True, check=True, timeout=60,
                          env={**os.environ, "LETHE_BACKEND": "memfd_secret"})
    return [line.split("\t") for line in done.stdout.splitlines()]


def claims(tap, rows):
    """The table of what comes of it, and what the other tables say besides."""
    deeds = tried()
    tap.ok(len(deeds) == len(rows), f"of {len(rows)} deeds {len(deeds)} are tried")
    for row in deeds:
        tap.ok(row in rows, f"as the notes say: {row[0]}", f"tried: {row}")
    sentences = tried("sentences")
    tap.ok(len(sentences) == 12, f"{len(sentences)} sentences are tried")
    for sentence, so in sentences:
        tap.ok(so == "yes", f"it is so: {sentence}")


def compile_line(source):
    """The command in the comment that a program begins with."""
    with open(source) as file:
        comment = file.read().split("*/")[0]
    line = re.search(r"^ \*\t(cc .*?[^\\])$", comment, re.M | re.S).group(1)
    return shlex.split(re.sub(r"\\\n \*\s*", "", line))


def built(scratch, name):
    """A program, as it says itself, but for where Lethe is."""
    library = os.path.join(BUILD, "lib")
    path = os.path.join(scratch, name)
    line = compile_line(os.path.join(EXAMPLES, name + ".c"))
    subprocess.run([line[0], "-std=gnu11", "-Wall", "-Wextra", "-Werror", "-I",
                    os.path.dirname(LETHE), "-L", library, f"-Wl,-rpath,{library}", "-o", path,
                    *line[1:]], cwd=EXAMPLES, check=True)
    return path


def programs(tap, scratch):
    """Before and after have the same to say, of the same key."""
    key = os.urandom(32)
    for name in ("sodium", "openssl"):
        before, after = (built(scratch, f"porting_{name}_{when}") for when in
                         ("before", "after"))
        said = subprocess.run([before], input=key, capture_output=True, check=True).stdout
        tap.ok(len(said) > 64 and subprocess.run([before], input=os.urandom(32),
                                                 capture_output=True, check=True).stdout != said,
               f"{name}: the program before seals by its key")
        for backend in BACKENDS:
            done = subprocess.run([after], input=key, capture_output=True, check=False,
                                  env={**os.environ, "LETHE_BACKEND": backend})
            tap.ok(not done.returncode and done.stdout == said,
                   f"{name}: on {backend} the program after seals the same", done.stderr.decode())
    for backend in BACKENDS:
        done = subprocess.run([built(scratch, "porting_memguard_after")], capture_output=True,
                              check=False, env={**os.environ, "LETHE_BACKEND": backend})
        tap.ok(not done.returncode and done.stdout == b"not guessed\n",
               f"memguard: on {backend} the program after does what it says", done.stderr.decode())


def main():
    os.environ.pop("LETHE_BACKEND", None)
    tap, there = Document(), tables()
    with open(LETHE) as header:
        lethe = set(re.findall(r"\b(lethe_\w+)\(|\b(LETHE_\w+)", header.read()))
    lethe = {name for pair in lethe for name in pair if name}
    sodium = calls_of("sodium/utils.h")
    openssl = calls_of("openssl/crypto.h") | calls_of("openssl/bn.h")
    secure = {call for call in openssl if "secure" in call} | ALSO
    peer(tap, "libsodium", there["libsodium"], sodium, sodium)
    peer(tap, "OpenSSL", there["OpenSSL's secure heap"], secure, openssl)
    for title in ("libsodium", "OpenSSL's secure heap", "memguard"):
        new_calls(tap, title, there[title], lethe)
    claims(tap, there["The same, done to each"])
    with tempfile.TemporaryDirectory(prefix="lethe-porting-") as scratch:
        programs(tap, scratch)
    return tap.end()


if __name__ == "__main__":
    sys.exit(main())
