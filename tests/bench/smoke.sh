#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Does the bench work? A KTAP document; a few slices of everything, and nothing said of
# how long it takes. Go's side is played by a line of shell, and then is missing.
#
#	smoke.sh BENCH
set -u

# shellcheck source=tests/bench/smoke.inc.sh
. "${0%/*}/smoke.inc.sh"
bench=$1

points 6
cat >"$scratch/peer" <<'END'
#!/bin/sh
while read -r case kib slices ops; do echo 100 200 150; done
END
cat >"$scratch/mute" <<'END'
#!/bin/sh
read -r line
END
chmod +x "$scratch/peer" "$scratch/mute"
echo 'nobody built it' >"$scratch/why"

# What Go's rows have in the peer's column, or that they say why there is none.
# shellcheck disable=SC2016 # awk's
rules='$4 ~ /^secret.Do/ {
		rows++
		bad += $3 !~ peer || (peer == "^-$" && $4 !~ /missing: nobody built it$/)
	}'
whole='rows < 15 || NR < 20'
answered='BEGIN { peer = "^(150|200)$" }'
absent='BEGIN { peer = "^-$" }'

with_peer() { "$bench" "$scratch/peer" /dev/null 2 2 >"$scratch/with"; }
without() { "$bench" "$scratch/none" "$scratch/why" 1 1 >"$scratch/without"; }
mute() {
	! "$bench" "$scratch/mute" /dev/null 1 1 >"$scratch/said" &&
		grep -q 'Bail out! the peer has no answer' "$scratch/said"
}
has_numbers() { is_table "$scratch/with" "$answered $rules" "$whole"; }
has_reason() { is_table "$scratch/without" "$absent $rules" "$whole"; }

ok 'the bench measures every case beside a peer' with_peer
ok 'each row has a name of its own, a median, a spread, and what the peer took' has_numbers
ok 'control: a table without the median in a row is refused' \
	is_refused "$scratch/with" "$answered $rules" "$whole"
ok 'a peer that is missing is no error' without
ok 'each of its rows says why it is missing, and has what ours took' has_reason
ok 'control: a peer that stops to answer is an error' mute
