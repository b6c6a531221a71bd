// Package queue is a durable queue of mail in front of smtpretry: what it has
// accepted is delivered, or reported as failed, whatever becomes of the process,
// and a server that says "not now" for hours costs nobody a goroutine.
//
//	q, err := queue.Open(ctx, queue.Config{Database: "mail.db", Relay: client})
//	...
//	_, err = q.Enqueue(ctx, &smtpretry.Message{From: from, To: to, Body: open}, queue.Options{})
//
// It lives in one SQLite file and needs no server, or in a PostgreSQL database
// that several machines work on together; the two differ in nothing but
// [Config].Database. It stands on River (github.com/riverqueue/river), whose web
// interface shows it.
//
// # The way of a message
//
//  1. [Queue.Enqueue] writes it down, as one entry for each destination that
//     [Config].Route names, and returns when it is on disk. With
//     [Queue.EnqueueTx] that is when the caller's own transaction commits.
//  2. When it is due, and nothing holds its destination, it is claimed. What is
//     claimed of one destination at once is bounded, so 100,000 messages that wait
//     for one host do not delay those for another.
//  3. A worker makes one attempt, with [smtpretry.Client.Try], for the recipients
//     that are still open. What the server has accepted is in a journal before the
//     next step begins.
//  4. The outcome of each recipient is recorded in one transaction, on disk: done,
//     failed, or due again at a certain time. A limit that does not let the message
//     through yet costs no attempt.
//  5. When no recipient is open, or the give-up time has come, the entry is over.
//     Failures are told to [Config].OnFailed and, if wanted, to the sender.
//
// # Guarantees
//
//   - Accepted means never lost: a process that is killed at any moment loses
//     nothing that Enqueue has returned for. That holds when the machine fails,
//     too, as far as its disk keeps what it says it has written.
//   - A kill sends again only messages that were at the final dot, or within a few
//     microseconds after it, and nothing that was recorded or in the journal.
//   - What was interrupted is picked up when the queue is opened again: at once,
//     not after a timeout. A second process never takes what a living one sends.
//   - Only recipients that are still open are tried again.
//   - Each recipient that fails is reported exactly once, with its last reply, and
//     can be looked up for [Config].Keep.
//
// # Not promised
//
//   - Exactly once. When the link breaks between the final dot and its reply, or
//     the process is killed there, nobody can know whether the message arrived
//     (RFC 1047). It is sent again, unless Policy.RetryInDoubt is false.
//   - Order, beyond priority and age within one destination.
//   - SQLite over a network file system, or one file for several machines.
package queue
