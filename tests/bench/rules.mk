# SPDX-License-Identifier: MIT
#
# bench: what things cost. Measured when a person asks, never in a test; a test is
# whether all of it works.

BENCH_O	:= $(O)/tests/bench
BENCH_SRC := bench cases exchange slices peer series stack
VM_BENCH_SRC := vm_bench vm_section vm_uring vm_wipe cases slices series stack

$(BENCH_O)/%.o: tests/bench/%.c
	$(call say,CC,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -Iuser/include -Ikmod/uapi -c -o $@ $<

$(BENCH_O)/vm_bench: $(VM_BENCH_SRC:%=$(BENCH_O)/%.o) $(O)/lib/liblethe.so
	$(call say,LD,$@)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -Wl,-rpath,'$$ORIGIN/../../lib' -o $@ \
		$(filter %.o,$^) -L$(O)/lib -llethe -luring -pthread

# As a program that means it: what libcrypto allocates in a section is secret too.
$(BENCH_O)/bench: $(BENCH_SRC:%=$(BENCH_O)/%.o) $(LIBRARIES)
	$(call say,LD,$@)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -Wl,-z,relro,-z,now \
		-Wl,-rpath,'$$ORIGIN/../../lib' -o $@ $(filter %.o,$^) \
		-L$(O)/lib -llethe-malloc -llethe -lcrypto -pthread

# The peer in Go, or a file that says why there is none: asked anew each time.
.PHONY: bench-peer
bench-peer:
	$(call say,GO,$(BENCH_O)/peer_go)
	$(Q)mkdir -p $(BENCH_O)
	$(Q)O=$(O) python3 -B tests/bench/go.py tests/bench/go $(BENCH_O)/peer_go

.PHONY: bench-all
bench-all: $(BENCH_O)/bench bench-peer $(LETHECTL)
	$(call say,BENCH,$(O)/bench.tsv)
	$(Q)$(BENCH_O)/bench $(BENCH_O)/peer_go $(BENCH_O)/peer_go.missing >$(O)/bench.part
	$(Q)mv $(O)/bench.part $(O)/bench.tsv
	@awk -F '\t' -f tests/bench/table.awk $(O)/bench.tsv
	$(call say,BENCH,$(O)/startup.tsv)
	$(Q)/usr/bin/python3 -B tests/programs/startup.py $(LETHECTL) 40 >$(O)/startup.tsv
	@awk -F '\t' -f tests/bench/table.awk $(O)/startup.tsv

BENCH_TAP := $(O)/tap/bench.tap
$(BENCH_TAP): tests/bench/smoke.sh $(BENCH_O)/bench .FORCE
	$(call say,TEST,bench)
	$(Q)mkdir -p $(@D) && rm -f $@
	$(Q)$< $(BENCH_O)/bench >$@ || grep -v '^ok' $@

# Without slub_debug, which would be measured too.
.PHONY: bench-vm-all
bench-vm-all: $(call kmod-ko,$(ONE)) $(VM_NEEDS) $(BENCH_O)/vm_bench
	$(call say,BENCH,$(O)/bench-vm.tsv)
	$(Q)$(vm) run --kernel $(ONE) --no-slub-debug --module $(call kmod-ko,$(ONE)) \
		-- $(BENCH_O)/vm_bench >$(O)/bench-vm.part
	$(Q)mv $(O)/bench-vm.part $(O)/bench-vm.tsv
	@awk -F '\t' -f tests/bench/table.awk $(O)/bench-vm.tsv

-include $(wildcard $(BENCH_O)/*.d)
