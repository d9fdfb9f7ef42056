# SPDX-License-Identifier: MIT
#
# The virtual machine: the guest's own programs, and $(vm), the harness.
#
#	$(vm) test --module $(O)/kmod/{kernel}/lethe.ko -- PROGRAM \; PROGRAM

VM_O	:= $(O)/tests/vm
vm	:= O=$(O) python3 -B tests/vm/vm.py

# What every boot needs; a program for the guest is asked for beside it.
VM_NEEDS := $(VM_O)/vmexit $(VM_O)/hold_events
# To be linked into a program that has the host search the guest's memory,
# together with residue's needle.c.
HOSTLINK_OBJ := $(VM_O)/hostlink.o
VM_PROGRAMS := $(VM_O)/link_test

# Asks the probes: not among VM_PROGRAMS, which need nothing.
PRESSURE_TEST := $(VM_O)/pressure_test

VM_OBJ	:= vmexit hold_events bochs_stop hostlink link_test needle unload_test pressure_test area holder
VM_OBJ	:= $(VM_OBJ:%=$(VM_O)/%.o)

$(VM_O)/%.o: tests/vm/%.c
	$(call say,CC,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -c -o $@ $<

$(VM_O)/needle.o: tests/residue/needle.c
	$(call say,CC,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -c -o $@ $<

# Static: they must do their work whatever else the guest was given.
$(VM_NEEDS): $(VM_O)/%: $(VM_O)/%.o
	$(call say,LD,$@)
	$(Q)$(CC) $(CFLAGS) -static -o $@ $^

BOCHS_STOP := $(VM_O)/bochs_stop
$(BOCHS_STOP): $(BOCHS_STOP).o
	$(call say,LD,$@)
	$(Q)$(CC) $(CFLAGS) -static -o $@ $^

$(VM_O)/link_test: $(VM_O)/link_test.o $(HOSTLINK_OBJ) $(VM_O)/needle.o
	$(call say,LD,$@)
	$(Q)$(CC) $(CFLAGS) -o $@ $^

$(VM_O)/unload_test.o: ALL_CFLAGS += -Ikmod/uapi
$(VM_O)/unload_test: $(addprefix $(VM_O)/,unload_test.o hostlink.o needle.o) \
		$(O)/tests/residue/ending.o
	$(call say,LD,$@)
	$(Q)$(CC) $(CFLAGS) -o $@ $^

$(VM_O)/pressure_test.o $(VM_O)/holder.o: ALL_CFLAGS += -Ikmod/uapi -Ibpf
$(PRESSURE_TEST): $(addprefix $(VM_O)/,pressure_test.o area.o holder.o hostlink.o needle.o) \
		$(addprefix $(O)/tests/residue/,frames.o search.o) $(PROBE_OBJ)
	$(call say,LD,$@)
	$(Q)$(CC) $(CFLAGS) -o $@ $^ $(PROBE_LIBS)

# The harness's own tests, on the host: KTAP documents on stdout.
VM_SELF_TESTS := $(addprefix tests/vm/,test_result.py test_link.py test_drivers.py test_again.py)

.PHONY: vm-self-test
vm-self-test:
	$(Q)for test in $(VM_SELF_TESTS); do python3 -B $$test || exit; done

-include $(VM_OBJ:.o=.d)
