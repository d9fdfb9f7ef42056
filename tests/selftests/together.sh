#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Each program here passes in any order, at the same time as any other, and for
# an ordinary user: all of them at once, as nobody where this is root, which can
# run each by itself. One result a program.
#
#	together.sh [PROGRAM...]	else every one beside this script
cd "$(dirname "$0")" || exit 1
if [ $# -eq 0 ]; then
	for program in *; do
		if [ -x "$program" ] && [ -f "$program.c" ]; then
			set -- "$program" "$@"
		fi
	done
fi
place=$(mktemp -d) || exit 1
trap 'rm -rf "$place"' EXIT
chmod 755 "$place"

as_nobody() {
	su -s /bin/sh nobody -c "$1"
}
# A folder that is closed to it has nothing for it to run.
nobody=
if [ "$(id -u)" = 0 ] && as_nobody "test -x ." 2>/dev/null; then
	nobody=yes
fi

for program in "$@"; do
	program=${program##*/}
	{
		if [ "$nobody" ]; then
			as_nobody "exec ./$program"
		else
			"./$program"
		fi
		echo "status $?"
	} >"$place/$program" 2>&1 &
done
wait

echo "KTAP version 1"
echo "1..$#"
number=0
failed=0
for program in "$@"; do
	program=${program##*/}
	sentence="$program, beside all the others${nobody:+, as nobody}"
	number=$((number + 1))
	case $(tail -n 1 "$place/$program") in
	"status 0") echo "ok $number - $sentence" ;;
	"status 4") echo "ok $number - $sentence # SKIP all of it" ;;
	*)
		grep -A 1 '^not ok\|^Bail\|^status' "$place/$program" | sed 's/^/# /'
		echo "not ok $number - $sentence"
		failed=1
		;;
	esac
done
exit $failed
