// Package statuspage shows what a [smtpretry.Limiter] and its clients are doing
// as a web page: each host with the limit in force and why, pauses and how much
// longer they last, what was replied last and what to do about it, throughput
// against the limit; and a queue, if there is one, with what waits in it and why.
//
//	page := &statuspage.Handler{Limiter: limiter}
//	client, err := smtpretry.New(smtpretry.Config{Limiter: limiter, Trace: page.Trace(), ...})
//	...
//	http.Handle("/mail/", http.StripPrefix("/mail", onlyForUs(page)))
//
// Everything comes from this package: no other server is asked for anything, and
// a strict Content-Security-Policy says so to the browser. Pages work without
// script; with it they are kept up to date. Each is there as JSON, too, with
// ?format=json or "Accept: application/json".
//
// # Who may see it
//
// The handler does not ask who is looking: put it behind what your program has
// for that. It shows names of hosts and what servers replied, which may have
// addresses in it, and of a queue senders and recipients. Bodies are not shown.
//
// It is read-only until [Handler].Authorize is set. Then requests for which that
// is true may hold, release, retry and drop what is in the queue: by POST, and
// from this very site ([http.CrossOriginProtection]).
package statuspage
