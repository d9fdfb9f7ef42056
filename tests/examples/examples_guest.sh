#!/bin/sh
# SPDX-License-Identifier: MIT
#
# The examples in the virtual machine, on the module, each used by what is not ours: the
# WireGuard handshake by the kernel's WireGuard, the key holder by ssh-add and ssh-keygen,
# the prompt by what types into a terminal. Their secrets are in regions alone, and in
# nothing that the kernel keeps of their registers. The controls: the same programs with
# what Lethe does taken out. KTAP on stdout.
#
#	examples_guest.sh LETHECTL HOLLOW... -- HANDSHAKE HOLDER PROMPT
set -u

# shellcheck source=tests/points.inc.sh
. "${0%/*}/../points.inc.sh"
lethectl=$1
shift
hollow=
while [ "$1" != -- ]; do
	hollow="$hollow $1"
	shift
done
handshake=$2 holder=$3 prompt=$4
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
cd "$scratch" || exit 1
umask 077
unset LETHE_BACKEND

why() {
	head -c 1500 said found 2>/dev/null
}
# Whether a command succeeds before long.
soon() {
	for _ in $(seq 100); do
		"$@" >/dev/null 2>&1 && return
		usleep 200000
	done
	return 1
}

# scan PROGRAM SECRET: with the kernel's copies of registers
scan() {
	"$lethectl" scan --kernel --json --pid "$(pidof "$1")" --secret-fd 5 5<"$2" >found 2>&1
}
# Of it there is so much, and nothing anywhere.
clean() { [ "$(wc -c <"$2")" -ge 32 ] && scan "$1" "$2" && grep -q "a region of Lethe's" found; }
# Found, and searched whole.
left() {
	scan "$1" "$2"
	[ $? -eq 1 ]
}
unused() { [ "$(cat /sys/module/lethe/refcnt)" -eq 0 ]; }

wg genkey >kernel
wg genkey >example
wg genpsk >preshared
base64 -d <example >private
base64 -d <preshared >>private
kernel=$(wg pubkey <kernel) example=$(wg pubkey <example)
ip link add wg0 type wireguard
ip addr add 10.9.0.1/24 dev wg0
known() {
	wg set wg0 peer "$example" remove
	wg set wg0 private-key kernel listen-port 51820 peer "$example" preshared-key preshared \
		allowed-ips 10.9.0.2/32 "$@"
}
known
ip link set wg0 up

# An echo request of 10.9.0.2's to 10.9.0.1, in one piece; and what is the answer to it.
{
	printf '\105\000\000\034\000\001\000\000\100\001\146\314\012\011\000\002\012\011\000\001'
	printf '\010\000\367\375\000\001\000\001'
} >request
request() { cat request; }
answers() {
	[ "$(od -An -v -tx1 -w1 out | tr -d ' \n' |
		grep -o '4500001c........4001....0a0900010a0900020000fffd00010001' | wc -l)" = "$1" ]
}
# The kernel pads what it sends, to a multiple of 16.
asked() {
	od -An -v -tx1 -w1 out | tr -d ' \n' | grep -q '^45......\(....\)....4001....0a0900010a0900020800'
}
# peer PRELOADED WORD...
peer() {
	preloaded=$1
	shift
	rm -f in out said
	mkfifo in
	LD_PRELOAD=$preloaded "$handshake" -k example "$@" <in >out 2>said &
	exec 7>in
}
over() {
	exec 7>&-
	wait $!
}
sessions() { [ "$(grep -c '^session' said)" = "$1" ]; }

echo "KTAP version 1"
echo "1..23"

peer '' -p preshared -r 1 "$kernel" 127.0.0.1 51820
request >&7
ok "the kernel's WireGuard answers the example's handshake, and its packet" soon answers 1
ok 'its keys are in regions alone' clean handshake private
request >&7
ok 'a second session, for a second packet' soon answers 2
request >&7
ok 'and a third' soon answers 3
ok 'of which the kernel has seen each' sessions 3
seen() { [ "$(wg show wg0 latest-handshakes | cut -f2)" -gt 0 ]; }
ok 'and says so itself' seen
ok 'its keys are in regions alone still' clean handshake private
ok 'it ends with 0' over
ok 'and nothing is left of it: the module is free' unused

peer '' -p preshared "$kernel" 127.0.0.1 51821 listen
# Forgotten first: it would go on with the keys that it has.
known endpoint 127.0.0.1:51821
ping -c 3 -W 1 10.9.0.2 >/dev/null 2>&1
ok "a handshake that the kernel's WireGuard begins is answered, and its packet read" soon asked
over

usleep 100000
wg genpsk >another
peer '' -p another "$kernel" 127.0.0.1 51820
request >&7
none() { sleep 2 && sessions 0 && [ ! -s out ]; }
ok 'control: with another preshared key there is no session' none
kill $!
over

peer "$hollow" -p preshared "$kernel" 127.0.0.1 51820
request >&7
soon answers 1
ok 'control: without protection its keys are found' left handshake private
over

ssh-keygen -q -t ed25519 -N '' -C me -f key
# In the file, unencrypted, always there: the seed.
sed '/^-/d' key | base64 -d | dd bs=1 skip=161 count=32 of=seed 2>/dev/null
export SSH_AUTH_SOCK="$scratch/socket"
serve() {
	LD_PRELOAD=$1 "$holder" "$SSH_AUTH_SOCK" 2>said &
	soon test -S "$SSH_AUTH_SOCK"
}
signs() {
	echo 'a message' >message
	rm -f message.sig
	ssh-keygen -q -Y sign -f key.pub -n test message 2>/dev/null || return
	echo "me $(cat key.pub)" >signers
	ssh-keygen -Y verify -f signers -I me -n test -s message.sig <message >/dev/null 2>&1
}
cp key copy
serve ''
ok 'ssh-add adds a key to the holder' ssh-add -q key
rm key
ok 'and ssh-keygen signs by it' signs
ok 'which is in regions alone' clean holder seed
ok 'ssh-add -D' ssh-add -q -D
ok 'without which nothing is signed' eval '! signs'
ends() { kill $! && wait $!; }
ok 'it ends with 0' ends
ok 'and nothing is left of it: the module is free' unused
serve "$hollow"
ssh-add -q copy
signs
ok 'control: without protection the key is found' left holder seed
ends

dd if=/dev/urandom bs=24 count=1 2>/dev/null | base64 | tr -d '\n' >passphrase
# Its terminal is another program's; what is typed comes by a pipe.
ask() {
	rm -f typed said stored
	mkfifo typed
	LD_PRELOAD=$1 script -q -c "$prompt -n stored" /dev/null <typed >said 2>&1 &
	exec 8<>typed
	soon grep -q 'New passphrase: ' said
	usleep 300000
	cat passphrase >&8
	echo >&8
	soon grep -q 'same again: ' said
	usleep 300000
}
stored() {
	cat passphrase >&8
	echo >&8
	soon grep -q stored said
	exec 8>&-
	wait $!
	[ "$(wc -c <stored)" = 48 ] && ! grep -q "$(cat passphrase)" said
}
ask ''
ok 'what was typed to the prompt is in regions alone' clean prompt passphrase
ok 'and is taken, and shown nowhere' stored
ask "$hollow"
ok 'control: without protection it is found' left prompt passphrase
stored
[ $failed -eq 0 ]
