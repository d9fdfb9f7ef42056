# SPDX-License-Identifier: MIT
#
# What a secret looks like elsewhere, made by other means than lethectl's: its test is
# not to believe it. What is computed here is checked against what is published.
import base64
import hashlib
import struct


def swap(data, word):
    whole = len(data) // word * word
    return b''.join(data[i:i + word][::-1] for i in range(0, whole, word))


def double(a):
    a <<= 1
    return a ^ 0x11b if a & 0x100 else a


def times(a, b):
    product = 0
    while b:
        if b & 1:
            product ^= a
        a, b = double(a), b >> 1
    return product


def sbox():
    box = []
    for a in range(256):
        inverse = next((b for b in range(256) if times(a, b) == 1), 0)
        value = 0x63
        for turn in range(5):
            value ^= (inverse << turn | inverse >> (8 - turn)) & 255
        box.append(value)
    return box


SBOX = sbox()


def aes(key):
    n = len(key) // 4
    words = [list(key[4 * i:4 * i + 4]) for i in range(n)]
    constant = 1
    for i in range(n, 4 * (n + 7)):
        word = list(words[-1])
        if i % n == 0:
            word = [SBOX[b] for b in word[1:] + word[:1]]
            word[0] ^= constant
            constant = double(constant)
        elif n > 6 and i % n == 4:
            word = [SBOX[b] for b in word]
        words.append([a ^ b for a, b in zip(words[i - n], word)])
    return bytes(b for word in words for b in word)


def aes_inverse(key):
    forward = aes(key)
    rounds = [forward[i:i + 16] for i in range(0, len(forward), 16)][::-1]
    mixed = []
    for number, keys in enumerate(rounds):
        if 0 < number < len(rounds) - 1:
            columns = [keys[i:i + 4] for i in range(0, 16, 4)]
            keys = bytes(times(c[i], 14) ^ times(c[(i + 1) % 4], 11) ^
                         times(c[(i + 2) % 4], 13) ^ times(c[(i + 3) % 4], 9)
                         for c in columns for i in range(4))
        mixed.append(keys)
    return b''.join(mixed)


TURNS = {32: (7, 18, 3, 17, 19, 10, 2, 13, 22, 6, 11, 25),
         64: (1, 8, 7, 19, 61, 6, 28, 34, 39, 14, 18, 41)}


def ror(word, by, bits):
    return (word >> by | word << (bits - by)) & ((1 << bits) - 1)


def schedule(block, bits):
    t, mask = TURNS[bits], (1 << bits) - 1
    words = list(struct.unpack('>16' + ('I' if bits == 32 else 'Q'), block))
    for i in range(16, 64 if bits == 32 else 80):
        a, b = words[i - 15], words[i - 2]
        a = ror(a, t[0], bits) ^ ror(a, t[1], bits) ^ a >> t[2]
        b = ror(b, t[3], bits) ^ ror(b, t[4], bits) ^ b >> t[5]
        words.append(words[i - 16] + a + words[i - 7] + b & mask)
    return words


def padded(message, bits):
    block = bits * 2
    tail = b'\x80' + bytes(-(len(message) + 1 + bits // 4) % block)
    return message + tail + (8 * len(message)).to_bytes(bits // 4, 'big')


def root(n, degree, bits):
    """The first bits of the fraction of a root of n."""
    target, low, high = n << degree * bits, 0, 1 << 16 + bits
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if middle ** degree <= target else (low, middle)
    return low & ((1 << bits) - 1)


def digest(message, bits):
    """Of one block: so that the schedule is known to be right."""
    t, mask = TURNS[bits], (1 << bits) - 1
    primes = [p for p in range(2, 420) if all(p % q for q in range(2, p))]
    state = first = [root(p, 2, bits) for p in primes[:8]]
    for word, prime in zip(schedule(padded(message, bits), bits), primes):
        a, b, c, d, e, f, g, h = state
        one = (h + (ror(e, t[9], bits) ^ ror(e, t[10], bits) ^ ror(e, t[11], bits)) +
               (e & f ^ ~e & g) + root(prime, 3, bits) + word)
        two = ((ror(a, t[6], bits) ^ ror(a, t[7], bits) ^ ror(a, t[8], bits)) +
               (a & b ^ a & c ^ b & c))
        state = [one + two & mask, a, b, c, d + one & mask, e, f, g]
    return b''.join((a + b & mask).to_bytes(bits // 8, 'big') for a, b in zip(first, state))


def little(words, bits):
    return struct.pack('<%d%s' % (len(words), 'I' if bits == 32 else 'Q'), *words)


def encoded64(secret, before, url):
    """All of the text, and what of it the secret alone decides."""
    encode = base64.urlsafe_b64encode if url else base64.b64encode
    text = encode(b'\xfe' * before + secret + b'\x01' * (-(before + len(secret)) % 3))
    own = [i for i in range(len(text))
           if 6 * i >= 8 * before and 6 * i + 6 <= 8 * (before + len(secret))]
    return text[own[0]:own[-1] + 1]


def forms(secret):
    """(form, bytes, of how many secret bytes eight are, what a whole run is)."""
    yield 'plain', secret
    for word in 2, 4, 8:
        for phase in range(word):
            yield 'words', swap(secret[phase:], word)
    for between in '', ':', ' ':
        text = secret.hex(between) if between else secret.hex()
        yield 'hex', text.encode()
        yield 'hex', text.upper().encode()
    for url in False, True:
        for before in range(3):
            yield 'base64', encoded64(secret, before, url)
    for order in 'utf-16-le', 'utf-16-be':
        yield 'utf16', secret.hex().encode(order)
        yield 'utf16', secret.hex().upper().encode(order)
        try:
            yield 'utf16', secret.decode('utf-8').encode(order)
        except UnicodeDecodeError:
            pass
    yield 'limbs', int.from_bytes(secret, 'big').to_bytes(len(secret), 'little')
    for key in (secret, secret[:len(secret) // 2], secret[len(secret) // 2:]):
        if len(key) in (16, 24, 32) and (key is secret or len(secret) in (32, 64)):
            for keys in aes(key), aes_inverse(key):
                yield 'aes', keys
                yield 'aes', swap(keys, 4)
    for bits in 32, 64:
        block = bits * 2
        if len(secret) <= block - bits // 4 - 1:
            yield 'sha', little(schedule(padded(secret, bits), bits), bits)
        if len(secret) <= block:
            for pad in 0x36, 0x5c:
                key = bytes(b ^ pad for b in secret.ljust(block, b'\0'))
                yield 'sha', key[:len(secret)]
                yield 'sha', swap(key[:len(secret)], bits // 8)
                yield 'sha', little(schedule(key, bits), bits)
    if len(secret) == 32:
        yield 'chacha', b'expand 32-byte k' + secret
    if len(secret) == 16:
        yield 'chacha', b'expand 16-byte k' + 2 * secret


def check():
    """Against FIPS 197, appendix A, and this Python's own SHA-2."""
    key = bytes.fromhex('2b7e151628aed2a6abf7158809cf4f3c')
    assert aes(key)[-4:].hex() == 'b6630ca6'
    key = bytes.fromhex('603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4')
    assert aes(key)[-4:].hex() == '706c631e'
    # FIPS 197, appendix C.1: the decryption key schedule of the equivalent inverse cipher.
    assert aes_inverse(bytes(range(16)))[16:20].hex() == '13aa29be'
    assert digest(b'lethe', 32) == hashlib.sha256(b'lethe').digest()
    assert digest(b'lethe', 64) == hashlib.sha512(b'lethe').digest()
