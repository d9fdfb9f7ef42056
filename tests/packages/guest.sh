# shellcheck shell=bash
# SPDX-License-Identifier: MIT
#
# What is tried in the booted machine, by try.sh. packages.py sets VERB (use, or purge:
# which is use, and then out again) and PACKAGES, all that is to go. It runs as root,
# after the boot has come to its end, and loads nothing.

gone() { ! loaded && [ ! -e /dev/lethe ]; }
device() {
	ls -l /dev/lethe
	[ "$(stat -c '%F %a' /dev/lethe)" = 'character special file 666' ] &&
		udevadm info --query=property /dev/lethe | grep '^TAGS=.*:systemd:'
}
pages() {
	local page name
	for page in $(dpkg -L liblethe-dev lethe-tools lethe-dkms | grep '/man[0-9]/'); do
		name=${page##*/}
		name=${name%.gz}
		man -w "${name##*.}" "${name%.*}" || return
	done
	says LETHECTL man lethectl
}
# The kernel says of any module that is not its own, and not signed, that it is tainted.
quiet() {
	[ "$(systemctl is-system-running)" = running ] && ! systemctl --failed --quiet | grep . &&
		! journalctl --boot --priority warning --quiet | grep -v taint | grep -i lethe
}
get() { apt-get -y -q -o DPkg::Lock::Timeout=120 "$@"; }
removed() { says 'lethe: in use, so the module stays until' get purge lethe-dkms; }
stays() { loaded && kill -0 "$holder" && ! modinfo lethe && [ ! -e /etc/modprobe.d/lethe.conf ]; }
taken() { rmmod lethe && gone; }

try 'the module was loaded at boot' loaded
try 'systemd-modules-load.service is what did it' systemctl is-active systemd-modules-load
try '/dev/lethe is open to everybody, by its udev rule' device
try 'lethectl status says kmod' says kmod as_user lethectl status
try "an ordinary user's program runs a section on the module" says '^0 1 kmod$' \
	as_user /home/user/section
try 'lethectl run has an unmodified program on the secret heap' \
	as_user lethectl run -b kmod --require=unmapped sort /etc/passwd
try 'each page of the manual is found' pages
try 'nothing failed, and the journal has no warning of it' quiet

if [ "$VERB" = use ]; then
	# Whoever has the device open, as who has secret pages does.
	sleep infinity 3</dev/lethe &
	holder=$!
	try 'removed while a program has it open, the package says that the module stays' removed
	try 'which it does, and the program with it; nothing else stays' stays
	kill "$holder"
	wait "$holder"
	try 'rmmod takes it when the program has ended, as was said' taken
else
	rm /home/user/section /home/user/section.c
	# Of itself apt keeps what came along if anything suggests it: apt dpkg-dev, which
	# has perl and a compiler with it.
	# shellcheck disable=SC2086
	try 'all is purged, and what came with it' get \
		-o APT::AutoRemove::SuggestsImportant=false \
		-o APT::AutoRemove::RecommendsImportant=false purge --autoremove $PACKAGES
	# Debian 13's dkms leaves its signing key, of which it cannot know who trusts it. Where
	# dkms came with us, it goes by hand.
	[ -x /usr/sbin/dkms ] || rm -rf /var/lib/dkms
	try 'the module is unloaded, and /dev/lethe gone' gone
	echo PACKAGES:
	dpkg-query -W
	echo END
	echo FILES:
	find / -xdev -printf '%y %m %U %G %s %l\t%p\n'
	echo FILES END
fi
planned
