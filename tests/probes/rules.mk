# SPDX-License-Identifier: MIT
#
# probes: KTAP programs that show that the probes of bpf/ see what they are for. Each
# tests/probes/X_test.c is one; they run natively, where the kernel says what it is
# made of, and in the virtual machine on every kernel.

PROBES_O := $(O)/tests/probes
PROBE_TESTS := $(patsubst tests/probes/%.c,%,$(wildcard tests/probes/*_test.c))
PROBE_TEST_PROGRAMS := $(PROBE_TESTS:%=$(PROBES_O)/%)
# What several of them have, if anything.
PROBE_TEST_COMMON := $(filter-out $(PROBE_TESTS),$(patsubst tests/probes/%.c,%,$(wildcard tests/probes/*.c)))
PROBE_TEST_COMMON := $(PROBE_TEST_COMMON:%=$(PROBES_O)/%.o)

$(PROBES_O)/%.o: tests/probes/%.c
	$(call say,CC,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -Ibpf -Iuser/include -Ikmod/uapi -c -o $@ $<

# Every probe: what one of them needs of another is opened before it.
PROBES_IN_ORDER := layout frames $(filter-out layout frames,$(PROBES))
$(PROBES_O)/list.h: bpf/rules.mk $(wildcard bpf/*.bpf.c)
	$(Q)mkdir -p $(@D)
	$(Q)printf 'PROBE(%s)\n' $(PROBES_IN_ORDER) >$@

$(PROBES_O)/probes.o: $(PROBES_O)/list.h $(BPF_O)/layout.skel.h
$(PROBES_O)/hooks_test.o: bpf/README.md
$(PROBES_O)/probes.o: ALL_CFLAGS += -I$(PROBES_O) -I$(BPF_O)

$(PROBE_TEST_PROGRAMS): $(PROBES_O)/%: $(PROBES_O)/%.o $(PROBE_TEST_COMMON) $(PROBE_OBJ) \
		$(LIBRARIES)
	$(call say,LD,$@)
	$(Q)$(CC) $(CFLAGS) -Wl,-z,relro,-z,now -Wl,-rpath,'$$ORIGIN/../../lib' -o $@ \
		$(filter %.o,$^) -L$(O)/lib -llethe $(PROBE_LIBS) -luring -pthread

PROBES_TAP := $(PROBE_TESTS:%=$(O)/tap/probes-%.tap)

ifneq ($(wildcard $(BTF)),)
$(PROBES_TAP): $(O)/tap/probes-%.tap: $(PROBES_O)/% .FORCE
	$(call say,TEST,probes/$*)
	$(Q)mkdir -p $(@D)
	$(Q)$< >$@ || grep -v '^ok' $@
else
$(PROBES_TAP): .FORCE
	$(call say,SKIP,$(@F:probes-%.tap=probes/%))
	$(Q)mkdir -p $(@D)
	$(Q)printf 'KTAP version 1\n1..0 # SKIP no %s to build a BPF program by\n' $(BTF) >$@
endif

.PHONY: test-probes-all
test-probes-all: $(PROBES_TAP)
	@tests/tally.py $^

-include $(wildcard $(PROBES_O)/*.d)
