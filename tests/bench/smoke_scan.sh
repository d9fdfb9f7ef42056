#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Does the bench of lethectl scan work? A KTAP document; once with a few pages, and nothing
# said of how long it takes.
#
#	smoke_scan.sh LETHECTL DIRECTORY
set -u

# shellcheck source=tests/bench/smoke.inc.sh
. "${0%/*}/smoke.inc.sh"

points 3
# shellcheck disable=SC2016 # awk's
rules='$3 !~ /^([0-9].*|-)$/ { bad++ }
	$6 != "-" { goals++ }'
whole='NR != 7 || goals != 2'

measures() {
	/usr/bin/python3 -B tests/bench/scan_bench.py "$1" "$2" 4 1 >"$scratch/table" 2>"$scratch/said" ||
		! sed 's/^/# /' "$scratch/said" "$scratch/table"
}
has_all() { is_table "$scratch/table" "$rules" "$whole"; }

ok 'the bench measures lethectl scan, and grep' measures "$1" "$2"
ok 'each row has a name of its own, a median and a spread' has_all
ok 'control: a table without the median in a row is refused' \
	is_refused "$scratch/table" "$rules" "$whole"
