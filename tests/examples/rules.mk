# SPDX-License-Identifier: MIT
#
# examples: the programs of user/examples, used by what is not theirs and searched, on each
# fallback; on the module it is vm-examples (tests/rules.mk). And each is built as its own
# first lines say, against Lethe as it is installed.

EXAMPLES_O := $(O)/tests/examples
EXAMPLES_HOLLOW := $(RESIDUE_O)/hollow.so $(EXAMPLES_O)/hollow_memory.so
EXAMPLE_PROGRAMS := $(addprefix $(EXAMPLES_O)/,handshake holder prompt)

# Of each program, all files that begin with its name.
$(EXAMPLE_PROGRAMS): $(EXAMPLES_O)/%: user/include/lethe.h $(LIBRARIES) \
		$(wildcard user/examples/handshake* user/examples/holder* user/examples/prompt*)
	$(call say,CC,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(filter-out -MMD -MP,$(ALL_CFLAGS)) -Iuser/include \
		-Wl,-rpath,'$$ORIGIN/../../lib' -o $@ $(wildcard user/examples/$*.c \
		user/examples/$*_*.c) -L$(O)/lib -Wl,--no-as-needed -llethe-malloc \
		-Wl,--as-needed -llethe -lcrypto

PLAIN_PROMPT := $(EXAMPLES_O)/plain_prompt
$(PLAIN_PROMPT): tests/examples/plain_prompt.c
	$(call say,CC,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(filter-out -MMD -MP,$(ALL_CFLAGS)) -o $@ $< -lcrypto

$(EXAMPLES_O)/hollow_memory.so: tests/examples/hollow_memory.c user/include/lethe.h
	$(call say,CC,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(filter-out -MMD -MP,$(ALL_CFLAGS)) -Iuser/include -fPIC -shared \
		-fvisibility=hidden -o $@ $<

EXAMPLES_INSIDE := $(EXAMPLES_O)/inside.so
$(EXAMPLES_INSIDE): tests/examples/inside.c $(O)/lib/liblethe.so
	$(call say,CC,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(filter-out -MMD -MP,$(ALL_CFLAGS)) -Iuser/include -fPIC -shared \
		-fvisibility=hidden -Wl,-rpath,'$$ORIGIN/../../lib' -o $@ $< -L$(O)/lib \
		-llethe -lcrypto

EXAMPLES_PY := $(addprefix tests/examples/,using.py wireguard.py agent.py sshd.py)
define examples-rules
$$(O)/tap/handshake-$(1).tap $$(O)/tap/holder-$(1).tap $$(O)/tap/prompt-$(1).tap: \
		$$(O)/tap/%-$(1).tap: tests/examples/%_test.py $$(EXAMPLES_PY) \
		$$(EXAMPLE_PROGRAMS) $$(PLAIN_PROMPT) $$(EXAMPLES_INSIDE) $$(EXAMPLES_HOLLOW) $$(LETHECTL) $$(TO_EXIT) .FORCE
	$$(call say,TEST,the example $$* on $(1))
	$$(Q)mkdir -p $$(@D)
	$$(Q)/usr/bin/python3 -B $$< $$(O) $(1) >$$@ || grep '^not ok\|^# ' $$@ || true
EXAMPLES_TAP += $$(O)/tap/handshake-$(1).tap $$(O)/tap/holder-$(1).tap $$(O)/tap/prompt-$(1).tap
endef
$(foreach b,$(FALLBACKS),$(eval $(call examples-rules,$(b))))

# It calls make itself, on what is built by now.
$(O)/tap/examples-installed.tap: tests/examples/installed.sh tests/install/tree.sh \
		$(wildcard user/examples/*) $(INSTALL_NEEDS) $(LETHECTL) .FORCE
	$(call say,TEST,the examples as they are installed)
	$(Q)mkdir -p $(@D)
	$(Q)$< $(MAKE) $(O) >$@ || grep -A40 '^not ok' $@ || true
EXAMPLES_TAP += $(O)/tap/examples-installed.tap

-include tests/examples/tls.mk tests/examples/porting.mk
