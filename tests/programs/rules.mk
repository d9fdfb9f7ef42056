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
