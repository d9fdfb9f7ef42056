# SPDX-License-Identifier: MIT
#
# WireGuard's handshake by its white paper, by Python's libraries and none of Lethe's code:
# a peer for the example, whose every secret is known here and can be searched for.
"""A WireGuard peer."""

import base64
import hashlib
import hmac
import os
import socket
import struct
import time

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

CONSTRUCTION = b"Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s"
IDENTIFIER = b"WireGuard v1 zx2c4 Jason@zx2c4.com"
INITIATION, RESPONSE, DATA = struct.pack("<I", 1), struct.pack("<I", 2), struct.pack("<I", 4)
RAW = serialization.Encoding.Raw
SECONDS = 20


def digest(data):
    return hashlib.blake2s(data).digest()


def kdf(key, data, count):
    """KDF1 to KDF3."""
    out, last = [], b""
    prk = hmac.new(key, data, hashlib.blake2s).digest()
    for number in range(1, count + 1):
        last = hmac.new(prk, last + bytes([number]), hashlib.blake2s).digest()
        out.append(last)
    return out


def nonce(counter):
    return struct.pack("<IQ", 0, counter)


class Key:
    """A private key, as `wg genkey` and as bytes."""

    def __init__(self, private):
        self.private = private
        self.key = X25519PrivateKey.from_private_bytes(private)
        self.public = self.key.public_key().public_bytes(RAW, serialization.PublicFormat.Raw)

    def text(self):
        return base64.b64encode(self.private).decode()

    def public_text(self):
        return base64.b64encode(self.public).decode()

    def with_public(self, public):
        return self.key.exchange(X25519PublicKey.from_public_bytes(public))


class Handshake:
    """Noise's symmetric state; and all that was ever mixed into it, or came out."""

    def __init__(self, responder):
        self.chain = digest(CONSTRUCTION)
        self.hash = digest(digest(self.chain + IDENTIFIER) + responder)
        self.secrets = []

    def mix_hash(self, data):
        self.hash = digest(self.hash + data)

    def mix_key(self, data, count=1):
        """The chaining key, and what else is made with it."""
        self.chain, *more = kdf(self.chain, data, count)
        self.secrets += [self.chain, *more]
        return more

    def mix_dh(self, shared, count=1):
        self.secrets.append(shared)
        return self.mix_key(shared, count)

    def seal(self, key, plain):
        sealed = ChaCha20Poly1305(key).encrypt(nonce(0), plain, self.hash)
        self.mix_hash(sealed)
        return sealed

    def open(self, key, sealed):
        plain = ChaCha20Poly1305(key).decrypt(nonce(0), sealed, self.hash)
        self.mix_hash(sealed)
        return plain


def mac1(public, message):
    key = digest(b"mac1----" + public)
    return hashlib.blake2s(message, key=key, digest_size=16).digest()


class Wrong(Exception):
    """Not WireGuard's, or not as it should be."""


class Session:
    """Two keys, and what was made on the way to them."""

    def __init__(self, handshake, initiator, ours, theirs):
        keys = kdf(handshake.chain, b"", 2)
        self.sending, self.receiving = keys if initiator else keys[::-1]
        self.ours, self.theirs, self.sent, self.received = ours, theirs, 0, -1
        self.on_the_way = handshake.secrets

    def keys(self):
        return [self.sending, self.receiving]

    def seal(self, plain):
        sealed = ChaCha20Poly1305(self.sending).encrypt(nonce(self.sent), plain, b"")
        self.sent += 1
        return DATA + struct.pack("<IQ", self.theirs, self.sent - 1) + sealed

    def open(self, message):
        index, counter = struct.unpack("<IQ", message[4:16])
        if index != self.ours or counter <= self.received:
            raise Wrong(f"a packet for {index} by number {counter}")
        self.received = counter
        return ChaCha20Poly1305(self.receiving).decrypt(nonce(counter), message[16:], b"")


class Peer:
    """One side, on a UDP socket of its own on loopback."""

    def __init__(self, key, other, preshared):
        self.key, self.other, self.preshared = key, other, preshared
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.settimeout(SECONDS)
        self.port, self.at = self.socket.getsockname()[1], None
        self.session = None

    def receive(self):
        message, self.at = self.socket.recvfrom(2000)
        return message

    def send(self, message):
        self.socket.sendto(message, self.at)

    def answer(self, m):
        """The other's initiation; the timestamp in it."""
        if len(m) != 148 or m[:4] != INITIATION or m[116:132] != mac1(self.key.public, m[:116]):
            raise Wrong("no initiation")
        sender, ephemeral = m[4:8], m[8:40]
        h = Handshake(self.key.public)
        h.mix_key(ephemeral)
        h.mix_hash(ephemeral)
        key, = h.mix_dh(self.key.with_public(ephemeral), 2)
        if h.open(key, m[40:88]) != self.other:
            raise Wrong("somebody else's")
        key, = h.mix_dh(self.key.with_public(self.other), 2)
        stamp = h.open(key, m[88:116])
        ours = Key(os.urandom(32))
        index = os.urandom(4)
        h.mix_key(ours.public)
        h.mix_hash(ours.public)
        h.mix_dh(ours.with_public(ephemeral))
        h.mix_dh(ours.with_public(self.other))
        tau, key = h.mix_key(self.preshared, 3)
        h.mix_hash(tau)
        answer = RESPONSE + index + sender + ours.public + h.seal(key, b"")
        self.send(answer + mac1(self.other, answer) + bytes(16))
        self.session = Session(h, False, *struct.unpack("<2I", index + sender))
        return stamp

    def begin(self, stamp=None):
        """Ours: what to send, and a function that takes the answer."""
        h, ours, index = Handshake(self.other), Key(os.urandom(32)), os.urandom(4)
        stamp = stamp or struct.pack(">QI", 0x400000000000000a + int(time.time()),
                                     time.time_ns() % 10 ** 9)
        h.mix_key(ours.public)
        h.mix_hash(ours.public)
        key, = h.mix_dh(ours.with_public(self.other), 2)
        fixed = h.seal(key, self.key.public)
        key, = h.mix_dh(self.key.with_public(self.other), 2)
        message = INITIATION + index + ours.public + fixed + h.seal(key, stamp)

        def finish(m):
            if len(m) != 92 or m[:4] != RESPONSE or m[60:76] != mac1(self.key.public, m[:60]) or \
                    m[8:12] != index:
                raise Wrong("no response")
            h.mix_key(m[12:44])
            h.mix_hash(m[12:44])
            h.mix_dh(ours.with_public(m[12:44]))
            h.mix_dh(self.key.with_public(m[12:44]))
            tau, key = h.mix_key(self.preshared, 3)
            h.mix_hash(tau)
            if h.open(key, m[44:60]):
                raise Wrong("there is something in it")
            self.session = Session(h, True, *struct.unpack("<2I", index + m[4:8]))

        return message + mac1(self.other, message) + bytes(16), finish

    def packet(self):
        """The next one that is not empty."""
        while True:
            plain = self.session.open(self.receive())
            if plain:
                return plain


__all__ = ["InvalidTag", "Key", "Peer", "Wrong"]
