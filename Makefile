# SPDX-License-Identifier: MIT
#
# Every verb that a person types. How a room is built stands in its rules.mk.
#
#	make V=1		shows the commands
#	make TOOL=asan		under which tool
#	make KERNEL=6.1		on which kernel; all is every one, where that can be
#	make run FILE=path	which file the main job sends

O	?= build
V	?= 0
FILE	?= README.md
KERNEL	?= all

ifeq ($(V),1)
Q	:=
say	= @:
else
Q	:= @
say	= @printf '  %-7s %s\n' '$(1)' '$(2)'
endif

# Every kernel that is supported: the table is the harness's. What can do with one
# alone takes the first.
KERNELS	:= $(shell awk -F\' '/^    .[0-9]/ { print $$2 }' tests/vm/kernel.py)
CHOSEN	:= $(if $(filter all,$(KERNEL)),$(KERNELS),$(KERNEL))
ONE	:= $(firstword $(CHOSEN))
ifneq ($(filter-out $(KERNELS),$(CHOSEN)),)
$(error no kernel "$(KERNEL)": there is all, or one of $(KERNELS))
endif

# One source for it: the header that programs see.
VERSION	:= $(shell awk '/define LETHE_VERSION_(MAJOR|MINOR|PATCH)/ { printf "%s%s", dot, $$3; dot = "." }' \
	user/include/lethe.h)

CC	?= cc
CFLAGS	?= -O2 -g
WARN	:= -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wwrite-strings
ALL_CFLAGS := -std=gnu11 $(WARN) -D_GNU_SOURCE $(CFLAGS) -MMD -MP
ALL_CXXFLAGS := -std=c++17 -Wall -Wextra -Werror -Wshadow $(CFLAGS) -MMD -MP
export CC

.DELETE_ON_ERROR:
.SUFFIXES:

.PHONY: help
help: ## Show this
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' \
		$(MAKEFILE_LIST)

# A test's results are made anew each time.
.PHONY: .FORCE
.FORCE:

# The fallbacks that every machine has; the module is for the virtual one.
FALLBACKS := memfd_secret mlock

.DEFAULT_GOAL := help

include bpf/rules.mk
include user/rules.mk
include user/install.mk
include tests/vm/rules.mk
include kmod/rules.mk
include tests/selftests/rules.mk
include tests/unit/rules.mk
include tests/residue/rules.mk
include tests/probes/rules.mk
include tests/bench/rules.mk
include tests/programs/rules.mk
include tests/tools/rules.mk
include tests/cpp/rules.mk
include tests/examples/rules.mk
include tests/install/rules.mk
include tests/manual/rules.mk
include tests/packages/rules.mk
include tests/rules.mk

# What is missing is installed, by name; nothing is when nothing is.
.PHONY: deps-run deps-test deps-vm deps-check deps-bench deps-programs deps-report-looks deps-install deps-abi deps-deb deps-secure-boot
deps-run deps-test deps-vm deps-check deps-bench deps-programs deps-report-looks deps-install deps-abi deps-deb deps-secure-boot: deps-%:
	@.ci/deps $*

# Each verb below installs what it needs, and then is its own make: with -j,
# nothing may be built before it is there.
again = @+$(MAKE) --no-print-directory
# On this machine and in guests at once, see in-turn. Whoever is in the background or below
# nohup(1) has signals ignored, which tests send to what they try.
abreast = @+env --default-signal $(MAKE) --no-print-directory \
	$(if $(filter -j%,$(MAKEFLAGS)),,-j2)

.PHONY: run
run: deps-run ## The main job: a key exchange, plainly and with Lethe, and a search
	$(again) run-native

.PHONY: run-vm
run-vm: deps-vm ## The main job in the virtual machine, on the module
	$(again) run-guest

.PHONY: test
test: deps-test ## Everything that can fail: unit tests, selftests, the virtual machine
	$(abreast) test-all

# The suites, in the order in which a failure is cheapest to find. Each leaves its
# results in $(O)/tap, and the tally reads them all.
SUITES := $(UNIT_TAP) $(SELFTEST_TABLE) $(SELFTEST_ALONE) $(SELFTEST_TAP) $(RESIDUE_TAP) \
	  $(PROBES_TAP) $(LETHECTL_TAP) $(PROGRAMS_TAP) $(CPP_TAP) $(EXAMPLES_TAP) $(MANUAL_TAP) \
	  $(INSTALL_TAP) $(TOOLS_TAP) $(LOOKS_TAP) $(BENCH_TAP) $(VM_TAP) $(WALK_TAP) \
	  $(README_TAP) $(SECURITY_TAP)

.PHONY: test-all
test-all: $(SUITES)
	@tests/tally.py $^

# Whatever -j says, one after the other on this machine, and beside it one guest after the
# other: some suites ask what is in all of the machine's memory, or who has a secret page.
# A guest is a machine of its own; but its tree is made by make install, which some suites
# call too. For make to turn to the next of either, neither may be free of order: it looks
# again at what could not begin only when it has begun all that can. Guests of the newest
# kernel, and of plain ones, come after what is this machine's: so both take about as long.
NEWEST	:= $(lastword $(filter-out %-plain,$(KERNELS)))
GUESTS_BESIDE := $(filter-out $(if $(filter-out $(NEWEST),$(CHOSEN)),%-$(NEWEST).tap %-plain.tap), \
	$(VM_TAP))
in-turn = $(foreach p,$(join $(addsuffix :|,$(wordlist 2,999,$(1))), \
	$(wordlist 1,$(words $(wordlist 2,999,$(1))),$(1))),$(eval $(p)))
turns-test-all = $(SHELL_TREE)/.made $(SUITES)
turns-residue-all = $(RECORD_TAP)
turns-watch = $(WATCH_TAP)
$(foreach g,$(MAKECMDGOALS), \
	$(call in-turn,$(filter-out $(GUESTS_BESIDE) $(MANUAL_BUILT),$(turns-$(g)))) \
	$(call in-turn,$(filter $(GUESTS_BESIDE),$(turns-$(g)))))

.PHONY: test-unit
test-unit: deps-test ## The unit tests alone
	$(again) test-unit-all

.PHONY: test-unit-all
test-unit-all: $(UNIT_TAP)
	@tests/tally.py $^

.PHONY: test-probes
test-probes: deps-test ## The probes alone, natively
	$(again) test-probes-all

.PHONY: test-tools
test-tools: deps-test ## The library under sanitizers, Valgrind, other compilers (TOOL=)
	$(again) test-tools-all

.PHONY: test-vm
test-vm: deps-vm ## What runs in the virtual machine alone (KERNEL=)
	$(abreast) test-vm-all

.PHONY: test-vm-all
test-vm-all: $(VM_TAP)
	@tests/tally.py $^

.PHONY: residue
residue: deps-test ## The residue table: each row on each backend, here and in the virtual machine
	$(abreast) residue-all

.PHONY: residue-peers
residue-peers: deps-test ## Where other ways to protect a secret leave residue
	$(again) residue-peers-all

.PHONY: programs
programs: deps-programs ## What real programs leave, plainly and under lethectl run
	$(again) programs-all

.PHONY: residue-tables
residue-tables: deps-test ## Both of these, measured and written into tests/residue/README.md
	$(again) residue-tables-all

.PHONY: report-looks
report-looks: deps-report-looks ## The page of lethectl verify in Chromium (PICTURES=directory)
	$(again) report-looks-all

.PHONY: bench
bench: deps-bench ## What sections cost beside Go's runtime/secret; and bench-heap
	$(again) bench-all

.PHONY: bench-heap
bench-heap: deps-bench ## What the secret heap costs beside others (SECONDS= of replay)
	$(again) bench-heap-all

.PHONY: bench-probes
bench-probes: deps-bench ## What the swap probe costs swap-out, on zram and on a swap file
	$(again) bench-probes-all

.PHONY: bench-scan
bench-scan: deps-bench ## How fast lethectl scan searches, beside grep -F
	$(again) bench-scan-all

.PHONY: bench-traces
bench-traces: deps-bench ## Record the handshakes anew that bench-heap replays
	$(again) bench-traces-all

.PHONY: bench-vm
bench-vm: deps-vm ## What regions cost beside memfd_secret, in the virtual machine
	$(again) bench-vm-all

.PHONY: vm
vm: deps-vm ## A shell in the virtual machine, with everything in it (FILE= one of yours)
	$(again) vm-shell

.PHONY: walk
walk: deps-test ## README.md and lethe(7), typed word for word on a clean Debian 12 and 13
	$(again) walk-all

.PHONY: lib
lib: $(LIBRARIES) $(LETHECTL) ## liblethe, liblethe-malloc and lethectl

# With a DESTDIR it is for a package, whose own business is what its build needs.
.PHONY: install uninstall install-module uninstall-module
install: $(if $(DESTDIR),,deps-install) ## Libraries, headers, lethectl, manual (PREFIX= LIBDIR= DESTDIR=)
	$(again) install-files

uninstall: uninstall-files ## Remove what install put, with the same PREFIX= and so on

install-module: install-module-files ## The module's source for DKMS, its options, its udev rule

uninstall-module: uninstall-module-files ## Remove these

.PHONY: deb
deb: deps-deb ## Debian packages, of this machine's release or of another (RELEASE=)
	$(again) deb-files

.PHONY: test-packages
test-packages: deps-test ## These on clean machines of Debian 12 and 13: install, use, purge
	$(again) test-packages-all

.PHONY: test-secure-boot
test-secure-boot: deps-secure-boot ## These with Secure Boot on: the module's key enrolled, a kernel locked down
	$(again) test-secure-boot-all

.PHONY: abi
abi: deps-abi ## What the libraries export, and what changed of it since the last tag
	$(again) abi-all

.PHONY: check
check: deps-check ## Format, sparse, W=1, checkpatch --strict, shellcheck
	$(again) check-all

.PHONY: clean
clean: ## Remove what was built; downloads stay
	$(Q)find $(O) -mindepth 1 -maxdepth 1 ! -name vm -exec rm -rf {} +
	$(Q)rm -rf $(O)/vm/run

.PHONY: distclean
distclean: ## Remove what was built or downloaded
	$(Q)rm -rf $(O)

# In git: what is built, or a checkout of something else, is not ours to judge.
SOURCES = $(shell git ls-files -co --exclude-standard $(1))

.PHONY: check-all
check-all: check-kmod check-bpf
	$(call say,FORMAT,user tests bpf)
	$(Q)clang-format --dry-run -Werror \
		$(call SOURCES,'user/*.[ch]' 'user/*.hpp' 'tests/*.[ch]' 'tests/*.[ch]pp' 'bpf/*.[ch]')
	$(call say,SHELL,.ci tests)
	$(Q)shellcheck .ci/deps .ci/run user/completion/lethectl kmod/packaging/lethe-mok \
		$(call SOURCES,'*.sh') tests/vm/init tests/vm/shell/man tests/vm/shell/bashrc
	$(call say,PYTHON,tests)
	$(Q)pylint --errors-only --disable=no-member,too-many-function-args --score=n \
		--init-hook='import sys; sys.path[:0] = "$(sort $(dir $(call SOURCES,'*.py')))".split()' \
		$(call SOURCES,'*.py')
	$(call say,MAN,user/man)
	$(Q)! mandoc -T lint $(MAN_PAGES) 2>/dev/null | grep -v 'referenced manual not found'
	$(call say,SPELL,.)
	$(Q)codespell -L nd,fo --skip LICENSES $(call SOURCES,'*')
