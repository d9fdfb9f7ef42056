# SPDX-License-Identifier: MIT
#
# What is known of a program's secrets: keys, read from the files that hold them or made
# here. How they look elsewhere, as text too, is for the searcher to know.
"""The secrets in key files."""

import base64
import hashlib
import os
import re
import struct

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

BECH32 = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"


def password():
    """In characters that are many: a search refuses what is met by chance."""
    return base64.b64encode(os.urandom(24))


def text_of(secret):
    """As it is handed on where it has to be text."""
    return base64.b64encode(secret)


def pem_body(path):
    """The lines between the marks."""
    with open(path) as pem:
        return [line.strip() for line in pem if not line.startswith("-----")]


def ed25519_of_pkcs8(path):
    """The seed, which is the last 32 bytes of the structure."""
    return base64.b64decode("".join(pem_body(path)))[-32:]


def ed25519_of_openssh(path):
    """The seed: behind it in the file comes the public key once more."""
    blob = base64.b64decode("".join(pem_body(path)))
    public = blob[blob.index(b"ssh-ed25519") + 15:][:32]
    return blob[blob.rindex(public) - 32:][:32]


def unshielded(memory, seed):
    """
    How often ssh-agent's memory gives up this key. It keeps keys encrypted, under a
    key that is the SHA-512 of 16 KiB beside them: whoever reads both has it. Those
    16 KiB are a chunk of libc's malloc, or whole pages, which begin as @memory does;
    the encrypted key begins as all do.
    """
    head = struct.pack(">I", 11) + b"ssh-ed25519"
    chunk = struct.pack("<Q", 16384 + 16 + 1)
    places = {match.end() for match in re.finditer(re.escape(chunk), memory)}
    places.update(range(0, len(memory) - 16384 + 1, 4096))
    found = 0
    for at in places:
        prekey = memory[at:at + 16384]
        # Random bytes: not what was never written to, of which there may be much.
        if not any(prekey[:64]):
            continue
        digest = hashlib.sha512(prekey).digest()
        aes = Cipher(algorithms.AES(digest[:32]), modes.CTR(digest[32:48]))
        sealed = aes.encryptor().update(head)
        for blob in re.finditer(re.escape(sealed), memory):
            found += seed in aes.decryptor().update(memory[blob.start():blob.start() + 512])
    return found


def number_of_gpg(path, letter):
    """One number of an unprotected key of gpg-agent's: hex, broken into lines."""
    with open(path, "rb") as key:
        text = b"".join(key.read().split())
    found = re.search(rb"\(" + letter + rb"#([0-9A-Fa-f]+)#\)", text)
    if not found:
        raise ValueError(f"no number {letter.decode()} in {path}")
    return bytes.fromhex(found.group(1).decode()).lstrip(b"\0")


def seed_of_minisign(path):
    """Of a key without a password: behind the numbers, the salt and the limits."""
    with open(path) as key:
        return base64.b64decode(key.read().splitlines()[1])[62:94]


def key_of_age(path):
    """Of an identity: 32 bytes, and both ways to spell them in bech32, whose last six
    characters are a sum over the others."""
    with open(path) as file:
        text = re.search(r"^AGE-SECRET-KEY-1(\w+)$", file.read(), re.M).group(1)
    number = 0
    for character in text[:-6].lower():
        number = number << 5 | BECH32.index(character)
    key = (number >> 5 * (len(text) - 6) % 8).to_bytes(32, "big")
    return key, text.encode(), text.lower().encode()
