#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Does the bench work? A KTAP document; a few slices of everything, and nothing said of
# how long it takes. Go's side is played by a line of shell, and then is missing.
#
#	smoke.sh BENCH
set -u

bench=$1
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
tab=$(printf '\t')

printf 'KTAP version 1\n1..6\n'
run=0
ok() {
	sentence=$1
	shift
	run=$((run + 1))
	if "$@"; then
		echo "ok $run - $sentence"
	else
		echo "not ok $run - $sentence"
	fi
}

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

# Is it a table of 8 columns, with numbers where our median and its spread stand, and
# in the peer's column what $2 matches?
is_table() {
	awk -F '\t' -v peer="$2" -v why='missing: nobody built it$' '
		NR == 1 {
			head = "metric ours peer peer_name ratio goal met spread"
			gsub(" ", FS, head)
			bad += $0 != head
			next
		}
		NF != 8 || names[$1]++ { bad++ }
		$2 !~ /^-?[0-9]/ || $8 !~ /^-?[0-9].*[.][.]-?[0-9]/ { bad++ }
		$4 ~ /^secret.Do/ {
			rows++
			bad += $3 !~ peer || (peer == "^-$" && $4 !~ why)
		}
		END { exit bad || rows < 15 || NR < 20 }' "$1"
}

with_peer() { "$bench" "$scratch/peer" /dev/null 2 2 >"$scratch/with"; }
without() { "$bench" "$scratch/none" "$scratch/why" 1 1 >"$scratch/without"; }
mute() {
	! "$bench" "$scratch/mute" /dev/null 1 1 >"$scratch/said" &&
		grep -q 'Bail out! the peer has no answer' "$scratch/said"
}
has_numbers() { is_table "$scratch/with" '^(150|200)$'; }
has_reason() { is_table "$scratch/without" '^-$'; }
is_refused() {
	sed "2s/${tab}[0-9.e+]*${tab}/$tab$tab/" "$scratch/with" >"$scratch/spoilt"
	! is_table "$scratch/spoilt" '^(150|200)$'
}

ok 'the bench measures every case beside a peer' with_peer
ok 'each row has a name of its own, a median, a spread, and what the peer took' has_numbers
ok 'control: a table without the median in a row is refused' is_refused
ok 'a peer that is missing is no error' without
ok 'each of its rows says why it is missing, and has what ours took' has_reason
ok 'control: a peer that stops to answer is an error' mute
