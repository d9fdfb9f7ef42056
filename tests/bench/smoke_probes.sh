#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Does the bench of the probes work, and leave nothing? A KTAP document; once with a
# few pages, and nothing said of how long it takes.
#
#	smoke_probes.sh PROBE_BENCH
set -u

# shellcheck source=tests/bench/smoke.inc.sh
. "${0%/*}/smoke.inc.sh"
bench=$1

if [ "$(id -u)" -ne 0 ] || [ ! -e /sys/class/zram-control/hot_add ]; then
	printf 'KTAP version 1\n1..0 # SKIP root, and zram\n'
	exit
fi
points 6
# shellcheck disable=SC2016 # awk's
rules='$3 !~ /^([0-9].*|-)$/ { bad++ }
	/^swapped out to/ { compared++ }
	/^program (swap|frames)_/ { programs++ }'
whole='compared != 14 || programs < 3'

measures() { "$bench" 4 1 >"$scratch/table" 2>"$scratch/said" || ! cat "$scratch/table" "$scratch/said"; }
has_all() { is_table "$scratch/table" "$rules" "$whole"; }
has_none() { grep -q "^programs .*closed, number${tab}0${tab}[1-9].*${tab}yes$tab" "$scratch/table"; }
# Which areas of swap there are that a bench has made.
areas() { grep -c -e '^/dev/zram[1-9]' -e lethe-check /proc/swaps; }
before=$(areas)
nothing_left() { [ "$(areas)" -le "$before" ]; }

ok 'the bench measures swap-out with the probe and without' measures
ok 'each row has a name of its own, a median and a spread' has_all
ok 'control: a table without the median in a row is refused' \
	is_refused "$scratch/table" "$rules" "$whole"
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
