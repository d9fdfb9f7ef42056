# SPDX-License-Identifier: MIT
#
# install: what make install puts, and what an author makes of it; what the libraries
# export; the module by DKMS on each kernel, and signed.

INSTALL_TAP := $(addprefix $(O)/tap/,install.tap install-use.tap abi.tap denied.tap)
INSTALL_TEST_O := $(O)/tests/install

# They call make themselves, on what is built by now.
$(O)/tap/install.tap: tests/install/install.sh $(INSTALL_NEEDS) $(LETHECTL) .FORCE
	$(call say,TEST,install)
	$(Q)mkdir -p $(@D)
	$(Q)$< $(MAKE) $(O) >$@ || grep -A40 '^not ok' $@ || true

$(O)/tap/install-use.tap: tests/install/use.sh $(INSTALL_NEEDS) $(LETHECTL) .FORCE
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

# Static, for guests too.
$(addprefix $(INSTALL_TEST_O)/,use signalled): $(INSTALL_TEST_O)/%: tests/install/%.c $(O)/lib/liblethe.a
	$(call say,CC,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -DHEAP -Iuser/include -static -o $@ $< $(O)/lib/liblethe.a

$(INSTALL_TEST_O)/denied: tests/install/denied.c
	$(call say,CC,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -o $@ $<

$(O)/tap/denied.tap: tests/install/denied.sh $(addprefix $(INSTALL_TEST_O)/,denied use signalled) .FORCE
	$(call say,TEST,system calls that are denied)
	$(Q)mkdir -p $(@D)
	$(Q)$< $(INSTALL_TEST_O) >$@ || grep -A40 '^not ok' $@ || true

# The module. DKMS is the Debian's that a kernel is of.
DKMS_KERNELS := $(filter-out %-plain,$(CHOSEN))
DKMS_PY	:= $(addprefix tests/install/,kmod_root.py dkms.py signing.py)
$(DKMS_KERNELS:%=$(O)/tap/dkms-%.tap): $(O)/tap/dkms-%.tap: $(DKMS_PY) $(INSTALL_TEST_O)/use \
		$(VM_NEEDS) .FORCE
	$(call say,TEST,DKMS on $*)
	$(Q)mkdir -p $(@D)
	$(Q)O=$(O) python3 -B tests/install/dkms.py $(MAKE) $* $(INSTALL_TEST_O)/use >$@ || \
		grep '^not ok\|^# ' $@ || true

# A kernel's demand for signatures is the same on all.
SIGNED_ON := $(firstword $(DKMS_KERNELS))
$(O)/tap/signing.tap: $(O)/tap/dkms-$(SIGNED_ON).tap $(call kmod-ko,$(SIGNED_ON)) $(DKMS_PY) .FORCE
	$(call say,TEST,signed modules)
	$(Q)O=$(O) python3 -B tests/install/signing.py $(SIGNED_ON) $(call kmod-ko,$(SIGNED_ON)) \
		$(INSTALL_TEST_O)/$(SIGNED_ON) >$@ || grep '^not ok\|^# ' $@ || true

# Debian 12's own kernel is the first of the table, and of Debian 13's the newest is in it.
UNITS_ON_bookworm := $(filter $(firstword $(KERNELS)),$(DKMS_KERNELS))
UNITS_ON_trixie := $(filter $(lastword $(filter-out %-plain,$(KERNELS))),$(DKMS_KERNELS))

# On a clean machine, so with those of make test-packages.
UNITS_TAP := $(foreach r,bookworm trixie,$(if $(UNITS_ON_$(r)),$(O)/tap/units-$(r).tap))
$(foreach r,bookworm trixie,$(eval $(O)/tap/units-$(r).tap: $(O)/tap/dkms-$(UNITS_ON_$(r)).tap))
$(UNITS_TAP): $(O)/tap/units-%.tap: tests/install/units.py $(wildcard tests/packages/*.py) \
		$(INSTALL_TEST_O)/use .FORCE
	$(call say,TEST,units of systemd on Debian $*)
	$(Q)O=$(O) python3 -B tests/install/units.py $(MAKE) $(INSTALL_TEST_O)/use $* \
		$(INSTALL_TEST_O)/$(UNITS_ON_$*) >$@ || grep '^not ok\|^# ' $@ || true

INSTALL_TAP += $(DKMS_KERNELS:%=$(O)/tap/dkms-%.tap) $(if $(SIGNED_ON),$(O)/tap/signing.tap)

-include $(addprefix $(INSTALL_TEST_O)/,use.d signalled.d denied.d)
