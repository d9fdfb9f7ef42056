// SPDX-License-Identifier: MIT

// One row with Go's runtime/secret, in Go: as main.c. What its manual says it covers
// is the registers and the stack when Do returns, and the heap at a later garbage
// collection: -gc has two of those before it stands still.
//
//	residue-peer-go [-gc | -nothing] ROW < secret
package main

import (
	"bufio"
	"crypto/aes"
	"crypto/cipher"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"runtime/secret"
	"strings"
	"syscall"

	"lethe/peers/stop"
)

const (
	size          = 32
	shallow       = 4 << 10
	deep          = 64 << 10
	cannotBeAsked = 77
	promises      = "own general vector stack deep text stream altstack longjmp"
)

var (
	kept    cipher.AEAD
	nowhere *os.File
	signals = make(chan os.Signal, 1)
)

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func fill(frame []byte, key *[size]byte) {
	for i, b := range key {
		frame[i], frame[len(frame)/2+i], frame[len(frame)-size+i] = b, b, b
	}
	runtime.KeepAlive(frame)
}

//go:noinline
func useShallow(key *[size]byte) {
	var frame [shallow]byte
	fill(frame[:], key)
}

//go:noinline
func useDeep(key *[size]byte) {
	var frame [deep]byte
	fill(frame[:], key)
}

func text(key *[size]byte) {
	line := fmt.Sprintf("key %x\n", key[:])
	runtime.KeepAlive(line)
}

func stream(key *[size]byte) {
	out := bufio.NewWriter(nowhere)
	fmt.Fprintf(out, "a line before it; key %x\n", key[:])
	check(out.Flush())
}

func live(key *[size]byte) {
	block, err := aes.NewCipher(key[:])
	check(err)
	kept, err = cipher.NewGCM(block)
	check(err)
	kept.Seal(nil, make([]byte, kept.NonceSize()), key[:16], nil)
}

func interrupted(key *[size]byte) { stop.Signal(key, syscall.SIGUSR1) }

func wayOut(key *[size]byte) {
	useShallow(key)
	panic("a way out")
}

// Of a goroutine that is begun in Do it is from 1.27 on that its manual says anything.
func allPromises() string {
	if strings.HasPrefix(runtime.Version(), "go1.26") {
		return promises
	}
	return promises + " thread"
}

// It is gone, and erased, once it is not counted.
func thread(key *[size]byte) {
	before := runtime.NumGoroutine()
	go useShallow(key)
	for runtime.NumGoroutine() > before {
		runtime.Gosched()
	}
}

var rows = map[string]func(*[size]byte){
	"own":      func(*[size]byte) {},
	"general":  func(key *[size]byte) { stop.FillGeneral(key) },
	"vector":   func(key *[size]byte) { stop.FillVector(key) },
	"stack":    useShallow,
	"deep":     useDeep,
	"text":     text,
	"stream":   stream,
	"live":     live,
	"altstack": interrupted,
	"longjmp":  wayOut,
	"thread":   thread,
}

// As every peer, it wipes the secret by name.
func piece(work func(*[size]byte), wipe bool) {
	key := new([size]byte)
	if n, err := syscall.Read(0, key[:]); err != nil || n != size {
		os.Exit(1)
	}
	if wipe {
		defer clear(key[:])
	}
	work(key)
}

func run(work func(*[size]byte), protect bool) {
	defer func() { _ = recover() }()
	if protect {
		secret.Do(func() { piece(work, true) })
	} else {
		piece(work, false)
	}
}

func main() {
	// The main thread, which the searcher's driver waits for.
	runtime.LockOSThread()
	option, name := "", os.Args[len(os.Args)-1]
	if len(os.Args) == 3 {
		option = os.Args[1]
	}
	work, known := rows[name]
	switch {
	case name == "--promises":
		fmt.Println(allPromises())
		return
	case name == "--version":
		fmt.Println(runtime.Version())
		return
	case name == "signal":
		fmt.Fprintln(os.Stderr, "all of Go's handlers run on an alternate stack")
		os.Exit(cannotBeAsked)
	case !known:
		fmt.Fprintln(os.Stderr, "usage: residue-peer-go [-gc | -nothing] ROW < secret")
		os.Exit(1)
	}
	signal.Notify(signals, syscall.SIGUSR1)
	file, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	check(err)
	nowhere = file
	run(work, option != "-nothing")
	if option == "-gc" {
		runtime.GC()
		runtime.GC()
	}
	stop.Forever()
}
