# SPDX-License-Identifier: MIT
# shellcheck shell=sh
#
# Points of a KTAP document as they come, for a test in shell that reads this. Decides
# nothing, and prints no plan.
#
#	ok SENTENCE COMMAND [ARGUMENT...]	why() prints what tells why it failed
#	skip SENTENCE REASON

number=0
failed=0

# To be defined anew by who has something to say.
why() { :; }

ok() {
	sentence=$1
	shift
	number=$((number + 1))
	if "$@"; then
		echo "ok $number - $sentence"
	else
		failed=$((failed + 1))
		echo "not ok $number - $sentence"
		why | sed 's/^/# /'
	fi
}

skip() {
	number=$((number + 1))
	echo "ok $number - $1 # SKIP $2"
}
