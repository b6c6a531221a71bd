package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"

	"github.com/spf13/cobra"

	"github.com/smtpretry/smtpretry/cmd/smtpretry/internal/scenario"
	"github.com/smtpretry/smtpretry/cmd/smtpretry/internal/ui"
	"github.com/smtpretry/smtpretry/internal/testserver"
)

// A faker is one call of fake.
type faker struct {
	*ui.UI
	scenario string
	addr     string
	cert     string
	list     bool
	quiet    bool
}

func newFake(u *ui.UI) *cobra.Command {
	f := &faker{UI: u}
	cmd := &cobra.Command{
		Use:   "fake [flags]",
		Short: "Play a mail server that greylists, throttles or breaks down",
		Long: `Plays a mail server, for testing any program that sends mail: one that is busy,
greylists, has limits, locks out, breaks connections or hangs. It shows what is
said, delivers nothing, and ends with Ctrl-C and a summary.

--list shows the scenarios that are built in. Your own is a file in YAML or JSON:
limits, and rules of what to say at which stage. Its format is in
docs/command.md.`,
		Example: `  smtpretry fake --list
  smtpretry fake --scenario greylist
  smtpretry fake --scenario mine.yaml --addr 127.0.0.1:0
  smtpretry fake --scenario auth --cert cert.pem
  smtpretry fake --json | jq 'select(.event == "refused")'`,
		Annotations: map[string]string{helpExit: `0   it was interrupted
65  the scenario's file is faulty
66  the scenario's file cannot be opened
69  the address cannot be listened on
73  the certificate cannot be written
74  writing failed`},
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return f.run(cmd.Context()) },
	}
	flags := cmd.Flags()
	flags.StringVar(&f.scenario, "scenario", "ok", "how it behaves: a `name` of --list, or a file")
	flags.StringVar(&f.addr, "addr", "127.0.0.1:2525", "listen on this `host:port`; port 0 takes a free one")
	flags.StringVar(&f.cert, "cert", "", "write the certificate into this PEM `file`, where the scenario has TLS")
	flags.BoolVar(&f.list, "list", false, "list the scenarios")
	flags.BoolVarP(&f.quiet, "quiet", "q", false, "do not show what is said")
	_ = cmd.RegisterFlagCompletionFunc("scenario", func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		var names []string
		for _, s := range testserver.Scenarios() {
			names = append(names, s.Name+"\t"+s.About)
		}
		return names, cobra.ShellCompDirectiveDefault
	})
	return cmd
}

func (f *faker) run(ctx context.Context) error {
	if f.list {
		return f.printList()
	}
	cfg, err := f.config()
	if err != nil {
		return err
	}
	cfg.Bodies, cfg.TranscriptSize = testserver.KeepSize, -1 // it may run for days
	var printing sync.Mutex
	if !f.quiet {
		cfg.OnEvent = func(e testserver.Event) {
			printing.Lock()
			defer printing.Unlock()
			f.event(e)
		}
	}
	srv, err := testserver.Listen(cfg, f.addr)
	if err != nil {
		return ui.Fail(ui.Unavailable, err)
	}
	defer srv.Close()
	if pem := srv.CertPEM(); f.cert != "" {
		if pem == nil {
			return ui.Failf(ui.Usage, "--cert: the scenario %s has no TLS", f.scenario)
		}
		if err := os.WriteFile(f.cert, pem, 0o644); err != nil { //nolint:gosec // a certificate is public
			return ui.Fail(ui.CantCreate, err)
		}
	}
	printing.Lock()
	if f.JSON {
		err = f.Encode(map[string]string{"event": "listening", "addr": srv.Addr(), "scenario": f.scenario})
	} else {
		_, err = fmt.Fprintf(f.Out, "listening on %s, scenario %s; Ctrl-C ends it\n", srv.Addr(), f.scenario)
	}
	printing.Unlock()
	if err != nil {
		return ui.Fail(ui.IOErr, err)
	}
	<-ctx.Done()
	srv.Close()
	return f.summary(srv.Stats())
}

// config finds the scenario: a built-in one goes before a file of its name.
func (f *faker) config() (testserver.Config, error) {
	if cfg, ok := testserver.Lookup(f.scenario); ok {
		return cfg, nil
	}
	text, err := os.ReadFile(f.scenario)
	switch {
	case errors.Is(err, fs.ErrNotExist) && !strings.ContainsAny(f.scenario, `./\`):
		return testserver.Config{}, ui.Failf(ui.Usage, "there is no scenario %q, and no file of that name; --list shows what there is", f.scenario)
	case err != nil:
		return testserver.Config{}, ui.Fail(ui.NoInput, err)
	}
	cfg, err := scenario.Parse(text)
	if err != nil {
		return cfg, ui.Failf(ui.DataErr, "%s: %w", f.scenario, err)
	}
	return cfg, nil
}

func (f *faker) printList() error {
	for _, s := range testserver.Scenarios() {
		var err error
		if f.JSON {
			err = f.Encode(map[string]string{"name": s.Name, "about": s.About})
		} else {
			_, err = fmt.Fprintf(f.Out, "%s %s\n", f.Paint(ui.Bold, fmt.Sprintf("%-15s", s.Name)), s.About)
		}
		if err != nil {
			return ui.Fail(ui.IOErr, err)
		}
	}
	return nil
}

// event prints what happens, a line for each line that is said.
func (f *faker) event(e testserver.Event) {
	words := e.Text
	who, style := string(e.Kind), ui.Dim
	switch e.Kind {
	case testserver.Command:
		who, style = "client", ui.Bold
	case testserver.Replied:
		who, style = "server", styleOfReply(words)
	case testserver.Refused:
		words, style = "by the limit "+words, ui.Warn
	case testserver.Accepted:
		m := e.Message
		words = fmt.Sprintf("%s from <%s> to <%s>, %d octets", m.Queued, m.From, strings.Join(m.Addrs(), ">, <"), m.Size)
		style = ui.Good
	case testserver.Opened, testserver.Closed:
	}
	if f.JSON {
		_ = f.Encode(struct {
			Time  string `json:"time"`
			Conn  int    `json:"connection"`
			Event string `json:"event"`
			Text  string `json:"text,omitempty"`
		}{e.Time.Format("2006-01-02T15:04:05.000Z07:00"), e.Conn, who, cmp.Or(e.Text, words)})
		return
	}
	for line := range strings.SplitSeq(words, "\n") {
		fmt.Fprintf(f.Out, "%s  #%-3d %-8s %s\n", e.Time.Format("15:04:05.000"), e.Conn, who, f.Paint(style, visible(line)))
	}
}

// styleOfReply is by the reply's first digit.
func styleOfReply(text string) ui.Style {
	switch {
	case strings.HasPrefix(text, "4"):
		return ui.Warn
	case strings.HasPrefix(text, "5"):
		return ui.Bad
	}
	return ui.Good
}

// visible keeps a client from moving the terminal's cursor.
func visible(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || 0x7f <= r && r < 0xa0 {
			return '?'
		}
		return r
	}, s)
}

// summary prints what was counted.
func (f *faker) summary(st testserver.Stats) error {
	if f.JSON {
		return f.Encode(map[string]any{"event": "summary", "connections": st.Conns, "most_at_once": st.MostOpen, "begun": st.Mails,
			"accepted": st.Accepted, "recipients": st.Delivered, "refused": st.Refused, "broken_off": st.Broken, "shut_out": st.Boxes})
	}
	var b strings.Builder
	fmt.Fprintf(&b, "\n%d connections, at most %d at once\n%d messages accepted of %d begun, for %d recipients\n",
		st.Conns, st.MostOpen, st.Accepted, st.Mails, st.Delivered)
	for _, by := range slices.Sorted(maps.Keys(st.Refused)) {
		fmt.Fprintf(&b, "%d refused by the limit %s\n", st.Refused[by], by)
	}
	if st.Broken > 0 {
		fmt.Fprintf(&b, "%d broken off before the final dot\n", st.Broken)
	}
	if st.Boxes > 0 {
		fmt.Fprintf(&b, "%d times shut out for violations\n", st.Boxes)
	}
	_, err := fmt.Fprint(f.Out, b.String())
	return ui.Fail(ui.IOErr, err)
}
