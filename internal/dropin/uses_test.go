package main_test

import (
	"strings"

	"github.com/smtpretry/smtpretry/internal/testserver"
)

// A use is a program and a server for it.
type use struct {
	program string
	server  string // what it does
	cfg     testserver.Config
	host    string            // said for 127.0.0.1
	named   string            // what stands for the machine's name in EHLO
	differs map[string]string // build → why it does
}

// both is a reason that holds for either way to use smtpretry.
func both(why string) map[string]string { return map[string]string{"wrap": why, "dialer": why} }

// Reasons that hold for more than one use.
const (
	again   = "A temporary failure is tried again."
	goodbye = "Quit has nothing to report of a connection that is gone, or does not end as it should: the fate of each message is known by then."
	faulty  = "What no server should get is refused before anything is sent."
	words   = "The error of SendMail says more. errors.As finds the server's reply in it, if there was one."
	star    = "go-smtp says * after a refusal, which ended the exchange already; a connection that smtpretry made does not."
	name    = "The package's functions introduce themselves by the machine's name: some servers refuse localhost."
)

// script is a server that does one thing differently.
func script(rules ...testserver.Rule) testserver.Config { return testserver.Config{Script: rules} }

var (
	on    = testserver.On
	reply = testserver.Reply
	users = map[string]string{"me": "right"}

	picky = script(
		on(testserver.Mail, reply("550 5.1.8 Bad sender")).When(func(at testserver.At) bool { return strings.HasPrefix(at.From, "bad@") }).Always(),
		on(testserver.Rcpt, reply("550 5.1.1 User unknown")).To("perm@").Always(),
		on(testserver.Rcpt, reply("450 4.2.1 Mailbox busy")).To("temp@").Always(),
		on(testserver.Dot, reply("554 5.6.0 Message refused")).Skip(1),
	)
)

var uses = []use{
	{program: "newsletter", server: "no fault"},
	{program: "one-letter", server: "no fault"},
	{program: "international", server: "no fault"},
	{program: "international", server: "no SMTPUTF8", cfg: testserver.Config{Without: []string{"SMTPUTF8"}},
		differs: both(words)},
	{program: "newsletter", server: "HELO only", cfg: testserver.Config{Without: []string{"EHLO"}}},
	{program: "one", server: "no fault"},
	{program: "one", server: "says 550 to MAIL", cfg: script(on(testserver.Mail, reply("550 5.7.1 Sender denied")))},
	{program: "one", server: "says 550 to RCPT", cfg: script(on(testserver.Rcpt, reply("550 5.1.1 User unknown")))},
	{program: "one", server: "says 554 to DATA", cfg: script(on(testserver.Data, reply("554 5.7.1 No mail from you")))},
	{program: "one", server: "says 554 to the dot", cfg: script(on(testserver.Dot, reply("554 5.7.1 Spam")))},
	{program: "one", server: "says 554 in greeting", cfg: script(on(testserver.Greeting, reply("554 5.7.1 Go away")).Always()),
		differs: both(goodbye)},
	{program: "one", server: "says 500 to QUIT", cfg: script(on(testserver.Quit, reply("500 5.5.1 What?").ThenClose())),
		differs: both(goodbye)},
	{program: "one", server: "says 450 to MAIL", cfg: script(on(testserver.Mail, reply("450 4.3.2 Not now"))),
		differs: both(again)},
	{program: "one", server: "says 450 to RCPT", cfg: script(on(testserver.Rcpt, reply("450 4.2.0 Not now"))),
		differs: both(again)},
	{program: "one", server: "says 451 to the dot", cfg: script(on(testserver.Dot, reply("451 4.3.0 Not now"))),
		differs: both(again)},
	{program: "one", server: "says 421 in greeting", cfg: script(on(testserver.Greeting, reply("421 4.3.2 Too busy").ThenClose())),
		differs: both(again)},
	{program: "one", server: "hangs up after the dot", cfg: script(on(testserver.Dot, testserver.Close().Keep())),
		differs: both(goodbye + " The message is in doubt and is not sent again.")},
	{program: "three", server: "refuses one of three", cfg: script(on(testserver.Rcpt, reply("550 5.1.1 User unknown")).To("b@")),
		differs: both("Who is accepted gets the message, whoever else is refused.")},
	{program: "three", server: "refuses all", cfg: script(on(testserver.Rcpt, reply("550 5.1.1 User unknown")).Always()),
		differs: both("All recipients are asked for, not only those before the first that is refused.")},
	{program: "newsletter", server: "two messages on a connection", cfg: testserver.Config{Limits: testserver.Limits{PerConn: 2}},
		differs: both(again)},
	{program: "same-twice", server: "no fault",
		differs: both("A recipient that is named twice gets the message once.")},
	{program: "nobody", server: "no fault",
		differs: both(faulty)},
	{program: "bad-address", server: "no fault",
		differs: both(faulty + " go-smtp lets an address add parameters to the command.")},
	{program: "too-much", server: "takes 100 octets", cfg: testserver.Config{MaxSize: 100},
		differs: both("A message larger than the server says it takes is not sent to find out.")},
	{program: "bare-cr", server: "no fault",
		differs: both(faulty + " What a lone CR ends is read differently by different servers.")},
	{program: "broken", server: "no fault",
		differs: both("When the reader fails nothing is delivered. With go-smtp the half that was read is, by the goodbye.")},
	{program: "go-on", server: "refuses the second", cfg: script(on(testserver.Rcpt, reply("550 5.1.1 User unknown")).To("b@"))},
	{program: "print-error", server: "says 550 to RCPT", cfg: script(on(testserver.Rcpt, reply("550 5.1.1 User unknown"))),
		differs: both(words)},

	{program: "by-hand", server: "no fault"},
	{program: "out-of-order", server: "no fault"},
	{program: "refused-by-hand", server: "refuses some", cfg: picky},
	{program: "just-quit", server: "no fault",
		differs: map[string]string{"dialer": "New connects when there is something to do."}},
	{program: "noop-twice", server: "no fault"},
	{program: "noop-twice", server: "says 421 to NOOP", cfg: script(on(testserver.Other, reply("421 4.3.2 Shutting down").ThenClose())),
		differs: both("A command is not repeated, but the next one has a new connection.")},
	{program: "unfinished", server: "no fault",
		differs: both("A body whose writer was not closed is not delivered.")},
	{program: "after-close", server: "no fault",
		differs: both("Close may be called twice, and what comes after has an error of its own, ErrClosed.")},
	{program: "optional", server: "no fault", cfg: testserver.Config{Users: users,
		Extra: []string{"REQUIRETLS", "DELIVERBY", "MT-PRIORITY"}}},
	{program: "optional", server: "no extensions", cfg: testserver.Config{Without: []string{"DSN", "SIZE", "SMTPUTF8", "8BITMIME"}}},
	{program: "bodies", server: "no fault"},
	{program: "large", server: "no fault"},

	{program: "auth-plain", server: "no fault", cfg: testserver.Config{Users: users, RequireAuth: true}},
	{program: "auth-login", server: "no fault", cfg: testserver.Config{Users: users, RequireAuth: true}},
	{program: "auth-bearer", server: "no fault", cfg: testserver.Config{Users: users, Mechanisms: []string{"OAUTHBEARER"}}},
	{program: "auth-bearer", server: "other tokens", cfg: testserver.Config{Users: map[string]string{"me": "other"}, Mechanisms: []string{"OAUTHBEARER"}}},
	{program: "auth-plain", server: "LOGIN only", cfg: testserver.Config{Users: users, Mechanisms: []string{"LOGIN"}},
		differs: map[string]string{"dialer": star}},
	{program: "auth-plain", server: "no AUTH",
		differs: map[string]string{"dialer": star}},
	{program: "auth-twice", server: "no fault", cfg: testserver.Config{Users: users, RequireAuth: true},
		differs: map[string]string{"dialer": star}},
	{program: "auth-not", server: "wants AUTH", cfg: testserver.Config{Users: users, RequireAuth: true}},
	{program: "starttls", server: "no fault", cfg: testserver.Config{TLS: testserver.StartTLS, Users: users, RequireTLS: true}},
	{program: "starttls-named", server: "no fault", cfg: testserver.Config{TLS: testserver.StartTLS, Users: users}},
	{program: "starttls", server: "no STARTTLS", cfg: testserver.Config{Users: users},
		differs: map[string]string{"dialer": "New connects when there is something to do; the refusal comes then, in other words."}},
	{program: "starttls", server: "expired certificate", cfg: testserver.Config{TLS: testserver.StartTLS, Cert: testserver.ExpiredCert, Users: users}},
	{program: "implicit-tls", server: "no fault", cfg: testserver.Config{TLS: testserver.ImplicitTLS, Users: users}},
	{program: "one-shot", server: "no fault", host: "0.0.0.0", named: "(this machine)",
		cfg:     testserver.Config{TLS: testserver.StartTLS, Users: users},
		differs: both(name)},
	{program: "one-shot", server: "on this machine", named: "(this machine)",
		cfg:     testserver.Config{TLS: testserver.StartTLS, Users: users},
		differs: both(name + " On loopback there is no TLS unless it is asked for (TLSAuto), which the package's functions cannot do; a server there that wants it refuses.")},
	{program: "one-shot-tls", server: "no fault", named: "(this machine)",
		cfg:     testserver.Config{TLS: testserver.ImplicitTLS, Users: users},
		differs: both(name)},

	{program: "features", server: "no fault", cfg: testserver.Config{Users: users,
		Limits: testserver.Limits{PerConn: 100, Announce: true}}},
	{program: "features", server: "HELO only", cfg: testserver.Config{Without: []string{"EHLO"}}},
	{program: "debugged", server: "refuses some", cfg: script(picky.Script[:3]...)},
	{program: "impatient", server: "silent at MAIL", cfg: script(on(testserver.Mail, testserver.Stall()))},
	{program: "impatient", server: "silent after the dot", cfg: script(on(testserver.Dot, testserver.Stall()))},
	{program: "impatient-sending", server: "silent after the dot", cfg: script(on(testserver.Dot, testserver.Stall()))},
	{program: "local", server: "puts one off", cfg: testserver.Config{LMTP: true,
		Script: testserver.Script{on(testserver.Dot, reply("450 4.2.1 Mailbox busy")).To("temp@").Always()}}},
	{program: "local-refused", server: "refuses one", cfg: testserver.Config{LMTP: true,
		Script: testserver.Script{on(testserver.Dot, reply("550 5.1.1 User unknown")).To("perm@").Always()}},
		differs: both("SendMail over LMTP: each recipient's reply is in the Result of the *SendError, not in an LMTPDataError.")},
}
