# SPDX-License-Identifier: MIT
#
# The newcomer's walk: README.md and lethe.7 typed on clean machines (walk.py).
#
#	walk-format	what is typed is what is shown, and what is not is red
#	walk-RELEASE	the walk, on a clean Debian 12 and 13: make walk, not make test, for it
#			is a whole machine, with all that apt brings to it, twice

WALK_RELEASES := bookworm trixie
WALKED_TAP := $(WALK_RELEASES:%=$(O)/tap/walk-%.tap)
WALK_TAP := $(O)/tap/walk-format.tap
WALK_PY := $(wildcard tests/manual/walk*.py tests/packages/*.py) tests/manual/mdoc.py

$(O)/tap/walk-format.tap: tests/manual/walk_test.py $(WALK_PY) tests/manual/walk_sample.md .FORCE
	$(call say,TEST,the format of the walk)
	$(Q)mkdir -p $(@D)
	$(Q)/usr/bin/python3 -B $< >$@ || grep '^not ok\|^# ' $@ || true

# Typed is what git has of the tree: what is not committed is not in it.
$(WALKED_TAP): $(O)/tap/walk-%.tap: $(WALK_PY) .FORCE
	$(call say,WALK,$*)
	$(Q)mkdir -p $(@D) && rm -f $@
	$(Q)O=$(O) /usr/bin/python3 -B tests/manual/walk.py $* $(WALK_DOCUMENTS) >$@ || \
		grep '^not ok\|^# ' $@ || true

WALK_DOCUMENTS ?= README.md user/man/lethe.7

.PHONY: walk-all
walk-all: $(WALK_TAP) $(WALKED_TAP)
	@tests/tally.py $^
