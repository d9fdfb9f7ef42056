#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Does the bench of the heap work, and the recorder of its traces? A KTAP document; a
# few slices of everything, and nothing said of how long it takes.
#
#	smoke_heap.sh HEAP_BENCH RECORD TLS SSH
set -u

# shellcheck source=tests/bench/smoke.inc.sh
. "${0%/*}/smoke.inc.sh"
bench=$1
record=$2
tls=$3
ssh=$4

points 10
# In the peer's column a number, or a reason why there is none.
# shellcheck disable=SC2016 # awk's
rules='$3 !~ /^[0-9]/ && ($3 != "-" || $4 !~ /^not measured: ./) { bad++ }'
whole='NR < 100'

measures() {
	"$bench" "$tls" "$ssh" "$scratch/samples" 1 1 1 >"$scratch/table"
}
has_all() { is_table "$scratch/table" "$rules" "$whole"; }
has_samples() {
	awk -F '\t' '
		NR > 1 && (NF != 4 || $2 <= 0 || $4 < steps) { bad++ }
		NR > 1 { steps = $4; live = $3 }
		END { exit bad || NR != 41 || !steps || live <= 0 }' "$scratch/samples"
}

# A trace, of enough steps, with nothing in it but that: no address.
is_trace() {
	"$record" "$1" >"$scratch/$1" &&
		awk 'NR <= 2 { bad += !/^# / ; next }
			/^pass$/ { passes++; stay = NR; next }
			!/^[0-9]+([mcr][0-9]+ [0-9]+|a[0-9]+ [0-9]+ [0-9]+|f[0-9]+)$/ { bad++ }
			END { exit bad || passes != 1 || stay < 1000 || NR < stay + 500 }' \
			"$scratch/$1"
}
# Those that were just recorded are read: what is wrong is the one after them.
refuses() {
	! "$bench" "$scratch/$1" "$scratch/bad" >"$scratch/said" &&
		grep -q "$2" "$scratch/said"
}
refuses_dead() {
	awk '{ print } /^pass$/ { print "1m16000 8"; print "1f16000"; print "1f16000" }' \
		"$scratch/ssh" >"$scratch/bad"
	refuses tls 'no step: 1f16000'
}
refuses_leak() {
	{ cat "$scratch/tls" && echo '1m16001 8'; } >"$scratch/bad"
	refuses ssh 'block 16001 of the trace is never freed'
}

refuses_change() {
	{ cat "$scratch/tls" && echo '1f0' && echo '1m0 8'; } >"$scratch/bad"
	refuses ssh 'block 0 of the trace does not stay'
}

ok 'the bench measures every heap, and replays the traces' measures
ok 'each row has a name of its own, a median, a spread, and a peer or a reason' has_all
ok 'control: a table without the median in a row is refused' \
	is_refused "$scratch/table" "$rules" "$whole"
ok 'the footprint of a replay is sampled as it goes on' has_samples
ok 'a TLS 1.3 handshake is recorded as a trace' is_trace tls
ok 'an SSH key exchange is recorded as a trace' is_trace ssh
ok 'control: a trace that frees a block twice is refused' refuses_dead
ok 'control: a trace that does not free what it allocates is refused' refuses_leak
ok 'control: a trace that frees what is to stay is refused' refuses_change
ok 'control: what is no file is an error' refuses tls-missing 'tls-missing: No such file'
