# SPDX-License-Identifier: MIT
#
# The selftests that stand alone: libc, and the ABI's header. Those of ROWS are
# tables of what a system call does on a region, on memfd_secret and on ordinary
# memory, those of WHO of whom LETHE_IOC_WIPE may be asked; kmod/README.md carries
# them, below these heads.

ROWS := mapping advice locking process descriptor reach pinning
ROWS_HEAD := '| what | a region | memfd_secret | ordinary memory | tested in |'
WHO := wipe_who wipe_users
WHO_HEAD := '| of whom | RANGE | DEAD_STACK | SIGSTACK | REGISTERS | tested in |'
DEVICE_SELFTESTS := device region charge kcore blocks cgroup power \
	trace totals holders asking $(ROWS)
# LETHE_IOC_WIPE.
DEVICE_SELFTESTS += wipe_range wipe_results wipe_swap wipe_registers wipe_dead_stack wipe_sigstack wipe_threads \
	wipe_absent wipe_storm wipe_race wipe_traced wipe_ends wipe_tracees $(WHO)
