# SPDX-License-Identifier: MIT
#
# SECURITY.md: that each test that it names was in this run, and passed. So it comes
# after all others; and that it would notice is tested by itself.

SECURITY_PY := tests/manual/security.py
SECURITY_RUN := $(O)/tap/security.tap
SECURITY_TAP := $(O)/tap/security-gate.tap $(SECURITY_RUN)

# Those of the virtual machine, which have results for each kernel.
comma := ,
SECURITY_VM = $(VM_SUITES) $(addprefix vm-,$(VM_ENDINGS) bochs avx512)
words-of = $(subst $() ,$(comma),$(strip $(1)))

$(O)/tap/security-gate.tap: tests/manual/security_test.py $(SECURITY_PY) .FORCE
	$(call say,TEST,what SECURITY.md says: the test of it)
	$(Q)mkdir -p $(@D)
	$(Q)/usr/bin/python3 -B $< >$@ || grep '^not ok\|^# ' $@ || true

# What all of it is, is known only when all is read.
.SECONDEXPANSION:
$(SECURITY_RUN): $$(filter-out $$(SECURITY_TAP),$$(SUITES)) $(SECURITY_PY) SECURITY.md .FORCE
	$(call say,TEST,what SECURITY.md says)
	$(Q)mkdir -p $(@D)
	$(Q)/usr/bin/python3 -B $(SECURITY_PY) SECURITY.md --kernels=$(call words-of,$(KERNELS)) \
		--vm=$(call words-of,$(SECURITY_VM)) $(if $(filter all,$(KERNEL)),,--some) \
		-- $(filter %.tap,$^) >$@ || grep '^not ok\|^# ' $@ || true

.PHONY: test-security-all
test-security-all: $(SECURITY_TAP)
	@tests/tally.py $^
