package main

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/mail"
	"net/netip"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/smtpretry/smtpretry"
	"github.com/smtpretry/smtpretry/cmd/smtpretry/internal/check"
	"github.com/smtpretry/smtpretry/cmd/smtpretry/internal/ui"
)

// envPassword is where the password comes from: a flag could be read by
// everybody on the machine.
const envPassword = "SMTPRETRY_PASSWORD" //nolint:gosec // the name of it

func newCheck(u *ui.UI) *cobra.Command { return newCheckWith(u, check.Config{}) }

// newCheckWith makes the command with what no flag sets.
func newCheckWith(u *ui.UI, cfg check.Config) *cobra.Command {
	var (
		tlsMode, ca, message, ip string
		report                   bool
	)
	cmd := &cobra.Command{
		Use:   "check SERVER|DOMAIN [flags]",
		Short: "Look for what keeps mail from being sent: from DNS to block lists",
		Long: `check looks at all that is between a program and a mail server, says of each step
how it ended, how long it took and what to change, and sends nothing.

SERVER is smtps://USER@HOST (TLS, port 465), smtp://USER@HOST (STARTTLS, port
587), with :PORT if it is another, or HOST:PORT. DOMAIN is a mail domain: the
hosts that take its mail are checked on port 25.

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
75  the faults may go away by themselves: no answer, or a reply that says later`,
			helpEnvironment: envPassword + "  the password of USER; without it, it is asked for on a terminal",
		},
		Args: cobra.ExactArgs(1),
	}
	f := cmd.Flags()
	f.StringVar(&cfg.From, "from", "", "the sender's `ADDRESS` (or only its domain), whose domain is looked at")
	f.StringVar(&cfg.Mail, "mail", "", "the `ADDRESS` for MAIL FROM, if it is another than --from")
	f.StringArrayVar(&cfg.Rcpt, "to", nil, "offer this recipient's `ADDRESS`; nothing is sent (repeatable)")
	f.StringArrayVar(&cfg.Selector, "selector", nil, "a DKIM `SELECTOR` of the sender's domain (repeatable)")
	f.StringVar(&message, "message", "", "verify the DKIM signatures of the message in this `FILE`")
	f.StringVar(&ip, "ip", "", "the `ADDRESS` that mail leaves from, if it is not this machine's")
	f.StringArrayVar(&cfg.DNSBL, "dnsbl", nil, "ask this block list's `ZONE`, in place of the usual ones (repeatable)")
	f.BoolVar(&cfg.NoList, "no-dnsbl", false, "ask no block list")
	f.StringVar(&cfg.Resolver, "resolver", cfg.Resolver, "the DNS resolver, `HOST:PORT` (default the system's)")
	f.StringVar(&cfg.LocalName, "helo", "", "the `NAME` to say in EHLO (default the machine's)")
	f.StringVar(&tlsMode, "tls", "auto", "`MODE` of encryption: auto, none, starttls, implicit")
	f.StringVar(&ca, "ca", "", "trust the certificates in this PEM `FILE` as authorities, too")
	f.DurationVar(&cfg.Timeout, "timeout", check.DefaultTimeout, "for all of it")
	f.BoolVar(&report, "report", false, "print a text for the support of the provider, with the dialogue")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		cfg := cfg
		if err := errors.Join(target(&cfg, args[0], tlsMode), senders(&cfg, ip)); err != nil {
			return ui.Fail(ui.Usage, err)
		}
		if err := files(&cfg, ca, message); err != nil {
			return err
		}
		if cfg.User != "" {
			password, err := askPassword(u, cfg.User+" at "+cfg.Host)
			if err != nil {
				return err
			}
			cfg.Password = password
		}
		r := check.Run(cmd.Context(), cfg)
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
func target(cfg *check.Config, arg, tlsMode string) error {
	mode, ok := map[string]smtpretry.TLSMode{"auto": smtpretry.TLSAuto, "none": smtpretry.TLSNone,
		"starttls": smtpretry.TLSStartTLS, "implicit": smtpretry.TLSImplicit}[tlsMode]
	if !ok {
		return fmt.Errorf("--tls %s: is none of auto, none, starttls, implicit", tlsMode)
	}
	cfg.TLS = mode
	if strings.Contains(arg, "://") {
		return serverURL(cfg, arg)
	}
	switch host, port, err := net.SplitHostPort(arg); {
	case err == nil:
		cfg.Host, cfg.Port = host, port
	case strings.Contains(arg, "@"):
		return fmt.Errorf("%s: write smtps://USER@HOST for a server to log in to, DOMAIN for the servers that take its mail", arg)
	case net.ParseIP(strings.Trim(arg, "[]")) != nil || strings.EqualFold(arg, "localhost"):
		cfg.Host = strings.Trim(arg, "[]")
	default:
		cfg.Domain, cfg.Guess = strings.TrimSuffix(arg, "."), true
	}
	return names(cfg)
}

func serverURL(cfg *check.Config, arg string) error {
	u, err := url.Parse(arg)
	switch {
	case err != nil:
		return fmt.Errorf("%s is no URL of a server", strings.SplitN(arg, "@", 2)[0])
	case u.Scheme != "smtp" && u.Scheme != "smtps":
		return fmt.Errorf("%s:// is neither smtp:// nor smtps://", u.Scheme)
	case u.Path != "" && u.Path != "/" || u.RawQuery != "" || u.Fragment != "":
		return fmt.Errorf("%s: nothing may stand behind the host", u.Redacted())
	}
	if _, has := u.User.Password(); has {
		return fmt.Errorf("%s: a password on the command line can be read by others; put it into %s", u.Redacted(), envPassword)
	}
	cfg.Host, cfg.Port, cfg.User = u.Hostname(), u.Port(), u.User.Username()
	if cfg.TLS == smtpretry.TLSAuto {
		switch {
		case u.Scheme == "smtps":
			cfg.TLS = smtpretry.TLSImplicit
		case cfg.Port == "465": // so that it is said what this port is for
			cfg.TLS = smtpretry.TLSStartTLS
		}
	}
	return names(cfg)
}

// names looks at what was named.
func names(cfg *check.Config) error {
	host := cfg.Host + cfg.Domain
	if host == "" || strings.ContainsAny(host, " \t\r\n/<>") {
		return fmt.Errorf("%q is no name of a server", host)
	}
	if n, err := strconv.ParseUint(cfg.Port, 10, 16); cfg.Port != "" && (err != nil || n == 0) {
		return fmt.Errorf("%q is no port", cfg.Port)
	}
	return nil
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
		pem, err := os.ReadFile(ca)
		if err != nil {
			return ui.Fail(ui.NoInput, err)
		}
		if cfg.Roots, err = x509.SystemCertPool(); err != nil {
			cfg.Roots = x509.NewCertPool()
		}
		if !cfg.Roots.AppendCertsFromPEM(pem) {
			return ui.Failf(ui.DataErr, "--ca %s: no certificate is in it", ca)
		}
	}
	if message != "" {
		if cfg.Message, err = os.ReadFile(message); err != nil {
			return ui.Fail(ui.NoInput, err)
		}
	}
	return nil
}

// askPassword takes it from the environment, or asks for it on a terminal.
// Where there is none it is empty.
func askPassword(u *ui.UI, of string) (string, error) {
	if p := u.Getenv(envPassword); p != "" {
		return p, nil
	}
	in, ok := u.In.(*os.File)
	if !ok || !ui.IsTerminal(in) {
		return "", nil
	}
	fmt.Fprintf(u.Err, "Password of %s: ", of)
	p, err := term.ReadPassword(int(in.Fd()))
	fmt.Fprintln(u.Err)
	return string(p), ui.Fail(ui.IOErr, err)
}
