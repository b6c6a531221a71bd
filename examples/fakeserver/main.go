// Fakeserver is the mail server that the other examples and the tests talk to,
// on a port of this machine, for trying out any mail program against a server
// that is busy, greylists, has limits, or breaks down. It shows what is said
// and delivers nothing.
//
//	go run ./examples/fakeserver -scenario greylist
//	go run ./examples/fakeserver -list
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"os/signal"
	"slices"
	"strings"
	"sync"
	"syscall"

	"github.com/smtpretry/smtpretry/internal/testserver"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run serves until ctx ends and returns the exit code.
func run(ctx context.Context, args []string, out, errs io.Writer) int {
	flags := flag.NewFlagSet("fakeserver", flag.ContinueOnError)
	flags.SetOutput(errs)
	addr := flags.String("addr", "127.0.0.1:2525", "listen on this `host:port`")
	name := flags.String("scenario", "ok", "how the server behaves, one of those of -list")
	list := flags.Bool("list", false, "list the scenarios and exit")
	cert := flags.String("cert", "", "write the server's certificate to this `file`, in PEM form, where the scenario has TLS")
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		return 64 // EX_USAGE
	case *list:
		for _, s := range testserver.Scenarios() {
			fmt.Fprintf(out, "%-15s %s\n", s.Name, s.About)
		}
		return 0
	}
	cfg, ok := testserver.Lookup(*name)
	if !ok || flags.NArg() > 0 {
		fmt.Fprintf(errs, "fakeserver: no scenario %q; -list shows them\n", strings.Join(append([]string{*name}, flags.Args()...), " "))
		return 64
	}

	cfg.OnEvent = eventLog(out)
	cfg.Bodies, cfg.TranscriptSize = testserver.KeepSize, -1 // it may run for days
	srv, err := testserver.Listen(cfg, *addr)
	if err != nil {
		fmt.Fprintln(errs, "fakeserver:", err)
		return 1
	}
	defer srv.Close()
	if pem := srv.CertPEM(); pem != nil && *cert != "" {
		if err := os.WriteFile(*cert, pem, 0o644); err != nil {
			fmt.Fprintln(errs, "fakeserver:", err)
			return 1
		}
	}
	fmt.Fprintf(out, "listening on %s, scenario %s; Ctrl-C ends it\n", srv.Addr(), *name)
	<-ctx.Done()
	srv.Close()
	summary(out, srv.Stats())
	return 0
}

// eventLog prints events, one line each.
func eventLog(w io.Writer) func(testserver.Event) {
	var mu sync.Mutex
	return func(e testserver.Event) {
		mu.Lock()
		defer mu.Unlock()
		who, text := string(e.Kind), e.Text
		switch e.Kind {
		case testserver.Command:
			who = "client"
		case testserver.Replied:
			who = "server"
		case testserver.Refused:
			text = "by the limit " + e.Text
		case testserver.Accepted:
			m := e.Message
			text = fmt.Sprintf("%s from <%s> to <%s>, %d octets", m.Queued, m.From, strings.Join(m.Addrs(), ">, <"), m.Size)
		}
		for line := range strings.SplitSeq(text, "\n") {
			fmt.Fprintf(w, "%s  #%-3d %-8s %s\n", e.Time.Format("15:04:05.000"), e.Conn, who, printable(line))
		}
	}
}

// printable keeps a client from writing control characters to the terminal.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || 0x7f <= r && r < 0xa0 {
			return '?'
		}
		return r
	}, s)
}

func summary(w io.Writer, st testserver.Stats) {
	fmt.Fprintf(w, "\n%d connections, at most %d at once\n", st.Conns, st.MostOpen)
	fmt.Fprintf(w, "%d messages accepted of %d begun, for %d recipients\n", st.Accepted, st.Mails, st.Delivered)
	for _, by := range slices.Sorted(maps.Keys(st.Refused)) {
		fmt.Fprintf(w, "%d refused by the limit %s\n", st.Refused[by], by)
	}
	if st.Broken > 0 {
		fmt.Fprintf(w, "%d broken off before the final dot\n", st.Broken)
	}
	if st.Boxes > 0 {
		fmt.Fprintf(w, "%d times shut out for violations\n", st.Boxes)
	}
}
