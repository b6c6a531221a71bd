package main

import "time"

// The servers.
const (
	sink    = "smtp-sink" // Postfix's, in C
	bundled = "bundled"   // the fake server of the tests, on TCP
)

const (
	kib = 1 << 10
	mib = 1 << 20
)

// A cell is one situation in which peers are compared.
type cell struct {
	name      string
	server    string
	roundTrip time.Duration
	rcpts     int
	body      int // octets
	conns     int
	peers     []peer
}

// Each dimension is covered, and each claim has its cell; not all of one with
// all of the others, which would take hours.
var cells = []cell{
	{"no delay", sink, 0, 1, kib, 1, all},
	{"no delay, 10 recipients", sink, 0, 10, kib, 1, clients},
	{"no delay, 100 recipients", sink, 0, 100, kib, 1, all},
	{"no delay, 100 KiB", sink, 0, 1, 100 * kib, 1, all},
	{"no delay, 10 MiB", sink, 0, 1, 10 * mib, 1, withRaw},
	{"no delay, 10 connections", sink, 0, 1, kib, 10, all},
	{"no delay, 50 connections", sink, 0, 1, kib, 50, all},
	{"20 ms", sink, 20 * time.Millisecond, 1, kib, 1, all},
	{"20 ms, 10 recipients", sink, 20 * time.Millisecond, 10, kib, 1, clients},
	{"20 ms, 100 recipients", sink, 20 * time.Millisecond, 100, kib, 1, all},
	{"20 ms, 100 KiB", sink, 20 * time.Millisecond, 1, 100 * kib, 1, clients},
	{"20 ms, 10 MiB", sink, 20 * time.Millisecond, 1, 10 * mib, 1, withRaw},
	{"20 ms, 10 connections", sink, 20 * time.Millisecond, 1, kib, 10, all},
	{"20 ms, 50 connections", sink, 20 * time.Millisecond, 1, kib, 50, clients},
	{"100 ms", sink, 100 * time.Millisecond, 1, kib, 1, clients},
	{"100 ms, 10 recipients, 100 KiB, 10 connections", sink, 100 * time.Millisecond, 10, 100 * kib, 10, clients},

	{"bundled server", bundled, 0, 1, kib, 1, clients},
	{"bundled server, 10 connections", bundled, 0, 1, kib, 10, clients},
	{"bundled server, 10 MiB", bundled, 0, 1, 10 * mib, 1, withRaw},
	{"bundled server, 20 ms", bundled, 20 * time.Millisecond, 1, kib, 1, clients},
}

// Who takes part. The first is what the others are compared with.
var (
	clients = []peer{goSMTP, smtpretryEach, smtpretryQueued, goMail, netSMTP, smtpSource}
	all     = append(clients[:len(clients):len(clients)], postfix)
	withRaw = append(clients[:len(clients):len(clients)], raw)
)
