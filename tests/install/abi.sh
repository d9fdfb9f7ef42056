#!/bin/bash
# SPDX-License-Identifier: MIT
#
# That `make abi` sees what it is for: what it says of this tree, and of copies in which
# something was changed. KTAP on stdout.
#
#	abi.sh MAKE O OBJECT...		the object files of liblethe
set -u
make=$1 O=$2
shift 2
# shellcheck source=tests/install/tree.sh
. tests/install/tree.sh
objects=("$@")
map=user/src/liblethe.map header=user/include/lethe.h
check=user/packaging/check_abi.sh

echo "KTAP version 1"
echo "1..13"

ok 'objects, liblethe.a, liblethe.so, liblethe.map and lethe.h agree, and the other libraries' \
	$check $map $header "$O/lib" "${objects[@]}"
# seen SAID COMMAND...: it fails, and says this
seen() {
	local said=$1 got
	shift
	got=$("$@" 2>&1) && { echo "$got"; return 1; }
	grep -Fqx -e "$said" <<<"$got" || { echo "$got"; return 1; }
}
sed 's|^int lethe_do(.*|&\nvoid lethe_forgotten(void);|' $header >"$scratch/lethe.h"
ok 'a function that is declared and not there is seen' seen \
	"in $scratch/lethe.h, not in $map: lethe_forgotten" $check $map "$scratch/lethe.h" "$O/lib" "${objects[@]}"
sed '/lethe_trim;/d' $map >"$scratch/map"
ok 'one that is not in the version script' seen \
	"in $header, not in $scratch/map: lethe_trim" $check "$scratch/map" $header "$O/lib" "${objects[@]}"
ok 'nor then is what liblethe.so has too much' seen \
	"in liblethe.so, not in $scratch/map: lethe_trim" $check "$scratch/map" $header "$O/lib" "${objects[@]}"
echo 'int stray; int seen(void) { return stray; }' | gcc -x c -fPIC -c -o "$scratch/stray.o" -
ok 'a global that is not hidden' seen \
	"in the object files, not in $map: seen stray" $check $map $header "$O/lib" "${objects[@]}" "$scratch/stray.o"
mkdir "$scratch/lib" && cp -L "$O"/lib/liblethe* "$scratch/lib"
gcc -shared -o "$scratch/lib/liblethe-malloc.so" -Wl,-soname,liblethe-malloc.so.1 "$scratch/stray.o"
ok 'one of liblethe-malloc' seen 'in liblethe-malloc.so, not in what it replaces: seen stray' \
	$check $map $header "$scratch/lib" "${objects[@]}"
ok 'a soname that is another' seen 'liblethe-malloc.so: the soname is not liblethe-malloc.so.0' \
	$check $map $header "$scratch/lib" "${objects[@]}"

# A repository of its own, whose only tag is what is here now.
tree=$scratch/tree
mkdir "$tree"
git ls-files -co --exclude-standard -z | tar -c --null --files-from=- 2>/dev/null | tar -x -C "$tree"
cd "$tree" || exit 1
rm -f .git
since() {
	"$make" -s -j2 O=build 'CFLAGS=-O0 -g' build/lib/liblethe.so >/dev/null &&
		user/packaging/since_tag.sh build
}
# said COMMAND...: with what it says
says() {
	local got said=$1
	got=$("${@:2}") && echo "$got" && grep -q -e "$said" <<<"$got"
}
ok 'without git it says that nothing was compared' \
	says '^no git' env GIT_CEILING_DIRECTORIES="$scratch" user/packaging/since_tag.sh build
git init -q . && git add -A && git -c user.name=test -c user.email=test commit -qm 'as it is'
ok 'without a tag too' says '^no tag yet' user/packaging/since_tag.sh build
git tag v0.1.0
ok 'what is as it was at the last tag passes' says '^nothing went' since
changed() { ! since && grep -q -e "$1" "$scratch/said"; }
sed -i '/lethe_trim;/d' user/src/liblethe.map
ok 'a function that went does not' changed 'lethe_trim'
git checkout -q user
sed -i '/^struct lethe_report {/,/^}/s/^};/	unsigned long long more;\n};/' user/include/lethe.h
ok 'nor does a structure that grew' changed 'struct lethe_report'
git checkout -q user
sed -i 's/^int lethe_wipe_thread(void);/&\nint lethe_new(void);/' user/include/lethe.h
sed -i 's/lethe_wipe_thread;/&\n	lethe_new;/' user/src/liblethe.map
echo 'PUBLIC int lethe_new(void) { return 0; }' >>user/src/wipe.c
ok 'a function more does' says '^nothing went' since
[ "$failed" -eq 0 ]
