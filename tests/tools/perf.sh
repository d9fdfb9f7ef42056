#!/bin/bash
# SPDX-License-Identifier: MIT
#
# perf's call graphs by frame pointers reach from inside a section, over the change
# of stacks, to main() or to the thread's function. KTAP on stdout.
#
#	perf.sh PROGRAM
set -u
program=$1

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
echo "KTAP version 1"
if ! command -v perf >/dev/null; then
	echo "1..0 # SKIP perf"
	exit 0
fi
# By a timer: virtual machines count no cycles.
if ! perf record -q -e cpu-clock -o "$scratch/try" true >/dev/null 2>&1; then
	echo "1..0 # SKIP a kernel that lets perf record"
	exit 0
fi
echo "1..2"
said=$(timeout 100 perf record -q -e cpu-clock -F 200 --call-graph fp \
	-o "$scratch/data" "$program" 2>&1)
graphs=$(timeout 100 env -u DEBUGINFOD_URLS perf script -i "$scratch/data" \
	-F ip,sym 2>/dev/null)

failed=0
# check NUMBER OUTERMOST SENTENCE: of the samples on that thread, how many have the
# functions from the hot one to the outermost in their order, and how many do not
check()
{
	local counts
	counts=$(awk -v RS= -v outermost="$2" '
		/hot_inside/ && $0 ~ (outermost == "main" ? "__libc_start" : "start_thread") {
			$0 ~ ("hot_inside.*section_call.*[ \n]" outermost "\n") ? whole++ : broken++
		}
		END { printf "%d %d", whole, broken }' <<<"$graphs")
	echo "# samples that walk there, and that do not: $counts"
	if [ "${counts% *}" -gt 0 ] && [ "${counts#* }" -eq 0 ]; then
		echo "ok $1 - $3"
	else
		echo "not ok $1 - $3"
		failed=1
	fi
}

check 1 main "perf walks by frame pointers from a section of the main thread to main"
check 2 thread_body "and from a section of another thread to its function"
if [ $failed -ne 0 ]; then
	printf '%s\n' "$said" "$graphs" | head -n 60 | sed 's/^/# /'
fi
exit $failed
