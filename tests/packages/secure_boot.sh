# shellcheck shell=bash
# SPDX-License-Identifier: MIT
#
# What is tried in a machine that Secure Boot has started, by try.sh. secure_boot.py sets
# VERB (new: nobody has enrolled the key; enrolled: somebody has; confidential: likewise,
# and the kernel keeps its memory to itself as well) and PASSWORD. It runs as root, after
# the boot has come to its end, and changes nothing that stays but the request to enroll.

mok=$(echo /usr/src/lethe-*/lethe-mok)
lockdown=/sys/kernel/security/lockdown
locked_down() { says '^SecureBoot enabled$' mokutil --sb-state && says "\\[$1\\]" cat $lockdown; }
refused() {
	dmesg --clear
	! modprobe lethe && ! loaded && says 'Loading of module with unavailable key is rejected' dmesg
}
not_enrolled() { says 'Secure Boot: yes' "$mok" status && says 'enrolled: no' "$mok" status; }
enroll() {
	printf '%s\n%s\n' "$PASSWORD" "$PASSWORD" | "$mok" enroll && [ "$(mokutil --list-new | grep -c '^\[key ')" = 1 ]
}
enrolled() { says 'enrolled: yes' "$mok" status && says 'is enrolled$' "$mok" enroll; }
# objcopy leaves what is appended to a file.
unsigned() {
	local file
	file=$(modinfo -n lethe)
	cp "$file" /tmp/ && { [ "${file##*.}" = ko ] || unxz "/tmp/${file##*/}"; } &&
		objcopy /tmp/lethe.ko /tmp/unsigned.ko || return
	modprobe -r lethe && dmesg --clear
	! insmod /tmp/unsigned.ko && says 'Loading of unsigned module is rejected' dmesg && ! loaded
}
again() { insmod /tmp/lethe.ko && loaded; }
no_hibernation() { says '\[disabled\]' cat /sys/power/disk; }
# None left out: where something is refused altogether, a way is not tried.
attacked() {
	LETHE_BACKEND=kmod /root/attacks >/tmp/attacks
	local status=$?
	cat /tmp/attacks
	[ $status = 0 ] && grep -q '^ok .*root, .*pages' /tmp/attacks && ! grep -q SKIP /tmp/attacks
}
watched() { says '^clean (time is up)$' lethectl watch --seconds 2; }
not_watched() {
	lethectl watch --seconds 2 >/tmp/watch 2>&1
	[ $? = 2 ] && says 'locked down (confidentiality)' cat /tmp/watch
}

if [ "$VERB" = new ]; then
	try 'Secure Boot is on, and the kernel locked down' locked_down integrity
	try 'control: the module is refused: nobody has enrolled the key that DKMS signed it by' refused
	try 'lethe-mok status says so' not_enrolled
	try 'lethectl status names lethe-mok' says 'modprobe lethe, signed: lethe-mok' lethectl status
	try "an ordinary user's program has its section on memfd_secret" says '^0 1 memfd_secret$' \
		as_user /home/user/section
	try 'lethe-mok enroll hands the key to the shim, by a password' enroll
else
	if [ "$VERB" = enrolled ]; then
		try 'Secure Boot is on, and the kernel locked down' locked_down integrity
	else
		try 'Secure Boot is on, and the kernel locked down, for confidentiality' \
			locked_down confidentiality
	fi
	try 'lethe-mok says that the key is enrolled' enrolled
	try 'the module was loaded at boot' loaded
	try 'lethectl status says kmod' says kmod as_user lethectl status
	try "an ordinary user's program has its section on the module" says '^0 1 kmod$' \
		as_user /home/user/section
	try 'what others get of a process in a section is what SECURITY.md says' attacked
	try 'the machine cannot hibernate' no_hibernation
	if [ "$VERB" = enrolled ]; then
		try 'lethectl watch has its probes, and sees nothing amiss' watched
	else
		try 'lethectl watch cannot have its probes, and says why' not_watched
	fi
	try 'control: the same module without its signature is refused' unsigned
	try 'and with it it is not' again
fi
planned
