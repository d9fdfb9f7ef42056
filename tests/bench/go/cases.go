// SPDX-License-Identifier: MIT

package main

import "runtime/secret"

const (
	depth     = 8
	touchSize = 4 << 10
	frameSize = 64 << 10
	page      = 4 << 10
)

//go:noinline
func empty() {}

func emptySecret() { secret.Do(empty) }

func plainly(op func()) func() { return func() { op() } }

func secretly(op func()) func() { return func() { secret.Do(op) } }

// So many of them, each inside the other.
func deep(within func(func()) func(), n int) func() {
	op := empty
	for range n {
		op = within(op)
	}
	return op
}

var sink byte

//go:noinline
func touch() {
	var words [touchSize / 8]uint64
	for i := range words {
		words[i] = uint64(i)
	}
	use(words[:])
}

//go:noinline
func use(words []uint64) { sink = byte(words[len(words)/2]) }

func touchSecret() { secret.Do(touch) }

// One byte a page of a large frame. Go zeroes all of it, in or out of secret.Do.
//
//go:noinline
func frame() {
	var bytes [frameSize]byte
	for i := 0; i < frameSize; i += page {
		bytes[i] = 1
	}
	look(bytes[:])
}

//go:noinline
func look(bytes []byte) { sink = bytes[len(bytes)/2] }

func frameSecret() { secret.Do(frame) }

// So deep that the stack has this many bytes: it doubles when it is full, and stays.
func grow(size int) { growBy(size * 5 / 8) }

//go:noinline
func growBy(bytes int) {
	var block [1 << 10]byte
	block[bytes%len(block)] = 1
	if bytes > len(block) {
		growBy(bytes - len(block))
	}
	look(block[:])
}
