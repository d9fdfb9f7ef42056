#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
#
# Programs of Debian's, as they are and under real use, with a secret that is known
# here: how many copies of it a reader from outside finds, plainly and under
# `lethectl run`. One that serves on is searched while it does, after it was used,
# and its core file too; one that ends, as it ends. Writes a table, and KTAP.
"""The table of real programs."""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile

import ending
import serving
from way import COLUMNS, Failed, Unsearched, Way
from document import Table  # way has made it known where

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from points import Document  # noqa: E402

NOT_FIT = re.compile(r"no \d+ bytes more for (\S+): (\d+) KiB|fork\(\) fails")

PROGRAMS = {
    "ssh-agent": serving.ssh_agent,
    "gpg-agent": serving.gpg_agent,
    "minisign": serving.minisign,
    "ssh-keygen": serving.ssh_keygen,
    "python3, cryptography": serving.python,
    "gpg --symmetric": ending.gpg_symmetric,
    "openssl genpkey": ending.openssl_genpkey,
    "openssl enc": ending.openssl_enc,
    "wg genkey": ending.wg_genkey,
    "wg pubkey": ending.wg_pubkey,
    "argon2": ending.argon2,
    "age": ending.age,
}
# These have an allocator of their own, which nothing takes the place of.
NOT_REACHED = ("age",)


def measure(build, use, prefix, limit):
    """Copies by place and in a core file, what was said, KiB of secret heap."""
    scratch = tempfile.mkdtemp(prefix="lethe-programs-")
    way = Way(build, scratch, prefix, limit)
    try:
        counts, core = use(way)
        return counts, core, way.words(), way.secret
    except (Failed, Unsearched, subprocess.SubprocessError, OSError, ValueError, AttributeError,
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


def total(counts):
    """What is the program's own."""
    return sum(counts.values()) - counts["kernel"]


def judge(tap, name, plain, run, run_said, fits):
    counts, core = plain[:2]
    if not counts:
        tap.ok(False, f"{name}: works plainly")
        tap.say(plain[2])
        return
    tap.ok(total(counts) > 0, f"control: {name}, plainly: {total(counts)} copies are found")
    if core is not None:
        tap.ok(core > 0, f"control: {name}, plainly: {core} in its core file")
    if fits == "no":
        line = NOT_FIT.search(run_said)
        tap.ok(bool(line), f"{name} does not fit in 8 MiB, and one line says so")
        tap.say(run_said.strip().splitlines()[0] if run_said.strip() else "")
        if not run[0]:
            tap.say(f"{name}: no more could be had here, so that is all")
            return
    if not run[0]:
        tap.ok(False, f"{name}: works under lethectl run")
        tap.say(run_said)
        return
    # Threads have heaps of their own, and large blocks are mapped each by itself.
    left = [run[0]["heap"] + run[0]["mapped"], counts["heap"] + counts["mapped"]]
    if name in NOT_REACHED:
        tap.ok(total(run[0]) > 0, f"{name}, under lethectl run: {total(run[0])}, for its heap "
               f"is its own, and not reached ({total(counts)} plainly)")
        return
    tap.ok(left[0] == 0, f"{name}, under lethectl run: {left[0]} on the heap or mapped "
           f"({left[1]} plainly)")
    if run[1] is not None:
        tap.ok(run[1] <= core, f"{name}, under lethectl run: {run[1]} in its core file")


HEAD = ("program", "where", "copies plainly", "copies under run", "fits in 8 MiB",
        "secret heap, KiB")


def rows_of(name, plain, run, fits, secret):
    """What there is of a program, a row for each place that has a copy either way."""
    for place in COLUMNS:
        if (plain[0] and plain[0][place]) or (run[0] and run[0][place]):
            yield (name, place, str(plain[0][place]) if plain[0] else "-",
                   str(run[0][place]) if run[0] else "-", fits, str(secret or "-"))
    if plain[1] is not None:
        yield (name, "core file", str(plain[1]), "-" if run[1] is None else str(run[1]), fits,
               str(secret or "-"))


def in_document(rows):
    """Those that a document has: what the kernel keeps depends on who asks."""
    return [[name, where, plain, run, "-" if secret == "-" else f"{secret} KiB", fits]
            for name, where, plain, run, fits, secret in rows if where != "kernel"]


def held(row):
    """What of a document's row is held true: where there are copies, and where none."""
    name, where, plain, run, _, fits = row
    return name, where, plain.strip("0") != "", run.strip("0") != "", fits


def differences(rows, document, names):
    """What a document says and is not so. What libc leaves in registers depends on the
    processor, and on what another thread has done since."""
    here, there = ({held(row) for row in some if row[1] != "register" and row[0] in names}
                   for some in (in_document(rows), Table(document, "program").rows))
    for row in sorted(there - here):
        yield f"it has, and was not so: {row}"
    for row in sorted(here - there):
        yield f"it has not, and was so: {row}"


def arguments():
    """Of the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("build")
    parser.add_argument("table", help="the file that gets it, tabs between its columns")
    parser.add_argument("--check", metavar="DOCUMENT", help="is the table there true?")
    parser.add_argument("--write", metavar="DOCUMENT", help="put the table there")
    parser.add_argument("programs", nargs="*", choices=[[], *PROGRAMS], help="only these")
    return parser.parse_args()


def main():
    given = arguments()
    chosen = given.programs or list(PROGRAMS)
    os.environ["LC_ALL"] = "C"
    for name in ("LD_PRELOAD", "SSH_AUTH_SOCK", "GPG_AGENT_INFO"):
        os.environ.pop(name, None)
    build = os.path.abspath(given.build)
    tap, rows = Document(), []
    for name in chosen:
        use = PROGRAMS[name]
        plain = measure(build, use, [], False)
        counts, core, said, fits, secret = under_run(build, name, use)
        judge(tap, name, plain, (counts, core), said, fits)
        rows += rows_of(name, plain, (counts, core), fits, secret)
    with open(given.table, "w") as file:
        file.write("\n".join("\t".join(row) for row in (HEAD, *rows)) + "\n")
    if given.check:
        wrong = list(differences(rows, given.check, chosen))
        tap.ok(not wrong, f"{given.check}: what real programs leave is so (make residue-tables)")
        tap.say("\n".join(wrong))
    if given.write:
        Table(given.write, "program").write(in_document(rows))
    return tap.end()


if __name__ == "__main__":
    sys.exit(main())
