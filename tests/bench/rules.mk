# SPDX-License-Identifier: MIT
#
# bench: what things cost. Measured when a person asks, never in a test; a test is
# whether all of it works.

BENCH_O	:= $(O)/tests/bench
BENCH_SRC := bench buffer cases exchange slices peer redirect series stack
VM_BENCH_SRC := vm_bench vm_section vm_uring vm_wipe cases slices series stack

# libc's malloc() is a peer: not with liblethe-malloc.
HEAP_BENCH_SRC := heap_bench heap_blocks heap_remote heap_replay heap_footprint heap_churn \
	heap_take heaps trace peer series
HEAP_BENCH_LIBS := -lcrypto -lgcrypt -lsodium -lbotan-2
RECORD_SRC := record record_tls record_ssh

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
		-L$(O)/lib -llethe-malloc -llethe -lcrypto -lsodium -pthread

# The parts of lethectl that it measures with, and that undo what it does.
PROBE_BENCH_CTL := $(addprefix $(LIB_O)/lethectl/check_,guard.o swap.o kernel.o) \
	$(addprefix $(LIB_O)/lethectl/,undo.o terminal.o)
$(BENCH_O)/probe_bench.o: ALL_CFLAGS += -Ibpf
$(BENCH_O)/probe_bench: $(addprefix $(BENCH_O)/,probe_bench.o zram.o series.o) \
		$(PROBE_BENCH_CTL) $(PROBE_OBJ) $(O)/lib/liblethe.so
	$(call say,LD,$@)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -Wl,-rpath,'$$ORIGIN/../../lib' -o $@ \
		$(filter %.o,$^) -L$(O)/lib -llethe $(PROBE_LIBS) -ljson-c -pthread

$(BENCH_O)/heap_botan.o: tests/bench/heap_botan.cpp
	$(call say,CXX,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(CXX) $(ALL_CXXFLAGS) $$(pkg-config --cflags botan-2) -c -o $@ $<

$(BENCH_O)/heap_bench: $(HEAP_BENCH_SRC:%=$(BENCH_O)/%.o) $(BENCH_O)/heap_botan.o \
		$(O)/lib/liblethe.so
	$(call say,LD,$@)
	$(Q)$(CXX) $(CFLAGS) $(LDFLAGS) -Wl,-z,relro,-z,now \
		-Wl,-rpath,'$$ORIGIN/../../lib' -o $@ $(filter %.o,$^) \
		-L$(O)/lib -llethe $(HEAP_BENCH_LIBS) -pthread

# It defines malloc(), which gcc must not take for libc's.
$(BENCH_O)/record.o: ALL_CFLAGS += -fno-builtin
$(BENCH_O)/record: $(RECORD_SRC:%=$(BENCH_O)/%.o)
	$(call say,LD,$@)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ -lssl -lcrypto -lssh -pthread

TRACES	:= $(addprefix tests/bench/traces/,tls.trace ssh.trace)

.PHONY: bench-traces-all
bench-traces-all: $(BENCH_O)/record
	$(call say,RECORD,$(TRACES))
	$(Q)for trace in $(TRACES); do \
		$< $$(basename $$trace .trace) >$(O)/trace.part && \
			mv $(O)/trace.part $$trace || exit; \
	done

# How long the replay is that is to show whether the heap falls to pieces.
SECONDS	?= 60
.PHONY: bench-heap-all
bench-heap-all: $(BENCH_O)/heap_bench
	$(call say,BENCH,$(O)/bench-heap.tsv)
	$(Q)$< $(TRACES) $(O)/bench-heap-footprint.tsv 21 51 $(SECONDS) >$(O)/bench-heap.part
	$(Q)mv $(O)/bench-heap.part $(O)/bench-heap.tsv
	@awk -F '\t' -f tests/bench/table.awk $(O)/bench-heap.tsv

# The peer in Go, or a file that says why there is none: asked anew each time.
.PHONY: bench-peer
bench-peer:
	$(call say,GO,$(BENCH_O)/peer_go)
	$(Q)mkdir -p $(BENCH_O)
	$(Q)O=$(O) python3 -B tests/bench/go.py tests/bench/go $(BENCH_O)/peer_go

.PHONY: bench-all
bench-all: $(BENCH_O)/bench bench-peer $(BENCH_O)/heap_bench $(LETHECTL)
	$(call say,BENCH,$(O)/bench.tsv)
	$(Q)$(BENCH_O)/bench $(BENCH_O)/peer_go $(BENCH_O)/peer_go.missing >$(O)/bench.part
	$(Q)mv $(O)/bench.part $(O)/bench.tsv
	@awk -F '\t' -f tests/bench/table.awk $(O)/bench.tsv
	+$(Q)$(MAKE) --no-print-directory bench-heap-all
	$(call say,BENCH,$(O)/startup.tsv)
	$(Q)/usr/bin/python3 -B tests/programs/startup.py $(LETHECTL) 40 >$(O)/startup.tsv
	@awk -F '\t' -f tests/bench/table.awk $(O)/startup.tsv

.PHONY: bench-probes-all
bench-probes-all: $(BENCH_O)/probe_bench
	$(call say,BENCH,$(O)/bench-probes.tsv)
	$(Q)$< >$(O)/bench-probes.part
	$(Q)mv $(O)/bench-probes.part $(O)/bench-probes.tsv
	@awk -F '\t' -f tests/bench/table.awk $(O)/bench-probes.tsv

.PHONY: bench-scan-all
bench-scan-all: $(LETHECTL) $(O)/tests/programs/scan_subject
	$(call say,BENCH,$(O)/bench-scan.tsv)
	$(Q)/usr/bin/python3 -B tests/bench/scan_bench.py $(LETHECTL) $(O)/tests/programs \
		>$(O)/bench-scan.part
	$(Q)mv $(O)/bench-scan.part $(O)/bench-scan.tsv
	@awk -F '\t' -f tests/bench/table.awk $(O)/bench-scan.tsv

BENCH_TAP := $(addprefix $(O)/tap/bench,.tap -heap.tap -probes.tap -scan.tap)
$(O)/tap/bench-scan.tap: tests/bench/smoke_scan.sh tests/bench/scan_bench.py $(LETHECTL) \
		$(O)/tests/programs/scan_subject .FORCE
	$(call say,TEST,bench of scan)
	$(Q)mkdir -p $(@D) && rm -f $@
	$(Q)$< $(LETHECTL) $(O)/tests/programs >$@ || grep -v '^ok' $@

$(O)/tap/bench.tap: tests/bench/smoke.sh $(BENCH_O)/bench .FORCE
	$(call say,TEST,bench)
	$(Q)mkdir -p $(@D) && rm -f $@
	$(Q)$< $(BENCH_O)/bench >$@ || grep -v '^ok' $@

$(O)/tap/bench-heap.tap: tests/bench/smoke_heap.sh $(BENCH_O)/heap_bench \
		$(BENCH_O)/record $(TRACES) .FORCE
	$(call say,TEST,bench of the heap)
	$(Q)mkdir -p $(@D) && rm -f $@
	$(Q)$(filter-out .FORCE,$^) >$@ || grep -v '^ok' $@

$(O)/tap/bench-probes.tap: tests/bench/smoke_probes.sh $(BENCH_O)/probe_bench .FORCE
	$(call say,TEST,bench of the probes)
	$(Q)mkdir -p $(@D) && rm -f $@
	$(Q)$< $(BENCH_O)/probe_bench >$@ || grep -v '^ok' $@

# Without slub_debug, which would be measured too.
.PHONY: bench-vm-all
bench-vm-all: $(call kmod-ko,$(ONE)) $(VM_NEEDS) $(BENCH_O)/vm_bench
	$(call say,BENCH,$(O)/bench-vm.tsv)
	$(Q)$(vm) run --kernel $(ONE) --no-slub-debug --module $(call kmod-ko,$(ONE)) \
		-- $(BENCH_O)/vm_bench >$(O)/bench-vm.part
	$(Q)mv $(O)/bench-vm.part $(O)/bench-vm.tsv
	@awk -F '\t' -f tests/bench/table.awk $(O)/bench-vm.tsv

-include $(wildcard $(BENCH_O)/*.d)
