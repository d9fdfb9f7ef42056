# SPDX-License-Identifier: MIT
#
# kmod: lethe.ko. The kernel's own make builds it, from links in $(O), so that
# nothing of what it leaves behind lands among the sources.
#
#	make kmod KREL=6.1.0-56-cloud-amd64	for another kernel's headers

KREL ?= $(patsubst linux-headers-%,%,$(notdir $(lastword \
	$(shell ls -d /usr/src/linux-headers-$(KERNEL).*-cloud-amd64 2>/dev/null | sort -V))))
KDIR ?= $(firstword $(wildcard /lib/modules/$(KREL)/build \
	/usr/src/linux-headers-$(KREL)))

KMOD_DIR = $(O)/kmod/$(KREL)
KMOD_KO = $(KMOD_DIR)/lethe.ko
KMOD_FILES := Kbuild $(patsubst kmod/%,%,$(wildcard kmod/*.[ch] \
	kmod/uapi/linux/*.h))
KMOD_LINKS = $(addprefix $(KMOD_DIR)/,$(KMOD_FILES))
# Debian's 6.1 headers have no vmlinux to make the module's BTF from.
KMOD_NO_BTF = $(if $(wildcard $(KDIR)/vmlinux),,CONFIG_DEBUG_INFO_BTF_MODULES=)
KMOD_MAKE = +$(Q)$(MAKE) --no-print-directory $(if $(filter 1,$(V)),,-s) \
	-C $(KDIR) M=$(abspath $(KMOD_DIR)) W=1 $(KMOD_NO_BTF)

.PHONY: kmod kmod-headers check-kmod
kmod: $(KMOD_KO) ## lethe.ko, for the newest headers of KERNEL installed (KREL=)

kmod-headers:
	@test -n '$(KDIR)' || { echo 'no kernel headers: apt install \
	linux-headers-cloud-amd64, or give KREL=' >&2; exit 1; }

$(KMOD_LINKS): $(KMOD_DIR)/%: kmod/% | kmod-headers
	$(Q)mkdir -p $(@D)
	$(Q)ln -sfn $(abspath $<) $@

$(KMOD_KO): $(KMOD_LINKS)
	$(call say,KBUILD,$@)
	$(KMOD_MAKE) modules

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

# W=1 is part of every build. Sparse looks at all files again, so it has a
# folder of its own; its findings are warnings, and here any is an error.
check-kmod: $(KMOD_KO) $(CHECKPATCH)
	$(call say,SPARSE,kmod)
	$(Q)rm -rf $(O)/kmod/sparse && cp -rL $(KMOD_DIR) $(O)/kmod/sparse
	$(Q)$(MAKE) --no-print-directory -s -C $(KDIR) \
		M=$(abspath $(O)/kmod/sparse) W=1 C=2 $(KMOD_NO_BTF) modules \
		> $(O)/kmod/sparse.log 2>&1 || { cat $(O)/kmod/sparse.log; exit 1; }
	@! grep -E 'warning|error' $(O)/kmod/sparse.log
	$(call say,CHECK,kmod)
	$(Q)$(CHECKPATCH_RUN) -f $(wildcard kmod/*.[ch])
	$(Q)$(CHECKPATCH_RUN),BIT_MACRO -f $(wildcard kmod/uapi/linux/*.h)
	@! grep -n 'LINUX_VERSION_CODE\|KERNEL_VERSION' \
		$(filter-out kmod/compat.h,$(wildcard kmod/*.[ch])) /dev/null
