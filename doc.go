// Package smtpretry sends mail through servers that say "not now". It wraps
// the client of github.com/emersion/go-smtp: every reply is sorted, temporary
// failures are tried again at the right time, a limiter for each host keeps
// the sender below the provider's limits, and every recipient is accounted
// for.
//
//	c, err := smtpretry.Wrap(client, smtpretry.Config{Host: "smtp.example.com"})
//	...
//	err = c.SendMail(from, to, body) // as before
//
// Most programs need three calls: [New] or [Wrap], then [Client.Send] with a
// [Message], or [Client.SendMail] where the code is written for go-smtp.
//
// # The way of a message
//
//  1. It waits until the [Limiter] has everything for it at once: no pause in
//     force, a place in the rate and in each quota, and a connection. While it
//     waits it holds nothing.
//  2. It goes out over a kept connection or a new one: MAIL, RCPT for each
//     recipient that is due, DATA, the body, the final dot.
//  3. Each reply, or the failure that took its place, becomes a [Verdict], one
//     for each recipient: see [Classify].
//  4. The limiter is told: it learns what the host takes, and pauses it for
//     everybody if the verdict is about the host.
//  5. Each recipient's next step is decided by the [Policy]: done, given up,
//     or again at a certain time.
//  6. The deferred recipients, and only they, go back to 1 when their time has
//     come. When none is left, Send returns the [Result].
//
// # Guarantees
//
//   - Nothing is delivered twice, unless Policy.RetryInDoubt allows it: a
//     message whose final dot was sent and not answered is in doubt
//     ([ErrInDoubt]), and is not sent again.
//   - Nothing is cut short: when a body fails in the middle, or has not the
//     length that was announced, the connection is closed without the final
//     dot.
//   - No recipient of one message gets another: a transaction that did not end
//     is reset before the next, or its connection closed.
//   - In any window of length w no more than Burst + Rate·w messages start to
//     a host, and no more than N within any window of a [Quota]; see [Limit].
//   - Every recipient has an outcome in the [Result], also when an error is
//     returned.
//   - A call returns when its context ends, whatever the server does, and
//     leaves no goroutine behind.
//   - Credentials never go over a connection that the Dialer made without
//     encryption beyond this machine, and encryption that was asked for is
//     never given up.
//
// # Not promised
//
//   - Order. Messages sent at the same time arrive in any order, and one that
//     is tried again arrives later than those after it.
//   - Durability. A message that is being tried lives in memory: a program
//     that ends loses it. The module smtpretry/queue is a durable queue on top
//     of [Client.Try], which makes one attempt.
//   - Limits across processes, by itself. A [Limiter] knows what its own process
//     sends, until [Limiter.Share] gives it a store that all of them reach.
//   - Exactly once. Between the final dot and its reply SMTP cannot tell
//     (RFC 1047); smtpretry says so instead of guessing.
package smtpretry
