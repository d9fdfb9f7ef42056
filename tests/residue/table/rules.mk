# SPDX-License-Identifier: MIT
#
# table: the residue table, row by row. What a row program and its driver are made of.

TABLE_O	:= $(RESIDUE_O)/table
# A file of rows is in one of these two; then it is in tables_process.c, or _library.c.
residue-row-src := rows_registers rows_stack rows_ways ways_exception fill rows_heap rows_text
residue-row-tables := tables_process
residue-row-library-src := rows_crypto rows_tls rows_random rows_sodium rows_gcrypt
residue-row-library-tables := tables_library
residue-row-library-libs := -lssl -lcrypto -lsodium -lgcrypt
ROW_NAMES := residue-row residue-row-library
ROW_PROGRAMS := $(ROW_NAMES:%=$(TABLE_O)/%)
# For the driver's own test.
residue-row-wrong-src := fill
residue-row-wrong-tables := rows_wrong
ROW_WRONG := $(TABLE_O)/residue-row-wrong
RESIDUE_TABLE := $(TABLE_O)/residue-table

$(TABLE_O)/%.o: tests/residue/table/%.c
	$(call say,CC,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -Iuser/include -Iuser/lethectl -c -o $@ $<

$(TABLE_O)/%.o: tests/residue/table/%.cpp
	$(call say,CXX,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(CXX) $(ALL_CXXFLAGS) -Iuser/include -c -o $@ $<

$(TABLE_O)/%.o: tests/residue/table/%.S
	$(call say,AS,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -c -o $@ $<

# They call no malloc() of their own: --as-needed would leave it out. Bound at once: a
# function that is bound when it is called leaves registers on the stack.
row-obj = $(addprefix $(TABLE_O)/,$(addsuffix .o,row row_x86_64 $($(1)-tables) $($(1)-src)))
$(foreach p,$(ROW_NAMES) $(notdir $(ROW_WRONG)),$(eval $(TABLE_O)/$(p): $(call row-obj,$(p))))
$(ROW_PROGRAMS) $(ROW_WRONG): $(TABLE_O)/%: $(SELFTEST_REGISTERS) $(PEERS_O)/rows_x86_64.o $(LIBRARIES)
	$(call say,LD,$@)
	$(Q)$(CXX) $(CFLAGS) $(LDFLAGS) -Wl,-z,relro,-z,now \
		-Wl,-rpath,'$$ORIGIN/../../../lib' -o $@ $(filter %.o,$^) -L$(O)/lib \
		-Wl,--push-state,--no-as-needed -llethe-malloc -Wl,--pop-state -llethe \
		$($*-libs) -pthread

# With the parts of lethectl that search, and what these print and undo by.
SCAN_PARTS := $(filter $(addprefix $(LIB_O)/lethectl/,scan_%.o output.o terminal.o undo.o files.o), \
	$(CTL_OBJ))
TABLE_OBJ := $(addprefix $(TABLE_O)/,table.o measure.o actor.o)
$(RESIDUE_TABLE): $(TABLE_OBJ) $(SCAN_PARTS) $(PROBE_OBJ) $(O)/lib/liblethe.so
	$(call say,LD,$@)
	$(Q)$(CC) $(CFLAGS) -Wl,-z,relro,-z,now -Wl,-rpath,'$$ORIGIN/../../../lib' -o $@ \
		$(filter %.o,$^) -L$(O)/lib -llethe $(PROBE_LIBS) -ljson-c -lutil -pthread

.PHONY: residue-table
residue-table: $(RESIDUE_TABLE) $(ROW_PROGRAMS)

# All rows on each fallback; and that each would notice.
TABLE_TAP := $(O)/tap/residue-table.tap
HOLLOW_TAP := $(O)/tap/residue-hollow.tap
RESIDUE_TAP += $(TABLE_TAP) $(HOLLOW_TAP) $(addprefix $(O)/tap/residue-,judge.tap records.tap)

$(TABLE_TAP): $(RESIDUE_TABLE) $(ROW_PROGRAMS) .FORCE
	$(call say,TEST,residue/table)
	$(Q)mkdir -p $(@D)
	$(Q)$(RESIDUE_TABLE) $(ROW_PROGRAMS) >$@ || grep '^not ok\|^Bail' $@ || true

$(HOLLOW_TAP): $(RESIDUE_TABLE) $(ROW_PROGRAMS) $(RESIDUE_O)/hollow.so .FORCE
	$(call say,TEST,residue/table: without protection)
	$(Q)mkdir -p $(@D)
	$(Q)$(RESIDUE_TABLE) --backend mlock --hollow $(abspath $(RESIDUE_O)/hollow.so) \
		$(ROW_PROGRAMS) >$@ || grep '^not ok\|^Bail' $@ || true

# What is judged wrong where it is.
$(O)/tap/residue-judge.tap: tests/residue/table/judge_test.py $(RESIDUE_TABLE) $(ROW_WRONG) .FORCE
	$(call say,TEST,residue/table: its judgement)
	$(Q)mkdir -p $(@D)
	$(Q)python3 -B $< $(TABLE_O) >$@ || grep '^not ok\|^# ' $@ || true

$(O)/tap/residue-records.tap: tests/residue/records_test.py .FORCE
	$(call say,TEST,residue/table.py)
	$(Q)mkdir -p $(@D)
	$(Q)python3 -B $< >$@ || grep '^not ok\|^# ' $@ || true

-include $(wildcard $(TABLE_O)/*.d)
