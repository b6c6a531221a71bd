// Package check looks at all that is between a program and a mail server: the
// names, the route, the server's dialogue, its certificate and login, the
// standing of the sending address, and the records of the sender's domain.
// Nothing is sent: the dialogue ends before DATA.
//
// What it promises:
//
//   - A fault is named once. What could not be looked at because of it is
//     skipped, and says so; it is not reported as faulty as well.
//   - What cannot be known is not guessed: a block list that refuses to answer
//     is no listing, a private address is not looked up.
//   - A password goes to a server only over TLS whose certificate was verified,
//     and into no step and no report.
//   - It ends when the time of its [Config] is up.
//
// [Run] does it all. It prints nothing and reads no environment.
package check
