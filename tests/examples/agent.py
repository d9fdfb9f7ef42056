# SPDX-License-Identifier: MIT
#
# A client of ssh-agent's protocol that says what ssh-add never would.
"""ssh-agent's protocol, by hand."""

import os
import socket
import struct

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

FAILURE, SUCCESS = b"\5", b"\6"
LIST, IDENTITIES, SIGN, SIGNATURE, ADD, REMOVE, REMOVE_ALL = 11, 12, 13, 14, 17, 18, 19
LOCK, UNLOCK, ADD_CONSTRAINED, EXTENSION = 22, 23, 25, 27
KIND = b"ssh-ed25519"


def string(data):
    return struct.pack(">I", len(data)) + data


class Key:
    """An Ed25519 key as the protocol has it."""

    def __init__(self, seed):
        self.seed = seed
        self.key = Ed25519PrivateKey.from_private_bytes(seed)
        self.public = self.key.public_key().public_bytes(
            serialization.Encoding.Raw, serialization.PublicFormat.Raw)
        self.blob = string(KIND) + string(self.public)

    def add(self, constraints=b"", comment=b"a key"):
        kind = ADD_CONSTRAINED if constraints else ADD
        return bytes([kind]) + self.blob + string(self.seed + self.public) + string(comment) + \
            constraints

    def sign(self, data):
        return bytes([SIGN]) + string(self.blob) + string(data) + bytes(4)

    def signed(self, answer, data):
        """Is this answer its signature?"""
        head = bytes([SIGNATURE]) + struct.pack(">I", 4 + len(KIND) + 4 + 64) + string(KIND) + \
            struct.pack(">I", 64)
        if not answer.startswith(head) or len(answer) != len(head) + 64:
            return False
        self.key.public_key().verify(answer[len(head):], data)
        return True


class Client:
    """One connection."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        # Waits for room in the holder's queue, which with a time limit it would not.
        self.socket.connect(path)
        self.socket.settimeout(20)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data)

    def read(self, length):
        """As much, or less where the other end hung up."""
        data = b""
        while len(data) < length:
            try:
                more = self.socket.recv(length - len(data))
            except ConnectionError:
                break
            if not more:
                break
            data += more
        return data

    def answer(self):
        head = self.read(4)
        return self.read(struct.unpack(">I", head)[0]) if len(head) == 4 else b""

    def ask(self, message):
        self.send(string(message))
        return self.answer()

    def count(self):
        """How many keys it lists."""
        answer = self.ask(bytes([LIST]))
        return struct.unpack(">I", answer[1:5])[0] if answer[:1] == bytes([IDENTITIES]) else None


def ask(path, message):
    """One question on a connection of its own."""
    with Client(path) as client:
        return client.ask(message)


def rubbish(key):
    """Messages that nobody should get anything by."""
    for message in (key.add(), key.sign(b"data"), bytes([LOCK]) + string(b"a word"),
                    bytes([REMOVE]) + string(key.blob)):
        for end in range(len(message)):
            yield message[:end] or b"\0"
    for kind in range(256):
        if kind not in (LIST, REMOVE_ALL):
            yield bytes([kind]) + os.urandom(60)
            yield bytes([kind]) + struct.pack(">I", 0xffffffff) + os.urandom(60)
            yield bytes([kind]) + struct.pack(">I", 0xfffffffc)
