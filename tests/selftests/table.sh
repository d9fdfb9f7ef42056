#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Is what a document says in a table what the selftests hold true? The rows below
# the table's head have to be those that the programs print, in that order, and no
# others. `--write` puts them there.
#
#	table.sh [--write] DOCUMENT HEAD PROGRAM...
write=
if [ "$1" = --write ]; then
	write=yes
	shift
fi
document=$1
head=$2
shift 2

rows=$(mktemp) || exit 1
trap 'rm -f "$rows"' EXIT
for program in "$@"; do
	"$program" --table || exit 1
done >"$rows"

# From the head down to the first line that is not of the table.
if [ "$write" ]; then
	awk -v head="$head" -v rows="$rows" '
		$0 == head { print; getline; print; inside = 1
			while ((getline line < rows) > 0)
				print line
			next }
		inside && /^\|/ { next }
		{ inside = 0; print }' "$document" >"$document.new" &&
		mv "$document.new" "$document"
	exit
fi

echo "KTAP version 1"
echo "1..1"
wrong=$(awk -v head="$head" '
	$0 == head { getline; inside = 1; next }
	inside && /^\|/ { print; next }
	{ inside = 0 }' "$document" | diff - "$rows" | grep '^[<>]')
if [ -s "$rows" ] && [ -z "$wrong" ]; then
	echo "ok 1 - $document has the $(wc -l <"$rows") rows that the selftests hold true"
	exit 0
fi
printf '%s\n' "$wrong" | sed 's/^/# /'
echo "not ok 1 - $document has other rows than the selftests (table.sh --write)"
exit 1
