#!/bin/bash
# SPDX-License-Identifier: MIT
#
# What malloc(), calloc(), realloc() and free() of liblethe-malloc.so do outside of
# sections, by their machine code: with no branch taken they read one thread-local word
# and jump into libc, and call, push and write nothing. Looks and does not run. KTAP on
# stdout.
#
#	outside.sh CC LIBRARY
set -u
cc=$1 library=$2

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
# The control does what is right, but by a call, and with a stack for it.
cat >"$scratch/control.c" <<'END'
#include <stddef.h>
extern __thread unsigned int word __attribute__((tls_model("initial-exec")));
void *__libc_malloc(size_t size);
void *inside(size_t size);
void *malloc(size_t size)
{
	void *block = word ? inside(size) : __libc_malloc(size);

	__asm__ volatile("" : : "r"(block) : "memory");
	return block;
}
END
"$cc" -O2 -fPIC -shared -fno-builtin -o "$scratch/control.so" "$scratch/control.c"

# way FILE FUNCTION: the instructions from the first on, with no branch taken, to where
# it goes elsewhere
way()
{
	objdump -d --no-show-raw-insn "$1" | awk -v name="$2" '
		$0 ~ "^[0-9a-f]+ <" name ">:$" { inside = 1; next }
		/^$/ { inside = 0 }
		inside { sub(/^ *[0-9a-f]+:\t/, ""); print; if ($1 ~ /^(jmp|ret|call)/) exit }'
}

# is_short FILE FUNCTION MOST: at most so many instructions, of which one reads a
# thread-local word, none writes to memory, and the last is a jump to libc's own
is_short()
{
	way "$1" "$2" | awk -v most="$3" -v target="<__libc_$2[@>]" '
		/%fs:/ { words++ }
		/^(push|call|ret)/ || /,%rsp/ || /^(mov|add|sub|xadd|inc|or|and)[a-z]* +.*,[^,]*\(%/ { bad = 1 }
		{ last = $0 }
		END { exit words != 1 || NR > most || bad || last !~ "^jmp .*" target }'
}

n=0 failed=0
result()
{
	n=$((n + 1))
	if [ "$1" = 0 ]; then
		echo "ok $n - $2"
	else
		echo "not ok $n - $2"
		failed=1
	fi
}

echo "KTAP version 1"
echo "1..5"
for function in malloc:8 calloc:8 realloc:14 free:14; do
	name=${function%:*}
	is_short "$library" "$name" "${function#*:}"
	status=$?
	way "$library" "$name" | sed 's/^/# /'
	result $status "$name() outside of sections is one thread-local test and a jump into libc"
done
! is_short "$scratch/control.so" malloc 99
result $? "control: one that calls libc, and returns, is noticed"
exit $failed
