# SPDX-License-Identifier: MIT
#
# liblethe-malloc, as users have it: linked, preloaded, in a static program, beside
# other allocators; under libraries that know nothing of it. And what does without it.

MALLOC_TAP := $(O)/tap/libs-linked.tap $(O)/tap/libs-preloaded.tap $(O)/tap/aside.tap \
	$(foreach b,$(FALLBACKS),$(O)/tap/static-$(b).tap $(O)/tap/example-$(b).tap)

# Third-party libraries in sections, by both ways to have liblethe-malloc. Those that
# are not there are left out, and the tests say so; libcrypto and libssl always are.
LIBS_SRC := $(wildcard tests/unit/libs*.c)
libs-there = $(foreach l,sodium gcrypt gnutls ssh sqlite3,$(if $(filter-out lib$(l).so, \
	$(shell $(CC) -print-file-name=lib$(l).so)),$(l)))
libs-build = $(CC) $(ALL_CFLAGS) $(UNIT_CFLAGS) $(foreach l,$(libs-there),-DHAVE_$(l)) \
	-o $@ $(LIBS_SRC) -L$(O)/lib $(1) -llethe -Wl,-rpath,$(abspath $(O))/lib \
	-lssl -lcrypto $(libs-there:%=-l%) -lcriterion -pthread

$(UNIT_O)/libs: $(LIBS_SRC) $(LIBRARIES)
	$(call say,CC,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(call libs-build,-llethe-malloc)

$(UNIT_O)/libs_preloaded: $(LIBS_SRC) $(LIBRARIES)
	$(call say,CC,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(call libs-build)

# The first use of each is what most can go wrong with: each test is a process.
libs-run = timeout 300 $< --jobs 2 --tap=$@ >$(@:.tap=.log) 2>&1 || cat $(@:.tap=.log)

$(O)/tap/libs-linked.tap: $(UNIT_O)/libs .FORCE
	$(call say,TEST,libraries in sections: linked)
	$(Q)mkdir -p $(@D) && rm -f $@
	$(Q)LETHE_BACKEND=memfd_secret $(libs-run)

$(O)/tap/libs-preloaded.tap: $(UNIT_O)/libs_preloaded .FORCE
	$(call say,TEST,libraries in sections: preloaded)
	$(Q)mkdir -p $(@D) && rm -f $@
	$(Q)LD_PRELOAD=$(abspath $(O))/lib/liblethe-malloc.so LETHE_BACKEND=mlock $(libs-run)

# The examples are built as a user would, and held to what they say.
EXAMPLE_OPENSSL := $(UNIT_O)/openssl_section $(UNIT_O)/example_openssl
$(UNIT_O)/openssl_section: user/examples/openssl_section.c
$(UNIT_O)/example_openssl: tests/unit/example_openssl.c tests/residue/aes_schedule.c
$(EXAMPLE_OPENSSL): user/examples/openssl_memory.c user/examples/openssl_memory.h $(LIBRARIES)
	$(call say,CC,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -Iuser/include -o $@ $(filter %.c,$^) -L$(O)/lib -llethe \
		-Wl,-rpath,'$$ORIGIN/../../lib' -lcrypto

$(O)/tap/example-%.tap: $(EXAMPLE_OPENSSL) .FORCE
	$(call say,TEST,examples on $*)
	$(Q)mkdir -p $(@D)
	$(Q)LETHE_BACKEND=$* tests/ktap.sh 'the example seals in a section' \
		timeout 60 $(UNIT_O)/openssl_section >$@ || cat $@
	$(Q)LETHE_BACKEND=$* timeout 60 $(UNIT_O)/example_openssl >>$@ || \
		{ tests/selftests/status.sh example_openssl $$? >>$@; cat $@; }

# As a user's static program is linked. The linker would warn of what libcrypto and
# libc do not do in one.
$(UNIT_O)/static_use: tests/unit/static_use.c $(LIBRARIES)
	$(call say,CC,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) $(UNIT_CFLAGS) -static -o $@ $< -L$(O)/lib -Wl,--no-warnings \
		-Wl,@$(MALLOC_WRAP) -llethe-malloc -llethe -lcrypto -pthread

$(O)/tap/static-%.tap: $(UNIT_O)/static_use .FORCE
	$(call say,TEST,static on $*)
	$(Q)mkdir -p $(@D)
	$(Q)LETHE_BACKEND=$* timeout 60 $< >$@ || \
		{ tests/selftests/status.sh $(<F) $$? >>$@; cat $@; }

# A program and what may serve its malloc(): liblethe-malloc by each way, sanitizers.
ASIDE	:= aside aside_plain aside_fixed aside_fixed_plain aside_late aside_address aside_thread aside_leak
ASIDE_CLANG := $(firstword $(filter clang%,$(CC)) $(shell command -v clang-14 clang-19))
ASIDE	+= $(if $(ASIDE_CLANG),aside_memory)
ASIDE_JEMALLOC := $(wildcard /usr/lib/x86_64-linux-gnu/libjemalloc.so.2)
ASIDE	+= $(if $(ASIDE_JEMALLOC),aside_jemalloc)
ASIDE_PROGRAMS := $(ASIDE:%=$(UNIT_O)/%)

aside-malloc := -llethe-malloc
$(UNIT_O)/aside $(UNIT_O)/aside_jemalloc: private ASIDE_LIBS := $(aside-malloc)
$(UNIT_O)/aside_fixed: private ASIDE_LIBS := -DFIXED -fno-pie -fno-pic -no-pie -fplt $(aside-malloc)
$(UNIT_O)/aside_fixed_plain: private ASIDE_LIBS := -DFIXED -fno-pie -fno-pic -no-pie -fplt
$(UNIT_O)/aside_late: private ASIDE_LIBS := -DLATE='"$(abspath $(O))/lib/liblethe-malloc.so"'
$(foreach s,address thread leak memory,$(eval \
	$(UNIT_O)/aside_$(s): private ASIDE_LIBS := -fsanitize=$(s) $(aside-malloc)))
$(UNIT_O)/aside_memory: private ASIDE_CC := $(ASIDE_CLANG)
$(UNIT_O)/aside_jemalloc: private ASIDE_LIBS := $(ASIDE_JEMALLOC) $(aside-malloc)

# By its path: $ORIGIN is nothing to a program with more rights than its user.
$(ASIDE_PROGRAMS): tests/unit/aside.c $(LIBRARIES)
	$(call say,CC,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(or $(ASIDE_CC),$(CC)) $(ALL_CFLAGS) $(UNIT_CFLAGS) -o $@ $< -L$(O)/lib \
		$(ASIDE_LIBS) -llethe -Wl,-rpath,$(abspath $(O))/lib -pthread

$(O)/tap/aside.tap: tests/unit/aside.sh $(ASIDE_PROGRAMS) .FORCE
	$(call say,TEST,beside other allocators)
	$(Q)mkdir -p $(@D)
	$(Q)tests/unit/aside.sh $(UNIT_O) $(O)/lib >$@ || grep -v '^ok' $@
