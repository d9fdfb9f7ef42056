# SPDX-License-Identifier: MIT
#
# The manual: what its pages say of the library and how, and that what they show works.
#
#	manual-displays		what is taken from a page is what mandoc and groff print
#	manual-pages		all that there is has a page, and nothing else has
#	manual-device		likewise of the device, lethe(4), whose programs are built
#	manual-examples		each program in section 3 is built, in C and in C++
#	manual-BACKEND		and run on the fallbacks here; on the module by vm-manual

MANUAL_O := $(O)/tests/manual
# These run nothing, and guests wait for them.
MANUAL_BUILT := $(O)/tap/manual-device.tap $(O)/tap/manual-examples.tap
MANUAL_TAP := $(O)/tap/manual-displays.tap $(O)/tap/manual-pages.tap \
	$(MANUAL_BUILT) $(FALLBACKS:%=$(O)/tap/manual-%.tap)

# Without the links, which have one line each.
MAN_PAGES = $(shell grep -L '^\.so ' user/man/*.[1-9])

MANUAL_PY := tests/manual/mdoc.py tests/manual/header.py

$(O)/tap/manual-displays.tap: tests/manual/mdoc_test.py $(MANUAL_PY) .FORCE
	$(call say,TEST,manual: displays)
	$(Q)mkdir -p $(@D)
	$(Q)/usr/bin/python3 -B $< $(MAN_PAGES) >$@ || grep '^not ok\|^# ' $@ || true

$(O)/tap/manual-pages.tap: tests/manual/pages.py $(MANUAL_PY) .FORCE
	$(call say,TEST,manual: pages)
	$(Q)mkdir -p $(@D)
	$(Q)/usr/bin/python3 -B $< . >$@ || grep '^not ok\|^# ' $@ || true

# What these print is for the virtual machine to say.
$(O)/tap/manual-device.tap: tests/manual/device.py $(MANUAL_PY) .FORCE
	$(call say,TEST,manual: the device)
	$(Q)mkdir -p $(@D)
	$(Q)/usr/bin/python3 -B $< . $(MANUAL_O) >$@ || grep '^not ok\|^# ' $@ || true

# With what run.sh is to be given.
$(O)/tap/manual-examples.tap: tests/manual/examples.py $(MANUAL_PY) $(LIBRARIES) .FORCE
	$(call say,BUILD,manual: examples)
	$(Q)mkdir -p $(@D)
	$(Q)/usr/bin/python3 -B $< . $(O)/lib $(MANUAL_O) >$@ || grep '^not ok\|^# ' $@ || true

$(FALLBACKS:%=$(O)/tap/manual-%.tap): $(O)/tap/manual-%.tap: tests/manual/run.sh \
		$(O)/tap/manual-examples.tap .FORCE
	$(call say,TEST,manual: examples on $*)
	$(Q)LETHE_BACKEND=$* $< $$(cat $(MANUAL_O)/list) >$@ || grep '^not ok\|^# ' $@ || true

.PHONY: test-manual-all
test-manual-all: $(MANUAL_TAP)
	@tests/tally.py $^
include tests/manual/security.mk
include tests/manual/walk.mk
