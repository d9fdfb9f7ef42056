# SPDX-License-Identifier: MIT
#
# liblethe.so.0, liblethe.a, liblethe-malloc.so.0 and liblethe-run.so.0; for static
# programs liblethe-malloc.a, with what the linker has to be told: liblethe-malloc.wrap;
# and lethectl.

LIB_O	:= $(O)/user
BUFFER_SRC := $(patsubst user/src/%.c,%,$(wildcard user/src/buffer*.c))
HEAP_SRC := $(patsubst user/src/%.c,%,$(wildcard user/src/heap*.c))
MALLOC_SRC := $(patsubst user/src/%.c,%,$(wildcard user/src/malloc*.c))
LIB_SRC	:= message wipe cancel tools backend backend_kmod backend_memfd_secret backend_mlock \
	   space inherit stack revoked signal_stack signal_frame signal_mask options kernel \
	   overflow fatal registers \
	   mapping resident wipe_stack wipe_below_x86_64 \
	   section section_x86_64 overwrite overwrite_x86_64 enabled \
	   thread fork $(HEAP_SRC) $(BUFFER_SRC)
LIB_OBJ	:= $(LIB_SRC:%=$(LIB_O)/%.o)
# What they say, they say by liblethe's own voice.
MALLOC_OBJ := $(MALLOC_SRC:%=$(LIB_O)/%.o) $(LIB_O)/message.o

# In a static program libc's malloc() and its family are one object: there is no
# putting another before them, but all who call them can be wrapped.
MALLOC_WRAPPED := malloc calloc realloc reallocarray free free_sized free_aligned_sized \
		  cfree aligned_alloc memalign posix_memalign valloc pvalloc malloc_usable_size
MALLOC_STATIC := $(LIB_O)/malloc_static.o
MALLOC_WRAP := $(O)/lib/liblethe-malloc.wrap

LIBRARIES := $(O)/lib/liblethe.so $(O)/lib/liblethe.a $(O)/lib/liblethe-malloc.so \
	     $(O)/lib/liblethe-malloc.a
# The same once more, with everything secret; and what serves it alone.
RUN_OBJ	:= $(MALLOC_SRC:%=$(LIB_O)/run/%.o) $(LIB_O)/run/run.o
CTL_SRC	:= $(wildcard user/lethectl/*.c)
CTL_OBJ	:= $(CTL_SRC:user/%.c=$(LIB_O)/%.o)

REPORT_JS := $(addprefix user/lethectl/,report.js report_tables.js report_draw.js \
	report_map.js report_main.js)
REPORT	:= $(LIB_O)/report.html

RUN_LIBRARY := $(O)/lib/liblethe-run.so
LETHECTL := $(O)/bin/lethectl

# -fexceptions: an exception that passes through lethe_do() ends the section.
# -fno-builtin in malloc's own file: gcc would turn calloc into a call of itself.
LIB_CFLAGS := -fPIC -fvisibility=hidden -fexceptions -fstack-protector-strong \
	      -fcf-protection=full \
	      -Iuser/include -Ikmod/uapi -Iuser/src
MALLOC_CFLAGS := $(LIB_CFLAGS) -fno-builtin-malloc -fno-builtin-calloc \
	      -fno-builtin-realloc -fno-builtin-free
# nodelete: thread exits and forks call into it for as long as there is a process.
LIB_LDFLAGS := -shared -Wl,-z,defs,-z,relro,-z,now,-z,nodelete,-z,noexecstack
# Marked for CET, as every object of ours is. Of libc's, not all are everywhere:
# pthread_atfork.o is no target of an indirect call; crti.o and crtn.o, whose _init
# and _fini are, do nothing here, and are left out.
LIB_LDFLAGS += -Wl,-z,ibt,-z,shstk
crt	= $(shell $(CC) -print-file-name=$(1))
# In the build tree each finds the others from where it lies. What is installed is made
# once more without: there that is for the system to say.
comma	:= ,
beside	= $(if $(filter $(O)/install/%,$@),,-Wl$(comma)-rpath$(comma)'$$ORIGIN$(1)')
LIB_BEGIN = -nostartfiles $(call crt,crtbeginS.o)
LIB_END	= $(call crt,crtendS.o)

$(LIB_OBJ): LANG_CFLAGS := $(LIB_CFLAGS)
$(MALLOC_SRC:%=$(LIB_O)/%.o): LANG_CFLAGS := $(MALLOC_CFLAGS)
$(RUN_OBJ): LANG_CFLAGS := $(MALLOC_CFLAGS) -DLETHE_ALL
$(CTL_OBJ): LANG_CFLAGS := -Iuser/include -Ikmod/uapi -Ibpf
# Should it be built with ASan, then without in what is on the way into a section:
# a frame there would be put where the section's go, or stay marked after a longjmp().
$(LIB_O)/section.o $(LIB_O)/tools.o $(LIB_O)/thread.o: LANG_CFLAGS += -fno-sanitize=address
# perf walks a program that keeps frame pointers by them, from a section to main().
$(LIB_O)/section.o $(LIB_O)/thread.o: LANG_CFLAGS += -fno-omit-frame-pointer

$(LIB_O)/%.o: user/src/%.c
	$(call say,CC,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) $(LANG_CFLAGS) -c -o $@ $<

$(LIB_O)/run/%.o: user/src/%.c
	$(call say,CC,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) $(LANG_CFLAGS) -c -o $@ $<

$(LIB_O)/lethectl/%.o: user/lethectl/%.c
	$(call say,CC,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) $(LANG_CFLAGS) -c -o $@ $<

# It has the page inside.
$(LIB_O)/lethectl/report_page.o: $(REPORT)
$(LIB_O)/lethectl/report_page.o: LANG_CFLAGS += -DREPORT='"$(REPORT)"'

$(LIB_O)/%.o: user/src/%.S
	$(call say,AS,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) $(LANG_CFLAGS) -c -o $@ $<

$(O)/lib/liblethe.so.0: $(LIB_OBJ) user/src/liblethe.map
	$(call say,LD,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS) $(LIB_LDFLAGS) -Wl,-soname,liblethe.so.0 \
		-Wl,--version-script=user/src/liblethe.map -o $@ $(LIB_BEGIN) \
		$(LIB_OBJ) $(LIB_END)

# One object, whose internal names a program cannot collide with. _.stapsdt.base stays
# what it is: of a program that has marks of its own the linker keeps one (mark.h). So
# does what frames are unwound by: libc.a has the same, and is without if ours is local.
$(O)/lib/liblethe.a: $(LIB_OBJ)
	$(call say,AR,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(LD) -r -o $(LIB_O)/liblethe.o $(LIB_OBJ)
	$(Q)objcopy --localize-hidden $(LIB_O)/liblethe.o
	$(Q)objcopy --wildcard --globalize-symbol='DW.ref.*' $(LIB_O)/liblethe.o
	$(Q)rm -f $@
	$(Q)$(AR) rcs $@ $(LIB_O)/liblethe.o

$(O)/lib/liblethe-malloc.so.0 $(O)/install/lib/liblethe-malloc.so.0: $(MALLOC_OBJ) \
		$(O)/lib/liblethe.so
	$(call say,LD,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS) $(LIB_LDFLAGS) -Wl,-soname,liblethe-malloc.so.0 \
		$(beside) -o $@ $(LIB_BEGIN) $(MALLOC_OBJ) $(LIB_END) \
		-L$(O)/lib -llethe

$(MALLOC_STATIC): user/src/malloc.c
	$(call say,CC,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) $(MALLOC_CFLAGS) -DLETHE_STATIC \
		$(foreach f,$(MALLOC_WRAPPED),-D$(f)=__wrap_$(f)) \
		$(foreach f,malloc calloc realloc memalign free,-D__libc_$(f)=__real_$(f)) \
		-c -o $@ $<

$(O)/lib/liblethe-malloc.a: $(MALLOC_STATIC) $(MALLOC_WRAP)
	$(call say,AR,$@)
	$(Q)rm -f $@
	$(Q)$(AR) rcs $@ $<

$(MALLOC_WRAP): user/rules.mk
	$(Q)mkdir -p $(@D)
	$(Q)printf -- '--wrap=%s\n' $(MALLOC_WRAPPED) >$@
# Its messages are liblethe's: the object, since that exports none.
$(O)/lib/liblethe-run.so.0 $(O)/install/lib/liblethe-run.so.0: $(RUN_OBJ) \
		$(LIB_O)/message.o $(O)/lib/liblethe.so
	$(call say,LD,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS) $(LIB_LDFLAGS) -Wl,-soname,liblethe-run.so.0 \
		$(beside) -o $@ $(LIB_BEGIN) $(filter %.o,$^) $(LIB_END) \
		-L$(O)/lib -llethe

# The page of lethectl verify: one file of its parts. Its policy names the style and the
# script by their hashes, so that nothing else in it runs, whatever the data may be.
csp-hash = sha256-$$({ echo; cat $(1); } | sha256sum | cut -c -64 | tr a-f A-F | \
	basenc -d --base16 | base64)

$(REPORT): user/lethectl/report.html user/lethectl/report.css $(REPORT_JS) user/rules.mk
	$(call say,JOIN,$@)
	$(Q)mkdir -p $(@D)
	$(Q)cat $(REPORT_JS) >$@.js
	$(Q)sed -e '/^@CSS@$$/{' -e 'r user/lethectl/report.css' -e 'd' -e '}' \
		-e '/^@JS@$$/{' -e 'r $@.js' -e 'd' -e '}' \
		-e "s|@CSS-HASH@|$(call csp-hash,user/lethectl/report.css)|" \
		-e "s|@JS-HASH@|$(call csp-hash,$@.js)|" $< >$@
	$(Q)rm $@.js

# Finds liblethe-run.so.0 beside the liblethe that it is linked with.
$(LETHECTL) $(O)/install/bin/lethectl: $(CTL_OBJ) $(PROBE_OBJ) $(O)/lib/liblethe.so | $(RUN_LIBRARY)
	$(call say,LD,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS) -Wl,-z,relro,-z,now $(call beside,/../lib) -o $@ \
		$(CTL_OBJ) $(PROBE_OBJ) -L$(O)/lib -llethe $(PROBE_LIBS) -ljson-c

$(O)/lib/%.so: $(O)/lib/%.so.0
	$(Q)ln -sf $(<F) $@

-include $(LIB_OBJ:.o=.d) $(MALLOC_OBJ:.o=.d) $(MALLOC_STATIC:.o=.d) $(RUN_OBJ:.o=.d) $(CTL_OBJ:.o=.d)
