#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Is what the libraries give to others what they are meant to: the globals of the object
# files, of liblethe.a and of liblethe.so, the version script and the header agree, each
# with each; liblethe-malloc and liblethe-run replace what they are to replace in libc,
# and no more. Says what differs, and fails. Writes to no file.
#
#	check_abi.sh MAP HEADER LIBRARIES OBJECT...	LIBRARIES is the folder
set -u
map=$1 header=$2 libraries=$3
shift 3
export LC_ALL=C
failed=0

# Of libc's, not of the header's.
interposed=fork
mapping=(mmap mmap64 mremap munmap)

# agree THIS THAT A B: two lists, a name a line, and what they are
agree() {
	local only_a only_b
	only_a=$(comm -23 <(sort -u <<<"$3") <(sort -u <<<"$4"))
	only_b=$(comm -13 <(sort -u <<<"$3") <(sort -u <<<"$4"))
	[ -z "$only_a$only_b" ] && return
	failed=1
	[ -z "$only_a" ] || echo "in $1, not in $2: ${only_a//$'\n'/ }"
	[ -z "$only_b" ] || echo "in $2, not in $1: ${only_b//$'\n'/ }"
}

# The names of a node of the version script.
node() {
	awk -v node="$1" '$1 == node { on = 1; next } /^}/ { on = 0 }
		on && /^\t[a-z_0-9]+;$/ { sub(/;/, ""); print $1 }' "$map"
}
# Those with a version of the library.
versioned() { nm -D --defined-only "$libraries/liblethe.so" | awk -F'[ @]+' -v node="$1" '$4 == node { print $3 }'; }
# Those that another object could be linked with: neither hidden nor an assembler's note.
globals() {
	readelf --wide -s "$@" | awk '$5 ~ /^(GLOBAL|WEAK)$/ && $6 == "DEFAULT" && $7 != "UND" &&
		$8 != "_.stapsdt.base" { print $8 }'
}
declared() {
	local said
	said=$(mktemp)
	gcc -std=c11 -x c -fsyntax-only -aux-info "$said" "$header" &&
		sed -n "s|^/\* $header:.*[ *]\(lethe_[a-z_0-9]*\) (.*|\1|p" "$said"
	rm -f "$said"
}
exported() { nm -D --defined-only "$libraries/$1.so" | awk '$2 != "A" { sub(/@.*/, "", $3); print $3 }'; }

public=$(node LETHE_0.1)
private=$(node LETHE_PRIVATE)
both=$(printf '%s\n' "$public" "$private")
if [ "$(wc -l <<<"$public")" -lt 2 ] || [ "$(wc -l <<<"$private")" -lt 2 ]; then
	echo "$map: not understood"
	exit 1
fi
agree "$header" "$map" "$(declared)"$'\n'$interposed "$public"
agree 'the object files' "$map" "$(globals "$@")" "$both"
agree liblethe.a "$map" "$(globals "$libraries/liblethe.a")" "$both"
agree 'LETHE_0.1 of liblethe.so' "$map" "$(versioned LETHE_0.1)" "$public"
agree 'LETHE_PRIVATE of liblethe.so' "$map" "$(versioned LETHE_PRIVATE)" "$private"
agree liblethe.so "$map" "$(exported liblethe)" "$both"

family=$(sed 's/^--wrap=//' "$libraries/liblethe-malloc.wrap")
replaced=$(printf '%s\n' "$family" "${mapping[@]}")
agree liblethe-malloc.so "what it replaces" "$(exported liblethe-malloc)" "$replaced"
agree liblethe-run.so "what it replaces" "$(exported liblethe-run)" "$replaced"$'\n'$interposed
agree liblethe-malloc.a "what it wraps" "$(globals "$libraries/liblethe-malloc.a")" \
	"$(awk '{ print "__wrap_" $0 }' <<<"$family")"

for name in liblethe liblethe-malloc liblethe-run; do
	readelf -d "$libraries/$name.so" | grep -q "SONAME.*\[$name.so.0\]" && continue
	echo "$name.so: the soname is not $name.so.0"
	failed=1
done
exit $failed
