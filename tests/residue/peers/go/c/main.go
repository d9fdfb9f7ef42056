// SPDX-License-Identifier: MIT

// One row in C, called from within Go's secret.Do: as main.c, with the rows of C. The
// C wipes the secret by name (explicit_bzero.c).
//
//	residue-peer-go-c ROW < secret
package main

/*
#include <sys/prctl.h>
#include <unistd.h>

#include "piece.h"
#include "registers.h"

void piece_read(uint8_t secret[SECRET_SIZE])
{
	if (read(STDIN_FILENO, secret, SECRET_SIZE) != SECRET_SIZE)
		_exit(1);
}

static const struct row *row_prepared(const char *name)
{
	const struct row *row = row_named(name);

	prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY, 0, 0, 0);
	registers_look();
	if (row && row->prepare)
		row->prepare();
	return row;
}

static void piece(const struct row *row)
{
	piece_run(row->work);
}
*/
import "C"

import (
	"fmt"
	"os"
	"runtime"
	"runtime/secret"
)

// Of C's memory the manual says nothing; of registers it does.
const promises = "own general vector"

func main() {
	runtime.LockOSThread()
	name := os.Args[len(os.Args)-1]
	switch name {
	case "--promises":
		fmt.Println(promises)
		return
	case "longjmp":
		fmt.Fprintln(os.Stderr, "a longjmp() cannot pass through Go")
		os.Exit(77)
	}
	row := C.row_prepared(C.CString(name))
	if row == nil {
		fmt.Fprintln(os.Stderr, "usage: residue-peer-go-c ROW < secret")
		os.Exit(1)
	}
	secret.Do(func() { C.piece(row) })
	C.row_stop()
}
