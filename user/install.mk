# SPDX-License-Identifier: MIT
#
# What is installed, and where: one list, which uninstall goes by too. Pages, headers
# and examples are whatever is in their folders. Nothing is stripped or compressed, and
# no file of the system's is changed but ld.so's cache.
#
#	make install DESTDIR=... PREFIX=/usr LIBDIR=... INCLUDEDIR=... MANDIR=...
#	make install-module DESTDIR=... SRCDIR=/usr/src
#
# install-files, uninstall-files and those of -module are the same without looking for
# what a build needs: for packages.

PREFIX	?= /usr/local
# On Debian and its like; elsewhere there is none, and lib alone is right or LIBDIR=.
MULTIARCH = $(shell $(CC) -print-multiarch 2>/dev/null)
LIBDIR	?= $(PREFIX)/lib$(MULTIARCH:%=/%)
INCLUDEDIR ?= $(PREFIX)/include
BINDIR	?= $(PREFIX)/bin
MANDIR	?= $(PREFIX)/share/man
DOCDIR	?= $(PREFIX)/share/doc/lethe
COMPLETIONDIR ?= $(PREFIX)/share/bash-completion/completions
SRCDIR	?= /usr/src
SYSCONFDIR ?= /etc
# Rules and lists of the system's own: /lib and /usr/lib are one.
SYSLIBDIR ?= /usr/lib

INSTALL_O := $(O)/install

# What is made for it, beside what `make lib` makes.
PKGCONFIG := lethe lethe-malloc
INSTALL_LIBS := liblethe liblethe-malloc liblethe-run
install-lib = $(if $(filter liblethe,$(1)),$(O),$(INSTALL_O))/lib/$(1).so.0

# All that is built of it: a make within a make has nothing left to build.
INSTALL_NEEDS := $(LIBRARIES) $(INSTALL_O)/bin/lethectl \
	$(foreach l,$(INSTALL_LIBS),$(call install-lib,$(l)))

# A folder's files, as MODE:SOURCE:PLACE.
folder-of = $(shell find $(1) -type f ! -name '.*' ! -perm /111 -printf '644:%p:$(2)/%P ' ; \
	    find $(1) -type f ! -name '.*' -perm /111 -printf '755:%p:$(2)/%P ')

PLACES = $(foreach l,$(INSTALL_LIBS), \
		644:$(call install-lib,$(l)):$(LIBDIR)/$(l).so.$(VERSION) \
		link:$(l).so.$(VERSION):$(LIBDIR)/$(l).so.0) \
	 $(foreach l,liblethe liblethe-malloc, \
		link:$(l).so.0:$(LIBDIR)/$(l).so \
		644:$(O)/lib/$(l).a:$(LIBDIR)/$(l).a) \
	 644:$(MALLOC_WRAP):$(LIBDIR)/$(notdir $(MALLOC_WRAP)) \
	 $(foreach p,$(PKGCONFIG),644:$(INSTALL_O)/$(p).pc:$(LIBDIR)/pkgconfig/$(p).pc) \
	 755:$(INSTALL_O)/bin/lethectl:$(BINDIR)/lethectl \
	 $(foreach h,$(wildcard user/include/*.h user/include/*.hpp), \
		644:$(h):$(INCLUDEDIR)/$(notdir $(h))) \
	 644:kmod/uapi/linux/lethe.h:$(INCLUDEDIR)/linux/lethe.h \
	 $(foreach p,$(wildcard user/man/*.[1-9]), \
		644:$(p):$(MANDIR)/man$(patsubst .%,%,$(suffix $(p)))/$(notdir $(p))) \
	 $(foreach c,$(wildcard user/completion/*),644:$(c):$(COMPLETIONDIR)/$(notdir $(c))) \
	 $(call folder-of,user/examples,$(DOCDIR)/examples) \
	 $(foreach f,README.md lethe.conf,644:user/packaging/$(f):$(DOCDIR)/examples/deploy/$(f))

MODULE_SRC = $(SRCDIR)/lethe-$(VERSION)
MODULE_PLACES = $(foreach f,Kbuild $(wildcard kmod/Kbuild kmod/*.[ch] kmod/uapi/linux/*.h), \
		644:$(f):$(MODULE_SRC)/$(f)) \
	 644:$(INSTALL_O)/dkms.conf:$(MODULE_SRC)/dkms.conf \
	 755:kmod/packaging/lethe-mok:$(MODULE_SRC)/lethe-mok \
	 644:kmod/packaging/60-lethe.rules:$(SYSLIBDIR)/udev/rules.d/60-lethe.rules \
	 644:kmod/packaging/modules-load.conf:$(SYSLIBDIR)/modules-load.d/lethe.conf \
	 conf:kmod/packaging/modprobe.conf:$(SYSCONFDIR)/modprobe.d/lethe.conf

export DESTDIR
put	= $(Q)user/packaging/put.sh
# Does the dynamic linker look in $(LIBDIR)? For a DESTDIR that is the package's business.
is-searched = [ -z "$$DESTDIR" ] && PATH=$$PATH:/usr/sbin:/sbin ldconfig -vNX 2>/dev/null | \
	sed -n 's|^\(/[^:]*\):.*|\1|p' | xargs readlink -f | grep -qx "$$(readlink -f $(LIBDIR))"
ldconfig = [ "$$(id -u)" -ne 0 ] || PATH=$$PATH:/usr/sbin:/sbin ldconfig

# The variables are the command line's: made anew each time.
filled = $(Q)mkdir -p $(@D) && sed -e 's|@PREFIX@|$(PREFIX)|' -e 's|@VERSION@|$(VERSION)|' \
	-e 's|@LIBDIR@|$(patsubst $(PREFIX)/%,$${prefix}/%,$(LIBDIR))|' \
	-e 's|@OUTSIDE@|$(if $(filter /usr,$(PREFIX)),,-L$${libdir}$(comma))|' \
	-e 's|@INCLUDEDIR@|$(patsubst $(PREFIX)/%,$${prefix}/%,$(INCLUDEDIR))|' $< >$@
$(INSTALL_O)/%.pc: user/packaging/%.pc.in .FORCE
	$(filled)
$(INSTALL_O)/dkms.conf: kmod/packaging/dkms.conf.in .FORCE
	$(filled)

ifneq ($(filter-out /%,$(PREFIX) $(LIBDIR) $(INCLUDEDIR) $(BINDIR) $(MANDIR) $(DOCDIR) $(SRCDIR)),)
$(error PREFIX and the directories begin with a slash)
endif

.PHONY: install-files uninstall-files install-module-files uninstall-module-files
install-files: $(INSTALL_NEEDS) $(PKGCONFIG:%=$(INSTALL_O)/%.pc)
	$(call say,PUT,$(DESTDIR)$(PREFIX))
	$(put) in $(DOCDIR) $(PLACES)
	$(Q)if $(is-searched); then $(ldconfig); elif [ -z "$$DESTDIR" ]; then \
		echo '          no program looks in $(LIBDIR) by itself:'; \
		echo '          run it with LD_LIBRARY_PATH, or link it with -Wl,-rpath'; fi

uninstall-files:
	$(call say,TAKE,$(DESTDIR)$(PREFIX))
	$(Q)if $(is-searched); then then='$(ldconfig)'; fi; \
		user/packaging/put.sh out $(DOCDIR) $(PLACES) && eval "$$then"

install-module-files: $(INSTALL_O)/dkms.conf
	$(call say,PUT,$(DESTDIR)$(MODULE_SRC))
	$(put) in $(MODULE_SRC) $(MODULE_PLACES)

uninstall-module-files:
	$(call say,TAKE,$(DESTDIR)$(MODULE_SRC))
	$(put) out $(MODULE_SRC) $(MODULE_PLACES)
