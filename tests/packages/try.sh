# shellcheck shell=bash
# SPDX-License-Identifier: MIT
#
# What scripts in a booted machine try things by: `ok -` and `not ok -` for each, which
# the host counts, and a plan when all were tried. It has no test of its own.

count=0
# try SENTENCE COMMAND...
try() {
	local sentence=$1 said
	shift
	count=$((count + 1))
	if said=$("$@" 2>&1); then
		echo "ok - $sentence"
	else
		echo "$said" | tail -n 20
		echo "not ok - $sentence"
	fi
}
as_user() { runuser -u user -- "$@"; }
loaded() { grep -q '^lethe ' /proc/modules; }
# says WORD COMMAND...
says() {
	local word=$1
	shift
	"$@" 2>&1 | tee /dev/stderr | grep -q -- "$word"
}
planned() { echo "1..$count"; }
