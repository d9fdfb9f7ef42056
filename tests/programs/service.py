# SPDX-License-Identifier: MIT
#
# A service as people write them, with python3-cryptography: it reads its keys,
# seals and signs by them, and waits for more to do.
"""Keys in base64 on stdin; "ready" on stdout when they were used."""

import base64
import os
import sys

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

sealing = base64.b64decode(sys.stdin.readline())
signing = Ed25519PrivateKey.from_private_bytes(base64.b64decode(sys.stdin.readline()))
gcm = AESGCM(sealing)
for number in range(20):
    nonce = os.urandom(12)
    sealed = gcm.encrypt(nonce, b"message %d" % number, None)
    assert gcm.decrypt(nonce, sealed, None) == b"message %d" % number
    signing.public_key().verify(signing.sign(sealed), sealed)
pem = signing.private_bytes(serialization.Encoding.PEM,
                            serialization.PrivateFormat.PKCS8,
                            serialization.NoEncryption())
print("ready", flush=True)
sys.stdin.readline()
