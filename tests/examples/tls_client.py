# SPDX-License-Identifier: MIT
#
# Who talks to the example's TLS server: Debian's curl, `openssl s_client` and Python's ssl,
# each of which writes down the secrets of its sessions; and who talks rubbish. Judges
# nothing, and reads nothing of the server but its answers.
"""Clients of the TLS server, and the secrets that they have in common with it."""

import contextlib
import hashlib
import hmac
import os
import re
import socket
import ssl
import struct
import subprocess

SECONDS = 60
REQUEST = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"


class ClientFailed(Exception):
    """A client was not served."""


def write_key(secret):
    """TLS 1.3's AES-256 key of a traffic secret: RFC 8446, section 7.3."""
    label = b"tls13 key"
    info = struct.pack("!HB", 32, len(label)) + label + b"\0"
    return hmac.new(secret, info + b"\1", hashlib.sha384).digest()[:32]


def secrets_of(keylog):
    """
    A list for the searcher: all that the file has as one, for what is searched for is any
    eight bytes in a row; and the keys of TLS 1.3 each by itself, for their round keys.
    """
    secrets, keys = [], []
    with open(keylog) as lines:
        for label, _, secret in (line.split() for line in lines if line[0] != "#"):
            secrets.append(bytes.fromhex(secret))
            if "TRAFFIC_SECRET" in label:
                keys.append(write_key(secrets[-1]))
    if not secrets:
        raise ClientFailed("no secret is known of the session")
    return [b"".join(secrets), *keys]


class Clients:
    """Of one server, with whose certificates they are content."""

    def __init__(self, scratch, port, authority):
        self.scratch, self.port, self.authority = scratch, port, authority
        self.count = 0

    def keylog(self):
        """A file of its own for each."""
        self.count += 1
        return os.path.join(self.scratch, f"keylog.{self.count}")

    def curl(self, *options):
        """The answer, and the session's secrets."""
        keylog = self.keylog()
        done = subprocess.run(
            ["/usr/bin/curl", "-sS", "--noproxy", "*", "--cacert", self.authority, "--resolve",
             f"localhost:{self.port}:127.0.0.1", *options, f"https://localhost:{self.port}/"],
            env={**os.environ, "SSLKEYLOGFILE": keylog}, capture_output=True, timeout=SECONDS,
            check=False, text=True)
        if done.returncode:
            raise ClientFailed(f"curl, status {done.returncode}: {done.stderr}")
        return done.stdout, secrets_of(keylog)

    def s_client_command(self, keylog, *options):
        return ["/usr/bin/openssl", "s_client", "-connect", f"127.0.0.1:{self.port}",
                "-CAfile", self.authority, "-verify_return_error", "-verify_hostname",
                "localhost", "-keylogfile", keylog, "-ign_eof", *options]

    def s_client(self, *options):
        """All that it prints, and the session's secrets."""
        keylog = self.keylog()
        done = subprocess.run(self.s_client_command(keylog, *options), input=REQUEST,
                              capture_output=True, timeout=SECONDS, check=False)
        if done.returncode:
            raise ClientFailed(f"s_client, status {done.returncode}: {done.stderr.decode()}")
        return done.stdout.decode(), secrets_of(keylog)

    @contextlib.contextmanager
    def held(self, version):
        """A session that has said nothing yet: its secrets."""
        keylog = self.keylog()
        context = self.context(keylog)
        context.minimum_version = context.maximum_version = version
        with self.connected(context):
            yield secrets_of(keylog)

    def context(self, keylog=None):
        made = ssl.create_default_context(cafile=self.authority)
        if keylog:
            made.keylog_filename = keylog
        return made

    def connected(self, context):
        """After its handshake, and before its request."""
        return context.wrap_socket(self.plain(), server_hostname="localhost")

    def plain(self):
        return socket.create_connection(("127.0.0.1", self.port), SECONDS)

    def hello(self):
        """What a client says first."""
        there, ours = ssl.MemoryBIO(), ssl.MemoryBIO()
        with contextlib.suppress(ssl.SSLWantReadError):
            self.context().wrap_bio(there, ours, server_hostname="localhost").do_handshake()
        return ours.read()

    def rubbish(self):
        """Each a name, and what is done."""
        hello = self.hello()
        yield "random bytes", lambda: self.say(os.urandom(3000))
        yield "HTTP without TLS", lambda: self.say(REQUEST)
        yield "half of a hello", lambda: self.say(hello[:len(hello) // 2])
        yield "a hello with a wrong length", lambda: self.say(b"\x16\x03\x01\xff\xff" + hello)
        yield "a changed byte in its flight", self.change
        yield "TLS 1.1", lambda: self.old(ssl.TLSVersion.TLSv1_1)
        yield "a reset after the handshake", self.reset

    def say(self, words):
        """And go when the server has, or at once."""
        with self.plain() as sock, contextlib.suppress(OSError):
            sock.sendall(words)
            sock.shutdown(socket.SHUT_WR)
            while sock.recv(4096):
                pass

    def change(self):
        there, ours = ssl.MemoryBIO(), ssl.MemoryBIO()
        session = self.context().wrap_bio(there, ours, server_hostname="localhost")
        with self.plain() as sock, contextlib.suppress(OSError):
            while True:
                with contextlib.suppress(ssl.SSLWantReadError):
                    session.do_handshake()
                    break
                sock.sendall(ours.read())
                there.write(sock.recv(16384))
            flight = bytearray(ours.read())
            flight[-1] ^= 1
            sock.sendall(flight)
            while sock.recv(4096):
                pass

    def old(self, version):
        context = self.context()
        # Debian's own library would not begin it.
        context.set_ciphers("ALL:@SECLEVEL=0")
        context.minimum_version = context.maximum_version = version
        with contextlib.suppress(OSError):
            self.connected(context).close()
            raise ClientFailed("TLS 1.1 was agreed on")

    def reset(self):
        with self.connected(self.context()) as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    def endless(self):
        return answer_of(self.connected(self.context()), b"GET /" + b"a" * 5000)


def answer_of(sock, request=REQUEST):
    """What the server says to a request of a client that it has."""
    sock.sendall(request)
    parts = []
    with contextlib.suppress(OSError):
        while part := sock.recv(4096):
            parts.append(part)
    sock.close()
    return b"".join(parts).decode()


def facts(answer):
    """Of an answer: protocol, cipher, new or resumed, and the level of its memory."""
    said = re.search(r"(\S+), (\S+), (\S+) session, secrets in (\S+) memory", answer)
    if not said:
        raise ClientFailed(f"no answer: {answer!r}")
    return said.groups()
