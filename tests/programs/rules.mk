# SPDX-License-Identifier: MIT
#
# programs: real ones of Debian's under `lethectl run`, and lethectl itself.

PROGRAMS_O := $(O)/tests/programs
ORDINARY := $(addprefix $(PROGRAMS_O)/,ordinary ordinary_static ordinary_own ordinary_other)
$(PROGRAMS_O)/ordinary_static: private ORDINARY_FLAGS := -static
$(PROGRAMS_O)/ordinary_other: private ORDINARY_FLAGS := -Wl,--dynamic-linker,/lib/ld-other.so.1
$(PROGRAMS_O)/ordinary_own: private ORDINARY_FLAGS := -DOWN_MALLOC -rdynamic -fno-builtin \
	-Wno-missing-prototypes

$(ORDINARY): tests/programs/ordinary.c
	$(call say,CC,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) $(ORDINARY_FLAGS) -o $@ $< -pthread

LETHECTL_TAP := $(O)/tap/lethectl.tap
$(LETHECTL_TAP): tests/programs/lethectl.sh $(LETHECTL) $(ORDINARY) .FORCE
	$(call say,TEST,lethectl run)
	$(Q)mkdir -p $(@D)
	$(Q)$< $(LETHECTL) $(PROGRAMS_O) >$@ || true; grep '^not ok\|^# ' $@ || true

# lethectl scan: all that is planted is found; and what else is done to it and by it.
SCAN_TARGETS := $(addprefix $(PROGRAMS_O)/,scan_target scan_subject)
# Bound at once: a function that is bound when it is called leaves registers on the stack.
$(SCAN_TARGETS): $(PROGRAMS_O)/%: tests/programs/%.c
	$(call say,CC,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -Wl,-z,now -o $@ $< -pthread

SCAN_TAP := $(addprefix $(O)/tap/,scan_seeds.tap scan_test.tap)
$(SCAN_TAP): $(O)/tap/%.tap: tests/programs/%.py $(LETHECTL) $(SCAN_TARGETS) .FORCE
	$(call say,TEST,lethectl scan: $*)
	$(Q)mkdir -p $(@D)
	$(Q)/usr/bin/python3 -B $< $(LETHECTL) $(PROGRAMS_O) >$@ || grep '^not ok\|^# ' $@ || true
LETHECTL_TAP += $(SCAN_TAP)

.PHONY: test-scan-all
test-scan-all: $(SCAN_TAP)
	@tests/tally.py $^

# Debian's Python, for which Debian has packaged what the service uses. mlock is the
# control of what is unmapped: there root can read secret pages, and finds the secrets.
PROGRAMS_TAP := $(FALLBACKS:%=$(O)/tap/programs-%.tap)
$(PROGRAMS_TAP): $(O)/tap/programs-%.tap: tests/programs/programs.py $(LETHECTL) \
		$(RESIDUE_O)/residue-search .FORCE
	$(call say,TEST,real programs on $*)
	$(Q)mkdir -p $(@D)
	$(Q)LETHE_BACKEND=$* /usr/bin/python3 -B $< $(O) $(O)/programs-$*.tsv >$@ || \
		grep '^not ok\|^# ' $@ || true

.PHONY: programs-all
programs-all: $(LETHECTL) $(RESIDUE_O)/residue-search
	$(Q)/usr/bin/python3 -B tests/programs/programs.py $(O) $(O)/programs.tsv >$(O)/programs.log || \
		grep '^not ok\|^# ' $(O)/programs.log
	@awk -F '\t' -f tests/bench/table.awk $(O)/programs.tsv

-include $(wildcard $(PROGRAMS_O)/*.d)
