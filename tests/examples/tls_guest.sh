#!/bin/sh
# SPDX-License-Identifier: MIT
#
# The example's TLS server in the virtual machine, on the module: it serves s_client and
# curl, and none of its secrets is anywhere but in regions, nor in what the kernel keeps of
# its registers. The control: the same program with sections that protect from nothing.
# KTAP on stdout.
#
#	tls_guest.sh LETHECTL SERVER HOLLOW KEYS	KEYS: of tls_guest_keys.sh
set -u

# shellcheck source=tests/points.inc.sh
. "${0%/*}/../points.inc.sh"
lethectl=$1 program=$2 hollow=$3 keys=$4
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
cd "$scratch" && tar xf "$keys" || exit 1
# No file of the machine's says how.
OPENSSL_CONF=/dev/null
export OPENSSL_CONF
unset LETHE_BACKEND

why() {
	head -c 3000 said answer found 2>/dev/null
}

# start PRELOADED
start() {
	LD_PRELOAD=$1 "$program" -p 3 -t 4 -s 600 EC.crt EC.key RSA.crt RSA.key \
		3<passphrase 4<tickets >said 2>&1 &
	pid=$!
	for _ in $(seq 200); do
		grep -q serving said && return
		usleep 50000
	done
}

request() { printf 'GET / HTTP/1.1\r\n\r\n'; }
# s_client OPTION...: and the secrets of that session
s_client() {
	rm -f log
	openssl s_client -connect 127.0.0.1:4433 -CAfile authority -verify_return_error \
		-keylogfile log -ign_eof "$@" >answer 2>&1
	awk '!/^#/ { print $3 }' log | xxd -r -p >session
}
fetched() {
	rm -f log
	SSLKEYLOGFILE=log curl -sS --noproxy '*' --cacert authority \
		--resolve localhost:4433:127.0.0.1 https://localhost:4433/ >answer 2>&1
	awk '!/^#/ { print $3 }' log | xxd -r -p >session
}
answered() { grep -q "$1.*$2 session, secrets in $3 memory" answer; }

# scan SECRET: with the kernel's copies of registers
scan() {
	"$lethectl" scan --kernel --json --pid "$pid" --secret-fd 5 5<"$1" >found 2>&1
}
# Of it there is so much, and nothing anywhere.
clean() { [ "$(wc -c <"$1")" -ge "$2" ] && scan "$1" && grep -q "a region of Lethe's" found; }
# Found, and searched whole.
left() {
	scan "$1"
	[ $? -eq 1 ]
}
ends() { kill "$pid" && wait "$pid"; }
unused() { [ "$(cat /sys/module/lethe/refcnt)" -eq 0 ]; }

echo "KTAP version 1"
echo "1..15"

start ''
ok 'it serves, on the module' grep -q 'secrets on kmod' said
ok 'its keys are in regions alone' clean keys 1000
request | s_client -tls1_3 -sess_out ticket
ok 'TLS 1.3' answered TLSv1.3 new unmapped
ok 'whose secrets are nowhere' clean session 200
request | s_client -tls1_3 -sess_in ticket
ok 'a session is resumed' answered TLSv1.3 resumed unmapped
request | s_client -tls1_2 -cipher ECDHE-RSA-AES256-GCM-SHA384
ok 'TLS 1.2, by RSA' answered TLSv1.2 new unmapped
ok 'whose secret is nowhere' clean session 48
fetched
ok 'curl' answered TLSv1.3 new unmapped
ok 'whose secrets are nowhere' clean session 200

mkfifo hold
s_client -tls1_3 <hold &
client=$!
exec 6>hold
for _ in $(seq 200); do
	grep -q EXPORTER_SECRET log 2>/dev/null && break
	usleep 50000
done
usleep 500000
awk '!/^#/ { print $3 }' log | xxd -r -p >open
ok 'nor are those of a session that is open' clean open 200
request >&6
exec 6>&-
wait $client
ok 'which is served' answered TLSv1.3 new unmapped
ok 'SIGTERM ends it with 0' ends
ok 'and nothing is left of it: the module is free' unused

start "$hollow"
ok 'control: without protection its keys are found' left keys
request | s_client -tls1_3
ok 'control: and so are the secrets of a session that is over' left session
kill "$pid"
wait "$pid"
[ $failed -eq 0 ]
