// SPDX-License-Identifier: MIT

package main

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"runtime/secret"
)

var (
	peer      = newKey().PublicKey()
	plaintext = make([]byte, 1024)
	sealed    = make([]byte, 0, 1024+16)
	salt      = make([]byte, 32)
	nonce     = make([]byte, 12)
)

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

func newKey() *ecdh.PrivateKey { return must(ecdh.X25519().GenerateKey(rand.Reader)) }

// What exchange.c does with libcrypto: an ephemeral key, a shared secret, a session
// key, and a kilobyte sealed with it.
//
//go:noinline
func exchange() {
	shared := must(newKey().ECDH(peer))
	session := must(hkdf.Key(sha256.New, shared, salt, "lethe bench", 32))
	gcm := must(cipher.NewGCM(must(aes.NewCipher(session))))
	sealed = gcm.Seal(sealed[:0], nonce, plaintext, nil)
}

func exchangeSecret() { secret.Do(exchange) }
