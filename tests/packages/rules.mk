# SPDX-License-Identifier: MIT
#
# packages: the Debian packages; and what they leave of a machine that they were
# installed on, used on, and purged from.
#
# A clean machine takes minutes to make, and there are two: make test-packages and make
# test-secure-boot, not make test, are the verbs.
#
#	make deb RELEASE=trixie

RELEASE	?=

.PHONY: deb-files
deb-files:
	$(Q)O=$(O) python3 -B tests/packages/deb.py $(VERSION) $(RELEASE)

PACKAGE_RELEASES := bookworm trixie
PACKAGES_TAP := $(PACKAGE_RELEASES:%=$(O)/tap/packages-%.tap)

# Built by a make of its own, from a copy of the tree: it needs nothing of this one.
$(PACKAGES_TAP): $(O)/tap/packages-%.tap: .FORCE
	$(call say,TEST,packages of Debian $*)
	$(Q)mkdir -p $(@D) && rm -f $@
	$(Q)tests/ktap.sh '$*: the packages are built, and lintian has nothing to say' \
		env O=$(O) python3 -B tests/packages/deb.py $(VERSION) $* >$@.part || cat $@.part
	$(Q)O=$(O) python3 -B tests/packages/packages.py $* $(O)/deb/$* >>$@.part || \
		grep -B40 '^not ok' $@.part || true
	$(Q)mv $@.part $@

.PHONY: test-packages-all
test-packages-all: $(PACKAGES_TAP) $(UNITS_TAP)
	@tests/tally.py $^

# The same packages where the firmware asks for signatures.
SECURE_BOOT_TAP := $(PACKAGE_RELEASES:%=$(O)/tap/secure-boot-%.tap)
$(SECURE_BOOT_TAP): $(O)/tap/secure-boot-%.tap: .FORCE
	$(call say,TEST,Secure Boot on Debian $*)
	$(Q)mkdir -p $(@D)
	$(Q)O=$(O) python3 -B tests/packages/deb.py $(VERSION) $* >/dev/null
	$(Q)O=$(O) python3 -B tests/packages/secure_boot.py $* $(O)/deb/$* >$@ || \
		grep -B40 '^not ok' $@ || true

.PHONY: test-secure-boot-all
test-secure-boot-all: $(SECURE_BOOT_TAP)
	@tests/tally.py $^
