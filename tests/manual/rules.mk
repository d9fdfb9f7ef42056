# SPDX-License-Identifier: MIT
#
# The manual: what its pages say of the library and how, and that what they show works.

MANUAL_TAP := $(O)/tap/manual-displays.tap

MAN_PAGES := $(sort $(wildcard user/man/*.[1-9]))

$(O)/tap/manual-displays.tap: tests/manual/mdoc_test.py tests/manual/mdoc.py .FORCE
	$(call say,TEST,manual: displays)
	$(Q)mkdir -p $(@D)
	$(Q)/usr/bin/python3 -B $< $(MAN_PAGES) >$@ || grep '^not ok\|^# ' $@ || true
include tests/manual/security.mk
