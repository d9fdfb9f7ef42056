# SPDX-License-Identifier: MIT
#
# porting: that the porting notes are so, and their programs do what they say.

PORTING_CLAIMS := $(EXAMPLES_O)/porting_claims

$(PORTING_CLAIMS): tests/examples/porting_claims.c user/include/lethe.h $(LIBRARIES)
	$(call say,CC,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(filter-out -MMD -MP,$(ALL_CFLAGS)) -Iuser/include \
		-Wl,-rpath,'$$ORIGIN/../../lib' -o $@ $< -L$(O)/lib -Wl,--no-as-needed -llethe-malloc \
		-Wl,--as-needed -llethe -lsodium -lcrypto

$(O)/tap/porting.tap: tests/examples/porting_test.py user/examples/porting.md \
		$(wildcard user/examples/porting*.c) $(PORTING_CLAIMS) $(LIBRARIES) .FORCE
	$(call say,TEST,porting notes)
	$(Q)mkdir -p $(@D)
	$(Q)timeout 120 /usr/bin/python3 -B $< $(O) >$@ || grep '^not ok\|^# ' $@ || true

EXAMPLES_TAP += $(O)/tap/porting.tap
