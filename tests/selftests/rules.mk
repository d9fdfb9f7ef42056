# SPDX-License-Identifier: MIT
#
# selftests: one program a subject, each a KTAP document. Those of the device
# stand alone (libc and one header); those of the library are linked with it.

SELFTEST_O := $(O)/tests/selftests
include tests/selftests/programs.mk
LIBRARY_SELFTESTS := section signal_section limits exception revoked
# Ways in and out of a section.
LIBRARY_SELFTESTS += nesting jump threads thread_create cancel ending \
	context forking inherit inherit_limits stack_size overflow fatal options report trim warning binding
# What a signal does to one.
SIGNAL_SELFTESTS := signal_inject signal_residue signal_context signal_stacks \
	signal_mark signal_malloc signal_ways signal_trace
LIBRARY_SELFTESTS += $(SIGNAL_SELFTESTS)
# Dead stacks; and what a section asks the kernel for.
LIBRARY_SELFTESTS += wipe_stack section_calls
# The secret heap.
LIBRARY_SELFTESTS += scoped heap_threads heap_twice heap_overflow heap_model heap_overrun heap_full
# Guarded buffers.
LIBRARY_SELFTESTS += buffer
# What others get of a process in a section, which is the same under any tool.
ifndef WATCH
LIBRARY_SELFTESTS += attacks
endif
# Not linked with liblethe.so, but loading it.
LIBRARY_SELFTESTS += loaded
# With a longjmp() that checks where it goes.
LIBRARY_SELFTESTS += jump_fortified
# gcc has no static sanitizer.
ifeq ($(filter asan tsan,$(WATCH)),)
LIBRARY_SELFTESTS += section_static jump_static threads_static cancel_static \
	forking_static inherit_static inherit_limits_static
endif
# Takes ten seconds: once natively, and once in the virtual machine.
SELFTEST_STORM := $(SELFTEST_O)/signal_storm
# The device again, by io_uring: with liburing, which a kernel tree has not.
URING_SELFTESTS := uring uring_whose uring_ends
SELFTESTS := $(addprefix $(SELFTEST_O)/,$(DEVICE_SELFTESTS) $(URING_SELFTESTS) \
	$(LIBRARY_SELFTESTS)) \
	$(SELFTEST_STORM)

.PHONY: selftests
selftests: $(SELFTESTS)

$(SELFTEST_O)/%.o: tests/selftests/%.c
	$(call say,CC,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -Ikmod/uapi -Iuser/include -c -o $@ $<

$(SELFTEST_O)/%.o: tests/selftests/%.cpp
	$(call say,CXX,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(CXX) $(ALL_CXXFLAGS) -Iuser/include -c -o $@ $<

$(SELFTEST_O)/%.o: tests/selftests/%.S
	$(call say,AS,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -c -o $@ $<

$(addprefix $(SELFTEST_O)/,$(DEVICE_SELFTESTS)): $(SELFTEST_O)/%: $(SELFTEST_O)/%.o
	$(call say,LD,$@)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ -pthread

$(addprefix $(SELFTEST_O)/,$(URING_SELFTESTS)): $(SELFTEST_O)/%: $(SELFTEST_O)/%.o
	$(call say,LD,$@)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ -luring -pthread

# How a register is filled and looked at belongs to several of these.
SELFTEST_REGISTERS := $(addprefix $(SELFTEST_O)/,registers.o registers_x86_64.o)

$(addprefix $(SELFTEST_O)/,$(SIGNAL_SELFTESTS)) $(SELFTEST_STORM): \
		$(SELFTEST_O)/signals_x86_64.o
$(SELFTEST_O)/attacks: $(SELFTEST_O)/attacked.o
# The same with a longjmp() that checks where it goes.
$(SELFTEST_O)/jump_fortified.o: tests/selftests/jump.c
	$(call say,CC,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -O2 -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3 -Iuser/include \
		-c -o $@ $<

# Bound as late as can be, and known by its own name.
$(SELFTEST_O)/late.o: ALL_CFLAGS += -fPIC
$(SELFTEST_O)/liblate.so: $(SELFTEST_O)/late.o
	$(call say,LD,$@)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -shared -Wl,-soname,$(@F) -o $@ $<
$(SELFTEST_O)/binding: $(SELFTEST_O)/liblate.so
$(SELFTEST_O)/binding: private SELFTEST_LIBS := -Wl,-z,lazy,-rpath,'$$ORIGIN' $(SELFTEST_O)/liblate.so

$(SELFTEST_O)/signal_malloc: $(O)/lib/liblethe-malloc.so
$(SELFTEST_O)/signal_malloc: private SELFTEST_LIBS := -llethe-malloc

# What a secret left where, and a test in a process of its own, likewise.
SELFTEST_HELPERS := $(SELFTEST_REGISTERS) $(addprefix $(SELFTEST_O)/,left.o child.o)

# What a program is that is linked in another way.
SELFTEST_STATIC := $(addprefix $(SELFTEST_O)/,$(filter %_static,$(LIBRARY_SELFTESTS)))
SELFTEST_LINKED := $(addprefix $(SELFTEST_O)/,$(filter-out %_static loaded,$(LIBRARY_SELFTESTS)))

$(SELFTEST_STATIC): $(SELFTEST_O)/%_static: \
		$(SELFTEST_O)/%.o $(SELFTEST_HELPERS) $(O)/lib/liblethe.a
	$(call say,LD,$@)
	$(Q)$(CXX) $(CFLAGS) $(LDFLAGS) -static -o $@ $^ -pthread

# Its path is for whoever calls dlopen(), a sanitizer too.
$(SELFTEST_O)/loaded: $(SELFTEST_O)/loaded.o $(O)/lib/liblethe.so
	$(call say,LD,$@)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -Wl,--disable-new-dtags,-rpath,'$$ORIGIN/../../lib' \
		-o $@ $< -ldl -pthread

$(SELFTEST_LINKED) $(SELFTEST_STORM): $(SELFTEST_O)/%: \
		$(SELFTEST_O)/%.o $(SELFTEST_HELPERS) $(O)/lib/liblethe.so
	$(call say,LD,$@)
	$(Q)$(CXX) $(CFLAGS) $(LDFLAGS) -Wl,-rpath,'$$ORIGIN/../../lib' -rdynamic \
		-Wl,--as-needed \
		-o $@ $(filter %.o,$^) -L$(O)/lib -llethe -pthread $(SELFTEST_LIBS)

# The tables that kmod/README.md carries are those that the programs hold true.
SELFTEST_TABLE := $(O)/tap/selftests-table.tap
$(SELFTEST_TABLE): $(addprefix $(SELFTEST_O)/,$(ROWS) $(WHO)) .FORCE
	$(call say,TEST,tables of system calls)
	$(Q)mkdir -p $(@D)
	$(Q){ tests/selftests/table.sh kmod/README.md $(ROWS_HEAD) $(ROWS:%=$(SELFTEST_O)/%); \
		tests/selftests/table.sh kmod/README.md $(WHO_HEAD) $(WHO:%=$(SELFTEST_O)/%); \
		} >$@; grep '^not ok\|^#' $@ || true

# Each program stands alone, and in a kernel tree: that of Debian's source package,
# as much of it as the selftests are.
KERNEL_TREE := $(O)/selftests/linux
SELFTEST_ALONE := $(O)/tap/selftests-alone.tap
$(KERNEL_TREE)/tools/testing/selftests/lib.mk:
	$(call say,TAR,$(KERNEL_TREE))
	$(Q)mkdir -p $(KERNEL_TREE)
	$(Q)tar -xJf $(lastword $(sort $(wildcard /usr/src/linux-source-*.tar.xz))) \
		-C $(KERNEL_TREE) --strip-components=1 --wildcards \
		'linux-source-*/tools/testing/selftests/Makefile' \
		'linux-source-*/tools/testing/selftests/*.mk' \
		'linux-source-*/tools/testing/selftests/*.h' \
		'linux-source-*/tools/testing/selftests/kselftest/*' \
		'linux-source-*/tools/scripts/*' 'linux-source-*/scripts/subarch.include'

$(SELFTEST_ALONE): tests/selftests/alone.sh \
		$(KERNEL_TREE)/tools/testing/selftests/lib.mk .FORCE
	$(call say,TEST,selftests in a kernel tree)
	$(Q)mkdir -p $(@D)
	$(Q)tests/selftests/alone.sh $(KERNEL_TREE) $(O)/selftests >$@ || grep -v '^ok' $@

# Natively, on each fallback; on the module in the virtual machine. UNDER is what
# runs the program, if anything does.
SELFTEST_SECONDS := 120
SELFTEST_TAP := $(FALLBACKS:%=$(O)/tap/selftests-%.tap)
$(SELFTEST_TAP): $(O)/tap/selftests-%.tap: \
		$(addprefix $(SELFTEST_O)/,$(LIBRARY_SELFTESTS)) .FORCE
	$(call say,TEST,selftests on $*)
	$(Q)mkdir -p $(@D) && rm -f $@
	$(Q)for test in $(LIBRARY_SELFTESTS); do \
		LETHE_BACKEND=$* timeout -k 9 $(SELFTEST_SECONDS) $(UNDER) \
			$(SELFTEST_O)/$$test >>$@ || \
			tests/selftests/status.sh $$test $$? >>$@; \
	done

SELFTEST_STORM_TAP := $(O)/tap/selftests-storm.tap
SELFTEST_TAP += $(SELFTEST_STORM_TAP)
$(SELFTEST_STORM_TAP): $(SELFTEST_STORM) .FORCE
	$(call say,TEST,sections under two timers)
	$(Q)mkdir -p $(@D) && rm -f $@
	$(Q)timeout -k 9 $(SELFTEST_SECONDS) $(UNDER) $< >$@ || \
		tests/selftests/status.sh $(<F) $$? >>$@

-include $(wildcard $(SELFTEST_O)/*.d)
