#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Does the bench of lethectl scan work? A KTAP document; once with a few pages, and nothing
# said of how long it takes.
#
#	smoke_scan.sh LETHECTL DIRECTORY
set -u

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
tab=$(printf '\t')

printf 'KTAP version 1\n1..3\n'
run=0
ok() {
	sentence=$1
	shift
	run=$((run + 1))
	if "$@"; then
		echo "ok $run - $sentence"
	else
		echo "not ok $run - $sentence"
		sed 's/^/# /' "$scratch/said" "$scratch/table"
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
		$6 != "-" { goals++ }
		END { exit bad || NR != 7 || goals != 2 }' "$1"
}

measures() {
	/usr/bin/python3 -B tests/bench/scan_bench.py "$1" "$2" 4 1 >"$scratch/table" 2>"$scratch/said"
}
has_all() { is_table "$scratch/table"; }
is_refused() {
	sed "2s/${tab}[0-9.]*${tab}/$tab$tab/" "$scratch/table" >"$scratch/spoilt"
	! is_table "$scratch/spoilt"
}

ok 'the bench measures lethectl scan, and grep' measures "$1" "$2"
ok 'each row has a name of its own, a median and a spread' has_all
ok 'control: a table without the median in a row is refused' is_refused
