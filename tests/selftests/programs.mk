# SPDX-License-Identifier: MIT
#
# The selftests that stand alone: libc, and the ABI's header. Those of ROWS are
# tables of what a system call does on a region, on memfd_secret and on ordinary
# memory; kmod/README.md carries them.

ROWS := mapping advice locking process descriptor reach pinning
DEVICE_SELFTESTS := device region charge wipe_range wipe_registers wipe_race wipe_traced wipe_ends kcore blocks cgroup power $(ROWS)
