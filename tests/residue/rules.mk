# SPDX-License-Identifier: MIT
#
# residue: the searchers, the main job that they search, and their own tests.

RESIDUE_O := $(O)/tests/residue

# Each program's own objects; those of the searchers are shared.
SEARCH	:= search needle
ASK	:= ask where needle
residue-search-src := search_process secret_pages where needle no_kernel
ramsearch-src	:= search_ram $(SEARCH)
lethe-mainjob-src := mainjob report summary verdict run look frames peer self_search exchange \
		   transfer aes_schedule secret_pages search $(ASK)
search_test-src	:= search_test aes_schedule $(SEARCH)
process_test-src := process_test plants $(ASK)
tools_test-src	:= tools_test needle
ram_test-src	:= ram_test job ram frames needle
ending_test-src	:= ending_test ending needle
hibernate_test-src := hibernate_test ending job needle
COPIES	:= kernel_copies observed full_x86_64 needle
kernel_copies_test-src := kernel_copies_test $(COPIES)
undisturbed_test-src := undisturbed_test preempted $(COPIES)
kernel_rows_test-src := kernel_rows_test preempted $(COPIES)
core_test-src	:= core_test job full_x86_64 $(SEARCH)
oom_test-src	:= oom_test job ram frames needle
kcore_test-src	:= kcore_test ending $(SEARCH)
kernel_test-src	:= kernel_test target needle
wipe_test-src	:= wipe_test target $(ASK)
stale-src	:= stale needle

# What lethectl scan is made of, and nothing that loads BPF programs: make run has to do
# on machines that build none.
SCAN_OBJ := $(addprefix $(LIB_O)/lethectl/,$(addsuffix .o,$(addprefix scan_,secret forms cipher \
	table filter engine stop maps memory registers place symbol session report) \
	output terminal undo))

# From other rooms.
residue-search-obj := $(SCAN_OBJ)
HOSTLINK := $(O)/tests/vm/hostlink.o
lethe-mainjob-obj := $(HOSTLINK)
ram_test-obj	:= $(HOSTLINK) $(SELFTEST_REGISTERS)
ending_test-obj	:= $(HOSTLINK)
hibernate_test-obj := $(HOSTLINK) $(SELFTEST_REGISTERS) $(PROBE_OBJ)
# With the library's own objects: they call what no program can.
kernel_copies_test-obj := $(SELFTEST_REGISTERS) $(LIB_OBJ) $(PROBE_OBJ)
undisturbed_test-obj := $(kernel_copies_test-obj)
kernel_rows_test-obj := $(kernel_copies_test-obj)
core_test-obj	:= $(SELFTEST_REGISTERS)
oom_test-obj	:= $(HOSTLINK) $(SELFTEST_REGISTERS)
kernel_test-obj	:= $(HOSTLINK) $(SELFTEST_REGISTERS)
wipe_test-obj	:= $(kernel_test-obj)
stale-obj	:= $(SELFTEST_REGISTERS)

# -llethe-malloc before libcrypto: what it allocates in a section is secret too.
RESIDUE_LIBS := -L$(O)/lib -llethe-malloc -llethe
residue-search-libs := -L$(O)/lib -llethe -ljson-c
lethe-mainjob-libs := $(RESIDUE_LIBS) -lcrypto
ram_test-libs	:= -L$(O)/lib -llethe -pthread
core_test-libs	:= -L$(O)/lib -llethe
oom_test-libs	:= -L$(O)/lib -llethe
process_test-libs := -pthread
kernel_test-libs := -pthread
wipe_test-libs	:= -pthread
stale-libs	:= -pthread
hibernate_test-libs := -L$(O)/lib -llethe $(PROBE_LIBS)
kernel_copies_test-libs := $(PROBE_LIBS) -pthread
undisturbed_test-libs := $(kernel_copies_test-libs)
kernel_rows_test-libs := $(kernel_copies_test-libs)

RESIDUE_TOOLS := $(addprefix $(RESIDUE_O)/,residue-search ramsearch lethe-mainjob)
RESIDUE_TESTS := $(addprefix $(RESIDUE_O)/,search_test process_test tools_test core_test)
RESIDUE_VM_TESTS := $(addprefix $(RESIDUE_O)/,ram_test kernel_test wipe_test)
# On each backend, in the virtual machine.
RESIDUE_END_TESTS := $(addprefix $(RESIDUE_O)/,oom_test kcore_test)
ENDING_TEST := $(RESIDUE_O)/ending_test
STALE := $(RESIDUE_O)/stale
RESIDUE_PROGRAMS := $(RESIDUE_TOOLS) $(RESIDUE_TESTS) $(RESIDUE_VM_TESTS) \
	$(RESIDUE_END_TESTS) $(ENDING_TEST) \
	$(STALE)

# These ask the kernel: natively alone, and where it says what it is made of.
KERNEL_TESTS := kernel_copies_test undisturbed_test kernel_rows_test
KERNEL_PROGRAMS := $(KERNEL_TESTS:%=$(RESIDUE_O)/%)
# And this one, in the virtual machine.
HIBERNATE_TEST := $(RESIDUE_O)/hibernate_test

.PHONY: residue-programs
residue-programs: $(RESIDUE_PROGRAMS)

$(RESIDUE_O)/%.o: tests/residue/%.c
	$(call say,CC,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -Iuser/include -Ikmod/uapi $(LANG_CFLAGS) -c -o $@ $<

$(RESIDUE_O)/%.o: tests/residue/%.S
	$(call say,AS,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -c -o $@ $<

$(KERNEL_TESTS:%=$(RESIDUE_O)/%.o): LANG_CFLAGS := -Iuser/src
# It has marks as the library has.
$(RESIDUE_O)/peer.o: LANG_CFLAGS := -Iuser/src
$(HIBERNATE_TEST).o: LANG_CFLAGS := -Ibpf

$(RESIDUE_O)/search_process.o $(RESIDUE_O)/no_kernel.o: LANG_CFLAGS := -Iuser/lethectl

$(addprefix $(RESIDUE_O)/,lethe-mainjob residue-search ram_test core_test oom_test hibernate_test): $(LIBRARIES)

.SECONDEXPANSION:
$(RESIDUE_PROGRAMS) $(KERNEL_PROGRAMS) $(HIBERNATE_TEST): $(RESIDUE_O)/%: $$(addprefix $(RESIDUE_O)/,$$(addsuffix .o,$$($$*-src))) $$($$*-obj)
	$(call say,LD,$@)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -Wl,-z,relro,-z,now \
		-Wl,-rpath,'$$ORIGIN/../../lib' -o $@ $(filter %.o,$^) $($*-libs)

# They are run by it.
$(RESIDUE_O)/tools_test $(RESIDUE_O)/process_test $(RESIDUE_O)/wipe_test: | $(RESIDUE_TOOLS)

RESIDUE_TAP := $(RESIDUE_TESTS:$(RESIDUE_O)/%=$(O)/tap/residue-%.tap)
KERNEL_TAP := $(KERNEL_TESTS:%=$(O)/tap/residue-%.tap)
RESIDUE_TAP += $(if $(wildcard $(BTF)),$(KERNEL_TAP))

# What gives rows of the table on each fallback.
kernel_rows_test-on := $(FALLBACKS)
core_test-on := $(FALLBACKS)

# A suite that fails leaves its results, for the tally to say so.
$(RESIDUE_TAP): $(O)/tap/residue-%.tap: $(RESIDUE_O)/% .FORCE
	$(call say,TEST,residue/$*)
	$(Q)mkdir -p $(@D)
	$(Q){ $(foreach b,$($*-on),LETHE_BACKEND=$(b) $< &&) $(if $($*-on),true,$<); } >$@ || \
		grep -v '^ok' $@

ifeq ($(wildcard $(BTF)),)
RESIDUE_TAP += $(KERNEL_TAP)
$(KERNEL_TAP): .FORCE
	$(call say,SKIP,$(@F:residue-%.tap=residue/%))
	$(Q)mkdir -p $(@D)
	$(Q)printf 'KTAP version 1\n1..0 # SKIP no %s to build a BPF program by\n' $(BTF) >$@
endif

# The main job itself, on each fallback; and that it would notice.
MAINJOB_TAP := $(FALLBACKS:%=$(O)/tap/mainjob-%.tap)
RESIDUE_TAP += $(MAINJOB_TAP) $(O)/tap/mainjob-hollow.tap

$(MAINJOB_TAP): $(O)/tap/mainjob-%.tap: $(RESIDUE_TOOLS) .FORCE
	$(call say,TEST,the main job on $*)
	$(Q)mkdir -p $(@D)
	$(Q)LETHE_BACKEND=$* tests/ktap.sh 'the main job on $*' \
		$(RESIDUE_O)/lethe-mainjob README.md >$@ || cat $@

$(RESIDUE_O)/hollow.so: tests/residue/hollow.c
	$(call say,LD,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -Iuser/include -shared -fPIC -o $@ $<

$(O)/tap/mainjob-hollow.tap: $(RESIDUE_TOOLS) $(RESIDUE_O)/hollow.so .FORCE
	$(call say,TEST,the main job without protection)
	$(Q)mkdir -p $(@D)
	$(Q)tests/ktap.sh 'the main job finds what a hollow lethe_do() leaves' sh -c \
		'LD_PRELOAD=$(RESIDUE_O)/hollow.so $(RESIDUE_O)/lethe-mainjob README.md | \
		grep "FAIL.*copies left after.*private key"' >$@ || cat $@

include tests/residue/peers/rules.mk
include tests/residue/table/rules.mk

.PHONY: test-residue-all
test-residue-all: $(RESIDUE_TAP)

.PHONY: run-native
run-native: $(RESIDUE_TOOLS)
	$(Q)$(RESIDUE_O)/lethe-mainjob --anywhere '$(FILE)'

-include $(wildcard $(RESIDUE_O)/*.d)
