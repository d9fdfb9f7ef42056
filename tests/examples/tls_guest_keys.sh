#!/bin/sh
# SPDX-License-Identifier: MIT
#
# What tls_guest.sh has to know, made here, where the processor is a real one: two keys with
# certificates, their passphrase, keys of tickets; and in "keys" all of that which is secret.
#
#	tls_guest_keys.sh ARCHIVE
set -eu

archive=$(realpath "$1")
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
cd "$scratch"

# What is private in a key: those parts of its text, as bytes.
private() {
	openssl pkey -in "$1" -passin file:passphrase -noout -text |
		awk '/^[^ ]/ { on = /^(priv|prime|exponent|coefficient)/ ; next } on' |
		tr -d ' :\n' | xxd -r -p
}

openssl rand -hex 24 >passphrase
openssl rand 80 >tickets
for kind in 'EC -pkeyopt ec_paramgen_curve:P-256' RSA; do
	name=${kind%% *}
	# shellcheck disable=SC2086
	openssl genpkey -algorithm $kind -aes-256-cbc -pass file:passphrase -out "$name.key"
	openssl req -x509 -new -days 3650 -key "$name.key" -passin file:passphrase -subj /CN=localhost \
		-addext subjectAltName=DNS:localhost -out "$name.crt"
done 2>/dev/null
cat EC.crt RSA.crt >authority
{
	private EC.key
	private RSA.key
	dd if=tickets bs=16 skip=1 2>/dev/null
	tr -d '\n' <passphrase
} >keys
tar cf "$archive" EC.crt EC.key RSA.crt RSA.key authority passphrase tickets keys
