# SPDX-License-Identifier: MIT
#
# Programs that do one thing and are searched as they end: when what they made is known,
# and they will not touch it any more. Each is used as a person does, and what it is for
# is seen to be done.
"""Programs as they end."""

import base64
import hashlib
import os
import re
import subprocess

import known
from way import Failed


def wrote(path, text):
    """A file of it."""
    with open(path, "wb") as file:
        file.write(text)
    return path


def openssl_genpkey(way):
    """Makes a key, and writes it down."""
    key = way.path("key.pem")

    counts = way.search_at_exit(["openssl", "genpkey", "-algorithm", "ed25519", "-out", key],
                                way.path("out"), lambda: [known.ed25519_of_pkcs8(key)])
    return counts, None


def openssl_enc(way):
    """Encrypts a file by a password in a file."""
    salt, password = os.urandom(8), known.password()
    plain = known.text_of(os.urandom(300))
    wrote(way.path("password"), password)
    wrote(way.path("plain"), plain)
    derived = hashlib.pbkdf2_hmac("sha256", password, salt, 10000, 48)
    command = ["openssl", "enc", "-aes-256-cbc", "-pbkdf2", "-S", salt.hex(), "-pass",
               "file:" + way.path("password"), "-in", way.path("plain"), "-out",
               way.path("sealed")]
    counts = way.search_at_exit(command, way.path("out"), lambda: [
        derived[:32], password, plain])
    opened = subprocess.run(["openssl", "enc", "-d", "-aes-256-cbc", "-pbkdf2", "-S",
                             salt.hex(), "-pass", "file:" + way.path("password"), "-in",
                             way.path("sealed")], capture_output=True, check=True).stdout
    if opened != plain:
        raise Failed("openssl did not encrypt")
    return counts, None


def wg_genkey(way):
    """Makes a key, and writes it to stdout."""
    out = way.path("wg.key")

    def secrets():
        with open(out, "rb") as file:
            return [base64.b64decode(file.read())]

    return way.search_at_exit(["wg", "genkey"], out, secrets), None


def wg_pubkey(way):
    """Reads a private key from stdin, and writes the public one to stdout."""
    text = subprocess.run(["wg", "genkey"], capture_output=True, check=True).stdout.strip()
    way.input = wrote(way.path("wg.key"), text + b"\n")
    out = way.path("wg.pub")
    counts = way.search_at_exit(["wg", "pubkey"], out, lambda: [base64.b64decode(text)])
    if os.path.getsize(out) < 40:
        raise Failed("wg made no public key")
    return counts, None


def gpg_symmetric(way):
    """Encrypts a file by a passphrase that comes by a pipe's descriptor."""
    home, passphrase, plain = way.path("gnupg"), known.password(), known.text_of(
        os.urandom(300))
    os.mkdir(home, 0o700)
    way.input = wrote(way.path("passphrase"), passphrase + b"\n")
    base = ["gpg", "--homedir", home, "--batch", "--pinentry-mode", "loopback",
            "--passphrase-fd", "0"]
    sealed = way.path("sealed")

    def secrets():
        with open(way.input, "rb") as typed:
            opened = subprocess.run([*base, "--show-session-key", "-d", sealed], stdin=typed,
                                    capture_output=True, check=True)
        if opened.stdout != plain:
            raise Failed("gpg did not encrypt")
        key = re.search(rb"session key: '9:(\w+)'", opened.stderr).group(1)
        return [bytes.fromhex(key.decode()), passphrase, plain]

    # What it would start itself would be held as well.
    subprocess.run(["gpg-agent", "--homedir", home, "--daemon"], check=True,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        return way.search_at_exit([*base, "-o", sealed, "--symmetric",
                                   wrote(way.path("plain"), plain)], way.path("out"),
                                  secrets), None
    finally:
        subprocess.run(["gpgconf", "--homedir", home, "--kill", "all"], check=False)


def age(way):
    """Decrypts a file, by a key in a file. It is written in Go, whose heap is its own."""
    key, plain = way.path("key"), known.text_of(os.urandom(300))
    subprocess.run(["age-keygen", "-o", key], check=True, stderr=subprocess.DEVNULL)
    public = subprocess.run(["age-keygen", "-y", key], check=True,
                            stdout=subprocess.PIPE).stdout.decode().strip()
    subprocess.run(["age", "-r", public, "-o", way.path("sealed")], input=plain, check=True)
    out = way.path("out")
    counts = way.search_at_exit(["age", "-d", "-i", key, way.path("sealed")], out,
                                lambda: [*known.key_of_age(key), plain])
    with open(out, "rb") as file:
        if file.read() != plain:
            raise Failed("age did not decrypt")
    return counts, None


def argon2(way):
    """Makes a key of a password from stdin, and prints it."""
    password = known.password()
    way.input = wrote(way.path("password"), password)
    out = way.path("out")

    def secrets():
        with open(out) as file:
            return [password, bytes.fromhex(file.read())]

    return way.search_at_exit(["argon2", "a salt of its own", "-id", "-t", "2", "-m", "12",
                               "-p", "1", "-l", "32", "-r"], out, secrets), None
