# SPDX-License-Identifier: MIT
#
# bpf: the probes. One question a triple: x.bpf.c asks it inside the kernel, x.h is
# what they tell each other, x.c loads it and is linked with who asks. Types come from
# the kernel that builds it; what differs in the one that runs it, libbpf puts right
# as it loads, by core_fixes.bpf.h where that is not enough.

BPF_O	:= $(O)/bpf
PROBES	:= $(patsubst bpf/%.bpf.c,%,$(wildcard bpf/*.bpf.c))
# Of every probe: no program of the kernel's.
BPF_COMMON := $(filter-out $(PROBES),$(patsubst bpf/%.c,%,$(filter-out %.bpf.c,$(wildcard bpf/*.c))))
BTF	?= /sys/kernel/btf/vmlinux
# The oldest that Debian 12 has, or what there is.
CLANG	?= $(notdir $(firstword $(shell command -v clang-14 clang) clang-14))
BPFTOOL	?= /usr/sbin/bpftool
BPF_CFLAGS := -O2 -g -Wall -Wextra -Werror -Wno-unused-parameter -target bpf \
	      -D__TARGET_ARCH_x86 -I$(BPF_O) -Ibpf

# With these a program that asks is linked.
PROBE_OBJ := $(PROBES:%=$(BPF_O)/%.o) $(BPF_COMMON:%=$(BPF_O)/%.o)
PROBE_LIBS := -lbpf

.SECONDARY: $(PROBES:%=$(BPF_O)/%.bpf.o)

.PHONY: bpf
bpf: $(PROBE_OBJ) ## The probes

$(BPF_O)/vmlinux.h: $(BTF)
	$(call say,BTF,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(BPFTOOL) btf dump file $< format c >$@

$(BPF_O)/%.bpf.o: bpf/%.bpf.c $(wildcard bpf/*.h) $(BPF_O)/vmlinux.h
	$(call say,CLANG,$<)
	$(Q)$(CLANG) $(BPF_CFLAGS) -c -o $@ $<

$(BPF_O)/%.skel.h: $(BPF_O)/%.bpf.o
	$(call say,SKEL,$@)
	$(Q)$(BPFTOOL) gen skeleton $< name $*_bpf >$@

$(PROBES:%=$(BPF_O)/%.o): $(BPF_O)/%.o: $(BPF_O)/%.skel.h

$(PROBE_OBJ): $(BPF_O)/%.o: bpf/%.c bpf/%.h
	$(call say,CC,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -I$(BPF_O) -Ibpf -Ikmod/uapi -c -o $@ $<

# What the kernel has macros for, a program has not; ENOSYS it is told; and what the
# loader sets, libbpf wants volatile.
BPF_CHECK_NOT := BIT_MACRO,PREFER_DEFINED_ATTRIBUTE_MACRO,ENOSYS,VOLATILE

.PHONY: check-bpf
check-bpf: $(CHECKPATCH)
	$(call say,CHECK,bpf)
	$(Q)$(CHECKPATCH_RUN),$(BPF_CHECK_NOT) -f $(wildcard bpf/*.[ch])

-include $(PROBE_OBJ:.o=.d)
