// SPDX-License-Identifier: MIT

// Package stop has what Go's rows cannot say in Go: registers that are left full, a
// signal that comes while they are, and a stop that changes none.
package stop

import (
	"os"
	"strings"
	"syscall"
)

// Does the assembler below fill Y16 to Y31 too?
var avx512 = hasAVX512()

func hasAVX512() bool {
	cpu, err := os.ReadFile("/proc/cpuinfo")
	return err == nil && strings.Contains(string(cpu), " avx512vl")
}

// FillGeneral leaves the four words of the secret in general registers.
func FillGeneral(secret *[32]byte)

// FillVector leaves the secret in vector registers.
func FillVector(secret *[32]byte)

// Signal sends a signal to this thread while its registers are full, and empties them
// afterwards: what counts is where the kernel put them.
func Signal(secret *[32]byte, signal syscall.Signal) {
	interrupt(secret, syscall.Getpid(), syscall.Gettid(), int(signal))
}

func interrupt(secret *[32]byte, pid, tid, signal int)

// Forever is pause() for good. It changes what a system call changes.
func Forever()
