# SPDX-License-Identifier: MIT
#
# cpp: lethe.hpp, as the compilers and the standards have it. A build is each program of
# CPP_PROGRAMS by one of them, run on each fallback; that of g++-17 also on the module, in
# the virtual machine.
#
#	g++-17, -20		the machine's own compiler
#	clang-14, clang-19	the oldest and the newest that Debian 12 has
#	libc++			another library, and the newest standard
#	asan			gcc's ASan and UBSan
#	without			neither exceptions nor RTTI: a program of its own
#
# Besides, what does not compile, the residue, and the programs in lethe.hpp(3).

CPP_O	:= $(O)/tests/cpp
CPP_PROGRAMS := run heap buffer
CPP_BUILDS := g++-17 g++-20 clang-14 clang-19 libc++ asan without
without-programs := without

g++-17-cxx := g++ -std=c++17
g++-20-cxx := g++ -std=c++20
clang-14-cxx := clang++-14 -std=c++17
clang-19-cxx := clang++-19 -std=c++20
libc++-cxx := clang++-19 -std=c++23 -stdlib=libc++
asan-cxx := g++ -std=c++17 -O1 -fsanitize=address,undefined -fno-sanitize-recover=all
without-cxx := g++ -std=c++17 -fno-exceptions -fno-rtti

CPP_FLAGS := -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Werror -g -O2 -MMD -MP \
	     -Iuser/include -Itests/selftests
cpp-of	= $(addprefix $(CPP_O)/$(1)/,$(or $($(1)-programs),$(CPP_PROGRAMS)))

define cpp-build
$$(call cpp-of,$(1)): $$(CPP_O)/$(1)/%: tests/cpp/%.cpp $$(O)/lib/liblethe.so
	$$(call say,CXX,$$@)
	$$(Q)mkdir -p $$(@D)
	$$(Q)$$(firstword $$($(1)-cxx)) $$(CPP_FLAGS) $$(wordlist 2,9,$$($(1)-cxx)) -o $$@ $$< \
		-L$$(O)/lib -llethe -Wl,-rpath,'$$$$ORIGIN/../../../lib'

$$(O)/tap/cpp-$(1).tap: $$(call cpp-of,$(1)) .FORCE
	$$(call say,TEST,lethe.hpp by $(1))
	$$(Q)mkdir -p $$(@D)
	$$(Q)for backend in $$(FALLBACKS); do for program in $$(call cpp-of,$(1)); do \
		LETHE_BACKEND=$$$$backend $$$$program; status=$$$$?; [ $$$$status -le 1 ] || \
		printf 'KTAP version 1\n1..1\nnot ok 1 - %s on %s ends with %d\n' \
			$$$$program $$$$backend $$$$status; done; done >$$@; \
		grep '^not ok\|^# [^T]' $$@ || true
endef
# Not what a test's own failure is: a program that ends with another status has failed.
$(O)/tap/cpp-asan.tap: export ASAN_OPTIONS := exitcode=99
$(O)/tap/cpp-asan.tap: export UBSAN_OPTIONS := exitcode=99
$(foreach b,$(CPP_BUILDS),$(eval $(call cpp-build,$(b))))

# For the virtual machine: tests/rules.mk.
CPP_GUEST := $(call cpp-of,g++-17)

# Bound at once: a function that is bound when it is called leaves registers on the stack.
CPP_RESIDUE := $(CPP_O)/residue
$(CPP_RESIDUE): tests/cpp/residue.cpp $(O)/lib/liblethe.so
	$(call say,CXX,$@)
	$(Q)mkdir -p $(@D)
	$(Q)g++ -std=c++17 $(CPP_FLAGS) -Wl,-z,now -o $@ $< -L$(O)/lib -llethe \
		-Wl,-rpath,'$$ORIGIN/../../lib'

$(O)/tap/cpp-residue.tap: tests/cpp/residue.py tests/residue/searcher.py $(CPP_RESIDUE) \
		$(LETHECTL) $(O)/lib/liblethe-malloc.so .FORCE
	$(call say,TEST,residue of lethe.hpp)
	$(Q)mkdir -p $(@D)
	$(Q)/usr/bin/python3 -B $< $(LETHECTL) $(CPP_RESIDUE) \
		$(abspath $(O)/lib/liblethe-malloc.so) >$@ || grep '^not ok\|^# ' $@ || true

$(O)/tap/cpp-misuse.tap: tests/cpp/misuse.py $(wildcard user/include/*) .FORCE
	$(call say,TEST,misuse of lethe.hpp)
	$(Q)mkdir -p $(@D)
	$(Q)/usr/bin/python3 -B $< user/include g++ clang++-14 clang++-19 >$@ || \
		grep '^not ok\|^# ' $@ || true

$(O)/tap/cpp-manual.tap: tests/cpp/manual.py tests/manual/mdoc.py user/man/lethe.hpp.3 $(LIBRARIES) .FORCE
	$(call say,TEST,programs in lethe.hpp(3))
	$(Q)mkdir -p $(@D)
	$(Q)/usr/bin/python3 -B $< user/man/lethe.hpp.3 . $(O)/lib $(CPP_O)/manual \
		'g++ -std=c++17' 'clang++-19 -std=c++20' >$@ || grep '^not ok\|^# ' $@ || true

CPP_TAP := $(CPP_BUILDS:%=$(O)/tap/cpp-%.tap) \
	$(addprefix $(O)/tap/cpp-,misuse.tap residue.tap manual.tap)

.PHONY: test-cpp-all
test-cpp-all: $(CPP_TAP)
	@tests/tally.py $^

-include $(wildcard $(CPP_O)/*.d $(CPP_O)/*/*.d)
