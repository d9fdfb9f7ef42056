#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Each example, built where it is installed by the line that it begins with, with gcc and
# clang and with every warning an error. KTAP on stdout.
#
#	installed.sh MAKE O
set -u
make=$1 O=$2
# shellcheck source=tests/install/tree.sh
. tests/install/tree.sh

prefix=$scratch/prefix
lethe install-files PREFIX="$prefix" >"$scratch/said" 2>&1 || { cat "$scratch/said"; exit 1; }
lib=$(dirname "$(dirname "$(find "$prefix" -name lethe.pc)")")
cd "$prefix/share/doc/lethe/examples" || exit 1

# As for whoever has it in /usr: the compiler, the linker and pkg-config find it.
with_lethe() {
	PKG_CONFIG_PATH=$lib/pkgconfig CPATH=$prefix/include LIBRARY_PATH=$lib \
		LD_LIBRARY_PATH=$lib LETHE_BACKEND=memfd_secret "$@"
}
# The command in the first comment of a file, on one line.
command_of() {
	awk '/^ \*\tcc / { on = 1 } on { sub(/^ \*\t+/, ""); more = sub(/\\$/, ""); printf "%s", $0;
		if (!more) exit }' "$1"
}
# built COMPILER FILE: a.out, whatever name the line has
built() {
	local line
	line=$(command_of "$2")
	rm -f a.out
	sh -c "$1 -Wall -Wextra -Wshadow -Werror -O2 ${line#cc } -o a.out"
}
begins() {
	timeout 20 ./a.out </dev/null
	[ $? -le 2 ] && readelf -d a.out | grep -q 'NEEDED.*\[liblethe.so.0\]'
}

# What is before a port to Lethe is built by tests/examples/porting_test.py.
rm -f ./*_before.c
# Debian 13 has no clang-14.
clang="clang-14"
command -v "$clang" >/dev/null || clang=clang

mapfile -t programs < <(grep -l '^int main(' ./*.c)
echo "KTAP version 1"
echo "1..$((2 + 2 * ${#programs[@]}))"

complete() {
	local file
	for file in "${programs[@]}"; do
		[ -n "$(command_of "$file")" ] || { echo "$file has no line"; return 1; }
	done
	for file in *.c; do
		for program in "${programs[@]}"; do
			command_of "$program"
			echo
		done | grep -qw "$file" || { echo "$file is in no line"; return 1; }
	done
}
ok "each of the ${#programs[@]} programs says how it is built, and each file is of one" complete

for program in "${programs[@]}"; do
	for compiler in gcc "$clang"; do
		one() { with_lethe built "$compiler" "$program" && with_lethe begins; }
		ok "${program#./} by its line with $compiler" one
	done
done
none() {
	local program
	for program in "${programs[@]}"; do
		! built gcc "$program" || return 1
	done
}
ok 'control: where Lethe is not installed, none' none
[ "$failed" -eq 0 ]
