#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Builds and runs the programs in lethe.hpp(3), as it says that they are built.

    manual.py PAGE SOURCES LIBRARIES OUT COMPILER ...

Each display under EXAMPLES is a whole program. Its first line may say how it is linked,
`/* c++ WORDS */`; else it is with -llethe. Each compiler, given as one word with its standard
(`g++ -std=c++17`), builds it, and on each fallback it ends with 0 and prints, line by line,
what it says in comments, `/* prints: WORDS */`.
"""
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

for beside in ("..", "../manual"):
    sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), beside))
import mdoc  # noqa: E402
from points import Document  # noqa: E402

FLAGS = ["-O2", "-Wall", "-Wextra", "-Wpedantic", "-Werror"]
BACKENDS = ("memfd_secret", "mlock")
BUILT = re.compile(r"/\* c\+\+ (.*) \*/\n")
PRINTS = re.compile(r"/\* prints: (.*?) \*/")
SECONDS = 60


def build(compiler, example, program, sources, libraries):
    """What the compiler says; nothing if it is there."""
    source = program.with_suffix(".cpp")
    source.write_text(example.text, "utf-8")
    program.unlink(missing_ok=True)
    said = BUILT.match(example.text)
    done = subprocess.run(
        [*shlex.split(compiler), *FLAGS, f"-I{sources}/user/include", source, "-o", program,
         f"-L{libraries}", f"-Wl,-rpath,{libraries}", *shlex.split(said[1] if said else "-llethe")],
        capture_output=True, text=True, check=False)
    return done.stderr or ("" if program.exists() else f"status {done.returncode}")


def run(program, example, backend):
    """What is wrong with it; nothing if it is as the page says."""
    done = subprocess.run([program], env=dict(os.environ, LETHE_BACKEND=backend), text=True,
                          capture_output=True, check=False, timeout=SECONDS)
    if done.returncode or done.stdout.splitlines() != PRINTS.findall(example.text):
        return f"status {done.returncode}: {done.stdout}{done.stderr}"
    return ""


def main(page, sources, libraries, out, *compilers):
    examples = [one for one in mdoc.displays(page) if one.section == "EXAMPLES"]
    libraries, out = Path(libraries).resolve(), Path(out)
    out.mkdir(parents=True, exist_ok=True)
    document = Document()
    document.ok(
        examples and all(PRINTS.search(one.text) for one in examples),
        f"{os.path.basename(page)} has programs, and each says what it prints")
    for number, example in enumerate(examples, 1):
        for place, compiler in enumerate(compilers):
            program = out / f"example{number}-{place}"
            name = f"{os.path.basename(page)}:{example.line} by {compiler}"
            wrong = build(compiler, example, program, sources, libraries)
            document.ok(not wrong, f"{name} is built", wrong)
            for backend in BACKENDS:
                amiss = "it was not built" if wrong else run(program, example, backend)
                document.ok(not amiss, f"{name} prints what it says, on {backend}", amiss)
    return document.end(1 + len(examples) * len(compilers) * (1 + len(BACKENDS)))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
