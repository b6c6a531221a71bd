package main

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/smtpretry/smtpretry"
	"github.com/smtpretry/smtpretry/cmd/smtpretry/internal/maillog"
	"github.com/smtpretry/smtpretry/cmd/smtpretry/internal/ui"
)

// stages are the words for --stage; unknown keeps it from guessing.
var stages = []string{"unknown", "dial", "greeting", "hello", "tls", "auth", "mail", "rcpt", "data", "body", "dot"}

// An explainer is one call of explain.
type explainer struct {
	*ui.UI
	stage  string
	format string
	svg    string
	hosts  int

	parser  maillog.Parser
	summary maillog.Summary
	code    int
}

func newExplain(u *ui.UI) *cobra.Command {
	x := &explainer{UI: u}
	cmd := &cobra.Command{
		Use:   "explain [flags] [REPLY | FILE...]",
		Short: "Say what a mail server's reply, or a mail log, means",
		Long: `Says what a reply of a mail server means: whether it is worth trying again, why
the server refused, who has to slow down, what to do, when smtpretry would try
again, and which rule says so on whose word.

An argument that is the name of a file is read; any other is a reply. With no
argument, or "-", standard input is read: replies, one on a line, or a log. Logs
of Postfix and Exim, JSON lines and key=value lines of programs are recognised
by themselves, packed by gzip too. Of a log the failures are summed up by host
and cause, with a plot over time.`,
		Example: `  smtpretry explain "421 4.7.0 Too many connections from your IP"
  smtpretry explain --stage auth 454 4.7.0 Temporary authentication failure
  smtpretry explain /var/log/mail.log /var/log/mail.log.1.gz
  journalctl -u postfix -o json | smtpretry explain --svg refusals.svg
  smtpretry explain --json mail.log | jq '.groups[] | select(.class == "permanent")'`,
		Annotations: map[string]string{helpExit: `1   something was refused for good
65  the input holds neither a reply nor a line of a known log
66  a file cannot be opened
73  the SVG file cannot be written
74  reading or writing failed
75  something was refused, but all of it for now only`},
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error { return x.run(cmd.Context(), args) },
	}
	flags := cmd.Flags()
	flags.StringVar(&x.stage, "stage", "", "where the reply was given, one of "+strings.Join(stages, ", ")+" (default: as the log says, else a guess)")
	flags.StringVar(&x.format, "format", string(maillog.Auto), "what the input is: "+strings.Join(maillog.Formats, ", "))
	flags.StringVar(&x.svg, "svg", "", "draw a log's failures over time into this `file`")
	flags.IntVar(&x.hosts, "hosts", 20, "show so many hosts of a log, those with most failures; 0: all")
	_ = cmd.RegisterFlagCompletionFunc("stage", cobra.FixedCompletions(stages, cobra.ShellCompDirectiveNoFileComp))
	_ = cmd.RegisterFlagCompletionFunc("format", cobra.FixedCompletions(maillog.Formats, cobra.ShellCompDirectiveNoFileComp))
	_ = cmd.MarkFlagFilename("svg", "svg")
	return cmd
}

// onlyCode is a reply code that a shell has split off its words.
var onlyCode = regexp.MustCompile(`^[2-5]\d\d(?:-\d\.\d+\.\d+)?$`)

func (x *explainer) run(ctx context.Context, args []string) error {
	if x.stage != "" {
		x.parser.Stage = new(smtpretry.Stage)
		if x.parser.Stage.UnmarshalText([]byte(x.stage)) != nil {
			return ui.Failf(ui.Usage, "--stage is %q, want one of %s", x.stage, strings.Join(stages, ", "))
		}
	}
	if !slices.Contains(maillog.Formats, x.format) {
		return ui.Failf(ui.Usage, "--format is %q, want one of %s", x.format, strings.Join(maillog.Formats, ", "))
	}
	x.parser.Format = maillog.Format(x.format)
	if len(args) > 1 && onlyCode.MatchString(args[0]) {
		args = []string{strings.Join(args, " ")} // the quotes were forgotten
	}
	if len(args) == 0 {
		if ui.IsTerminal(x.In) {
			return ui.Failf(ui.Usage, "give a reply or a file, or pipe them in")
		}
		args = []string{"-"}
	}
	for _, arg := range args {
		if err := x.argument(ctx, arg); err != nil {
			return err
		}
	}
	return x.finish()
}

// argument explains a file's lines, or a reply.
func (x *explainer) argument(ctx context.Context, arg string) error {
	if arg == "-" {
		// Interrupted, it explains what it has read.
		return x.read("standard input", ui.Interruptible(ctx, x.In, io.EOF))
	}
	f, err := os.Open(arg)
	switch {
	case err == nil:
		defer f.Close()
		return x.read(arg, f)
	case !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, fs.ErrInvalid) && len(arg) < 256:
		return ui.Fail(ui.NoInput, err)
	}
	// A log's line, or a reply, whatever the format of files is.
	if e := (&maillog.Parser{Stage: x.parser.Stage}).Parse(arg); e != nil {
		return x.event(e)
	}
	if reply, ok := maillog.FindReply(arg); ok {
		return x.event(x.parser.Reply(reply))
	}
	return ui.Failf(ui.NoInput, "%q is no file, and no reply: that begins with a code, as 421 or 550", arg)
}

func (x *explainer) read(name string, r io.Reader) error {
	found := false
	for line, err := range maillog.Lines(r) {
		if err != nil {
			return ui.Failf(ui.IOErr, "%s: %w", name, err)
		}
		e := x.parser.Parse(line)
		found = found || e != nil
		if err := x.event(e); err != nil {
			return err
		}
	}
	if !found {
		return ui.Failf(ui.DataErr, "%s: neither a reply nor a line of a known log in it", name)
	}
	return nil
}

// event explains a reply that stands alone, and sums up what logs tell.
func (x *explainer) event(e *maillog.Event) error {
	if e == nil || e.Format != maillog.Replies {
		x.summary.Add(e)
		return nil
	}
	x.code = ui.Worse(x.code, codeOf(e.Verdict))
	return x.reply(e.Verdict)
}

// codeOf is the exit code that tells of a verdict.
func codeOf(v smtpretry.Verdict) int {
	switch {
	case v.Rule == "":
		return ui.OK
	case v.Class == smtpretry.Permanent:
		return ui.Refused
	}
	return ui.TempFail
}

// finish prints what was summed up, and ends with the gravest of all.
func (x *explainer) finish() error {
	if x.summary.Events > 0 {
		if err := x.log(); err != nil {
			return err
		}
		switch {
		case x.summary.Failed(smtpretry.Permanent) > 0:
			x.code = ui.Worse(x.code, ui.Refused)
		case len(x.summary.Groups()) > 0:
			x.code = ui.Worse(x.code, ui.TempFail)
		}
	} else if x.svg != "" {
		return ui.Failf(ui.DataErr, "--svg draws the failures of a log over time, and there is none")
	}
	return ui.Exit(x.code)
}
