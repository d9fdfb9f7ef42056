#!/bin/bash
# SPDX-License-Identifier: MIT
#
# make install and uninstall: what comes, where, with which modes, and that it goes.
# Into directories of its own below /tmp; nothing of the machine's is written to.
# KTAP on stdout.
#
#	install.sh MAKE O
set -u
make=$1 O=$2
# shellcheck source=tests/install/tree.sh
. tests/install/tree.sh

version=$(awk '/define LETHE_VERSION_(MAJOR|MINOR|PATCH)/ { printf "%s%s", dot, $3; dot = "." }' \
	user/include/lethe.h)
lib=lib/$(${CC:-cc} -print-multiarch)
lib=${lib%/}

# Not as install.mk has it: by what each kind of file is for.
expected() {
	local name
	for name in liblethe liblethe-malloc liblethe-run; do
		printf '%s\n' "$lib/$name.so.0" "$lib/$name.so.$version"
	done
	printf '%s\n' "$lib"/liblethe{,-malloc}.{so,a} "$lib/liblethe-malloc.wrap" \
		"$lib"/pkgconfig/lethe{,-malloc}.pc bin/lethectl include/linux/lethe.h \
		share/bash-completion/completions/lethectl
	(cd user/include && printf 'include/%s\n' *.h*)
	(cd user/man && for name in *.[1-9]; do
		echo "share/man/man${name##*.}/$name"
	done)
	(cd user/examples && find . -type f ! -name '.*' -printf 'share/doc/lethe/examples/%P\n')
}
expected_module() {
	(find Kbuild kmod -name '*.[ch]' -o -name Kbuild) | sed "s|^|usr/src/lethe-$version/|"
	printf '%s\n' "usr/src/lethe-$version/dkms.conf" usr/lib/udev/rules.d/60-lethe.rules \
		usr/lib/modules-load.d/lethe.conf etc/modprobe.d/lethe.conf
}
executables() {
	echo "$1/bin/lethectl"
	find user/examples -type f -perm /111 -printf "$1/share/doc/lethe/examples/%P\n"
}

echo "KTAP version 1"
echo "1..20"

stage=$scratch/stage
staged() { (umask 077 && lethe install DESTDIR="$stage" PREFIX=/usr); }
ok 'make install with a DESTDIR, under a umask of 077' staged
expected | sed 's|^|usr/|' | sort >"$scratch/expected"
files "$stage" >"$scratch/files"
ok 'puts libraries, headers, pages, examples, lethectl, its completion, and no file more' \
	same "$scratch/expected" "$scratch/files"
modes() {
	[ -z "$(find "$stage" -mindepth 1 -type d ! -perm 755)" ] &&
		find "$stage" -type f -perm 755 -printf '%P\n' | sort | diff - <(executables usr | sort) &&
		[ -z "$(find "$stage" -type f ! -perm 644 ! -perm 755)" ]
}
ok 'directories are 755, lethectl and examples that are programs too, all else 644' modes
links() {
	local link
	for link in liblethe liblethe-malloc liblethe-run; do
		echo "$link.so.0 $link.so.$version"
		[ $link = liblethe-run ] || echo "$link.so $link.so.0"
	done | sort | diff - <(find "$stage" -type l -printf '%f %l\n' | sort) || return
	for link in liblethe liblethe-malloc liblethe-run; do
		readelf -d "$stage/usr/$lib/$link.so.$version" | grep -q "SONAME.*\[$link.so.0\]" || return
	done
}
ok 'each library has its whole version in its name, and a link of its soname' links
run_paths() { find "$@" -type f -exec readelf -d {} + 2>/dev/null | grep -c 'R.*PATH'; }
no_run_path() {
	[ "$(run_paths "$O/bin/lethectl")" -eq 1 ] && [ "$(run_paths "$O"/lib/*.so.0)" -eq 2 ] &&
		[ "$(run_paths "$stage")" -eq 0 ]
}
ok 'nothing has an rpath; control: what is in the build tree has' no_run_path
build_paths() { grep -rl "$scratch\|$PWD/user/packaging" "$stage" --include='*.pc' --include='*.conf'; }
no_stage_in_text() { ! build_paths && grep -q '^prefix=/usr$' "$stage/usr/$lib/pkgconfig/lethe.pc"; }
ok 'the .pc files name the prefix and not the DESTDIR' no_stage_in_text

again() {
	lethe install DESTDIR="$scratch/again" PREFIX=/usr && diff -r "$stage" "$scratch/again"
}
ok 'a second one is the same, byte for byte' again

# Somebody else's, in the same directories and in our own.
others=("usr/$lib/libother.so.0" usr/include/linux/other.h usr/share/doc/lethe/notes usr/bin/other)
for other in "${others[@]}"; do
	echo mine >"$stage/$other"
done
staged_out() {
	[ -e "$stage/usr/bin/lethectl" ] && lethe uninstall DESTDIR="$stage" PREFIX=/usr &&
		files "$stage" | diff - <(printf '%s\n' "${others[@]}" | sort)
}
ok 'make uninstall takes every file of it, and none of somebody else'\''s beside it' staged_out

own_directories() { [ -d "$stage/usr/share/doc/lethe" ] && [ ! -e "$stage/usr/share/doc/lethe/examples" ]; }
ok 'a directory of ours goes, one that holds a file of somebody else'\''s stays' own_directories

# In earnest: no DESTDIR, a prefix that has something of other people's already.
prefix=$scratch/prefix
mkdir -p "$prefix/share/man" "$prefix/$lib"
echo mine >"$prefix/$lib/libother.a"
tree "$prefix" >"$scratch/before"
real() { lethe install PREFIX="$prefix" && lethe install PREFIX="$prefix"; }
ok 'make install to a prefix, twice' real
ok 'from there a program starts that finds what it needs beside its library' \
	env LD_LIBRARY_PATH="$prefix/$lib" "$prefix/bin/lethectl" run --require=unmapped -- true
status() { LD_LIBRARY_PATH=$prefix/$lib "$prefix/bin/lethectl" status; }
ok 'lethectl status runs there' status
pages() {
	local page seen=0
	for page in user/man/*.[1-9]; do
		man -M "$prefix/share/man" -w "${page##*.}" "$(basename "${page%.*}")" &&
			mandoc "$prefix/share/man/man${page##*.}/${page##*/}" >/dev/null || return
		seen=$((seen + 1))
	done
	[ $seen -gt 0 ] && ! man -M "$prefix/share/man" -w lethe-nonsense
}
ok 'man finds each page there, and mandoc formats it; control: no page that is not' pages

ours() { grep -rlE 'lethe' "$prefix" | grep -c .; }
real_out() {
	[ "$(ours)" -gt 10 ] && lethe uninstall PREFIX="$prefix" &&
		tree "$prefix" | diff "$scratch/before" - && [ "$(ours)" -eq 0 ]
}
ok 'make uninstall leaves the prefix as it was, directories too; control: files of ours were there' real_out

# Rights. Root without the capability to write everywhere is somebody else there.
without_rights() {
	if [ "$(id -u)" -eq 0 ]; then
		setpriv --bounding-set=-dac_override,-dac_read_search \
			--inh-caps=-dac_override,-dac_read_search "$@"
	else
		"$@"
	fi
}
mkdir -p "$scratch/locked/usr/share" "$scratch/locked/usr/$lib"
mkdir "$scratch/locked/usr/share/man"
[ "$(id -u)" -ne 0 ] || chown 65534 "$scratch/locked/usr/share/man"
chmod 555 "$scratch/locked/usr/share/man"
tree "$scratch/locked" >"$scratch/before"
refused() {
	! without_rights "$make" --no-print-directory O="$O" install DESTDIR="$scratch/locked" PREFIX=/usr &&
		grep -q "cannot write to $scratch/locked/usr/share/man, so nothing was done" "$scratch/said" &&
		tree "$scratch/locked" | diff "$scratch/before" -
}
ok 'without the right to write to one of the places it says so, and writes to none' refused

# The module's: its source for DKMS, and what loads it.
modules=$scratch/modules
module() { (umask 077 && lethe install-module DESTDIR="$modules"); }
ok 'make install-module' module
expected_module | sort >"$scratch/expected"
module_files() {
	files "$modules" | diff "$scratch/expected" - && [ -z "$(find "$modules" -type f ! -perm 644)" ] &&
		grep -q "^PACKAGE_VERSION=\"$version\"$" "$modules/usr/src/lethe-$version/dkms.conf"
}
ok 'puts all of the source, the udev rule, the list of modules and the options, and no file more' module_files
parameters() {
	sed -n 's/^#options lethe \([a-z_]*\)=.*/\1/p' kmod/packaging/modprobe.conf | sort |
		diff - <(grep -ho 'module_param[a-z_]*([a-z_]*' kmod/*.c | sed 's/.*(//' | sort) &&
		! grep -v '^#\|^$' kmod/packaging/modprobe.conf
}
ok 'the options file has every parameter of the module, and sets none' parameters

echo 'options lethe hibernate=veto' >"$modules/etc/modprobe.d/lethe.conf"
module && kept_twice=$(cat "$modules/etc/modprobe.d/lethe.conf")
module_out() {
	[ "${kept_twice-}" = 'options lethe hibernate=veto' ] &&
		lethe uninstall-module DESTDIR="$modules" && grep -q 'kept, since it was edited' "$scratch/said" &&
		files "$modules" | diff - <(echo etc/modprobe.d/lethe.conf) && [ ! -e "$modules/usr/src/lethe-$version" ]
}
ok 'options that were edited outlive both; all else goes' module_out
unedited() {
	rm "$modules/etc/modprobe.d/lethe.conf" && lethe install-module DESTDIR="$modules" &&
		[ -e "$modules/etc/modprobe.d/lethe.conf" ] &&
		lethe uninstall-module DESTDIR="$modules" && [ -z "$(files "$modules")" ]
}
ok 'options as they came go too' unedited
[ "$failed" -eq 0 ]
