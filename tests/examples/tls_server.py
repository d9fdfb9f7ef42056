# SPDX-License-Identifier: MIT
#
# The example's TLS server, started with keys that are known here, and searched: as it
# serves, in a core file, as it ends. Judges nothing.
"""A TLS server, and what a reader from outside finds of its secrets."""

import datetime
import os
import subprocess

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from using import BUILD, SECONDS, Example, Failed, fresh, soon
from searcher import understood  # using has made it known where
from way import Way

# System calls in which it waits, and in which it ends.
WAITING = ("271", "231")
LEVELS = {"kmod": "unmapped", "memfd_secret": "unmapped", "mlock": "locked"}


def numbers_of(key):
    """What is private in it, as bytes that are searched for."""
    private = key.private_numbers()
    if isinstance(key, ec.EllipticCurvePrivateKey):
        return private.private_value.to_bytes(32, "big")
    return b"".join(n.to_bytes((n.bit_length() + 7) // 8, "big") for n in (
        private.d, private.p, private.q, private.dmp1, private.dmq1, private.iqmp))


class Keys:
    """Two private keys, encrypted on the disk; their certificates; the tickets' keys."""

    def __init__(self, scratch):
        self.passphrase = fresh(24).hex().encode()
        self.tickets = fresh(80)
        self.pairs, self.authority = [], os.path.join(scratch, "authority.pem")
        private = []
        for name, key in (("ecdsa", ec.generate_private_key(ec.SECP256R1())),
                          ("rsa", rsa.generate_private_key(65537, 2048))):
            certificate, file = (os.path.join(scratch, name + end) for end in (".crt", ".key"))
            self.write(certificate, file, key)
            self.pairs += [certificate, file]
            private.append(numbers_of(key))
        # The first 16 bytes of a ticket's keys are its name, which every client sees.
        self.secrets = [b"".join([*private, self.passphrase, self.tickets[16:]]),
                        self.tickets[48:]]

    def write(self, certificate, file, key):
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
        now = datetime.datetime.utcnow()
        made = x509.CertificateBuilder(
            name, name, key.public_key(), x509.random_serial_number(),
            now - datetime.timedelta(days=1), now + datetime.timedelta(days=1)).add_extension(
                x509.SubjectAlternativeName([x509.DNSName("localhost")]), False).sign(
                    key, hashes.SHA256())
        with open(certificate, "wb") as out, open(self.authority, "ab") as all_of_them:
            for each in (out, all_of_them):
                each.write(made.public_bytes(serialization.Encoding.PEM))
        with open(file, "wb") as out:
            out.write(key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                serialization.BestAvailableEncryption(self.passphrase)))


def handed(secret):
    """A descriptor to read it from."""
    ours, theirs = os.pipe()
    os.write(theirs, secret)
    os.close(theirs)
    return ours


class Server(Example):
    """Serves until it is left."""

    def __init__(self, scratch, keys, options=(), hollow=False):
        self.keys, self.scratch = keys, scratch
        fds = [handed(keys.passphrase + b"\n"), handed(keys.tickets)]
        words = ["tls_server", "-P", "0", "-p", str(fds[0]), "-t", str(fds[1]), *options]
        try:
            super().__init__(scratch, words + keys.pairs, hollow, True, pass_fds=fds)
        finally:
            for fd in fds:
                os.close(fd)
        # It says where it serves when it does.
        if not soon(lambda: self.lines("serving on port") or self.process.poll() is not None) \
                or not self.lines("serving on port"):
            raise Failed(f"the server does not serve: {self.words()}")
        said = self.words().replace(",", "").split()
        self.port, self.backend = int(said[3]), said[6]

    def waits(self):
        """In the midst of a section registers are in use."""
        def waiting():
            with open(f"/proc/{self.pid}/syscall") as call:
                return call.read().split()[0] in WAITING

        if not soon(waiting):
            raise Failed("the server does not come to rest")

    def found(self, secrets):
        self.waits()
        return super().found(secrets)

    def kept(self, secrets):
        """Copies in registers and in what the kernel keeps of them; and bytes of the latter."""
        self.waits()
        copies = searched = 0
        for secret in secrets:
            fd = handed(secret)
            done = subprocess.run(
                [os.path.join(BUILD, "bin/lethectl"), "scan", "--json", "--kernel", "--pid",
                 str(self.pid), "--secret-fd", str(fd)], pass_fds=[fd], capture_output=True,
                timeout=SECONDS, check=False)
            os.close(fd)
            answer = understood(done.returncode, done.stdout, done.stderr.decode())
            copies += sum(finding["in"] != "memory" for finding in answer["findings"])
            searched += answer["kernel"]["searched_bytes"]
        return copies, searched

    def core(self, count):
        """Copies in a core file that gdb makes, as @count() counts them."""
        place = os.path.join(self.scratch, "core")
        os.makedirs(place, exist_ok=True)
        return Way(BUILD, place, [], True).core(self.pid, count)

    def status(self, name):
        """A line of proc(5)'s status."""
        with open(f"/proc/{self.pid}/status") as lines:
            return next(line.split()[1:] for line in lines if line.startswith(name + ":"))

    def lines(self, text):
        """How many of what it said have that."""
        return sum(text in line for line in self.words().splitlines())
