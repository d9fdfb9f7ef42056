#!/bin/bash
# SPDX-License-Identifier: MIT
#
# lethectl run: what it runs, what it refuses, and what it says. KTAP on stdout.
#
#	lethectl.sh LETHECTL DIRECTORY	where ordinary and its like are
set -u
lethectl=$1
there=$2
ordinary=$there/ordinary
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
export LC_ALL=C
unset LD_PRELOAD

number=0
ok() {
	local sentence=$1
	shift
	number=$((number + 1))
	if "$@"; then
		echo "ok $number - $sentence"
	else
		echo "not ok $number - $sentence"
		sed 's/^/# /' "$scratch/out" "$scratch/said" 2>/dev/null
	fi
}
skip() { number=$((number + 1)); echo "ok $number - $1 # SKIP $2"; }

# What is run, and then its status, its output and what was said.
run() {
	timeout 200 "$lethectl" run "$@" >"$scratch/out" 2>"$scratch/said"
	status=$?
}
# is STATUS [OUTPUT [SAID]]
is() {
	[ "$status" -eq "$1" ] && { [ -z "${2-}" ] || [ "$(cat "$scratch/out")" = "$2" ]; } &&
		{ [ -z "${3-}" ] || grep -q -e "$3" "$scratch/said"; }
}
silent() { is "$@" && [ ! -s "$scratch/said" ]; }
# With the limit of most machines or less, and no way past it.
limited() {
	local limit=$1
	shift
	timeout 200 prlimit --memlock="$limit" setpriv --bounding-set=-ipc_lock --inh-caps=-ipc_lock \
		"$lethectl" run "$@" >"$scratch/out" 2>"$scratch/said"
	status=$?
}

echo "KTAP version 1"
echo "1..31"

plainly() { [ "$("$ordinary" where)" = ordinary ]; }
ok 'control: plainly a heap is on ordinary memory' plainly
run -- "$ordinary" where
ok 'under lethectl run it is on secret memory' is 0 secret
run "$ordinary" where
ok '-- may be left out' is 0 secret
run sh -c 'exit 7'
ok 'the exit status is the program'\''s' is 7
# The shell that waits for it would say so too.
{ run sh -c 'kill -KILL $$'; } 2>/dev/null
ok 'and so is its death by a signal' is 137
run -- "$ordinary" arguments --verbose -- 'a  b' ''
ok 'arguments arrive as they are' is 0 "$(printf -- '--verbose\n--\na  b\n')"
run -- "$ordinary" forks
ok 'threads, files, fork(), daemon(), popen(), posix_spawn() and exec() work' is 0
run sh -c "'$ordinary' where"
ok 'a program that it executes is on secret memory too' is 0 secret
run --only -- sh -c "'$ordinary' where; env | grep -c LETHE_RUN_ONLY"
ok '--only: it is not' is 1 "$(printf 'ordinary\n0\n')"
run --only -- "$ordinary" where
ok '--only: but the program itself is' is 0 secret

cat >"$scratch/script" <<END
#!$(command -v bash)
exec "$ordinary" where
END
chmod +x "$scratch/script"
run "$scratch/script"
ok 'a script is run by its interpreter, and that is looked at' is 0 secret
printf '#!%s\n' "$there/ordinary_static" >"$scratch/static"
chmod +x "$scratch/static"
run "$scratch/static"
ok 'a script for a static interpreter is refused' is 125 '' 'linked statically'
run "$there/ordinary_static" where
ok 'a static program is refused, and not run' is 125 '' 'linked statically'
ok 'of what is not run there is no output' test ! -s "$scratch/out"
run "$there/ordinary_own" where
ok 'a program with a malloc() of its own is refused' is 125 '' 'malloc() of its own'
run "$there/ordinary_other" where
ok 'a program for another libc is refused' is 125 '' 'another libc (/lib/ld-other.so.1'
head -c 100 "$ordinary" >"$scratch/short"
chmod +x "$scratch/short"
run "$scratch/short"
ok 'a program that is cut short is refused' is 125
run "$scratch/nothing"
ok 'no such file is 127' is 127 '' 'No such file'
run lethe-nothing-of-this-name
ok 'no such program in PATH is 127' is 127 '' 'No such file'
: >"$scratch/plain"
run "$scratch/plain"
ok 'a file that is not executable is 126' is 126 '' 'Permission denied'
run "$scratch"
ok 'a directory is 126' is 126 '' 'directory'
run --require=unmapped --backend=mlock -- "$ordinary" where
ok 'a level that cannot be had: 125, and nothing is run' is 125 '' 'not run'
ok 'nothing is' test ! -s "$scratch/out"
run --backend=tape -- "$ordinary" where
ok 'a backend that there is not is 125' is 125 '' 'tape'
run --no-such-option -- "$ordinary" where
ok 'bad usage is 125' is 125 '' 'usage'
"$lethectl" nonsense >"$scratch/out" 2>"$scratch/said"
status=$?
ok 'a verb that there is not is 2' is 2 '' nonsense

if [ "$(id -u)" -eq 0 ] && cp "$ordinary" "$scratch/setgid" && chown 0:65534 "$scratch/setgid" &&
	chmod 2755 "$scratch/setgid"; then
	run "$scratch/setgid" where
	ok 'a set-group-ID program is refused, since LD_PRELOAD is not for it' \
		is 125 '' 'set-group-ID.*--no-new-privs'
	# Its library is found by a path of its own, not by one from where it was built.
	run --no-new-privs "$scratch/setgid" where
	ok '--no-new-privs runs it without that' is 0 secret
else
	skip 'a set-group-ID program is refused, since LD_PRELOAD is not for it' 'root'
	skip '--no-new-privs runs it without that' 'root'
fi

if prlimit --memlock=1048576:1048576 setpriv --bounding-set=-ipc_lock --inh-caps=-ipc_lock true \
	2>/dev/null; then
	limited 1048576:1048576 -- "$ordinary" exhaust
	one_line() { is 0 && [ "$(grep -c 'RLIMIT_MEMLOCK is 1024 KiB' "$scratch/said")" -eq 1 ]; }
	ok 'what does not fit is ENOMEM, and one line says so, with the limit' one_line
	limited 65536:2097152 -v -- "$ordinary" where
	ok 'the soft limit is raised to the hard one' is 0 secret 'RLIMIT_MEMLOCK is 2048 KiB'
else
	skip 'what does not fit is ENOMEM, and one line says so, with the limit' 'CAP_SETPCAP'
	skip 'the soft limit is raised to the hard one' 'CAP_SETPCAP'
fi
LD_PRELOAD=$there/nothing.so run -- env
keeps() { grep -q "^LD_PRELOAD=.*liblethe-run.so.0:$there/nothing.so" "$scratch/out"; }
ok 'what LD_PRELOAD had comes behind' keeps
