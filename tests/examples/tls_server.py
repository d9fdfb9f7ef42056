# SPDX-License-Identifier: MIT
#
# The example's TLS server, started with keys that are known here, and searched: as it
# serves, in a core file, as it ends. Judges nothing.
"""A TLS server, and what a reader from outside finds of its secrets."""

import contextlib
import datetime
import os
import subprocess
import sys
import time

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

for beside in ("../programs", "../residue"):
    sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), beside))
from searcher import Maps, fresh, look, understood  # pylint: disable=C0413
from way import SECONDS, Failed, Way, limited  # pylint: disable=C0413

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


class Server(Way):
    """
    Runs until it is left. With @hollow what there is of Lethe protects from nothing: the
    control.
    """

    def __init__(self, build, scratch, keys, options=(), hollow=False):
        super().__init__(build, scratch, [], True)
        self.keys, self.hollow, self.outside = keys, hollow, {}
        program = os.path.join(build, "tests/examples/tls_server")
        fds = [handed(keys.passphrase + b"\n"), handed(keys.tickets)]
        preload = {"LD_PRELOAD": os.path.join(build, "tests/residue/hollow.so")}
        # What holds it as it ends would be a control without anything in the way, too.
        with open(self.said, "w") as said:
            self.process = subprocess.Popen(
                [os.path.join(build, "tests/programs/to_exit"), program, "-P", "0", "-p",
                 str(fds[0]), "-t", str(fds[1]), *options, *keys.pairs],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=said, pass_fds=fds,
                env={**os.environ, **(preload if hollow else {})}, preexec_fn=limited)
        for fd in fds:
            os.close(fd)
        self.pid, self.port, self.backend = self.begun()

    def begun(self):
        """It says where it serves when it does."""
        until = time.monotonic() + SECONDS
        while time.monotonic() < until and self.process.poll() is None:
            words = self.words().replace(",", "").split()
            if "serving" in words:
                children = f"/proc/{self.process.pid}/task/{self.process.pid}/children"
                with open(children) as file:
                    return int(file.read()), int(words[3]), words[6]
            time.sleep(0.02)
        raise Failed(f"the server does not serve: {self.words()}")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()

    def found(self, secrets):
        """Copies outside of secret pages, and on those that can be read."""
        counts = look(os.path.join(self.build, "bin/lethectl"), self.pid,
                      secrets).copies(Maps(self.pid))
        inside = counts.pop("secret", 0)
        return sum(counts.values()), inside, dict(counts)

    def kept(self, secrets):
        """Copies in registers and in what the kernel keeps of them; and bytes of the latter."""
        copies = searched = 0
        for secret in secrets:
            fd = handed(secret)
            done = subprocess.run(
                [os.path.join(self.build, "bin/lethectl"), "scan", "--json", "--kernel", "--pid",
                 str(self.pid), "--secret-fd", str(fd)], pass_fds=[fd], capture_output=True,
                timeout=SECONDS, check=False)
            os.close(fd)
            answer = understood(done.returncode, done.stdout, done.stderr.decode())
            copies += sum(finding["in"] != "memory" for finding in answer["findings"])
            searched += answer["kernel"]["searched_bytes"]
        return copies, searched

    def end(self):
        """Until its last call."""
        os.kill(self.pid, 15)
        words = self.process.stdout.readline().split()
        if words != [b"ending", str(self.pid).encode()]:
            raise Failed(f"the server did not come to its end: {words} {self.words()}")

    def ended(self):
        """Its status."""
        self.process.stdin.close()
        return self.process.wait(SECONDS)

    def status(self, name):
        """A line of proc(5)'s status."""
        with open(f"/proc/{self.pid}/status") as lines:
            return next(line.split()[1:] for line in lines if line.startswith(name + ":"))

    def lines(self, text):
        """How many of what it said have that."""
        return sum(text in line for line in self.words().splitlines())

    def soon(self, condition):
        """Whether it comes to be, of a server that does its work meanwhile."""
        with contextlib.suppress(FileNotFoundError):
            for _ in range(500):
                if condition():
                    return True
                time.sleep(0.02)
        return False
