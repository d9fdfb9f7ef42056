# SPDX-License-Identifier: MIT
#
# tls: the example's TLS server, used by real clients and searched, on each fallback. On
# the module, in the virtual machine, it is vm-tls (tests/rules.mk).

TLS_SERVER := $(EXAMPLES_O)/tls_server
TLS_SRC	:= user/examples/tls_server.c user/examples/tls_server_session.c

# As tls_server.c says, but for where Lethe is.
$(TLS_SERVER): $(TLS_SRC) user/examples/tls_server.h user/include/lethe.h $(LIBRARIES)
	$(call say,CC,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(filter-out -MMD -MP,$(ALL_CFLAGS)) -Iuser/include \
		-Wl,-rpath,'$$ORIGIN/../../lib' -o $@ $(TLS_SRC) -L$(O)/lib \
		-Wl,--no-as-needed -llethe-malloc -Wl,--as-needed -llethe -lssl -lcrypto

TLS_TAP	:= $(FALLBACKS:%=$(O)/tap/tls-%.tap)
$(TLS_TAP): $(O)/tap/tls-%.tap: tests/examples/tls_test.py tests/examples/tls_server.py \
		tests/examples/tls_client.py tests/examples/using.py $(TLS_SERVER) $(LETHECTL) $(TO_EXIT) \
		$(EXAMPLES_INSIDE) $(EXAMPLES_HOLLOW) .FORCE
	$(call say,TEST,a TLS server on $*)
	$(Q)mkdir -p $(@D)
	$(Q)timeout 300 /usr/bin/python3 -B $< $(O) $* >$@ || grep '^not ok\|^# ' $@ || true

EXAMPLES_TAP += $(TLS_TAP)

TLS_GUEST := tests/examples/tls_guest.sh $(LETHECTL) $(TLS_SERVER) $(RESIDUE_O)/hollow.so \
	$(EXAMPLES_O)/tls_guest.tar
$(EXAMPLES_O)/tls_guest.tar: tests/examples/tls_guest_keys.sh
	$(call say,KEYS,$@)
	$(Q)mkdir -p $(@D) && touch $@
	$(Q)$< $@

# A process is searched, which slub_debug has no part in.
VM_TLS_TAP := $(O)/tap/vm-tls-$(ONE).tap
$(VM_TLS_TAP): $(call kmod-ko,$(ONE)) $(VM_NEEDS) $(TLS_GUEST) .FORCE
	$(call say,BOOT,vm-tls on $(ONE))
	$(Q)mkdir -p $(@D) && rm -f $@
	$(Q)$(vm) test --kernel $(ONE) --module $(call kmod-ko,$(ONE)) --timeout 300 \
		--no-slub-debug --file tests/points.inc.sh --needs openssl --needs curl --tap $@ -- $(TLS_GUEST) || \
		echo "vm-tls on $(ONE) failed: see above"
