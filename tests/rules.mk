# SPDX-License-Identifier: MIT
#
# Which suite runs where in the virtual machine, on each kernel that was chosen.
# Each is one boot.
#
#	vm-module	the device, with every check that a stock kernel can be asked for
#	vm-library	the library on the module, likewise; what the fallbacks do on
#			this kernel too, where an older one may differ from the host's
#	vm-ram		all of RAM searched; without slub_debug, which wipes memory
#			itself and could hide a missing wipe
#	vm-rows		the rows of the residue table that a process can be asked for, on
#			the module and on the fallbacks
#	vm-residue	what a process leaves that the kernel ends, in RAM and in a core
#			dump, and what kcore has of a region
#	vm-fallback	the same, and what vm-ram has, on memfd_secret and mlock: without
#			the module, which would wipe what the kernel has for them too
#	vm-bare		no module, no memfd_secret, and KASLR: what is left is mlock
#	vm-large	6 GiB, mapped by 1 GiB entries that have to be split, but
#			never to 4 KiB
#	vm-mainjob	the main job on the module, with the row for guest RAM
#	vm-unload	the module loaded and unloaded: all memory can be read after it
#	vm-hibernate	a hibernation to disk and the resumption in a second boot: the
#			disk searched in between
#	vm-restart	a restart with a secret in memory: RAM as it is left, searched
#	vm-panic	a panic likewise
#	vm-probes	the probes, on the module: by fentry what natively is by tracepoints
#	vm-check	lethectl check, on the module and on what is left without it
#	vm-scan		lethectl scan: 500 copies found, and none in a region
#	vm-verify	lethectl verify, likewise; and the main job under it
#	vm-manual	the manual's examples, on the module
#	vm-examples	the examples on the module; the handshake with the kernel's WireGuard
#	vm-tls		the example's TLS server, served and searched, on one kernel
#			(tests/examples/tls.mk)
#	vm-swap		pressed until all that can leave has left, for an NVMe disk, a
#			file, zram and zswap: what the probe counts is what is found there
#	vm-shell	make vm, as somebody has it who sits before it (tests/vm/shell)
#	vm-bochs	what a processor keeps of registers that were zeroed: in Bochs,
#			since QEMU's keeps nothing; on one kernel, where it is slow
#	vm-avx512	the residue table's rows of vector registers on the module, in
#			Bochs too, since QEMU's processors have no AVX-512

include tests/vm/shell/rules.mk

VM_SUITES := vm-module vm-library vm-ram vm-rows vm-residue vm-fallback vm-bare vm-large \
	vm-mainjob vm-unload vm-probes vm-check vm-scan vm-verify vm-manual vm-examples vm-swap
VM_ENDINGS := hibernate restart panic
BOCHS_KERNEL := 6.1
VM_TAP := $(foreach k,$(CHOSEN),$(VM_SUITES:%=$(O)/tap/%-$(k).tap) \
	$(VM_ENDINGS:%=$(O)/tap/vm-%-$(k).tap)) \
	$(foreach s,vm-bochs vm-avx512,$(patsubst %,$(O)/tap/$(s)-%.tap, \
		$(filter $(BOCHS_KERNEL),$(CHOSEN)))) \
	$(O)/tap/vm-harness.tap $(VM_TLS_TAP)
# To a program a plain flavour is its cloud flavour.
VM_TAP := $(filter-out $(addprefix $(O)/tap/,vm-library-%-plain.tap vm-probes-%-plain.tap \
	vm-fallback-%-plain.tap vm-rows-%-plain.tap vm-check-%-plain.tap \
	vm-scan-%-plain.tap vm-verify-%-plain.tap vm-manual-%-plain.tap \
	vm-examples-%-plain.tap),$(VM_TAP)) $(SHELL_TAP)

with-module := --module $(O)/kmod/{kernel}/lethe.ko

LIBRARY_PROGRAMS := $(LIBRARY_SELFTESTS:%=$(SELFTEST_O)/%) $(CPP_GUEST)
FALLBACK_PROGRAMS := $(addprefix $(SELFTEST_O)/,section options report limits exception jump \
	forking signal_section signal_residue signal_context wipe_stack heap_overflow inherit \
	inherit_limits attacks)
DEVICE_PROGRAMS := $(addprefix $(SELFTEST_O)/,$(DEVICE_SELFTESTS) $(URING_SELFTESTS))
# Programs as vm.py takes them, one after the other. then: what stands between.
then := ';'
on-backend = $(foreach p,$(2),$(then) env LETHE_BACKEND=$(1) $(p))

vm-module-options := $(with-module) --timeout 600
vm-module-programs := $(firstword $(DEVICE_PROGRAMS)) \
	$(foreach p,$(wordlist 2,99,$(DEVICE_PROGRAMS)),$(then) $(p)) \
	$(then) tests/selftests/together.sh $(DEVICE_PROGRAMS)

vm-library-options := $(with-module) --timeout 900
vm-library-programs = $(wordlist 2,9999,$(call on-backend,kmod,$(LIBRARY_PROGRAMS)) \
	$(foreach b,$(FALLBACKS),$(call on-backend,$(b),$(FALLBACK_PROGRAMS)))) \
	$(if $(filter $(1),$(ONE)),$(then) env LETHE_BACKEND=kmod $(SELFTEST_STORM))

vm-ram-options := $(with-module) --timeout 600 --no-slub-debug --mem 256 \
	--file $(RESIDUE_O)/residue-search \
	--append randomize_kstack_offset=off
vm-ram-programs := $(VM_PROGRAMS) \
	$(foreach p,$(RESIDUE_VM_TESTS),$(then) $(p))

# Memory is searched as a process has it, which slub_debug has no part in.
vm-rows-options := $(with-module) --no-slub-debug --timeout 600
vm-rows-programs := $(RESIDUE_TABLE) $(ROW_PROGRAMS)

vm-residue-options := $(vm-ram-options)
vm-residue-programs := $(RESIDUE_O)/kcore_test \
	$(call on-backend,kmod,$(RESIDUE_O)/core_test $(RESIDUE_O)/oom_test)

# What the last one asks of the processor, an emulated one does not do.
vm-fallback-options := --timeout 600 --no-slub-debug --mem 256
vm-fallback-programs := $(RESIDUE_O)/kcore_test \
	$(foreach b,$(FALLBACKS),$(call on-backend,$(b),$(addprefix $(RESIDUE_O)/,ram_test \
		core_test oom_test)) $(then) env LETHE_BACKEND=$(b) \
		$(RESIDUE_O)/kernel_rows_test emulated)

vm-bare-options := --no-secretmem --kaslr
vm-bare-programs := $(firstword $(FALLBACK_PROGRAMS)) \
	$(foreach p,$(wordlist 2,99,$(FALLBACK_PROGRAMS)),$(then) $(p)) \
	$(then) $(STATUS_GUEST) $(LETHECTL)

vm-large-options := $(with-module) --mem 6144 --no-slub-debug --direct-map
vm-large-programs := $(SELFTEST_O)/device $(then) $(SELFTEST_O)/region

vm-mainjob-options := $(with-module) --file $(RESIDUE_O)/residue-search \
	--file README.md:/lethe/input
vm-mainjob-programs := tests/ktap.sh \
	'the main job: controls above 0, with Lethe 0, in guest RAM too' \
	$(RESIDUE_O)/lethe-mainjob /lethe/input

vm-probes-options := $(with-module) --timeout 600
vm-probes-programs := $(firstword $(PROBE_TEST_PROGRAMS)) \
	$(foreach p,$(wordlist 2,99,$(PROBE_TEST_PROGRAMS)),$(then) $(p)) \
	$(then) $(STATUS_GUEST) $(LETHECTL)

points-inc := --file tests/points.inc.sh
vm-check-options := $(with-module) $(points-inc) --timeout 600
vm-check-programs := tests/programs/check_guest.sh $(LETHECTL)

vm-scan-options := $(with-module)
vm-scan-programs := $(SCAN_GUEST) $(LETHECTL) $(SCAN_TARGETS) $(SCAN_GUEST_SEEDS)

vm-verify-options := $(with-module) $(points-inc) --timeout 600
vm-verify-programs := tests/programs/verify_guest.sh $(LETHECTL) \
	$(PROGRAMS_O)/verify_subject $(RESIDUE_O)/lethe-mainjob

# What run.sh is given is known when they are built.
vm-manual-options := $(with-module)
vm-manual-programs = env LETHE_BACKEND=kmod tests/manual/run.sh \
	$$(cat $(MANUAL_O)/list $(MANUAL_O)/device-list)

vm-examples-options := $(with-module) $(points-inc) --timeout 600 --driver wireguard \
	$(addprefix --needs ,wg ssh-add ssh-keygen script)
vm-examples-programs := tests/examples/examples_guest.sh $(LETHECTL) $(EXAMPLES_HOLLOW) -- \
	$(EXAMPLE_PROGRAMS)

# What is a module in this kernel or that, and built in elsewhere.
vm-swap-options := $(with-module) --mem 256 --timeout 300 \
	$(addprefix --driver ,nvme ext4 zram lzo-rle)
vm-swap-programs := $(PRESSURE_TEST)

# Loads and unloads the module itself, and one that reads every page.
sweep-ko = $(VM_O)/sweep/$(1)/lethe_sweep.ko
# Without slub_debug, as vm-ram: all of RAM is searched here too.
vm-unload-options := --no-slub-debug
vm-unload-programs = $(VM_O)/unload_test $(call kmod-ko,$(1)) $(call sweep-ko,$(1))

# Direct I/O needs a disk: in memory alone the guest has no file system for it.
# One for each kernel, since two machines may run at once.
vm-module-disk = --drive $(O)/vm/disk-$(1).img --env LETHE_DISK=/dev/nvme0n1

# And so does swap.
vm-probes-disk = --drive $(O)/vm/probes-$(1).img --env LETHE_SWAP_DISK=/dev/nvme0n1
vm-check-disk = --drive $(O)/vm/check-$(1).img --env LETHE_SWAP_DISK=/dev/nvme0n1

# By name: of a pattern's two targets, to make one is, to make, to have made both.
$(foreach k,$(KERNELS),$(O)/vm/probes-$(k).img $(O)/vm/check-$(k).img):
	$(Q)mkdir -p $(@D) && truncate -s 256M $@

# In this order: the first is given up, on the second a file is made.
vm-swap-disk = --drive $(O)/vm/swap-$(1).img --drive $(O)/vm/ext4-$(1).img

$(O)/vm/swap-%.img: .FORCE
	$(Q)mkdir -p $(@D) && rm -f $@ && truncate -s 64M $@

$(O)/vm/ext4-%.img: .FORCE
	$(Q)mkdir -p $(@D) && rm -f $@ && truncate -s 64M $@
	$(Q)/usr/sbin/mkfs.ext4 -q -F $@

$(O)/vm/disk-%.img:
	$(Q)mkdir -p $(@D) && truncate -s 4M $@

vm-hibernate-programs := $(HIBERNATE_TEST)
vm-restart-programs := $(ENDING_TEST) restart
vm-panic-programs := $(ENDING_TEST) panic

define vm-rules
$$(O)/tap/vm-rows-$(1).tap: $$(RESIDUE_TABLE) $$(ROW_PROGRAMS)
$$(O)/tap/vm-module-$(1).tap: $$(O)/vm/disk-$(1).img
$$(O)/tap/vm-probes-$(1).tap: $$(O)/vm/probes-$(1).img
$$(O)/tap/vm-check-$(1).tap: $$(O)/vm/check-$(1).img $$(LETHECTL)
$$(O)/tap/vm-scan-$(1).tap: $$(LETHECTL) $$(SCAN_GUEST) $$(SCAN_TARGETS) \
		$$(SCAN_GUEST_SEEDS)
$$(O)/tap/vm-verify-$(1).tap: $$(VERIFY_SUBJECTS)
$$(O)/tap/vm-manual-$(1).tap: $$(O)/tap/manual-examples.tap $$(O)/tap/manual-device.tap
$$(O)/tap/vm-examples-$(1).tap: $$(EXAMPLE_PROGRAMS) $$(EXAMPLES_HOLLOW)
$$(O)/tap/vm-swap-$(1).tap: $$(O)/vm/swap-$(1).img $$(O)/vm/ext4-$(1).img \
		$$(PRESSURE_TEST)
$$(VM_SUITES:%=$$(O)/tap/%-$(1).tap): $$(O)/tap/%-$(1).tap: $$(call kmod-ko,$(1)) \
		$$(VM_NEEDS) $$(VM_PROGRAMS) $$(SELFTESTS) $$(CPP_GUEST) $$(RESIDUE_PROGRAMS) \
		$$(PROBE_TEST_PROGRAMS) $$(STATUS_GUEST) $$(LETHECTL) \
		$$(RESIDUE_O)/kernel_rows_test .FORCE
	$$(call say,BOOT,$$* on $(1))
	$$(Q)mkdir -p $$(@D) && rm -f $$@
	$$(Q)$$(vm) test --kernel $(1) $$($$*-options) $$(call $$*-disk,$(1)) \
		--tap $$@ -- $$(call $$*-programs,$(1)) || echo "$$* on $(1) failed: see above"

$$(O)/tap/vm-unload-$(1).tap: $$(call sweep-ko,$(1)) $$(VM_O)/unload_test
$$(call sweep-ko,$(1)): tests/vm/sweep/lethe_sweep.c tests/vm/sweep/Kbuild \
		$$(call kernel-stamp,$(1))
	$$(call say,KBUILD,$$@)
	$$(Q)mkdir -p $$(@D) && ln -sfn $$(abspath tests/vm/sweep)/* $$(@D)
	$$(call kmod-make,$(1),$$(@D)) modules
	$$(Q)touch $$@

# Without slub_debug, as vm-ram.
$$(VM_ENDINGS:%=$$(O)/tap/vm-%-$(1).tap): $$(O)/tap/vm-%-$(1).tap: \
		$$(call kmod-ko,$(1)) $$(VM_NEEDS) $$(RESIDUE_PROGRAMS) \
		$$(HIBERNATE_TEST) .FORCE
	$$(call say,BOOT,$$* on $(1))
	$$(Q)mkdir -p $$(@D) && rm -f $$@
	$$(Q)O=$$(O) python3 -B tests/vm/power.py $$* --kernel $(1) --no-slub-debug \
		--mem 256 --module $$(call kmod-ko,$(1)) --driver nvme --tap $$@ -- \
		$$(vm-$$*-programs) || \
		echo "$$* on $(1) failed: see above"
endef
$(foreach k,$(KERNELS),$(eval $(call vm-rules,$(k))))

$(O)/tap/vm-bochs-$(BOCHS_KERNEL).tap: $(call kmod-ko,$(BOCHS_KERNEL)) \
		$(RESIDUE_PROGRAMS) .FORCE
	$(call say,BOOT,vm-bochs on $(BOCHS_KERNEL))
	$(Q)mkdir -p $(@D) && rm -f $@
	$(Q)O=$(O) python3 -B tests/vm/bochs.py --kernel $(BOCHS_KERNEL) --module $< \
		--tap $@ -- $(STALE) || echo "vm-bochs on $(BOCHS_KERNEL) failed: see above"

AVX512_ROWS := --row 'xmm/ymm 0-15' --row 'zmm 0-15 upper' --row zmm16-31 --row k0-k7
$(O)/tap/vm-avx512-$(BOCHS_KERNEL).tap: $(call kmod-ko,$(BOCHS_KERNEL)) $(RESIDUE_TABLE) \
		$(ROW_PROGRAMS) $(BOCHS_STOP) .FORCE
	$(call say,BOOT,vm-avx512 on $(BOCHS_KERNEL))
	$(Q)mkdir -p $(@D) && rm -f $@
	$(Q)O=$(O) python3 -B tests/vm/bochs_program.py --kernel $(BOCHS_KERNEL) --module $< \
		--timeout 600 --tap $@ -- $(RESIDUE_TABLE) --backend kmod $(AVX512_ROWS) \
		$(firstword $(ROW_PROGRAMS)) || echo "vm-avx512 on $(BOCHS_KERNEL) failed: see above"

$(O)/tap/vm-harness.tap: $(VM_SELF_TESTS) .FORCE
	$(call say,TEST,vm harness)
	$(Q)mkdir -p $(@D) && rm -f $@
	$(Q)for test in $(VM_SELF_TESTS); do python3 -B $$test >>$@ || grep -v '^ok' $@; done

# The residue table: the suites that have rows of it, and what they say together. Where
# not all kernels are chosen, it is a part of the table, and README.md is not held to that.
RECORD_SUITES := vm-rows vm-residue vm-fallback vm-ram vm-swap vm-unload vm-hibernate
RECORD_TAP := $(TABLE_TAP) $(KERNEL_TAP) \
	$(filter $(O)/tap/residue-core_test.tap,$(RESIDUE_TAP)) \
	$(filter $(foreach s,$(RECORD_SUITES) vm-bochs vm-avx512,$(O)/tap/$(s)-%.tap),$(VM_TAP))
residue-records = $(Q)O=$(O) python3 -B tests/residue/table.py

README_TAP := $(if $(filter all,$(KERNEL)),$(O)/tap/residue-readme.tap)
$(README_TAP): $(RECORD_TAP) README.md .FORCE
	$(call say,TEST,residue/README.md)
	$(residue-records) --check README.md $(RECORD_TAP) >$@ || grep -v '^ok' $@

.PHONY: residue-all
residue-all: $(RECORD_TAP)
	$(call say,TABLE,$(O)/residue.tsv)
	$(residue-records) $^; table=$$?; tests/tally.py $^ && exit $$table

.PHONY: run-guest
run-guest: $(call kmod-ko,$(ONE)) $(VM_NEEDS) $(RESIDUE_PROGRAMS)
	$(Q)$(vm) run --kernel $(ONE) --module $(call kmod-ko,$(ONE)) \
		$$([ -t 1 ] || echo --env NO_COLOR=1) --file $(RESIDUE_O)/residue-search \
		--file '$(FILE):/lethe/input' -- $(RESIDUE_O)/lethe-mainjob /lethe/input
