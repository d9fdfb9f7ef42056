// SPDX-License-Identifier: MIT

// Go's side of the bench: what runtime/secret takes for the same things. Each line
// on stdin is a case, how many KiB of stack to have (0: as it comes), how many slices,
// and how many operations a slice; the answer is one line: nanoseconds an operation plainly, in secret.Do, and what it adds, each the
// median of all slices. Plain slices and others alternate.
package main

import (
	"bufio"
	"fmt"
	"os"
	"slices"
	"time"
)

// The two ways, each an operation.
type way struct {
	plain, secret func()
}

var ways = map[string]way{
	"empty":    {empty, emptySecret},
	"deep":     {deep(plainly, depth), deep(secretly, depth)},
	"touch":    {touch, touchSecret},
	"frame":    {frame, frameSecret},
	"exchange": {exchange, exchangeSecret},
}

// The first, uncounted, finds the caches as the other way left them.
func slice(op func(), ops int) float64 {
	op()
	start := time.Now()
	for range ops {
		op()
	}
	return float64(time.Since(start).Nanoseconds()) / float64(ops)
}

func median(samples []float64) float64 {
	slices.Sort(samples)
	return samples[(len(samples)-1)/2]
}

func measure(w way, nr, ops int) (plain, secret, added float64) {
	plains, secrets := make([]float64, nr), make([]float64, nr)
	differences := make([]float64, nr)
	for i := range nr {
		plains[i] = slice(w.plain, ops)
		secrets[i] = slice(w.secret, ops)
		differences[i] = secrets[i] - plains[i]
	}
	return median(plains), median(secrets), median(differences)
}

// On a goroutine of its own: its stack is as large as this case makes it.
func answer(name string, kib, nr, ops int) string {
	said := make(chan string)
	go func() {
		if kib > 0 {
			grow(kib << 10)
		}
		plain, secret, added := measure(ways[name], nr, ops)
		said <- fmt.Sprintf("%g %g %g", plain, secret, added)
	}()
	return <-said
}

func main() {
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		var name string
		var kib, nr, ops int
		_, err := fmt.Sscan(lines.Text(), &name, &kib, &nr, &ops)
		if _, known := ways[name]; err != nil || !known || kib < 0 || nr < 1 || ops < 1 {
			fmt.Fprintf(os.Stderr, "no case: %q\n", lines.Text())
			os.Exit(1)
		}
		fmt.Println(answer(name, kib, nr, ops))
	}
}
