package testserver

import "time"

// A Scenario is a server with a name, for trying a client out by hand.
type Scenario struct {
	Name  string
	About string // one line
	New   func() Config
}

// Scenarios returns the named servers. Their times are short, so that a
// person can watch them.
func Scenarios() []Scenario {
	return []Scenario{
		{"ok", "accepts everything", func() Config { return Config{} }},
		{"quickstart", "first says 421, then greylists for 3 seconds, then accepts", func() Config {
			return Config{
				Limits: Limits{Greylist: 3 * time.Second},
				Script: Script{On(Greeting, tooBusy)},
			}
		}},
		{"busy", "says 421 to every connection for 20 seconds after the first, then accepts", func() Config {
			return Config{Script: Script{On(Greeting, tooBusy).For(20 * time.Second)}}
		}},
		{"greylist", "defers each new sender and recipient for 10 seconds", func() Config {
			return Config{Limits: Limits{Greylist: 10 * time.Second}}
		}},
		{"ratelimit", "takes 5 messages per second, 5 in a burst", func() Config {
			return Config{Limits: Limits{Rate: Rate{N: 5, Burst: 5}}}
		}},
		{"connlimit", "takes 2 connections at once, one new one per second, 5 in a burst", func() Config {
			return Config{Limits: Limits{MaxConns: 2, NewConns: Rate{N: 1, Burst: 5}}}
		}},
		{"perconn", "takes 5 messages on one connection, then says 421", func() Config {
			return Config{Limits: Limits{PerConn: 5}}
		}},
		{"pertransaction", "takes 5 recipients in one transaction", func() Config {
			return Config{Limits: Limits{PerMessage: 5}}
		}},
		{"quota", "takes 20 messages in any minute", func() Config {
			return Config{Limits: Limits{Quota: Quota{N: 20, Per: time.Minute}}}
		}},
		{"box", "takes 5 messages per second; 10 too many in 10 seconds and it refuses everything for 30 seconds", func() Config {
			return Config{Limits: Limits{
				Rate: Rate{N: 5, Burst: 5},
				Box:  Box{After: 10, Within: 10 * time.Second, For: 30 * time.Second},
			}}
		}},
		{"badrcpt", "refuses the recipients perm@, temp@, full@, blocked@ and closing@ of any domain", badRecipients},
		{"auth", "wants STARTTLS, then AUTH as user with password secret", func() Config {
			return Config{
				TLS: StartTLS, RequireTLS: true, RequireAuth: true,
				Users:      map[string]string{"user": "secret"},
				Mechanisms: []string{"PLAIN", "LOGIN", "XOAUTH2", "OAUTHBEARER"},
			}
		}},
		{"badcert", "wants STARTTLS and has an expired certificate", func() Config {
			return Config{TLS: StartTLS, RequireTLS: true, Cert: ExpiredCert}
		}},
		{"flaky", "four messages in six fail, each in a way of its own", func() Config { return Config{Hook: flaky} }},
		{"indoubt", "takes every second message and hangs up instead of saying so", func() Config {
			return Config{Hook: func(at At) *Action {
				if at.Stage == Dot && at.Total%2 == 0 {
					return Close().Keep()
				}
				return nil
			}}
		}},
		{"silent", "accepts connections and says nothing", func() Config {
			return Config{Script: Script{On(Greeting, Stall()).Always()}}
		}},
		{"slow", "replies to MAIL and RCPT a byte at a time, 20 per second", func() Config {
			drip := Pass().Drip(50 * time.Millisecond)
			return Config{Script: Script{On(Mail, drip).Always(), On(Rcpt, drip).Always()}}
		}},
		{"size", "takes 64 KiB, and says 552 and hangs up as soon as a body is larger", func() Config {
			return Config{MaxSize: 64 << 10, EarlySize: true}
		}},
		{"garbage", "greets as an IMAP server does", func() Config {
			return Config{Script: Script{On(Greeting, Raw("* OK IMAP4rev1 ready\r\n")).Always()}}
		}},
		{"plain", "offers no extension at all", func() Config { return Config{Without: []string{"EHLO"}} }},
		{"lmtp", "speaks LMTP and defers temp@ after the dot", func() Config {
			return Config{LMTP: true, Hook: func(at At) *Action {
				if at.Stage == Dot && addressMatches("temp@", at.Rcpt) {
					return Reply("451 4.2.1 <" + at.Rcpt + "> Mailbox busy, try again later")
				}
				return nil
			}}
		}},
	}
}

// Lookup returns the configuration of a scenario, fresh for each call.
func Lookup(name string) (Config, bool) {
	for _, s := range Scenarios() {
		if s.Name == name {
			return s.New(), true
		}
	}
	return Config{}, false
}

var tooBusy = Reply("421 4.3.2 mx.example.test Service busy, try again later").ThenClose()

func badRecipients() Config {
	refuse := func(local, reply string) Rule {
		return On(Rcpt, Reply(reply)).To(local + "@").Always()
	}
	return Config{Script: Script{
		refuse("perm", "550 5.1.1 Recipient address rejected: User unknown"),
		refuse("temp", "450 4.2.1 Recipient address rejected: Mailbox temporarily unavailable"),
		refuse("full", "452 4.2.2 Recipient address rejected: Mailbox full"),
		refuse("blocked", "554 5.7.1 Recipient address rejected: Message refused by policy"),
		On(Rcpt, Reply("421 4.3.2 Service shutting down").ThenClose()).To("closing@").Always(),
	}}
}

// flaky fails messages 2 to 5 of each six.
func flaky(at At) *Action {
	switch {
	case at.Stage == Mail && at.Total%6 == 2:
		return Reset()
	case at.Stage == Rcpt && at.Total%6 == 3:
		return Reply("451 4.3.0 Temporary lookup failure")
	case at.Stage == Body && at.Total%6 == 4:
		return Close().AtByte(1)
	case at.Stage == Dot && at.Total%6 == 5:
		return Reply("451 4.3.0 Error: queue file write error")
	}
	return nil
}
