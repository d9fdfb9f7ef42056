# SPDX-License-Identifier: MIT
#
# install: what make install puts, and what an author makes of it.

INSTALL_TAP := $(O)/tap/install.tap $(O)/tap/install-use.tap $(O)/tap/abi.tap

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

$(O)/tap/abi.tap: tests/install/abi.sh $(LIBRARIES) $(RUN_LIBRARY) .FORCE
	$(call say,TEST,ABI)
	$(Q)mkdir -p $(@D)
	$(Q)$< $(MAKE) $(O) $(LIB_OBJ) >$@ || grep -A40 '^not ok' $@ || true

.PHONY: abi-all
abi-all: $(LIBRARIES) $(RUN_LIBRARY)
	$(call say,ABI,liblethe)
	$(Q)user/packaging/check_abi.sh user/src/liblethe.map user/include/lethe.h $(O)/lib $(LIB_OBJ)
	$(Q)user/packaging/since_tag.sh $(O)
