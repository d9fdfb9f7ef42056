#!/bin/sh
# SPDX-License-Identifier: MIT
#
# lethectl check in the virtual machine: on the module, with an NVMe disk for swap and
# no cgroup hierarchy mounted. KTAP on stdout.
#
#	check_guest.sh LETHECTL		LETHE_SWAP_DISK is the disk
set -u

# shellcheck source=tests/points.inc.sh
. "${0%/*}/../points.inc.sh"
lethectl=$1
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
unset LETHE_BACKEND

why() {
	cat "$scratch/out" "$scratch/said"
}

check() {
	"$lethectl" check --json --size 4 "$@" >"$scratch/out" 2>"$scratch/said"
	status=$?
}
has() { grep -q "^ *\"$1\": $2,\{0,1\}\$" "$scratch/out"; }
# is STATUS BACKEND
is() {
	[ "$status" -eq "$1" ] && has backend "$2" && has pages 1024 && has seen 1024 &&
		[ ! -s "$scratch/said" ]
}
clean() { is 0 "\"$1\"" && has verdict '"clean"' && has secret_readable 0; }
locked() { is 0 '"mlock"' && has verdict '"clean"' && has direct_map null; }
violation() { is 1 null && has verdict '"violation"' && has seen 320; }
# Each way but that of hibernation has seen all decoys.
ways() {
	[ "$(grep -c '"attached": true' "$scratch/out")" -eq 5 ] &&
		[ "$(grep -c '"decoys": 1024' "$scratch/out")" -ge 4 ]
}
# What is wrong; false.
say() {
	echo "$1" >>"$scratch/said"
	return 1
}
# The kernel lets go of a program that was attached to the module in its own time.
module_is_free() {
	for _ in $(seq 100); do
		[ "$(cat /sys/module/lethe/refcnt)" -eq 0 ] && return
		usleep 100000
	done
	return 1
}
# nothing_left AREAS: of swap, as many as there were
nothing_left() {
	module_is_free || say 'the module is in use' || return
	! grep -q cgroup /proc/mounts || say 'cgroup2 is mounted' || return
	[ "$(wc -l </proc/swaps)" -eq "$1" ] || say 'swap is left' || return
	mount -t cgroup2 none /sys/fs/cgroup || return
	set -- /sys/fs/cgroup/lethe-check.*
	[ ! -e "$1" ] || say 'a cgroup is left'
	left=$?
	! grep -q memory /sys/fs/cgroup/cgroup.subtree_control || say 'the controller is enabled' || left=1
	umount /sys/fs/cgroup
	return "$left"
}

echo "KTAP version 1"
echo "1..12"

check
no_swap() { [ "$status" -eq 2 ] && has verdict '"unknown"' && grep -q 'in memory itself' "$scratch/said"; }
ok 'no swap, and no disk that a file could be on: 2, and why' no_swap
ok 'nothing is left of it' nothing_left 1

mkswap "$LETHE_SWAP_DISK" >/dev/null && swapon "$LETHE_SWAP_DISK" || exit 1
check
ok 'on the module all decoys are seen leaving, and no page of the secret' clean kmod
ok 'by reclaim, by swap-out before and at the device, and by the block layer' ways
used() { has by '"cgroup v2"' && has name "\"$LETHE_SWAP_DISK\"" && has kind '"device"'; }
ok 'in a cgroup of its own, to the disk' used
check --ordinary
ok 'control: in ordinary memory each page of the secret is seen leaving' violation
check --backend memfd_secret
ok 'so on memfd_secret' clean memfd_secret
check --backend mlock
ok 'so on mlock, which the direct map has' locked
ok 'nothing is left of them' nothing_left 2

if [ -w /sys/module/zswap/parameters/enabled ] && echo Y >/sys/module/zswap/parameters/enabled 2>/dev/null; then
	check
	kept() { clean kmod && ! has zswap_pages 0; }
	ok 'with zswap too, which keeps some' kept
	echo N >/sys/module/zswap/parameters/enabled
else
	skip 'with zswap too, which keeps some' 'zswap'
fi

# In the midst of it: the cgroup is there, so is the process with the secret.
"$lethectl" check --size 32 >"$scratch/out" 2>"$scratch/said" &
pid=$!
for _ in $(seq 200); do
	pidof lethectl-check >/dev/null && break
	usleep 200000
done
inside() { pidof lethectl-check >/dev/null; }
ok 'control: it is at work' inside
kill -9 $pid
wait $pid 2>/dev/null
for _ in $(seq 200); do
	pidof lethectl-guard >/dev/null || break
	usleep 200000
done
# What has ended and nobody waited for is gone.
gone() {
	for process in $(pidof lethectl-guard lethectl-check); do
		grep -q '^State:.*Z' "/proc/$process/status" || say 'a process is left' || return
	done
	nothing_left 2
}
ok 'SIGKILL leaves nothing either' gone
swapoff "$LETHE_SWAP_DISK"
[ $failed -eq 0 ]
