# SPDX-License-Identifier: MIT
#
# kmod: lethe.ko, for each kernel that was chosen. The kernel's own make builds
# it, in a root of the Debian that the kernel is for, from links in $(O), so that
# nothing of what it leaves behind lands among the sources.
#
#	make kmod KERNEL=6.1		for one alone
#
# A kernel that is installed is built for without any of this, here or by DKMS:
#	make -C /lib/modules/$(uname -r)/build M=$PWD modules

kmod-dir = $(O)/kmod/$(1)
kmod-ko = $(call kmod-dir,$(1))/lethe.ko
kernel-stamp = $(O)/vm/kernels/$(1)/release
KMOD_KOS := $(foreach k,$(CHOSEN),$(call kmod-ko,$(k)))
KMOD_FILES := Kbuild $(patsubst kmod/%,%,$(wildcard kmod/*.[ch] \
	kmod/uapi/linux/*.h))
kmod-make = +$(Q)$(vm) make --kernel $(1) -- $(if $(filter 1,$(V)),V=1,-s) \
	M=$(abspath $(2)) W=1

.PHONY: kmod check-kmod
kmod: $(KMOD_KOS) ## lethe.ko, for each kernel that is supported (KERNEL=)

# Written by $(vm) alone, and only when the kernel is another: then all that was
# built for it is built again.
$(foreach k,$(KERNELS),$(call kernel-stamp,$(k))): $(O)/vm/kernels/%/release: .FORCE
	$(Q)$(vm) fetch --kernel $* >/dev/null

define kmod-rules
$$(addprefix $$(call kmod-dir,$(1))/,$$(KMOD_FILES)): $$(call kmod-dir,$(1))/%: kmod/%
	$$(Q)mkdir -p $$(@D)
	$$(Q)ln -sfn $$(abspath $$<) $$@

$$(call kmod-ko,$(1)): $$(addprefix $$(call kmod-dir,$(1))/,$$(KMOD_FILES)) \
		$$(call kernel-stamp,$(1))
	$$(call say,KBUILD,$$@)
	$$(call kmod-make,$(1),$$(@D)) modules
	$$(Q)touch $$@

# W=1 is part of every build. Sparse looks at all files again, so it has a
# folder of its own; what it finds in ours is an error. The kernel's make knows
# where sparse does not fit (7.3's headers have words that Debian's sparse has not).
.PHONY: sparse-$(1)
sparse-$(1): $$(call kmod-ko,$(1))
	$$(call say,SPARSE,kmod for $(1))
	$$(Q)rm -rf $(O)/kmod/sparse/$(1) && mkdir -p $(O)/kmod/sparse && \
		cp -rL $$(call kmod-dir,$(1)) $(O)/kmod/sparse/$(1)
	$$(call kmod-make,$(1),$(O)/kmod/sparse/$(1)) C=2 modules \
		>$(O)/kmod/sparse/$(1).log 2>&1 || { cat $(O)/kmod/sparse/$(1).log; exit 1; }
	@! grep -q 'sparse is not available' $(O)/kmod/sparse/$(1).log || \
		echo '          not done: the headers of $(1) are past this sparse'
	@! grep -E '^(|.*/)[a-z_]+\.[ch]:.*(warning|error)' $(O)/kmod/sparse/$(1).log
endef
$(foreach k,$(KERNELS),$(eval $(call kmod-rules,$(k))))

# Debian has checkpatch nowhere but inside the kernel's source package.
CHECKPATCH ?= $(O)/kmod/scripts/checkpatch.pl
$(O)/kmod/scripts/checkpatch.pl:
	$(call say,TAR,$@)
	$(Q)mkdir -p $(O)/kmod
	$(Q)tar -xJf $(lastword $(sort $(wildcard /usr/src/linux-source-*.tar.xz))) \
		-C $(O)/kmod --strip-components=1 --wildcards --no-anchored \
		'scripts/checkpatch.pl' 'scripts/spelling.txt' \
		'scripts/const_structs.checkpatch'

# CamelCase is the kernel's own (PageOffline), and checkpatch knows that only
# inside its tree; user space has no BIT().
CHECKPATCH_RUN = perl $(CHECKPATCH) --no-tree --strict --terse --quiet \
	--no-summary --ignore CAMELCASE

check-kmod: $(CHOSEN:%=sparse-%) $(CHECKPATCH)
	$(call say,CHECK,kmod)
	$(Q)$(CHECKPATCH_RUN) -f $(wildcard kmod/*.[ch])
	$(Q)$(CHECKPATCH_RUN),BIT_MACRO -f $(wildcard kmod/uapi/linux/*.h)
	@! grep -n 'LINUX_VERSION_CODE\|KERNEL_VERSION' \
		$(filter-out kmod/compat.h,$(wildcard kmod/*.[ch])) /dev/null
