# SPDX-License-Identifier: MIT
#
# Criterion's: `unit` looks into the library's own files, `redirect` is a program
# that links liblethe-malloc as a user's would.

UNIT_O	:= $(O)/tests/unit
# Those that are programs of their own.
UNIT_OWN := redirect% walk aside static_use libs% example%
UNIT_SRC := $(filter-out $(UNIT_OWN:%=tests/unit/%.c),$(wildcard tests/unit/*.c))
UNIT_CFLAGS := -Iuser/include -Iuser/src -Ikmod/uapi -Itests/selftests

$(UNIT_O)/unit: $(UNIT_SRC) $(LIB_OBJ) $(SELFTEST_REGISTERS)
	$(call say,CC,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) $(UNIT_CFLAGS) -o $@ $(UNIT_SRC) $(LIB_OBJ) $(SELFTEST_REGISTERS) -lcriterion -lcrypto -pthread

$(UNIT_O)/redirect_new.o: tests/unit/redirect_new.cpp
	$(call say,CXX,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(CXX) $(ALL_CXXFLAGS) -fsized-deallocation -c -o $@ $<

$(UNIT_O)/redirect: $(wildcard tests/unit/redirect*.c) $(UNIT_O)/redirect_new.o $(LIBRARIES)
	$(call say,CC,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) $(UNIT_CFLAGS) -o $@ $(filter %.c %.o,$^) -L$(O)/lib \
		-llethe-malloc -llethe -Wl,-rpath,'$$ORIGIN/../../lib' -lcrypto -lcriterion \
		-lstdc++ -pthread

$(UNIT_O)/walk: tests/unit/walk.c $(O)/lib/liblethe.so
	$(call say,CC,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -O0 $(UNIT_CFLAGS) -o $@ $< -L$(O)/lib -llethe \
		-Wl,-rpath,'$$ORIGIN/../../lib' -pthread

include tests/unit/malloc.mk

UNIT_TAP := $(foreach b,$(FALLBACKS),$(O)/tap/unit-$(b).tap $(O)/tap/redirect-$(b).tap) \
	    $(O)/tap/walk.tap $(MALLOC_TAP)

# A suite that fails leaves its results, for the tally to say so.
$(O)/tap/unit-%.tap: $(UNIT_O)/unit .FORCE
	$(call say,TEST,unit on $*)
	$(Q)mkdir -p $(@D) && rm -f $@
	$(Q)LETHE_BACKEND=$* timeout 300 $< --jobs 2 --tap=$@ >$(@:.tap=.log) 2>&1 || cat $(@:.tap=.log)

$(O)/tap/redirect-%.tap: $(UNIT_O)/redirect .FORCE
	$(call say,TEST,redirect on $*)
	$(Q)mkdir -p $(@D) && rm -f $@
	$(Q)LETHE_BACKEND=$* timeout 300 $< --jobs 2 --tap=$@ >$(@:.tap=.log) 2>&1 || cat $(@:.tap=.log)

$(O)/tap/walk.tap: tests/unit/walk.sh $(UNIT_O)/walk .FORCE
	$(call say,TEST,gdb)
	$(Q)mkdir -p $(@D)
	$(Q)tests/unit/walk.sh $(UNIT_O)/walk >$@ || cat $@

-include $(wildcard $(UNIT_O)/*.d)
