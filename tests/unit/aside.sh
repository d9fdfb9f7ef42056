#!/bin/bash
# SPDX-License-Identifier: MIT
#
# liblethe-malloc beside others that serve malloc(): it says so in one line and steps
# aside, and all works, in whichever order they were loaded. aside.c's programs say
# whether what a section allocates is secret. KTAP on stdout.
#
#	aside.sh PROGRAM-FOLDER LIBRARY-FOLDER
set -u
programs=$1 ours=$(cd "$2" && pwd)/liblethe-malloc.so

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
# What is said then is said of allocators alone.
export LETHE_BACKEND=mlock

n=0 failed=0
result()
{
	n=$((n + 1))
	if [ "$1" = 0 ]; then
		echo "ok $n - $2"
		return
	fi
	sed 's/^/# /' "$scratch/out" "$scratch/err" | head -n 20
	echo "not ok $n - $2"
	failed=1
}

skip()
{
	n=$((n + 1))
	echo "ok $n - $1 # SKIP $2"
}

# said LINE-OR-NOTHING WHOLE-OUTPUT COMMAND...: with these on stderr, where lines of
# others than lethe do not count, and on stdout
said()
{
	local line=$1 output=$2
	shift 2
	timeout 60 "$@" >"$scratch/out" 2>"$scratch/err" || return 1
	[ "$(<"$scratch/out")" = "$output" ] || return 1
	if [ -z "$line" ]; then
		! grep -q '^lethe:' "$scratch/err"
	else
		[ "$(grep -c '^lethe:' "$scratch/err")" = 1 ] &&
			grep -q "^lethe: $line" "$scratch/err"
	fi
}

secret='secret, outside ordinary'
ordinary='ordinary, outside ordinary'
aside='liblethe-malloc steps aside, so what is allocated in sections is ordinary memory$'
linked=$programs/aside plain=$programs/aside_plain

echo "KTAP version 1"

said '' "$secret" "$linked"
result $? "linked: secret in sections, and not a word"
said '' "$secret" env LD_PRELOAD="$ours" "$plain"
result $? "preloaded: likewise"
said '' "$ordinary" "$plain"
result $? "control: without it, ordinary"
said '' "$secret" "$programs/aside_fixed"
result $? "a program at a fixed place that takes the address of malloc() is not taken for another"
said '' "$secret" env LD_PRELOAD="$ours" "$programs/aside_fixed_plain"
result $? "nor is one that was linked with libc's alone"

for name in jemalloc.so.2 tcmalloc_minimal.so.4 memusage.so c_malloc_debug.so.0; do
	other=lib$name
	if ! ldconfig -p | grep -q "$other " && ! [ -e "/lib/x86_64-linux-gnu/$other" ]; then
		skip "$other before it, and after it" "no $other"
		continue
	fi
	served="[a-z]*() is served by $other: $aside"
	shared="$other is there to serve malloc() too: $aside"
	said "$served" "$ordinary" env LD_PRELOAD="$other" "$linked"
	result $? "$other preloaded to what is linked with it: said, and all works"
	said "$served" "$ordinary" env LD_PRELOAD="$other:$ours" "$plain"
	result $? "$other preloaded before it: likewise"
	said "$shared" "$ordinary" env LD_PRELOAD="$ours:$other" "$plain"
	result $? "$other preloaded after it: likewise"

	# Real ones, whose processes all say their line.
	work='seq 20000 | sort -rn | sort -n | tail -1; openssl dgst -sha256 </dev/null'
	bash -c "$work" >"$scratch/expected"
	for when in before after; do
		order=$other:$ours
		[ $when = before ] || order=$ours:$other
		env LD_PRELOAD="$order" bash -c "$work" >"$scratch/out" 2>"$scratch/err"
		cmp -s "$scratch/out" "$scratch/expected" &&
			grep -q "^lethe: .*$other.*$aside" "$scratch/err"
		result $? "bash, sort, tail and openssl do their work with $other $when it"
	done
done

for sanitizer in address:Address thread:Thread leak:Leak memory:Memory; do
	name=${sanitizer#*:}Sanitizer
	program=${linked}_${sanitizer%:*}
	if ! [ -x "$program" ]; then
		skip "$name's program" "no compiler here has it"
		continue
	fi
	said "malloc() is served by $name: $aside" "$ordinary" "$program"
	result $? "a program with $name: said, all works, and it finds no mistake"
done

if command -v valgrind >/dev/null; then
	said "malloc() is served by Valgrind or the like: $aside" "$ordinary" \
		valgrind -q --error-exitcode=9 "$linked" no-pvalloc
	status=$?
	if grep -q 'Serious error when reading debug info' "$scratch/err"; then
		skip "Valgrind: likewise" "it cannot read what this compiler says of its code"
	else
		result $status "Valgrind: likewise"
	fi
else
	skip "Valgrind: likewise" "no valgrind"
fi

said "malloc() is served by libc.so.6: $aside" "$ordinary" "$programs/aside_late"
result $? "loaded too late, by dlopen(): said, and all works"

# The same program, with the right of another user: nobody is to be told then.
program=$programs/aside_jemalloc
if ! [ -x "$program" ]; then
	skip "a program with more rights than its user: not a word" "no libjemalloc.so.2"
elif [ "$(id -u)" != 0 ] || ! cp "$program" "$scratch/program" ||
     ! chown nobody "$scratch/program" || ! chmod 4755 "$scratch/program" ||
     ! chmod 755 "$scratch"; then
	skip "a program with more rights than its user: not a word" "not root"
else
	said "malloc() is served by libjemalloc.so.2: $aside" "$ordinary" "$program"
	result $? "linked with libjemalloc before it: said"
	if said '' "$ordinary, with more rights" "$scratch/program"; then
		result 0 "the same with more rights than its user: not a word"
	elif [ "$(<"$scratch/out")" = "$ordinary" ]; then
		skip "the same with more rights than its user: not a word" "no set-user-id here"
	else
		result 1 "the same with more rights than its user: not a word"
	fi
fi

echo "1..$n"
exit $failed
