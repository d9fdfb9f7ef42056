#!/bin/bash
# SPDX-License-Identifier: MIT
#
# A program built with Lethe as it is installed, outside of this tree, by what an author
# would use: pkg-config, CMake, and both for static programs. KTAP on stdout.
#
#	use.sh MAKE O
set -u
make=$1 O=$2
# shellcheck source=tests/install/tree.sh
. tests/install/tree.sh
cc=${CC:-cc}

prefix=$scratch/prefix
lethe install-files PREFIX="$prefix" >"$scratch/said" 2>&1 || { cat "$scratch/said"; exit 1; }
lib=$(dirname "$(dirname "$(find "$prefix" -name lethe.pc)")")
export PKG_CONFIG_PATH=$lib/pkgconfig LD_LIBRARY_PATH=$lib
cp tests/install/use.c tests/install/cancelled.c "$scratch"
readme=$PWD/user/packaging/README.md cmake_lists=$PWD/tests/install/CMakeLists.txt
cd "$scratch" || exit 1

# What malloc() gives in a section: 2 is unmapped, 0 ordinary.
says() {
	local said
	said=$(LETHE_REQUIRE=unmapped LETHE_BACKEND=memfd_secret "./$1") &&
		echo "$said" && [ "$said" = "memfd_secret stack 2 block $2" ]
}
flags=(-std=c11 -Wall -Wextra -Wpedantic -Werror -O2)
# build NAME WORDS...
build() {
	local name=$1
	shift
	rm -f "$name"
	"$cc" "${flags[@]}" use.c -o "$name" "$@"
}
needs() { readelf -d "$1" | grep -q "NEEDED.*\[$2\]"; }

echo "KTAP version 1"
echo "1..15"

# Words of pkg-config are words.
# shellcheck disable=SC2046
dynamic() {
	build dynamic -DHEAP $(pkg-config --cflags --libs lethe) && says dynamic 2 &&
		needs dynamic liblethe.so.0 && ! needs dynamic liblethe-malloc.so.0
}
ok 'pkg-config lethe: a program runs on secret pages' dynamic
# shellcheck disable=SC2046
plain_malloc() { build plain $(pkg-config --cflags --libs lethe) && says plain 0; }
ok 'control: with it alone malloc() in a section is ordinary' plain_malloc
# shellcheck disable=SC2046
redirected() {
	build redirected -Wl,--as-needed $(pkg-config --cflags --libs lethe-malloc) &&
		says redirected 2 && needs redirected liblethe-malloc.so.0
}
ok 'pkg-config lethe-malloc: it is secret' redirected
# Where nothing of it is called by the program: its libraries alone call malloc().
silent() {
	build silent -DHEAP -Wl,--as-needed "$@" && says silent 2 && needs silent liblethe-malloc.so.0
}
# shellcheck disable=SC2046
ok 'also where the program calls no malloc(), under a linker that leaves out what it can' \
	silent $(pkg-config --cflags --libs lethe-malloc)
control() { ! silent -I"$prefix/include" -L"$lib" -llethe-malloc -llethe; }
ok 'control: named plainly it is left out there' control
# shellcheck disable=SC2046
static() {
	build static -static -DHEAP $(pkg-config --static --cflags --libs lethe) && says static 2 &&
		! readelf -d static | grep NEEDED
}
ok 'pkg-config --static lethe: a static program runs on secret pages' static
# shellcheck disable=SC2046
static_malloc() {
	build static_malloc -static $(pkg-config --static --cflags --libs lethe-malloc) &&
		says static_malloc 2
}
ok 'pkg-config --static lethe-malloc: malloc() is secret in one' static_malloc
# shellcheck disable=SC2046
static_plain() { build static_plain -static $(pkg-config --static --cflags --libs lethe) && says static_plain 0; }
ok 'control: without it, it is not' static_plain
# shellcheck disable=SC2046
static_pie() {
	build static_pie -static-pie -fPIE $(pkg-config --static --cflags --libs lethe-malloc) &&
		says static_pie 2
}
ok 'so in a static program whose place is random' static_pie

# shellcheck disable=SC2046
cancelled() {
	"$cc" "${flags[@]}" -D_GNU_SOURCE cancelled.c -o cancelled -static \
		$(pkg-config --static --cflags --libs lethe) && ./cancelled
}
ok 'a thread of a static program can be cancelled inside of libc' cancelled

# by_cmake NAME WORD: the lines of the README's block that begins with this word
by_cmake() {
	mkdir -p "cmake-$1" && cp use.c "cmake-$1/app.c" &&
		awk -v mark="<!-- cmake: $1 -->" '$0 == mark { on = 1 } /^```/ { if (inside) exit; if (on) { inside = 1; next } } inside' \
			"$readme" >lines && [ -s lines ] &&
		sed -e '/@LINES@/{' -e 'r lines' -e 'd' -e '}' "$cmake_lists" >"cmake-$1/CMakeLists.txt" &&
		cmake -S "cmake-$1" -B "cmake-$1/build" && cmake --build "cmake-$1/build" --verbose &&
		says "cmake-$1/build/app" 2
}
ok 'the lines for CMake: malloc() in a section is secret' by_cmake dynamic
ok 'those for a static program too' by_cmake static

preloaded() { [ "$(LD_PRELOAD=liblethe-malloc.so.0 says plain 2)" ]; }
ok 'LD_PRELOAD=liblethe-malloc.so.0 does it for one that was built without' preloaded

# alone COMPILER WORDS...: each header by itself
alone() {
	local header seen=0
	for header in $(cd "$prefix/include" && find . -name "*.h$plus" -printf '%P\n'); do
		echo "#include <$header>" | "$@" -Wall -Wextra -Wpedantic -Werror -fsyntax-only \
			-I"$prefix/include" - || return
		seen=$((seen + 1))
	done
	[ $seen -ge 3 ]
}
plus=
ok 'each header compiles alone as C11' alone "$cc" -x c -std=c11
plus='*'
ok 'and as C++17, with those of C++' alone "${CXX:-c++}" -x c++ -std=c++17
[ "$failed" -eq 0 ]
