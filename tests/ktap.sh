#!/bin/sh
# SPDX-License-Identifier: MIT
#
# One command as a KTAP document of one result: what it printed goes along as
# diagnostics.
#
#	ktap.sh SENTENCE COMMAND [ARG...]
set -u
sentence=$1
shift

echo "KTAP version 1"
echo "1..1"
output=$("$@" 2>&1)
status=$?
printf '%s\n' "$output" | sed 's/^/# /'
if [ $status -eq 0 ]; then
	echo "ok 1 - $sentence"
else
	echo "not ok 1 - $sentence (status $status)"
fi
exit $status
