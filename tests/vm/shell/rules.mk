# SPDX-License-Identifier: MIT
#
# make vm: a shell in the virtual machine, with everything in it.

# The shell's guest: Lethe as it is installed, the examples and the programs of the
# manual's pages built, the main job. FILE= brings one file more, a program say.
SHELL_TREE := $(O)/tests/vm/tree
SHELL_LIBDIR = /usr/lib$(MULTIARCH:%=/%)
SHELL_FILES := $(RESIDUE_O)/lethe-mainjob $(RESIDUE_O)/residue-search
SHELL_SOURCES := $(wildcard user/examples/*) $(sort $(wildcard user/man/*.3))

$(SHELL_TREE)/.made: $(INSTALL_NEEDS) $(LETHECTL) $(SHELL_SOURCES) tests/vm/shell/home.py \
		$(wildcard user/man/* user/completion/* user/include/*) kmod/uapi/linux/lethe.h
	$(Q)rm -rf $(@D)
	+$(Q)$(MAKE) --no-print-directory install-files O=$(O) DESTDIR=$(abspath $(@D)) \
		PREFIX=/usr LIBDIR=$(SHELL_LIBDIR)
	$(call say,HOME,$(@D))
	$(Q)python3 -B tests/vm/shell/home.py $(@D) $(SHELL_LIBDIR) $(SHELL_SOURCES)
	$(Q)touch $@

# The main job searches the guest's memory, which slub_debug has no part in.
.PHONY: vm-shell
vm-shell: $(SHELL_TREE)/.made $(SHELL_FILES) $(VM_NEEDS) $(call kmod-ko,$(ONE))
	$(Q)$(vm) shell --kernel $(ONE) --module $(call kmod-ko,$(ONE)) --mem 640 \
		--no-slub-debug --tree $(SHELL_TREE) --tree-libraries $(SHELL_LIBDIR) \
		$(SHELL_FILES:%=--file %) --own README.md \
		$(if $(filter file,$(origin FILE)),,--own '$(FILE)')

# A plain flavour's programs are its cloud flavour's.
SHELL_TAP := $(patsubst %,$(O)/tap/vm-shell-%.tap,$(filter-out %-plain,$(CHOSEN)))
$(foreach k,$(KERNELS),$(eval $(O)/tap/vm-shell-$(k).tap: $(call kmod-ko,$(k))))
$(SHELL_TAP): $(O)/tap/vm-shell-%.tap: $(SHELL_TREE)/.made $(SHELL_FILES) $(VM_NEEDS) .FORCE
	$(call say,BOOT,vm-shell on $*)
	$(Q)mkdir -p $(@D) && rm -f $@
	$(Q)python3 -B tests/vm/shell/shell_test.py --build $(O) --kernel $* \
		$(if $(filter $*,$(ONE)),--all) >$@ || grep -v '^ok' $@
