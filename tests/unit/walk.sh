#!/bin/bash
# SPDX-License-Identifier: MIT
#
# gdb walks from inside a section, over the change of stacks, to where the
# thread began. KTAP on stdout.
set -u
program=$1

echo "KTAP version 1"
if ! command -v gdb >/dev/null; then
	echo "1..0 # SKIP gdb"
	exit 0
fi
echo "1..2"

# A debugger that asks a server for symbols would not be this test's business.
out=$(timeout 60 env -u DEBUGINFOD_URLS LETHE_BACKEND=mlock gdb -nx -q -batch \
	-ex 'break stop_here' -ex run -ex 'echo @main\n' -ex bt \
	-ex continue -ex 'echo @thread\n' -ex bt -ex kill "$program" 2>&1)

failed=0
# check NUMBER SECTION-OF-OUTPUT OUTERMOST-FUNCTION SENTENCE
check()
{
	local part
	part=$(sed -n "/^@$2\$/,/^@/p" <<<"$out")
	if grep -q 'stop_here' <<<"$part" && grep -q 'section_call' <<<"$part" &&
	   grep -Eq "[ ]$3 \(" <<<"$part" && ! grep -q 'corrupt stack' <<<"$part"; then
		echo "ok $1 - $4"
	else
		echo "not ok $1 - $4"
		failed=1
	fi
}

check 1 main main "gdb walks from a section of the main thread to main"
check 2 thread thread_body "gdb walks from a section of another thread to its function"
if [ $failed -ne 0 ]; then
	# shellcheck disable=SC2001 # a prefix on each line is sed's business
	sed 's/^/# /' <<<"$out"
fi
exit $failed
