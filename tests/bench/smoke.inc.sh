# SPDX-License-Identifier: MIT
# shellcheck shell=sh
#
# What the smoke tests of the benches have in common: points, and whether a table is one.
# Read by them, and says nothing by itself.
#
#	points N
#	is_table FILE RULES WHOLE
#	is_refused FILE RULES WHOLE

# shellcheck source=tests/points.inc.sh
. "${0%/*}/../points.inc.sh"
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
tab=$(printf '\t')

points() { printf 'KTAP version 1\n1..%s\n' "$1"; }

# Is it a table of 8 columns, each row's name its own, with numbers where our median and
# its spread stand, and whether a goal is met where there is one? RULES (awk) are for each
# row, WHOLE is what is wrong with all of it; what is bad adds to `bad`.
is_table() {
	awk -F '\t' '
		NR == 1 {
			head = "metric ours peer peer_name ratio goal met spread"
			gsub(" ", FS, head)
			bad += $0 != head
			next
		}
		NF != 8 || names[$1]++ { bad++ }
		$2 !~ /^-?[0-9]/ || $8 !~ /^-?[0-9].*[.][.]-?[0-9]/ { bad++ }
		$6 != "-" && $5 != "-" && $7 !~ /^(yes|no)$/ { bad++ }
		'"$2"'
		END { exit bad || '"$3"' }' "$1"
}

# The control: it is none any more without the median in its first row.
is_refused() {
	sed "2s/${tab}[0-9.e+]*${tab}/$tab$tab/" "$1" >"$scratch/spoilt"
	! cmp -s "$1" "$scratch/spoilt" && ! is_table "$scratch/spoilt" "$2" "$3"
}
