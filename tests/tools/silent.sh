#!/bin/bash
# SPDX-License-Identifier: MIT
#
# A test program under a tool, and one result more, in a document of its own: that
# the tool said nothing. It says so by the program's status, where that is none of
# the program's own (KSFT: 0, 1, 4). What cannot hold under it is skipped, with the
# reason: see cannot_hold.
#
#	silent.sh TOOL COMMAND [ARG...]
set -u
tool=$1
shift
program=${*: -1}
list=$(dirname "$0")/cannot_hold

# All of it, says the list.
reason=$(awk -F '|' -v tool="$tool" -v program="${program##*/}" '
	$1 == tool && $2 == program && $3 == "*" { print $4 }' "$list")
if [ -n "$reason" ]; then
	echo "KTAP version 1"
	echo "1..0 # SKIP ${program##*/} under $tool: $reason"
	exit 4
fi

said=$(mktemp)
trap 'rm -f "$said"' EXIT

{
	"$@" 2>"$said"
	status=$?
	echo "KTAP version 1"
	echo "1..1"
	case $status in
	0 | 1 | 4)
		echo "ok 1 - $tool says nothing of ${program##*/}" ;;
	*)
		head -n 100 "$said" | sed 's/^/# /'
		echo "not ok 1 - $tool says nothing of ${program##*/} (status $status)" ;;
	esac
} | awk -F '|' -v tool="$tool" -v program="${program##*/}" '
	FNR == NR {
		if ($1 == tool && $2 == program)
			reason[$3] = $4
		next
	}
	/^not ok [0-9]+ - / {
		number = $0
		sub(/^not ok /, "", number)
		sub(/ - .*/, "", number)
		sentence = $0
		sub(/^not ok [0-9]+ - /, "", sentence)
		for (beginning in reason)
			if (index(sentence, beginning) == 1) {
				printf "ok %s - %s # SKIP %s\n", number, sentence, \
					reason[beginning]
				fflush()
				next
			}
	}
	{ print; fflush() }
' "$list" -
