#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Under a seccomp filter, as containers and units have one: what liblethe makes of a
# memfd_secret that is denied, and that it makes no system call but those that
# user/packaging/README.md names. KTAP on stdout.
#
#	denied.sh DIRECTORY		where denied and use are
set -u
denied=$1/denied use=$1/use
program=$use
# shellcheck source=tests/install/tree.sh
. tests/install/tree.sh

number_of() { awk -v name="__NR_$1" '$2 == name { print $3 }' /usr/include/x86_64-linux-gnu/asm/unistd_64.h; }
# run HOW CALL...: without these system calls, by an errno or by death
run() {
	local how=$1 numbers=
	shift
	for call; do
		numbers+=$(number_of "$call"),
	done
	{ timeout 60 "$denied" "$how" "$numbers" "$program" >"$scratch/out" 2>"$scratch/err"; } 2>/dev/null
	status=$?
}
# is STATUS OUTPUT [SAID]
is() {
	cat "$scratch/out" "$scratch/err"
	[ "$status" -eq "$1" ] && [ "$(cat "$scratch/out")" = "$2" ] &&
		{ [ -z "${3-}" ] || grep -q -e "$3" "$scratch/err"; }
}
secret='memfd_secret stack 2 block 2'
locked='mlock stack 1 block 1'

echo "KTAP version 1"
echo "1..14"

run 1 swapon
ok 'control: under a filter that denies something else sections are on memfd_secret' is 0 "$secret"
run 1 memfd_secret
ok 'denied with EPERM, as Docker denies: locked memory, and a word about it' \
	is 0 "$locked" 'secret memory is locked'
run 38 memfd_secret
ok 'denied with ENOSYS, as Podman denies: the same' is 0 "$locked" 'secret memory is locked'
export LETHE_REQUIRE=unmapped
run 1 memfd_secret
ok 'with LETHE_REQUIRE=unmapped it is an error, and the function not run' is 1 '' 'LETHE_REQUIRE=unmapped'
run 38 memfd_secret
ok 'also where it is ENOSYS' is 1 '' 'LETHE_REQUIRE=unmapped'
unset LETHE_REQUIRE
# 128 + SIGSYS: systemd's way without SystemCallErrorNumber=.
run kill memfd_secret
ok 'denied by death, the program dies of it: such a filter has to name it' is 159 ''
export LETHE_BACKEND=mlock
run kill memfd_secret
ok 'LETHE_BACKEND=mlock does not ask for it' is 0 "$locked"
unset LETHE_BACKEND

# What the README says can be left out, and what not.
run 1 membarrier rseq mlock mlock2
ok 'on memfd_secret none of membarrier, rseq, mlock and mlock2 is needed' is 0 "$secret"
run 1 madvise
ok 'without madvise there is no section: an error' is 1 '' 'lethe_do'
run 1 sigaltstack
ok 'nor without sigaltstack' is 1 '' 'lethe_do'

program=$1/signalled
run 1 swapon
ok 'after LETHE_FAST nothing is left of a signal on a stack of the program'\''s; control: it was, outside' \
	is 0 'outside some, inside none'
run 1 mincore
ok 'also where nobody may ask by mincore what is mapped' is 0 'outside some, inside none'

# All that it calls, against the list.
listed() {
	awk '/^<!-- calls -->$/ { on = 1 } /^<!-- .calls -->$/ { on = 0 } on' user/packaging/README.md |
		grep -oE '\b[a-z][a-z_0-9]*\b' | grep -vx calls | sort -u
}
called() {
	strace -f -o "$scratch/trace" "$use" && LETHE_BACKEND=mlock strace -f -o "$scratch/trace2" "$use" &&
		# From the library's first on: what is before that is libc's.
		awk 'FNR == 1 { on = 0 } /memfd_secret|mlock/ { on = 1 } on && match($0, /[a-z_0-9]+\(/) {
			print substr($0, RSTART, RLENGTH - 1) }' "$scratch"/trace* | sort -u >"$scratch/called"
	grep -qx memfd_secret "$scratch/called" && grep -qx madvise "$scratch/called" &&
		! comm -23 "$scratch/called" <(listed) | grep .
}
ok 'each that it calls is in the list of user/packaging/README.md' called

# group NAME: its calls, and those of the groups in it
group() {
	systemd-analyze syscall-filter "$1" | awk 'NR > 1 && !/#/ { print $1 }' | while read -r name; do
		if [ "${name#@}" != "$name" ]; then group "$name"; else echo "$name"; fi
	done
}
service() {
	group @system-service | sort -u >"$scratch/service"
	grep -qx mlock "$scratch/service" &&
		comm -23 <(listed | sort -u) "$scratch/service" >"$scratch/out" && 
		[ "$(paste -sd ' ' "$scratch/out")" = 'memfd_secret mincore' ]
}
sentence='of the list @system-service of systemd has all but memfd_secret and mincore'
if command -v systemd-analyze >/dev/null; then
	ok "$sentence" service
else
	echo "ok $((number += 1)) - $sentence # SKIP no systemd"
fi
[ "$failed" -eq 0 ]
