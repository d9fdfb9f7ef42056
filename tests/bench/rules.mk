# SPDX-License-Identifier: MIT
#
# bench: what things cost. Measured when a person asks, never in a test.

BENCH_O	:= $(O)/tests/bench

VM_BENCH_SRC := vm_bench series

$(BENCH_O)/%.o: tests/bench/%.c
	$(call say,CC,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -Iuser/include -Ikmod/uapi -c -o $@ $<

$(BENCH_O)/vm_bench: $(VM_BENCH_SRC:%=$(BENCH_O)/%.o)
	$(call say,LD,$@)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ -pthread

# Without slub_debug, which would be measured too.
.PHONY: bench-vm-all
bench-vm-all: $(call kmod-ko,$(ONE)) $(VM_NEEDS) $(BENCH_O)/vm_bench
	$(call say,BENCH,$(O)/bench-vm.tsv)
	$(Q)$(vm) run --kernel $(ONE) --no-slub-debug --module $(call kmod-ko,$(ONE)) \
		-- $(BENCH_O)/vm_bench >$(O)/bench-vm.part
	$(Q)mv $(O)/bench-vm.part $(O)/bench-vm.tsv
	@awk -F '\t' -f tests/bench/table.awk $(O)/bench-vm.tsv

-include $(wildcard $(BENCH_O)/*.d)
