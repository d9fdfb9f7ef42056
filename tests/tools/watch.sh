#!/bin/bash
# SPDX-License-Identifier: MIT
#
# A tool watches sections: it says nothing of those that are right, and finds each
# mistake that is made in one. KTAP on stdout.
#
#	watch.sh asan|tsan|valgrind FOLDER
#
# FOLDER has the programs `sections` and `mistakes`, built for that tool.
set -u
tool=$1 folder=$2
run=()
quiet=() # settings beside the usual ones, under which all must be quiet
mistakes=()

# name, then what the tool calls it
case $tool in
asan)
	quiet=(ASAN_OPTIONS=detect_stack_use_after_return=1)
	mistakes=(stack-overflow stack-buffer-overflow
		heap-overflow heap-buffer-overflow
		heap-after-free heap-use-after-free
		stack-after-return stack-use-after-return
		stack-after-scope stack-use-after-scope
		after-sections stack-buffer-overflow
		leak 'detected memory leaks'
		signed-overflow 'signed integer overflow') ;;
tsan)
	mistakes=(race 'data race'
		heap-after-free heap-use-after-free) ;;
valgrind)
	run=(valgrind -q --error-exitcode=99 --leak-check=full)
	mistakes=(heap-overflow 'Invalid write'
		heap-after-free 'Invalid read'
		stack-after-return 'Invalid read'
		uninitialised 'depends on uninitialised'
		leak 'definitely lost') ;;
*)
	echo "usage: watch.sh asan|tsan|valgrind FOLDER" >&2
	exit 2 ;;
esac

n=0 failed=0
# result STATUS SENTENCE, and $out as diagnostics
result()
{
	n=$((n + 1))
	if [ "$1" -eq 0 ]; then
		echo "ok $n - $tool: $2"
	else
		# shellcheck disable=SC2001 # a prefix on each line is sed's business
		sed 's/^/# /' <<<"$out"
		echo "not ok $n - $tool: $2"
		failed=1
	fi
}

# says_nothing SENTENCE COMMAND...
says_nothing()
{
	local sentence=$1 said
	shift
	said=$(mktemp)
	# The tool writes to stderr, and so does the library of anything odd.
	out=$(timeout 100 "$@" 2>"$said") && [ ! -s "$said" ]
	local good=$?
	out+=$'\n'$(head -n 40 "$said")
	rm -f "$said"
	result $good "$sentence"
}

echo "KTAP version 1"
echo "1..$((2 + ${#quiet[@]} + ${#mistakes[@]} / 2))"
says_nothing "says nothing of sections that are right" "${run[@]}" "$folder/sections"
says_nothing "calls nothing leaked that secret memory, or the stack below a section, points to" \
	"${run[@]}" "$folder/sections" exit
for setting in "${quiet[@]}"; do
	says_nothing "nor with $setting" env "$setting" "${run[@]}" "$folder/sections"
done

for ((i = 0; i < ${#mistakes[@]}; i += 2)); do
	# One that only such a stack shows.
	setting=LETHE_NOTHING=
	[ "${mistakes[i]}" = stack-after-return ] && [ "$tool" = asan ] &&
		setting=ASAN_OPTIONS=detect_stack_use_after_return=1
	! out=$(env "$setting" timeout 100 "${run[@]}" "$folder/mistakes" \
		"${mistakes[i]}" 2>&1) && grep -q -- "${mistakes[i + 1]}" <<<"$out"
	result $? "finds ${mistakes[i]} in a section: ${mistakes[i + 1]}"
done
exit $failed
