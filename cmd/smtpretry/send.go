package main

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/emersion/go-smtp"
	"github.com/spf13/cobra"

	"github.com/smtpretry/smtpretry"
	"github.com/smtpretry/smtpretry/cmd/smtpretry/internal/letter"
	"github.com/smtpretry/smtpretry/cmd/smtpretry/internal/server"
	"github.com/smtpretry/smtpretry/cmd/smtpretry/internal/ui"
)

// flagSendmail is set where the program was called as sendmail.
const flagSendmail = "sendmail"

// The variables that send reads.
const (
	envServer       = "SMTPRETRY_SERVER"
	envPassword     = "SMTPRETRY_PASSWORD" //nolint:gosec // its name
	envPasswordFile = "SMTPRETRY_PASSWORD_FILE"
	envQueue        = "SMTPRETRY_QUEUE"
)

// A sender is one call of send.
type sender struct {
	*ui.UI
	sendmail bool
	verbose  bool

	// Of sendmail.
	from, also, name  string
	fromSet           bool
	header, dotIsText bool
	notify, ret, id   string
	mode              []string
	options           []string

	files        []string
	server       string
	auth         string
	passwordFile string
	ca           string
	policy       string
	giveUp       time.Duration
	rate         string
	conns        int
	queue        string
	domain       string
}

func newSend(u *ui.UI) *cobra.Command {
	s := &sender{UI: u}
	cmd := &cobra.Command{
		Use:   "send [flags] [RECIPIENT | FILE.eml]...",
		Short: "Send mail, and keep trying while the server asks for it",
		Long: `Sends messages through a mail server and keeps trying as long as the server says
"not now" and the policy allows. Says for each recipient what became of it.

An argument that ends in .eml is a message file; any other is a recipient. A file
of another name is given by --file. With no file the message is read from
standard input, up to its end or a line that is but a dot (not with -i). With no
recipient on the command line the message's To, Cc and Bcc fields name them, as
with -t. Bcc fields are never sent. Date, Message-ID and From fields that are
missing are added, and lines are ended as SMTP wants them.

It takes sendmail's usual flags, so that programs can be given it in place of
sendmail. Under the name sendmail (a link is enough) it is this command, no
argument is taken for a file, and nothing is printed unless something fails.

With --queue the message is put into a durable queue (smtpretry's module queue)
and the command returns once it is on disk; who opens the queue delivers. That is
for callers that cannot wait, too.`,
		Example: `  smtpretry send --server smtps://me@smtp.example.com letter.eml
  smtpretry send --server smtp://127.0.0.1:2525 --conns 4 --rate 10/s out/*.eml
  printf 'Subject: hi\n\nHi.\n' | smtpretry send -f me@example.org you@example.net
  smtpretry send -t --policy queue --file invoice.txt
  smtpretry send --queue mail.db letter.eml
  ln -s "$(command -v smtpretry)" /usr/sbin/sendmail`,
		Annotations: map[string]string{
			helpExit: `0   every recipient was accepted, or the message is in the queue
1   a recipient was refused for good, may have got the message, or is still
    open while others have it: do not send the same again
65  a message is faulty; nothing was sent of it
66  a file cannot be opened
69  the server refused service before any recipient was offered
74  reading or writing failed
75  nobody has the message yet, and the same may work later
77  the server refused the login
78  SMTPRETRY_SERVER is faulty, or there is no password for its user`,
			helpEnvironment: `SMTPRETRY_SERVER         the server, if there is no --server
SMTPRETRY_PASSWORD       the password for the user that the server's URL names
SMTPRETRY_PASSWORD_FILE  a file whose first line is the password
SMTPRETRY_QUEUE          the queue, if there is no server`,
		},
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			s.fromSet = cmd.Flags().Changed("from") || cmd.Flags().Changed("return-path")
			return s.run(cmd.Context(), args)
		},
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return []string{"eml"}, cobra.ShellCompDirectiveFilterFileExt
		},
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringVar(&s.server, "server", "", "the server, as a `URL`: smtps://user@host (TLS, port 465), smtp://user@host (STARTTLS, port 587; no TLS to this machine), smtp+starttls://, smtp+plain:// (never TLS), lmtp://")
	flags.StringVar(&s.passwordFile, "password-file", "", "read the password from the first line of this `file`")
	flags.StringVar(&s.auth, "auth", "plain", "log in by this `mechanism`: "+strings.Join(server.Mechanisms, ", "))
	flags.StringVar(&s.ca, "ca", "", "trust the certificates in this PEM `file`, too")
	flags.StringArrayVar(&s.files, "file", nil, "a message `file`, whatever its name; may be repeated")
	flags.StringVar(&s.policy, "policy", "default", "when to try again: default (for 15 minutes), interactive (30 s), queue (5 days), once")
	flags.DurationVar(&s.giveUp, "for", 0, "keep trying for this `time`, such as 1h, whatever the policy says; a try that is under way is not cut off")
	flags.StringVar(&s.rate, "rate", "", "send at most this many messages per time, such as 14/s, 100/min, 500/h, or unlimited (default: what is known of the server, else what it is found to take)")
	flags.IntVar(&s.conns, "conns", 1, "connections at once")
	flags.StringVar(&s.queue, "queue", "", "put into this durable `queue` instead: an SQLite file or a postgres:// URL")
	flags.StringVar(&s.domain, "domain", "", "completes addresses without one (default: this machine's name)")

	flags.StringVarP(&s.from, "from", "f", "", "envelope sender, <> for none (default: the Sender or From field's)")
	flags.StringVarP(&s.also, "return-path", "r", "", "the same as -f")
	flags.StringVarP(&s.name, "full-name", "F", "", "the sender's `name`, for a message without a From field")
	flags.BoolVarP(&s.header, "read-recipients", "t", false, "send to the recipients of To, Cc and Bcc, too")
	flags.BoolVarP(&s.dotIsText, "ignore-dots", "i", false, "a line that is but a dot does not end the message; also -oi")
	flags.StringVarP(&s.notify, "notify", "N", "", "ask for delivery notifications: never, or a list of success, failure, delay (RFC 3461)")
	flags.StringVarP(&s.ret, "return", "R", "", "what notifications give back: full or hdrs")
	flags.StringVarP(&s.id, "envelope-id", "V", "", "the envelope's `id`, for notifications")
	flags.BoolVarP(&s.verbose, "verbose", "v", false, "say on standard error what is tried and waited for (default: on a terminal)")
	flags.StringArrayVarP(&s.mode, "mode", "b", nil, "only m, to send mail; sendmail's other modes are refused")
	flags.StringArrayVarP(&s.options, "option", "o", nil, "sendmail's other `option`s are taken and ignored, but for i")
	flags.BoolVar(&s.sendmail, flagSendmail, false, "called as sendmail")
	_ = flags.MarkHidden(flagSendmail)
	for _, letter := range "ABGLOUXemnp" {
		ignored := string(letter)
		if strings.ContainsRune("GUmn", letter) {
			flags.BoolP("ignored-"+ignored, ignored, false, "")
		} else {
			flags.StringP("ignored-"+ignored, ignored, "", "")
		}
		_ = flags.MarkHidden("ignored-" + ignored)
	}
	for name, words := range map[string][]string{"policy": policyWords(), "auth": server.Mechanisms, "return": {"full", "hdrs"},
		"notify": {"never", "success", "failure", "delay"}} {
		_ = cmd.RegisterFlagCompletionFunc(name, cobra.FixedCompletions(words, cobra.ShellCompDirectiveNoFileComp))
	}
	return cmd
}

// policyWords are the words for --policy.
func policyWords() []string {
	words := []string{"once"}
	for _, p := range presets {
		words = append(words, p.name)
	}
	return words
}

func (s *sender) run(ctx context.Context, args []string) error {
	recipients, err := s.arguments(args)
	if err != nil {
		return err
	}
	dsn, err := s.dsn()
	if err != nil {
		return err
	}
	o, err := s.letterOptions(recipients)
	if err != nil {
		return err
	}
	out, err := s.outlet(ctx)
	if err != nil {
		return err
	}
	defer out.close()
	return s.sendAll(ctx, out, func(name string) (*smtpretry.Message, error) {
		raw, err := s.read(ctx, name)
		if err != nil {
			return nil, err
		}
		l, err := letter.New(raw, o)
		if err != nil {
			return nil, ui.Fail(ui.DataErr, err)
		}
		m := l.Message()
		dsn(m)
		return m, nil
	})
}

// arguments tells files and recipients apart.
func (s *sender) arguments(args []string) (recipients []string, err error) {
	for _, m := range s.mode {
		if m != "m" {
			return nil, ui.Failf(ui.Usage, "-b%s is not to be had here, only -bm", m)
		}
	}
	s.dotIsText = s.dotIsText || slices.Contains(s.options, "i")
	if s.domain == "" {
		s.domain, _ = os.Hostname()
		s.domain = cmp.Or(s.domain, "localhost")
	}
	for _, arg := range args {
		if !s.sendmail && strings.EqualFold(filepath.Ext(arg), ".eml") {
			s.files = append(s.files, arg)
			continue
		}
		list, err := letter.Addresses(arg, s.domain)
		if err != nil {
			return nil, ui.Failf(ui.Usage, "%w (files end in .eml, or are given by --file)", err)
		}
		recipients = append(recipients, list...)
	}
	if len(s.files) == 0 {
		if ui.IsTerminal(s.In) && !s.sendmail {
			fmt.Fprintln(s.Err, "Type the message, header first; end it by a dot on a line.")
		}
		s.files = []string{"-"}
	}
	return recipients, nil
}

// letterOptions are what is done with each message.
func (s *sender) letterOptions(recipients []string) (letter.Options, error) {
	o := letter.Options{Name: s.name, To: recipients, FromHeader: s.header || len(recipients) == 0, Domain: s.domain, User: "postmaster", Now: time.Now()}
	if u, err := user.Current(); err == nil {
		o.User = cmp.Or(u.Username[strings.LastIndexByte(u.Username, '\\')+1:], o.User)
	}
	if s.fromSet {
		from := cmp.Or(s.from, s.also)
		o.From = &from
		if from != "" && from != "<>" {
			if _, err := letter.Addresses(from, s.domain); err != nil {
				return o, ui.Failf(ui.Usage, "-f: %w", err)
			}
		}
	}
	return o, nil
}

// dsn returns what asks for notifications (RFC 3461).
func (s *sender) dsn() (func(*smtpretry.Message), error) {
	var notify []smtp.DSNNotify
	for word := range strings.SplitSeq(s.notify, ",") {
		switch word = strings.ToUpper(strings.TrimSpace(word)); smtp.DSNNotify(word) {
		case "":
		case smtp.DSNNotifyNever, smtp.DSNNotifySuccess, smtp.DSNNotifyFailure, smtp.DSNNotifyDelayed:
			notify = append(notify, smtp.DSNNotify(word))
		default:
			return nil, ui.Failf(ui.Usage, "-N is %q, want never, or a list of success, failure and delay", s.notify)
		}
	}
	ret := smtp.DSNReturn(strings.ToUpper(s.ret))
	switch ret {
	case "", smtp.DSNReturnFull, smtp.DSNReturnHeaders:
	default:
		return nil, ui.Failf(ui.Usage, "-R is %q, want full or hdrs", s.ret)
	}
	return func(m *smtpretry.Message) {
		if ret != "" || s.id != "" {
			if m.MailOptions == nil {
				m.MailOptions = &smtp.MailOptions{}
			}
			m.MailOptions.Return, m.MailOptions.EnvelopeID = ret, s.id
		}
		if notify != nil {
			m.RcptOptions = func(string) *smtp.RcptOptions { return &smtp.RcptOptions{Notify: notify} }
		}
	}, nil
}

// read reads a message file; "-" is standard input.
func (s *sender) read(ctx context.Context, name string) ([]byte, error) {
	if name == "-" {
		raw, err := letter.Read(ui.Interruptible(ctx, s.In, ui.Fail(ui.TempFail, errInterrupted)), !s.dotIsText)
		return raw, ui.Fail(ui.IOErr, err)
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, ui.Fail(ui.NoInput, err)
	}
	defer f.Close()
	raw, err := letter.Read(f, false)
	return raw, ui.Fail(ui.IOErr, err)
}
