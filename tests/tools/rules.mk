# SPDX-License-Identifier: MIT
#
# tools: the library and its tests under what else looks at a program, and by other
# compilers than the machine's own. Each is a tree of its own below $(O), made by a
# make of its own with WATCH set to its name: the second half of this file.
#
#	asan		gcc's ASan, LSan and UBSan
#	tsan		gcc's TSan
#	valgrind	memcheck, of the usual build
#	clang-14, -19	the oldest and the newest that Debian 12 has
#	hardened	gcc with all that distributions build with
#	trixie		Debian 13's gcc and libc, in a root below $(O)/vm

TOOLS	:= asan tsan valgrind clang-14 clang-19 hardened trixie
TOOL	?= all
WATCHED	:= $(if $(filter all,$(TOOL)),$(TOOLS),$(TOOL))
ifneq ($(filter-out $(TOOLS),$(WATCHED)),)
$(error no tool "$(TOOL)": there is all, or one of $(TOOLS))
endif
TOOLS_TAP := $(WATCHED:%=$(O)/tap/tools-%.tap)

usual	:= -O2 -g
asan-flags := -O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined \
	      -fno-sanitize-recover=all
tsan-flags := -O1 -g -fno-omit-frame-pointer -fsanitize=thread
hardened-flags := $(usual) -D_FORTIFY_SOURCE=3 -fstack-protector-strong \
		  -fstack-clash-protection -fcf-protection=full -ftrivial-auto-var-init=zero
clang-14-cc := CC=clang-14 CXX=clang++-14
clang-19-cc := CC=clang-19 CXX=clang++-19
trixie-run := tests/tools/trixie.py
# By name: `cc` is an alternative, chosen by a script of a package's.
trixie-cc := CC=gcc CXX=g++

$(TOOLS_TAP): $(O)/tap/tools-%.tap: .FORCE
	$(call say,TOOL,$*)
	$(Q)mkdir -p $(@D) $(O)/tools/$* && rm -rf $@ $(O)/tools/$*/tap
	+$(Q)tests/ktap.sh '$* builds it all, and the tests are run' $($*-run) \
		$(MAKE) --no-print-directory O=$(O)/tools/$* WATCH=$* $($*-cc) \
		'CFLAGS=$(or $($*-flags),$(usual))' watch >$@.part || \
		grep -v '^# *[A-Z]* ' $@.part
	$(Q)cat $@.part $(O)/tools/$*/tap/*.tap >$@ && rm $@.part

# What looks at the library as it is.
LOOKS_TAP := $(O)/tap/cet.tap $(O)/tap/perf.tap $(O)/tap/outside.tap
$(O)/tap/outside.tap: tests/tools/outside.sh $(O)/lib/liblethe-malloc.so .FORCE
	$(call say,TEST,malloc outside of sections)
	$(Q)mkdir -p $(@D)
	$(Q)$< $(CC) $(O)/lib/liblethe-malloc.so >$@ || cat $@

$(O)/tap/cet.tap: tests/tools/cet.sh $(LIBRARIES) .FORCE
	$(call say,TEST,marks of CET)
	$(Q)mkdir -p $(@D)
	$(Q)tests/tools/cet.sh $(CC) $(O)/lib $(LIB_OBJ) $(MALLOC_OBJ) $(MALLOC_STATIC) >$@ || cat $@

$(O)/tests/tools/hot: tests/tools/hot.c $(O)/lib/liblethe.so
	$(call say,CC,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -fno-omit-frame-pointer -Iuser/include -o $@ $< \
		-L$(O)/lib -llethe -Wl,-rpath,'$$ORIGIN/../../lib' -pthread

$(O)/tap/perf.tap: tests/tools/perf.sh $(O)/tests/tools/hot .FORCE
	$(call say,TEST,perf)
	$(Q)mkdir -p $(@D)
	$(Q)tests/tools/perf.sh $(O)/tests/tools/hot >$@ || cat $@

-include $(O)/tests/tools/hot.d

.PHONY: test-tools-all
test-tools-all: $(TOOLS_TAP) $(LOOKS_TAP)
	@tests/tally.py $^

ifdef WATCH

TOOL_O	:= $(O)/tests/tools

# A test reads dead stack and the frames of others, and writes to NULL for a SIGSEGV:
# that is what it is for. The library, and what a test has on the heap, are watched.
# TSan's calls would have a test keep its secret in registers, and then find it there;
# a test's own order that TSan does not see can only make it say more of the library.
asan-blind := --param asan-stack=0 -fno-sanitize=null,integer-divide-by-zero
tsan-blind := -fno-sanitize=thread
$(SELFTEST_O)/%.o: ALL_CFLAGS += $($(WATCH)-blind)
$(SELFTEST_O)/%.o: ALL_CXXFLAGS += $($(WATCH)-blind)
# But in what has no secret, and hands blocks of the heap from thread to thread.
tsan-sees := -fsanitize=thread
$(SELFTEST_O)/heap_model.o $(SELFTEST_O)/heap_overrun.o $(SELFTEST_O)/heap_full.o: \
	ALL_CFLAGS += $($(WATCH)-sees)

# A SIGSEGV that a test expects, or that kills it, is one: no report instead.
no-report := handle_segv=0:handle_sigbus=0:handle_abort=0:handle_sigfpe=0:handle_sigill=0
# A status of their own, for silent.sh: 1 is a test's that failed.
export ASAN_OPTIONS := $(no-report):use_sigaltstack=0:exitcode=99
export TSAN_OPTIONS := $(no-report)
export UBSAN_OPTIONS := print_stacktrace=1:handle_segv=0:exitcode=99

# memfd_secret is a system call that Valgrind does not know. A compiler changes
# nothing of what a backend does: one will do, in C the same on both.
COMPILERS := clang-14 clang-19 hardened trixie
WATCH_BACKENDS := $(FALLBACKS)
ifneq ($(filter $(COMPILERS),$(WATCH)),)
WATCH_BACKENDS := memfd_secret
endif
ifeq ($(WATCH),valgrind)
WATCH_BACKENDS := mlock
# One thread at a time, each some thirty times as slow: threads that are many or
# busy take minutes. Of a static program Valgrind sees no malloc(), and what is left
# is the code of the other. Whoever traces a program there has Valgrind's own calls.
# It has no SIGSYS, and fatal signals are the library's business only without it.
LIBRARY_SELFTESTS := $(filter-out fatal threads cancel forking section_calls heap_threads heap_twice %_static,$(LIBRARY_SELFTESTS))
endif
# What a test finds in dead stack is undefined, and all that it then says of it.
# Where a handler returns to what faulted, registers must be as they were there.
valgrind-under := valgrind -q --error-exitcode=99 --undef-value-errors=no \
	--vex-iropt-register-updates=allregs-at-mem-access \
	--suppressions=tests/tools/valgrind.supp
UNDER := $(if $(filter asan tsan valgrind,$(WATCH)), \
	tests/tools/silent.sh $(WATCH) $($(WATCH)-under))

# With the tools that find mistakes, that they do; with the compilers, all that
# is not about the machine. The unit tests are linked with the library's files and
# know what others do not, so ASan has them too; liblethe-malloc's are of a malloc()
# that is not there under it, and Criterion does not start under TSan.
asan-unit := $(FALLBACKS:%=$(O)/tap/unit-%.tap)
WATCH_TAP := $(WATCH_BACKENDS:%=$(O)/tap/selftests-%.tap) \
	$(if $(filter $(COMPILERS),$(WATCH)),$(foreach b,$(WATCH_BACKENDS),$(O)/tap/unit-$(b).tap $(O)/tap/redirect-$(b).tap) \
		$(if $(filter clang-14 trixie,$(WATCH)),$(O)/tap/libs-linked.tap $(O)/tap/aside.tap), \
		$(O)/tap/watch.tap $($(WATCH)-unit))

$(TOOL_O)/sections: tests/tools/sections.cpp $(O)/lib/liblethe.so
	$(call say,CXX,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(CXX) $(ALL_CXXFLAGS) $(LDFLAGS) -Iuser/include -Itests/selftests -o $@ $< \
		-L$(O)/lib -llethe -Wl,-rpath,'$$ORIGIN/../../lib' -pthread

$(TOOL_O)/mistakes: tests/tools/mistakes.c $(O)/lib/liblethe.so
	$(call say,CC,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) $(LDFLAGS) -Iuser/include -o $@ $< \
		-L$(O)/lib -llethe -Wl,-rpath,'$$ORIGIN/../../lib' -pthread

$(O)/tap/watch.tap: tests/tools/watch.sh $(TOOL_O)/sections $(TOOL_O)/mistakes .FORCE
	$(call say,TEST,$(WATCH) on sections and mistakes)
	$(Q)mkdir -p $(@D)
	$(Q)LETHE_BACKEND=mlock tests/tools/watch.sh $(WATCH) $(TOOL_O) >$@ || \
		grep -v '^ok' $@

.PHONY: watch
watch: $(WATCH_TAP)

-include $(wildcard $(TOOL_O)/*.d)

endif
