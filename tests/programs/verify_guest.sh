#!/bin/sh
# SPDX-License-Identifier: MIT
#
# lethectl verify in the virtual machine: on the module, and on what is left without it;
# and the main job, plainly and with Lethe. KTAP on stdout.
#
#	verify_guest.sh LETHECTL SUBJECT MAINJOB
set -u

# shellcheck source=tests/points.inc.sh
. "${0%/*}/../points.inc.sh"
lethectl=$1 subject=$2 mainjob=$3
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
cd "$scratch" || exit 1
unset LETHE_BACKEND

why() {
	echo "exit status $status"
	head -c 3000 "$scratch/said"
	grep -A 3 '"name": "[a-z]* \|error\|"place"' "$scratch/out" | head -60
}

dd if=/dev/urandom of=key bs=32 count=1 2>/dev/null
echo 'what is sent' >file

# verify OPTION... -- PROGRAM...
verify() {
	"$lethectl" verify --json --secret-fd 3 "$@" 3<key 4<key >out 2>said
	status=$?
}
has() { grep -q "^ *\"$1\": *$2,\{0,1\}\$" out; }
# passed CHECK: of those the manual names
check() { grep -A 1 "\"name\": *\"$2\"" out | grep -q "\"status\": *\"$1\""; }
clean() {
	[ "$status" -eq 0 ] && has verdict '"clean"' &&
		check passed 'no copy is left at the end of a section' &&
		check passed 'no copy is left as a process ends'
}
# on BACKEND LEVEL SECTIONS
on() { clean && has backend "\"$1\"" && has level "\"$2\"" && has searched_sections "$3"; }
left() { [ "$status" -eq 1 ] && has verdict '"violation"' && check failed "$1"; }

echo "KTAP version 1"
echo "1..17"

verify -- "$subject" clean key 3
module() { on kmod unmapped 3 && grep -q "a region of Lethe's" out; }
ok 'on the module: clean at each section end, and its pages are named' module
dumped() { check passed 'no secret page is dumped'; }
ok 'none of them is in a core dump' dumped
probed() {
	check passed 'no secret page goes to swap' && check passed 'nobody gets at a secret page' &&
		check passed 'what is handed to the kernel is seen'
}
ok 'under the probes, of which each has seen nothing amiss' probed

verify --no-probes -- "$subject" global key
ok 'control: what is left at the end of a section is found' \
	left 'no copy is left at the end of a section'
verify --no-probes -- "$subject" heap key
ok 'control: and what is left as it ends' left 'no copy is left as a process ends'

verify --no-probes --every 1 -- "$subject" threads key 5
ok '8 threads that end sections at one moment' on kmod unmapped 40
verify --no-probes -- "$subject" forks key 3
ok 'children of fork()' left 'no copy is left as a process ends'
verify --no-probes -- "$subject" threads_exec key
ok 'a program executed amid sections' clean
verify --no-probes -- "$subject" stopped key
ok 'one that is stopped and continued' clean

verify --no-probes --core -- "$subject" crash_clean key
dump() {
	[ "$status" -eq 2 ] && has core true && check passed 'no copy is in a core dump' &&
		grep -q 'the file that was dumped was searched' out && ! ls core* >/dev/null 2>&1
}
ok 'the core dump has none, and is deleted' dump
verify --no-probes --core -- "$subject" crash key
ok 'control: the core dump of one that keeps it has it' left 'no copy is in a core dump'

job() {
	verify --no-probes --at mainjob:in_use --at mainjob:step_end -- \
		"$mainjob" --once "$1" --key-fd 4 file
}
job plain
ok 'control: the main job, plainly: its key is found' left 'no copy is there at a mark'
job lethe
worked() { on kmod unmapped 6 && check passed 'no copy is there at a mark' && has status 0; }
ok 'the main job with Lethe: clean while it uses its key, and after' worked

export LETHE_BACKEND=memfd_secret
job lethe
same() { on memfd_secret unmapped 6 && check passed 'no copy is there at a mark'; }
ok 'so on memfd_secret' same
export LETHE_BACKEND=mlock
job lethe
locked() {
	left 'no copy is there at a mark' && check passed 'no copy is left at the end of a section' &&
		has backend '"mlock"' && has level '"locked"'
}
ok 'on mlock root can read it while it is in use, and nobody after' locked
unset LETHE_BACKEND

"$lethectl" verify --no-probes -- "$subject" waits key >out 2>said &
pid=$!
for _ in $(seq 200); do
	grep -q ready out && break
	usleep 50000
done
kill -9 $pid
wait $pid 2>/dev/null
gone() {
	for _ in $(seq 100); do
		pidof verify_subject >/dev/null || return 0
		usleep 50000
	done
	return 1
}
ok 'of SIGKILL verify dies, and the program with it' gone
free() {
	for _ in $(seq 100); do
		[ "$(cat /sys/module/lethe/refcnt)" -eq 0 ] && return
		usleep 100000
	done
	return 1
}
ok 'nothing is left of it: the module is free' free
[ $failed -eq 0 ]
