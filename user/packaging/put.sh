#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Puts files in their places, or takes them away: one list of entries serves both. What
# cannot be written is found out before the first file is. Never touches what stands in
# no entry, and no directory but those that it made itself or that are ours alone.
#
#	put.sh in|out OWN ENTRY...
#
# OWN is a directory that is ours alone. An entry is MODE:SOURCE:PLACE; or
# link:TARGET:PLACE; or conf:SOURCE:PLACE, a file that is there to be edited: one that
# was is kept. $DESTDIR stands before each place. Without one, what directories had to
# be made is noted in OWN, so that they go too.
set -eu
umask 022

verb=$1
own=${DESTDIR-}$2
shift 2
noted=$own/directories-made

die() {
	echo "make: $1" >&2
	exit 1
}
# parts ENTRY: into mode, source and place
parts() {
	mode=${1%%:*}
	place=${1#*:}
	source=${place%%:*}
	place=${DESTDIR-}${place#*:}
}
# Before anything is written.
check() {
	[ "$mode" = link ] || [ "$verb" = out ] || [ -r "$source" ] || die "there is no $source"
	[ -d "$place" ] && die "$place is a directory"
	there=$(dirname "$place")
	while [ ! -e "$there" ]; do
		there=$(dirname "$there")
	done
	[ -d "$there" ] || die "$there is no directory"
	[ -w "$there" ] ||
		die "cannot write to $there, so nothing was done: as root (sudo), or with another PREFIX or a DESTDIR"
}
# make_directory DIRECTORY: and those above it, each that is new noted
make_directory() {
	[ ! -d "$1" ] || return 0
	make_directory "$(dirname "$1")"
	mkdir "$1"
	[ -n "${DESTDIR-}" ] || made="$made$1
"
}
# same: is what lies in the place still what would be put there
same() { cmp -s "$source" "$place"; }

put() {
	make_directory "$(dirname "$place")"
	case $mode in
	link) ln -sfn "$source" "$place" ;;
	conf)
		if [ ! -e "$place" ] || same; then
			install -m 644 "$source" "$place"
		else
			echo "kept as it is: $place"
		fi
		;;
	*) install -m "$mode" "$source" "$place" ;;
	esac
}
take() {
	if [ "$mode" = conf ] && [ -e "$place" ] && ! same; then
		echo "kept, since it was edited: $place"
	else
		rm -f "$place"
	fi
}
# Of the place, those that are ours alone.
own_directories() {
	directory=$(dirname "$place")
	while :; do
		case $directory in
		"$own" | "$own"/*) echo "$directory" ;;
		*) return 0 ;;
		esac
		directory=$(dirname "$directory")
	done
}
# Whatever else is in one keeps it. The deepest come first.
remove_directories() {
	[ ! -f "$noted" ] || cat "$noted"
	rm -f "$noted"
	for entry; do
		parts "$entry"
		own_directories
	done
}

case $verb in
in | out) ;;
*) die "put.sh in|out OWN ENTRY..." ;;
esac
made=
for entry; do
	parts "$entry"
	check
done
for entry; do
	parts "$entry"
	if [ "$verb" = in ]; then put; else take; fi
done
if [ "$verb" = in ]; then
	[ -z "$made" ] || printf %s "$made" >>"$noted"
else
	remove_directories "$@" | sort -ru | while IFS= read -r directory; do
		rmdir "$directory" 2>/dev/null || :
	done
fi
