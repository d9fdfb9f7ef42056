#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Does the bench of the probes work, and leave nothing? A KTAP document; once with a
# few pages, and nothing said of how long it takes.
#
#	smoke_probes.sh PROBE_BENCH
set -u

bench=$1
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
tab=$(printf '\t')

if [ "$(id -u)" -ne 0 ] || [ ! -e /sys/class/zram-control/hot_add ]; then
	printf 'KTAP version 1\n1..0 # SKIP root, and zram\n'
	exit
fi
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

# Is it a table of 8 columns, each row's name its own, with numbers where our median and
# its spread stand, and in the peer's column, or none?
is_table() {
	awk -F '\t' '
		NR == 1 {
			head = "metric ours peer peer_name ratio goal met spread"
			gsub(" ", FS, head)
			bad += $0 != head
			next
		}
		NF != 8 || names[$1]++ { bad++ }
		$2 !~ /^[0-9]/ || $8 !~ /^[0-9].*[.][.][0-9]/ { bad++ }
		$3 !~ /^([0-9].*|-)$/ { bad++ }
		$6 != "-" && $7 !~ /^(yes|no)$/ { bad++ }
		/^swapped out to/ { compared++ }
		/^program (swap|frames)_/ { programs++ }
		END { exit bad || compared != 14 || programs < 3 }' "$1"
}

measures() { "$bench" 4 1 >"$scratch/table" 2>"$scratch/said" || ! cat "$scratch/table" "$scratch/said"; }
has_all() { is_table "$scratch/table"; }
is_refused() {
	sed "2s/${tab}[0-9.e+]*${tab}/$tab$tab/" "$scratch/table" >"$scratch/spoilt"
	! is_table "$scratch/spoilt"
}
has_none() { grep -q "^programs .*closed, number${tab}0${tab}[1-9].*${tab}yes$tab" "$scratch/table"; }
# Which areas of swap there are that a bench has made.
areas() { grep -c -e '^/dev/zram[1-9]' -e lethe-check /proc/swaps; }
before=$(areas)
nothing_left() { [ "$(areas)" -le "$before" ]; }

ok 'the bench measures swap-out with the probe and without' measures
ok 'each row has a name of its own, a median and a spread' has_all
ok 'control: a table without the median in a row is refused' is_refused
ok 'no program is in the kernel when the probe is closed, and some are when it is open' has_none
ok 'nothing of the swap that it made is left' nothing_left

"$bench" 16 9 >"$scratch/table" 2>&1 &
bench=$!
for _ in $(seq 100); do
	[ "$(areas)" -gt "$before" ] && break
	sleep 0.05
done
[ "$(areas)" -gt "$before" ] && there=yes || there=no
kill -TERM $bench
wait $bench 2>/dev/null
ended() { [ "$there" = yes ] && nothing_left; }
ok 'nor where it is ended by a signal, and there was some' ended
