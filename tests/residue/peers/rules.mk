# SPDX-License-Identifier: MIT
#
# peers: where other ways to protect a secret leave residue, and where Lethe does.

PEERS_O	:= $(RESIDUE_O)/peers
PEERS	:= nothing explicit_bzero gcc libsodium openssl libgcrypt memfd_secret lethe
PEER_PROGRAMS := $(PEERS:%=$(PEERS_O)/residue-peer-%)
PEER_COMMON := main rows rows_x86_64

# Those whose thread is pthread_create()'s.
nothing-src	:= nothing thread
explicit_bzero-src := explicit_bzero thread
gcc-src		:= explicit_bzero thread
openssl-src	:= openssl thread
libgcrypt-src	:= libgcrypt thread
memfd_secret-src := memfd_secret thread
libsodium-src	:= libsodium
lethe-src	:= lethe

libsodium-libs	:= -lsodium
libgcrypt-libs	:= -lgcrypt
# The program calls no malloc() of its own: --as-needed would leave it out.
lethe-libs	:= -L$(O)/lib -Wl,--push-state,--no-as-needed -llethe-malloc \
		   -Wl,--pop-state -llethe

$(PEERS_O)/%.o: tests/residue/peers/%.c
	$(call say,CC,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -Iuser/include -c -o $@ $<

$(PEERS_O)/%.o: tests/residue/peers/%.S
	$(call say,AS,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -c -o $@ $<

# All of the program's own code, the rows too. It is gcc's alone.
$(PEERS_O)/gcc/%.o: tests/residue/peers/%.c
	$(call say,CC,$< (zero-call-used-regs))
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -fzero-call-used-regs=all -DZERO_CALL_USED_REGS -c -o $@ $<

peer-obj = $(addprefix $(PEERS_O)/,$(addsuffix .o,$($(1)-src) $(PEER_COMMON)))
peer-obj-gcc = $(patsubst $(PEERS_O)/%,$(PEERS_O)/gcc/%, \
	$(filter-out %_x86_64.o,$(call peer-obj,gcc))) $(PEERS_O)/rows_x86_64.o

$(PEERS_O)/residue-peer-gcc: $(call peer-obj-gcc)
$(foreach p,$(filter-out gcc,$(PEERS)), \
	$(eval $(PEERS_O)/residue-peer-$(p): $(call peer-obj,$(p))))
$(PEERS_O)/residue-peer-lethe: $(LIBRARIES)

$(PEER_PROGRAMS): $(PEERS_O)/residue-peer-%: $(SELFTEST_REGISTERS)
	$(call say,LD,$@)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -Wl,-z,relro,-z,now \
		-Wl,-rpath,'$$ORIGIN/../../../lib' -o $@ $(filter %.o,$^) \
		$($*-libs) -lcrypto -pthread

# Go's: what C in Go is linked with, and the programs, or why there are none. The first
# that has runtime/secret, and the newest.
GO_FIRST := 26
$(PEERS_O)/rows.a: $(call peer-obj,explicit_bzero) $(SELFTEST_REGISTERS)
	$(call say,AR,$@)
	$(Q)rm -f $@
	$(Q)$(AR) rcs $@ $(filter-out %/main.o,$^)

build-go = $(Q)O=$(O) python3 -B tests/residue/peers/build_go.py

.PHONY: peers-go-fetch peers-go-have
peers-go-fetch peers-go-have: peers-go-%: $(PEERS_O)/rows.a
	$(call say,GO,$(PEERS_O))
	$(build-go) $* newest tests/residue/peers/go/native $(PEERS_O)/residue-peer-go
	$(build-go) $* $(GO_FIRST) tests/residue/peers/go/native \
		$(PEERS_O)/residue-peer-go$(GO_FIRST)
	$(build-go) $* newest tests/residue/peers/go/c $(PEERS_O)/residue-peer-go-c $<

PEERS_NEED := $(PEER_PROGRAMS) $(LETHECTL)
peers-table = $(Q)O=$(O) python3 -B tests/residue/peers/table.py

# The tables are so. Go's part where make residue-peers, or bench, has fetched it: a test
# asks the network for nothing.
PEERS_TAP := $(O)/tap/residue-peers.tap
RESIDUE_TAP += $(PEERS_TAP)
$(PEERS_TAP): $(PEERS_NEED) peers-go-have README.md tests/residue/README.md .FORCE
	$(call say,TEST,residue/peers)
	$(Q)mkdir -p $(@D) && rm -f $@
	$(peers-table) --check README.md tests/residue/README.md >$@ || grep -v '^ok' $@

# How this and the table of programs count.
SEARCHER_TAP := $(O)/tap/residue-searcher.tap
RESIDUE_TAP += $(SEARCHER_TAP)
$(SEARCHER_TAP): tests/residue/searcher_test.py $(PEERS_O)/residue-peer-nothing $(LETHECTL) .FORCE
	$(call say,TEST,residue/searcher)
	$(Q)mkdir -p $(@D)
	$(Q)O=$(O) python3 -B $< >$@ || grep -v '^ok' $@

.PHONY: residue-peers-all
residue-peers-all: $(PEERS_NEED) peers-go-fetch
	$(call say,SEARCH,$(O)/peers.tsv)
	$(peers-table)

-include $(wildcard $(PEERS_O)/*.d $(PEERS_O)/gcc/*.d)
