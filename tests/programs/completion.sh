#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Completion of lethectl in bash: every verb, every option that its help shows, and what
# options take. KTAP on stdout.
#
#	completion.sh LETHECTL COMPLETION
set -u
lethectl=$(realpath "$1")
export LC_ALL=C
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
# shellcheck source=/dev/null
. "$2"
cd "$scratch" || exit 1

number=0
ok() {
	local sentence=$1
	shift
	number=$((number + 1))
	if "$@"; then
		echo "ok $number - $sentence"
	else
		echo "not ok $number - $sentence"
		echo "# COMPREPLY: ${COMPREPLY[*]-}" | head -c 1000 | tr '\n' ' '
		echo
	fi
}

# The words that are typed so far; bash makes a word of each "=".
complete_words() {
	COMP_WORDS=("$lethectl" "$@")
	COMP_CWORD=$#
	COMPREPLY=()
	_lethectl
}
has() { [[ " ${COMPREPLY[*]-} " = *" $1 "* ]]; }
is() { [ "${COMPREPLY[*]-}" = "$1" ]; }
# Not as the completion finds them: all that begins with two hyphens.
long_options() {
	"$lethectl" ${1:+"$1"} --help | grep -o -e '^ *\(-., \)\{0,1\}--[a-z][a-z-]*' | grep -o -e '--.*'
}
all_options() {
	local verb=$1 option count=0
	while read -r option; do
		complete_words ${verb:+"$verb"} "${option%?}"
		has "$option" || has "$option=" || return 1
		count=$((count + 1))
	done < <(long_options "$verb")
	COMPREPLY=("only $count")
	((count >= 3))
}

verbs=$("$lethectl" --help | sed -n '/^Verbs/,$s/^  \([a-z]*\) .*/\1/p')
set -f
# shellcheck disable=SC2086
set -- $verbs

echo "KTAP version 1"
echo "1..$((17 + $#))"

ok "there is a completion for lethectl, and it has run and status among $#" \
	eval 'complete -p lethectl >/dev/null && [[ " $* " = *" run "* && " $* " = *" status "* ]]'
for verb; do
	ok "$verb: each option that its help shows is completed" all_options "$verb"
done
ok 'and each before a verb' all_options ''
all_verbs() {
	complete_words ''
	local verb
	for verb; do has "$verb" || return 1; done
}
ok 'nothing typed: every verb' all_verbs "$@"
complete_words sta
ok 'a verb that is begun' is status
complete_words nonsense --
ok 'a verb that there is not has no options' is ''
complete_words run --backend = ''
ok '--backend=: what it takes' is 'kmod memfd_secret mlock'
complete_words run --backend = mem
ok '--backend=mem' is memfd_secret
complete_words run -b k
ok '-b k' is kmod
complete_words run --require =
ok '--require=' is 'unmapped locked'
complete_words run --on
ok 'run --on' is --only
complete_words run --only base64
ok 'run: a program' has base64
: >a-file-of-mine
complete_words run --backend = mlock -- cat a-fi
ok 'behind the program, files' is a-file-of-mine
complete_words run cat --on
ok 'and no option of ours' is ''
complete_words verify --secret-fd 3 -- base64
ok 'verify: a program, behind --' has base64
complete_words verify --secret-fd 3 -- cat a-fi
ok 'and files behind that' is a-file-of-mine
complete_words verify --secret-fd 3 base6
ok 'but none before it' is ''
complete_words verify --junit = a-fi
ok 'verify --junit=: a file' is a-file-of-mine
