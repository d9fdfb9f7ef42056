# SPDX-License-Identifier: MIT
#
# Every verb that a person types. How a room is built stands in its rules.mk.
#
#	make V=1		shows the commands
#	make KERNEL=6.1		which kernel the virtual machine boots
#	make run FILE=path	which file the main job sends

O	?= build
V	?= 0
FILE	?= README.md
KERNEL	?= 6.1

ifeq ($(V),1)
Q	:=
say	= @:
else
Q	:= @
say	= @printf '  %-7s %s\n' '$(1)' '$(2)'
endif

CC	?= cc
CFLAGS	?= -O2 -g
WARN	:= -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wwrite-strings
ALL_CFLAGS := -std=gnu11 $(WARN) -D_GNU_SOURCE $(CFLAGS) -MMD -MP
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

include user/rules.mk
include kmod/rules.mk
include tests/selftests/rules.mk
include tests/unit/rules.mk
include tests/residue/rules.mk
include tests/vm/rules.mk

# What is missing is installed, by name; nothing is when nothing is.
.PHONY: deps-run deps-test deps-vm deps-check
deps-run deps-test deps-vm deps-check: deps-%:
	@.ci/deps $*

.PHONY: lib
lib: $(LIBRARIES) ## liblethe and liblethe-malloc

.PHONY: clean
clean: ## Remove what was built; downloads stay
	$(Q)find $(O) -mindepth 1 -maxdepth 1 ! -name vm -exec rm -rf {} +
	$(Q)rm -rf $(O)/vm/run

.PHONY: distclean
distclean: ## Remove what was built or downloaded
	$(Q)rm -rf $(O)
