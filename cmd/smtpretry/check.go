package main

import (
	"errors"
	"fmt"
	"net"
	"net/mail"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/smtpretry/smtpretry/cmd/smtpretry/internal/check"
	"github.com/smtpretry/smtpretry/cmd/smtpretry/internal/server"
	"github.com/smtpretry/smtpretry/cmd/smtpretry/internal/ui"
)

func newCheck(u *ui.UI) *cobra.Command { return newCheckWith(u, check.Config{}) }

// newCheckWith makes the command with what no flag sets.
func newCheckWith(u *ui.UI, cfg check.Config) *cobra.Command {
	var (
		ca, message, ip, passwordFile string
		report                        bool
	)
	cmd := &cobra.Command{
		Use:   "check SERVER|DOMAIN [flags]",
		Short: "Look for what keeps mail from being sent: from DNS to block lists",
		Long: `check looks at all that is between a program and a mail server, says of each step
how it ended, how long it took and what to change, and sends nothing.

SERVER is a URL as for send: smtps://user@host (TLS, port 465), smtp://user@host
(STARTTLS, port 587), smtp+starttls://, smtp+plain:// (never TLS), or HOST:PORT.
DOMAIN is a mail domain: the hosts that take its mail are checked on port 25.

With --from, SPF, DKIM, DMARC and MTA-STS of the sender's domain are looked at;
with --to, MAIL and RCPT are said, and taken back before any message. The
address that mail leaves from is asked for in block lists. A fault is named
once; what could not be looked at because of it is skipped.

See docs/check.md for each step.`,
		Example: `  smtpretry check smtps://me@smtp.example.com --from me@example.com
  smtpretry check example.com --to postmaster@example.com
  smtpretry check smtp.example.com:587 --from example.com --selector s1 --ip 192.0.2.1
  smtpretry check smtps://me@smtp.example.com --report >for-the-support.txt`,
		Annotations: map[string]string{
			helpExit: `1   a fault was found
66  a file cannot be opened
74  reading or writing failed
75  the faults may go away by themselves: no answer, or a reply that says later
78  the file for the password is empty`,
			helpEnvironment: `SMTPRETRY_PASSWORD       the password of the user; without it, it is asked for on a
                         terminal, and elsewhere the login is skipped
SMTPRETRY_PASSWORD_FILE  a file whose first line is the password`,
		},
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return errors.New("name one server or domain, such as smtps://me@smtp.example.com or example.com")
			}
			return nil
		},
	}
	f := cmd.Flags()
	f.SortFlags = false
	f.StringVar(&cfg.From, "from", "", "the sender's `address` (or only its domain), whose domain is looked at")
	f.StringVar(&cfg.Mail, "mail", "", "the `address` for MAIL FROM, if it is another than --from")
	f.StringArrayVar(&cfg.Rcpt, "to", nil, "offer this recipient's `address`; nothing is sent; may be repeated")
	f.StringArrayVar(&cfg.Selector, "selector", nil, "a DKIM `selector` of the sender's domain; may be repeated")
	f.StringVar(&message, "message", "", "verify the DKIM signatures of the message in this `file`")
	f.StringVar(&ip, "ip", "", "the `address` that mail leaves from, if it is not this machine's")
	f.StringArrayVar(&cfg.DNSBL, "dnsbl", nil, "ask this block list's `zone`, in place of the usual ones; may be repeated")
	f.BoolVar(&cfg.NoList, "no-dnsbl", false, "ask no block list")
	f.StringVar(&cfg.Resolver, "resolver", cfg.Resolver, "the DNS resolver's `host:port` (default: the system's)")
	f.StringVar(&passwordFile, "password-file", "", "read the password from the first line of this `file`")
	f.StringVar(&cfg.Mechanism, "auth", "", "log in by this `mechanism`: "+strings.Join(server.Mechanisms, ", ")+"\n(default: what is offered of the first two)")
	f.StringVar(&ca, "ca", "", "trust the certificates in this PEM `file`, too")
	f.StringVar(&cfg.LocalName, "helo", "", "the `name` to say in EHLO (default: this machine's)")
	f.DurationVar(&cfg.Timeout, "timeout", check.DefaultTimeout, "the `time` for all of it")
	f.BoolVar(&report, "report", false, "print a text for the provider's support, with the dialogue")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := errors.Join(target(&cfg, args[0]), senders(&cfg, ip)); err != nil {
			return ui.Fail(ui.Usage, err)
		}
		if err := files(&cfg, ca, message); err != nil {
			return ui.Fail(ui.NoInput, err)
		}
		if cfg.User != "" {
			var err error
			if cfg.Password, err = checkPassword(u, passwordFile, cfg.User+" at "+cfg.Host); err != nil {
				return err
			}
		}
		r := check.Run(cmd.Context(), cfg)
		if cmd.Context().Err() != nil {
			return ui.Failf(ui.TempFail, "interrupted")
		}
		if err := printCheck(u, r, cfg, report); err != nil {
			return err
		}
		switch worst, passing := r.Worst(); {
		case passing:
			return ui.Exit(ui.TempFail)
		case worst == check.Fault:
			return ui.Exit(ui.Refused)
		}
		return nil
	}
	return cmd
}

// target reads what is to be checked.
func target(cfg *check.Config, arg string) error {
	_, _, err := net.SplitHostPort(arg)
	switch {
	case strings.Contains(arg, "://"), err == nil, isHost(arg):
		s, err := server.Parse(arg)
		switch {
		case err != nil:
			return err
		case s.Password != "":
			return server.ErrPassword
		case s.Dialer.LMTP:
			return errors.New("LMTP is not checked")
		}
		cfg.Host, cfg.Port, _ = net.SplitHostPort(s.Dialer.Addr)
		cfg.User, cfg.TLS = s.User, s.Dialer.TLS
	case strings.Contains(arg, "@"):
		return fmt.Errorf("%q: write smtps://user@host for a server to log in to, or a domain for the servers that take its mail", arg)
	default:
		cfg.Domain, cfg.Guess = strings.TrimSuffix(arg, "."), true
	}
	if name := cfg.Host + cfg.Domain; name == "" || strings.ContainsAny(name, " \t\r\n/<>") {
		return fmt.Errorf("%q is no name of a server", name)
	}
	if n, err := strconv.ParseUint(cfg.Port, 10, 16); cfg.Port != "" && (err != nil || n == 0) {
		return fmt.Errorf("%q is no port", cfg.Port)
	}
	return nil
}

// isHost says whether a bare name cannot be a mail domain.
func isHost(name string) bool {
	return net.ParseIP(strings.Trim(name, "[]")) != nil || strings.EqualFold(name, "localhost")
}

// senders reads addresses.
func senders(cfg *check.Config, ip string) (err error) {
	if strings.Contains(cfg.From, "@") {
		if cfg.From, err = address("--from", cfg.From); err != nil {
			return err
		}
	}
	if cfg.Mail != "" {
		if cfg.Mail, err = address("--mail", cfg.Mail); err != nil {
			return err
		}
	}
	for i, to := range cfg.Rcpt {
		if cfg.Rcpt[i], err = address("--to", to); err != nil {
			return err
		}
	}
	if len(cfg.Rcpt) > 0 && cfg.Mail == "" && !strings.Contains(cfg.From, "@") {
		return errors.New("--to: who sends? Name an address with --from or --mail")
	}
	if ip != "" {
		if cfg.IP, err = netip.ParseAddr(ip); err != nil {
			return fmt.Errorf("--ip %s: is no IP address", ip)
		}
	}
	if cfg.Resolver != "" {
		if _, _, err := net.SplitHostPort(cfg.Resolver); err != nil {
			cfg.Resolver = net.JoinHostPort(strings.Trim(cfg.Resolver, "[]"), "53")
		}
	}
	if cfg.Mechanism != "" && !slices.Contains(server.Mechanisms, cfg.Mechanism) {
		return fmt.Errorf("--auth %s: is none of %s", cfg.Mechanism, strings.Join(server.Mechanisms, ", "))
	}
	if strings.ContainsAny(cfg.LocalName, " \t\r\n<>") {
		return fmt.Errorf("--helo %q: is no name", cfg.LocalName)
	}
	if cfg.Timeout <= 0 || cfg.Timeout > time.Hour {
		return errors.New("--timeout: is not between 0 and 1h")
	}
	return nil
}

func address(flag, text string) (string, error) {
	a, err := mail.ParseAddress(text)
	if err != nil {
		return "", fmt.Errorf("%s %q: is no address", flag, text)
	}
	return a.Address, nil
}

// files reads what is in files.
func files(cfg *check.Config, ca, message string) (err error) {
	if ca != "" {
		if cfg.Roots, err = server.Roots(ca); err != nil {
			return err
		}
	}
	if message != "" {
		cfg.Message, err = os.ReadFile(message)
	}
	return err
}

// checkPassword is the password that is stored, or asked for. Where there is none,
// and nobody to ask, it is empty.
func checkPassword(u *ui.UI, file, of string) (string, error) {
	p, err := storedPassword(u, file)
	if err != nil || p != "" || !ui.IsTerminal(u.In) {
		return p, err
	}
	return u.AskPassword(of)
}
