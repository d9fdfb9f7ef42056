# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# For the tests of what is installed: KTAP's lines, trees as text, and make. Sourced,
# with $make and $O set; what a test said is in $scratch/said.

: "${make:?}" "${O:?}"
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
export LC_ALL=C
unset LD_PRELOAD LETHE_BACKEND LETHE_REQUIRE DESTDIR PKG_CONFIG_PATH
# Those of the make that runs this: its targets and its job server are not ours.
unset MAKEFLAGS MFLAGS MAKELEVEL

number=0
# For the end of who sources this.
# shellcheck disable=SC2034
failed=0
ok() {
	local sentence=$1
	shift
	number=$((number + 1))
	if "$@" >"$scratch/said" 2>&1; then
		echo "ok $number - $sentence"
	else
		# shellcheck disable=SC2034
		failed=1
		echo "not ok $number - $sentence"
		sed 's/^/# /' "$scratch/said" | head -n 40
	fi
}
# A tree as lines: kind, mode, path and, of a link, where to.
tree() { (cd "$1" && find . -mindepth 1 -printf '%y %m %P %l\n' | sed 's/ $//' | sort); }
files() { (cd "$1" && find . ! -type d -printf '%P\n' | sort); }
# same FILE FILE: or the difference, said
same() { diff "$1" "$2"; }
# lethe TARGET [VARIABLE=VALUE...]
lethe() { "$make" --no-print-directory O="$O" "$@"; }
