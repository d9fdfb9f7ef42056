#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
#
# What the tables of residue were measured on: versions, and no date, nor whose machine.
#
#	O=build measured_on.py DOCUMENT		into it, after <!-- measured on -->
import ctypes
import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path

from document import write_between

PEERS = Path(os.environ.get("O", "build")) / "tests/residue/peers"
# What decides which registers libc and the libraries take, and what is in XSAVE.
FLAGS = ("aes", "avx2", "avx512f", "avx512vl", "sha_ni", "vaes", "amx_tile")
PACKAGES = ("openssh-client", "gpg-agent", "gpg", "minisign", "openssl", "wireguard-tools",
            "argon2", "age", "python3", "python3-cryptography")


def library(name, function, *arguments):
    """What one says that its version is."""
    said = getattr(ctypes.CDLL(name), function)
    said.restype = ctypes.c_char_p
    return re.search(r"\d+(\.\d+)+", said(*arguments).decode())[0]


def go(name):
    """Of the Go that a peer was built with."""
    program = PEERS / name
    if not program.exists():
        return "none"
    return re.match(r"go([\d.]+)", subprocess.run([program, "--version"], check=True, text=True,
                                                  stdout=subprocess.PIPE).stdout)[1]


def package(name):
    """Debian's version of it."""
    done = subprocess.run(["dpkg-query", "-W", "-f", "${Version}", name], check=False, text=True,
                          capture_output=True)
    return f"{name} {done.stdout or 'none'}"


def text():
    """All of it."""
    kernel = re.match(r"\d+\.\d+", os.uname().release)[0]
    with open("/proc/cpuinfo", encoding="utf-8") as cpuinfo:
        flags = re.search(r"^flags\s*: (.*)$", cpuinfo.read(), re.M)[1].split()
    gcc = subprocess.run(["gcc", "-dumpfullversion"], check=True, text=True,
                         stdout=subprocess.PIPE).stdout.strip()
    return (f"Measured on Linux {kernel}, x86_64 with {', '.join(f for f in FLAGS if f in flags)} "
            f"(without {', '.join(f for f in FLAGS if f not in flags) or 'none of what matters'}); "
            f"glibc {library('libc.so.6', 'gnu_get_libc_version')}, gcc {gcc}, "
            f"libcrypto {library('libcrypto.so.3', 'OpenSSL_version', 0)}, "
            f"libsodium {library('libsodium.so.23', 'sodium_version_string')}, "
            f"libgcrypt {library('libgcrypt.so.20', 'gcry_check_version', None)}, "
            f"Go {go('residue-peer-go26')} and {go('residue-peer-go')}. The programs are Debian's: "
            f"{', '.join(package(name) for name in PACKAGES)}. Both tables on `memfd_secret`, "
            f"by {'root' if os.geteuid() == 0 else 'an ordinary user'}.")


if __name__ == "__main__":
    write_between(sys.argv[1], "measured on", textwrap.wrap(
        text(), 89, break_long_words=False, break_on_hyphens=False))
