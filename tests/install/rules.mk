# SPDX-License-Identifier: MIT
#
# install: what make install puts, and what an author makes of it.

INSTALL_TAP := $(O)/tap/install.tap $(O)/tap/install-use.tap

# They call make themselves, on what is built by now.
INSTALL_BUILT = $(LIBRARIES) $(LETHECTL) $(INSTALL_O)/bin/lethectl \
	$(foreach l,$(INSTALL_LIBS),$(call install-lib,$(l)))

$(O)/tap/install.tap: tests/install/install.sh $(INSTALL_BUILT) .FORCE
	$(call say,TEST,install)
	$(Q)mkdir -p $(@D)
	$(Q)$< $(MAKE) $(O) >$@ || grep -A40 '^not ok' $@ || true

$(O)/tap/install-use.tap: tests/install/use.sh $(INSTALL_BUILT) .FORCE
	$(call say,TEST,programs with what is installed)
	$(Q)mkdir -p $(@D)
	$(Q)$< $(MAKE) $(O) >$@ || grep -A40 '^not ok' $@ || true
