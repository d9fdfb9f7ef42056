# SPDX-License-Identifier: MIT
#
# packages: the Debian packages; and what they leave of a machine that they were
# installed on, used on, and purged from.
#
#	make deb RELEASE=trixie

RELEASE	?=

.PHONY: deb-files
deb-files:
	$(Q)O=$(O) python3 -B tests/packages/deb.py $(VERSION) $(RELEASE)

PACKAGE_RELEASES := bookworm trixie
