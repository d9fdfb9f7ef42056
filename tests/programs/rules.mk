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

LETHECTL_TAP := $(O)/tap/lethectl.tap \
	$(addprefix $(O)/tap/lethectl-,machine.tap holders.tap undo.tap filter.tap output.tap completion.tap \
	status.tap verdict.tap check.tap) $(addprefix $(O)/tap/watch-,rules.tap ends.tap real.tap)
$(O)/tap/lethectl.tap: tests/programs/lethectl.sh $(LETHECTL) $(ORDINARY) .FORCE
	$(call say,TEST,lethectl run)
	$(Q)mkdir -p $(@D)
	$(Q)$< $(LETHECTL) $(PROGRAMS_O) >$@ || true; grep '^not ok\|^# ' $@ || true

# The parts of lethectl that are tested by themselves: all that is no verb.
CTL_PARTS := $(filter-out %/main.o %/program.o %/run.o %/status.o %/watch.o %/check.o \
	%/scan.o $(LIB_O)/lethectl/verify%,$(CTL_OBJ))
CTL_TESTS := $(addprefix $(PROGRAMS_O)/,machine_test holders_test undo_test filter_test verdict_test)

$(CTL_TESTS): $(PROGRAMS_O)/%: tests/programs/%.c $(CTL_PARTS) $(PROBE_OBJ) $(O)/lib/liblethe.so
	$(call say,CC,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -Iuser/lethectl -Iuser/include -Ikmod/uapi -Ibpf \
		-Wl,-rpath,'$$ORIGIN/../../lib' -o $@ $< $(CTL_PARTS) $(PROBE_OBJ) \
		-L$(O)/lib -llethe $(PROBE_LIBS) -ljson-c -pthread

$(CTL_TESTS:$(PROGRAMS_O)/%_test=$(O)/tap/lethectl-%.tap): $(O)/tap/lethectl-%.tap: \
		$(PROGRAMS_O)/%_test .FORCE
	$(call say,TEST,lethectl: $*)
	$(Q)mkdir -p $(@D)
	$(Q)$< >$@ || grep -v '^ok' $@ || true

# For the virtual machine too, where there is the module.
STATUS_GUEST := $(PROGRAMS_O)/status_guest

$(STATUS_GUEST): tests/programs/status_guest.c
	$(call say,CC,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -Ikmod/uapi -o $@ $< -ljson-c

$(O)/tap/lethectl-status.tap: $(STATUS_GUEST) $(LETHECTL) .FORCE
	$(call say,TEST,lethectl status)
	$(Q)mkdir -p $(@D)
	$(Q)$< $(LETHECTL) >$@ || grep -v '^ok' $@ || true

# In the virtual machine it is vm-check.
$(O)/tap/lethectl-check.tap: tests/programs/check_test.py $(LETHECTL) .FORCE
	$(call say,TEST,lethectl check)
	$(Q)mkdir -p $(@D)
	$(Q)/usr/bin/python3 -B $< $(LETHECTL) >$@ || grep '^not ok\|^# ' $@ || true

$(O)/tap/lethectl-output.tap: tests/programs/lethectl_output.py $(LETHECTL) .FORCE
	$(call say,TEST,lethectl: output)
	$(Q)mkdir -p $(@D)
	$(Q)/usr/bin/python3 -B $< $(LETHECTL) >$@ || grep -v '^ok' $@ || true

$(O)/tap/lethectl-completion.tap: tests/programs/completion.sh user/completion/lethectl $(LETHECTL) .FORCE
	$(call say,TEST,lethectl: completion)
	$(Q)mkdir -p $(@D)
	$(Q)$< $(LETHECTL) user/completion/lethectl >$@ || grep -v '^ok' $@ || true

# lethectl scan: all that is planted is found; and what else is done to it and by it.
SCAN_TARGETS := $(addprefix $(PROGRAMS_O)/,scan_target scan_subject scan_kept)
# Bound at once: a function that is bound when it is called leaves registers on the stack.
$(SCAN_TARGETS): $(PROGRAMS_O)/%: tests/programs/%.c
	$(call say,CC,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -Ikmod/uapi -Wl,-z,now -o $@ $< -pthread

# In the virtual machine there is no Python: what is to be planted there is written here.
SCAN_GUEST := $(PROGRAMS_O)/scan_guest
SCAN_GUEST_SEEDS := $(PROGRAMS_O)/scan_guest.seeds
$(SCAN_GUEST): tests/programs/scan_guest.c
	$(call say,CC,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -o $@ $< -ljson-c
$(SCAN_GUEST_SEEDS): tests/programs/scan_seeds.py tests/programs/scan_forms.py .FORCE
	$(Q)mkdir -p $(@D)
	$(Q)/usr/bin/python3 -B $< $(LETHECTL) $(PROGRAMS_O) $@

SCAN_SLOWLY := $(PROGRAMS_O)/scan_slowly.so
$(SCAN_SLOWLY): tests/programs/scan_slowly.c
	$(call say,CC,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -fPIC -shared -o $@ $<

SCAN_TAP := $(addprefix $(O)/tap/,scan_seeds.tap scan_test.tap scan_kernel.tap scan_memory.tap)
$(SCAN_TAP): $(O)/tap/%.tap: tests/programs/%.py tests/programs/scanning.py $(LETHECTL) $(SCAN_TARGETS) \
		$(SCAN_SLOWLY) .FORCE
	$(call say,TEST,lethectl scan: $*)
	$(Q)mkdir -p $(@D)
	$(Q)/usr/bin/python3 -B $< $(LETHECTL) $(PROGRAMS_O) >$@ || grep '^not ok\|^# ' $@ || true
LETHECTL_TAP += $(SCAN_TAP)

.PHONY: test-scan-all
test-scan-all: $(SCAN_TAP)
	@tests/tally.py $^

# lethectl verify: what it finds where, and what it is to the program, which is nothing.
VERIFY_SUBJECTS := $(addprefix $(PROGRAMS_O)/,verify_subject verify_subject_static)
VERIFY_SUBJECT_SRC := $(addprefix tests/programs/,verify_subject.c verify_subject_threads.c)
$(VERIFY_SUBJECTS): $(VERIFY_SUBJECT_SRC) tests/programs/verify_subject.h

$(PROGRAMS_O)/verify_subject: $(O)/lib/liblethe.so
	$(call say,CC,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(filter-out -MMD -MP,$(ALL_CFLAGS)) -Iuser/include -Wl,-z,now \
		-Wl,-rpath,'$$ORIGIN/../../lib' -o $@ $(filter %.c,$^) -L$(O)/lib -llethe -pthread

$(PROGRAMS_O)/verify_subject_static: $(O)/lib/liblethe.a
	$(call say,CC,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(filter-out -MMD -MP,$(ALL_CFLAGS)) -Iuser/include -static -o $@ \
		$(filter %.c,$^) $(O)/lib/liblethe.a -pthread

VERIFY_TAP := $(addprefix $(O)/tap/,verify_test.tap verify_program.tap)
$(VERIFY_TAP): $(O)/tap/%.tap: tests/programs/%.py tests/programs/verifying.py $(LETHECTL) \
		$(VERIFY_SUBJECTS) $(RESIDUE_O)/lethe-mainjob .FORCE
	$(call say,TEST,lethectl verify: $*)
	$(Q)mkdir -p $(@D)
	$(Q)/usr/bin/python3 -B $< $(LETHECTL) $(O) >$@ || grep '^not ok\|^# ' $@ || true
LETHECTL_TAP += $(VERIFY_TAP)

.PHONY: test-verify-all
test-verify-all: $(VERIFY_TAP)
	@tests/tally.py $^

# The page of lethectl verify: as text here; in a browser, which is too large for every
# run of the tests, by a verb of its own. PICTURES= is where they are put.
REPORT_PY := $(addprefix tests/programs/,report_samples.py browser.py)
REPORT_TAP := $(O)/tap/report-test.tap
REPORT_LOOKS_TAP := $(O)/tap/report-looks.tap
$(REPORT_TAP): tests/programs/report_test.py $(REPORT_PY) $(REPORT) .FORCE
	$(call say,TEST,lethectl verify: its page)
	$(Q)mkdir -p $(@D)
	$(Q)/usr/bin/python3 -B $< $(REPORT) >$@ || grep '^not ok\|^# ' $@ || true
LETHECTL_TAP += $(REPORT_TAP)

$(REPORT_LOOKS_TAP): tests/programs/report_looks.py $(REPORT_PY) $(REPORT) .FORCE
	$(call say,TEST,lethectl verify: its page in a browser)
	$(Q)mkdir -p $(@D)
	$(Q)/usr/bin/python3 -B $< $(REPORT) $(PICTURES) >$@ || grep '^not ok\|^# ' $@ || true

.PHONY: report-looks-all
report-looks-all: $(REPORT_LOOKS_TAP)
	@tests/tally.py $^

# Debian's Python, for which Debian has packaged what the service uses. mlock is the
# control of what is unmapped: there root can read secret pages, and finds the secrets.
# The table in tests/residue/README.md is of memfd_secret.
TO_EXIT := $(PROGRAMS_O)/to_exit
$(TO_EXIT): tests/programs/to_exit.c
	$(call say,CC,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -o $@ $<

TO_EXIT_TAP := $(O)/tap/to_exit.tap
$(TO_EXIT_TAP): tests/programs/to_exit_test.py $(LETHECTL) $(TO_EXIT) .FORCE
	$(call say,TEST,to_exit)
	$(Q)mkdir -p $(@D)
	$(Q)/usr/bin/python3 -B $< $(LETHECTL) $(TO_EXIT) >$@ || grep '^not ok\|^# ' $@ || true

RESIDUE_README := tests/residue/README.md
PROGRAMS_TAP := $(FALLBACKS:%=$(O)/tap/programs-%.tap)
$(O)/tap/programs-memfd_secret.tap: PROGRAMS_CHECK := --check $(RESIDUE_README)
$(PROGRAMS_TAP): $(O)/tap/programs-%.tap: tests/programs/programs.py $(LETHECTL) $(TO_EXIT) \
		$(RESIDUE_README) .FORCE
	$(call say,TEST,real programs on $*)
	$(Q)mkdir -p $(@D)
	$(Q)LETHE_BACKEND=$* /usr/bin/python3 -B $< $(O) $(O)/programs-$*.tsv \
		$(PROGRAMS_CHECK) >$@ || grep '^not ok\|^# ' $@ || true

PROGRAMS_TAP += $(TO_EXIT_TAP)

programs-table = $(Q)LETHE_BACKEND=memfd_secret /usr/bin/python3 -B tests/programs/programs.py \
	$(O) $(O)/programs.tsv $(1) >$(O)/programs.log || \
	{ grep '^not ok\|^\# ' $(O)/programs.log; false; }

.PHONY: programs-all
programs-all: $(LETHECTL) $(TO_EXIT)
	$(call programs-table)
	@awk -F '\t' -f tests/bench/table.awk $(O)/programs.tsv

# Both tables, as they are measured now, into the documents that have them.
.PHONY: residue-tables-all
residue-tables-all: $(PEERS_NEED) peers-go-fetch $(LETHECTL) $(TO_EXIT)
	$(call say,SEARCH,what peers leave)
	$(peers-table) --write $(RESIDUE_README) README.md >$(O)/peers.log
	$(call say,SEARCH,what real programs leave)
	$(call programs-table,--write $(RESIDUE_README))
	$(Q)O=$(O) python3 -B tests/residue/measured_on.py $(RESIDUE_README)
	$(call say,WROTE,$(RESIDUE_README) README.md)

# lethectl with the probes' double in their place.
DOUBLE_O := $(addprefix $(PROGRAMS_O)/,double.o double_probes.o)
DOUBLED := frames frames_look frames_module layout swap access leaving
DOUBLE_CTL := $(PROGRAMS_O)/lethectl-double
$(DOUBLE_O): $(PROGRAMS_O)/%.o: tests/programs/%.c
	$(call say,CC,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -Ibpf -c -o $@ $<

$(DOUBLE_CTL): $(DOUBLE_O) $(CTL_OBJ) $(PROBE_OBJ) $(O)/lib/liblethe.so
	$(call say,LD,$@)
	$(Q)$(CC) $(CFLAGS) -Wl,-rpath,'$$ORIGIN/../../lib' -o $@ $(DOUBLE_O) $(CTL_OBJ) \
		$(filter-out $(DOUBLED:%=$(BPF_O)/%.o),$(PROBE_OBJ)) -L$(O)/lib -llethe \
		$(PROBE_LIBS) -ljson-c -pthread

# What it makes of what a probe tells, and how it ends.
WATCH_PY := $(addprefix tests/programs/,watching.py double.py metrics.py)
$(O)/tap/watch-rules.tap: tests/programs/watch_rules.py $(WATCH_PY) $(DOUBLE_CTL) .FORCE
	$(call say,TEST,lethectl watch: rules)
	$(Q)mkdir -p $(@D)
	$(Q)/usr/bin/python3 -B $< $(DOUBLE_CTL) \
		"$$(O=$(O) /usr/bin/python3 -B tests/programs/promtool.py)" >$@ || \
		grep '^not ok\|^# ' $@ || true

$(O)/tap/watch-ends.tap: tests/programs/watch_ends.py $(WATCH_PY) $(DOUBLE_CTL) .FORCE
	$(call say,TEST,lethectl watch: ends)
	$(Q)mkdir -p $(@D)
	$(Q)/usr/bin/python3 -B $< $(DOUBLE_CTL) >$@ || grep '^not ok\|^# ' $@ || true

# And with the probes themselves, on a program that has a secret page.
WATCH_TARGET := $(PROGRAMS_O)/watched
$(WATCH_TARGET): tests/programs/watched.c $(O)/lib/liblethe.so
	$(call say,CC,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -fno-omit-frame-pointer -Iuser/include \
		-Wl,-rpath,'$$ORIGIN/../../lib' -o $@ $< -L$(O)/lib -llethe -pthread

$(O)/tap/watch-real.tap: tests/programs/watch_real.py $(WATCH_PY) $(LETHECTL) $(WATCH_TARGET) .FORCE
	$(call say,TEST,lethectl watch)
	$(Q)mkdir -p $(@D)
	$(Q)/usr/bin/python3 -B $< $(LETHECTL) $(WATCH_TARGET) $(O) >$@ || grep '^not ok\|^# ' $@ || true

-include $(wildcard $(PROGRAMS_O)/*.d)
