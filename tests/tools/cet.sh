#!/bin/bash
# SPDX-License-Identifier: MIT
#
# The library may be run with CET's shadow stack and indirect branch tracking: each
# object and both libraries say so, and what can be called by address begins with
# endbr64. No Linux turns on the second for programs yet, so this looks and does
# not run. KTAP on stdout.
#
#	cet.sh CC LIBRARY-FOLDER OBJECT...
set -u
cc=$1 libraries=$2
shift 2

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
echo 'int control(void) { return 1; }' |
	"$cc" -x c -O2 -fcf-protection=none -fPIC -c -o "$scratch/control.o" -
"$cc" -shared -o "$scratch/control.so" "$scratch/control.o"

# unmarked FILE...: those without both marks
unmarked()
{
	local file
	for file; do
		readelf --wide -n "$file" | grep -q 'x86 feature: IBT, SHSTK' || echo "$file"
	done
}

# no_landing FILE: the functions that it exports, and that begin with another
# instruction
no_landing()
{
	objdump -d --no-show-raw-insn "$1" | awk '
		FNR == NR { exported[$3] = 1; next }
		/^[0-9a-f]+ <.*>:$/ {
			name = substr($2, 2, length($2) - 3)
			getline
			sub(/@.*/, "", name)
			if (name in exported && $0 !~ /endbr64/)
				print name
		}' <(nm -D --defined-only "$1" | awk '$2 ~ /[TW]/ { sub(/@.*/, "", $3); print }') -
}

n=0 failed=0
# result SENTENCE FOUND CONTROL: nothing was found, and the control was
result()
{
	n=$((n + 1))
	if [ -z "$2" ] && [ -n "$3" ]; then
		echo "ok $n - $1"
	else
		echo "# found: $2"
		echo "# control: $3"
		echo "not ok $n - $1"
		failed=1
	fi
}

echo "KTAP version 1"
echo "1..4"
result "every object is marked for IBT and SHSTK, and one without is noticed" \
	"$(unmarked "$@")" "$(unmarked "$scratch/control.o")"
for library in liblethe.so liblethe-malloc.so; do
	result "$library is marked for IBT and SHSTK" \
		"$(unmarked "$libraries/$library")" "$(unmarked "$scratch/control.so")"
done
result "every function that a library exports begins with endbr64, and one that does not is noticed" \
	"$(no_landing "$libraries/liblethe.so")$(no_landing "$libraries/liblethe-malloc.so")" \
	"$(no_landing "$scratch/control.so" | grep -x control)"
exit $failed
