#!/bin/sh
# SPDX-License-Identifier: MIT
#
# The selftests without the project: by their own Makefile, and copied into a
# kernel tree, by that tree's.
#
#	alone.sh KERNEL_TREE SCRATCH
cd "$(dirname "$0")/../.." || exit 1
tree=$(realpath "$1") || exit 1
place=$(realpath "$2") || exit 1
here=tests/selftests
lethe=$tree/tools/testing/selftests/lethe
log=$(mktemp) || exit 1
trap 'rm -f "$log"' EXIT
# What the project's make told its children is not for another project's.
unset MAKEFLAGS MFLAGS MAKELEVEL CFLAGS O KERNEL

n=0
failed=0
say() {
	n=$((n + 1))
	if [ "$1" -eq 0 ]; then
		echo "ok $n - $2"
	else
		grep -E -A 1 'not ok|warning|rror' "$log" | tail -n 40 | sed 's/^/# /'
		echo "not ok $n - $2"
		failed=1
	fi
}

echo "KTAP version 1"
echo "1..4"
rm -rf "$place/alone" "$lethe"
make -C $here OUTPUT="$place/alone" >"$log" 2>&1
say $? "make -C tests/selftests builds them"

# The header is where make headers puts what is in include/uapi.
mkdir -p "$lethe" "$tree/usr/include/linux"
cp kmod/uapi/linux/lethe.h "$tree/usr/include/linux/"
names=$(make -s -C $here names)
for name in $names; do
	cp "$here/$name.c" "$lethe/"
done
(cd $here && cp -p Makefile programs.mk config settings together.sh -- *.h "$lethe/")
make -C "$tree/tools/testing/selftests" TARGETS=lethe >"$log" 2>&1 &&
	! grep -q 'warning:' "$log"
say $? "make TARGETS=lethe builds them in a kernel tree, without a warning"

make -C "$tree/tools/testing/selftests" TARGETS=lethe run_tests >"$log" 2>&1
good=$(grep -c '^ok [0-9]* selftests: lethe: ' "$log")
[ "$good" -eq $(($(echo "$names" | wc -w) + 1)) ] && ! grep -q '^not ok' "$log"
say $? "run_tests runs each: none fails ($good did not)"

make -C "$tree/tools/testing/selftests" TARGETS=lethe clean >"$log" 2>&1
left=$(find "$lethe" -type f -executable ! -name '*.sh')
[ -z "$left" ]
say $? "and clean leaves nothing"
exit $failed
