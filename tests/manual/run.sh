#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Runs programs of the manual on the backend that LETHE_BACKEND names, and looks at what
# they print. KTAP on stdout. Here and, by busybox, in the virtual machine.
#
#	run.sh (PROGRAM PROGRAM.module PROGRAM.elsewhere)...
#
# A program's file has an expression a line, as grep has them, for each line that it is
# to print: the first on the module, the second elsewhere.
set -u

number=0
failed=0
scratch=$(mktemp -d) || exit 1
trap 'rm -rf "$scratch"' EXIT
# What it will do: on mlock, a program need not say so.
export LETHE_REQUIRE=locked

# Each line as it is to be, and no other.
prints() {
	exec 3<"$2"
	while IFS= read -r line; do
		IFS= read -r expression <&3 || return 1
		printf '%s\n' "$line" | grep -qxe "$expression" || return 1
	done <"$1"
	! IFS= read -r expression <&3
}

echo "KTAP version 1"
echo "1..$(($# / 3))"
while [ $# -ge 3 ]; do
	program=$1
	expected=$3
	[ "$LETHE_BACKEND" != kmod ] || expected=$2
	shift 3
	"$program" >"$scratch/out" 2>"$scratch/said" </dev/null
	status=$?
	number=$((number + 1))
	if [ $status -eq 0 ] && [ -s "$scratch/out" ] && prints "$scratch/out" "$expected"; then
		echo "ok $number - $(basename "$program") prints what the manual says"
	else
		failed=1
		echo "not ok $number - $(basename "$program") (status $status)"
		sed 's/^/# /' "$scratch/out" "$scratch/said"
		sed 's/^/# to be: /' "$expected"
	fi
done
exit $failed
