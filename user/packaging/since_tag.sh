#!/bin/bash
# SPDX-License-Identifier: MIT
#
# What has changed in liblethe's ABI since the last tag, by abidiff: functions that went,
# and types that are others. New ones may come. The library of the tag is built anew, in a
# tree of its own below the build's. Where there is no git, or no tag, it says so.
#
#	since_tag.sh O			O has lib/liblethe.so, with its DWARF
set -eu
O=$1

if ! tag=$(git describe --tags --abbrev=0 --match 'v[0-9]*' 2>/dev/null); then
	if git rev-parse --git-dir >/dev/null 2>&1; then
		echo 'no tag yet: there is no earlier ABI to compare with'
	else
		echo 'no git: the ABI was not compared with an earlier one'
	fi
	exit 0
fi

there=$O/abi/$(git rev-parse "$tag^{commit}")
if [ ! -e "$there/built" ]; then
	rm -rf "$there"
	mkdir -p "$there"
	git archive "$tag" | tar -x -C "$there"
	# Not by the variables and the job server of the make that runs this.
	env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL make -s -j2 -C "$there" O=build \
		'CFLAGS=-O0 -g' build/lib/liblethe.so >/dev/null
	: >"$there/built"
fi

echo "since $tag:"
# Of two types that no public header has, nobody's program knows.
if ! abidiff --no-added-syms --suppressions user/packaging/abi.ignore \
	--headers-dir1 "$there/user/include" --headers-dir2 user/include \
	"$there/build/lib/liblethe.so.0" "$O/lib/liblethe.so.0"; then
	echo 'the ABI is another: a soname, or a line in user/packaging/abi.ignore'
	exit 1
fi
echo 'nothing went, and nothing is another'
