package main

import (
	"context"
	"fmt"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/smtpretry/smtpretry/cmd/smtpretry/internal/ui"
)

// The annotations that the help of a command may have besides cobra's own
// fields: lines without indentation.
const (
	helpExit        = "exit"        // what its exit codes mean, "75  temporary" and the like, besides 0 and 64
	helpEnvironment = "environment" // the variables that it reads
)

// subcommands make the commands, in the order of the help.
var subcommands = []func(*ui.UI) *cobra.Command{
	newExplain,
	newCheck,
	newSend,
	newFake,
}

// run carries out one call, args[0] being the name it was called by, and
// returns the exit code. Called as sendmail it is "smtpretry send".
func run(ctx context.Context, u *ui.UI, args []string) int {
	root, begun := newRoot(u)
	rest := args[1:]
	if isSendmail(args[0]) {
		rest = append([]string{"send", "--" + flagSendmail}, rest...)
	}
	root.SetArgs(rest)
	cmd, err := root.ExecuteContextC(ctx)
	// What goes wrong before a command runs is the command line's fault.
	otherwise := ui.Usage
	if *begun {
		otherwise = ui.Software
	}
	code := ui.CodeOf(err, otherwise)
	if !ui.Silent(err) {
		fmt.Fprintf(u.Err, "%s: %s\n", cmd.CommandPath(), strings.TrimPrefix(err.Error(), "smtpretry: "))
		if code == ui.Usage {
			fmt.Fprintf(u.Err, "See %q.\n", cmd.CommandPath()+" --help")
		}
	}
	return code
}

func isSendmail(name string) bool {
	return strings.TrimSuffix(filepath.Base(name), filepath.Ext(name)) == "sendmail"
}

// newRoot returns the command without a sub-command, and whether one has begun.
func newRoot(u *ui.UI) (root *cobra.Command, begun *bool) {
	begun = new(bool)
	root = &cobra.Command{
		Use:   "smtpretry",
		Short: "Explain what mail servers say, check the way to one, send mail patiently, play a server",
		Long: `smtpretry says what a mail server's reply means and what to do about it, checks
all that is between a program and its mail server, sends mail and keeps trying as
long as the server asks for it, and plays a mail server that greylists, throttles
or breaks down, for testing any program that sends mail.

Exit codes are for scripts, and the same in all commands. With --json every
command prints JSON for programs, one value on a line. Colours appear only on a
terminal, and never where NO_COLOR is set.`,
		Example: `  smtpretry explain "421 4.7.0 Too many connections from your IP"
  smtpretry explain /var/log/mail.log
  smtpretry check smtps://me@smtp.example.com --from me@example.com
  smtpretry send --server smtps://me@smtp.example.com letter.eml
  smtpretry fake --scenario greylist`,
		Annotations: map[string]string{helpExit: `1   something was found, or refused for good: the same again does not help
65  the input is faulty
66  a file cannot be opened
69  the server refuses service
70  a fault of the program
73  an output file cannot be written
74  reading or writing failed
75  temporary: the same may work later
77  the login was refused
78  an environment variable or a configuration file is wrong`},
		Version:           version(),
		Args:              cobra.NoArgs,
		SilenceErrors:     true,
		SilenceUsage:      true,
		PersistentPreRun:  func(*cobra.Command, []string) { *begun = true },
		RunE:              func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		DisableAutoGenTag: true,
	}
	root.SetIn(u.In)
	root.SetOut(u.Out)
	root.SetErr(u.Err)
	root.SetHelpTemplate(helpTemplate)
	root.SetVersionTemplate("{{.Name}} {{.Version}}\n")
	root.PersistentFlags().BoolVar(&u.JSON, "json", false, "print JSON, one value on a line")
	for _, make := range subcommands {
		root.AddCommand(make(u))
	}
	// For a shell that it does not know, cobra's command would print its help and end with 0.
	root.InitDefaultCompletionCmd()
	if c, _, err := root.Find([]string{"completion"}); err == nil {
		c.Args = cobra.NoArgs
		c.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
	}
	return root, begun
}

func version() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "(unknown)"
}

var (
	exitEntry = regexp.MustCompile(`(?m)^\d.*(?:\n .*)*`) // the text about a code
	lineBegin = regexp.MustCompile(`(?m)^.`)              // of a line that is not empty
)

// helpTemplate has the sections of a manual page.
const helpTemplate = `NAME
  {{.CommandPath}} - {{.Short}}

SYNOPSIS
  {{if .HasAvailableSubCommands}}{{.CommandPath}} COMMAND [flags]{{else}}{{.UseLine}}{{end}}

DESCRIPTION
{{.Long | indent}}
{{if .HasAvailableSubCommands}}
COMMANDS
{{range .Commands}}{{if .IsAvailableCommand}}  {{rpad .Name .NamePadding}} {{.Short}}
{{end}}{{end}}{{end}}
OPTIONS
{{.Flags.FlagUsagesWrapped 80 | trimTrailingWhitespaces}}

EXIT STATUS
{{index .Annotations "exit" | exitStatus | indent}}
{{with index .Annotations "environment"}}
ENVIRONMENT
{{. | indent}}
{{end}}{{if .HasExample}}
EXAMPLES
{{.Example}}
{{end}}`

func init() {
	cobra.AddTemplateFunc("indent", func(s string) string {
		return lineBegin.ReplaceAllString(strings.TrimRight(s, "\n"), "  $0")
	})
	// exitStatus adds the codes that every command has, and sorts them.
	cobra.AddTemplateFunc("exitStatus", func(s string) string {
		entries := append(exitEntry.FindAllString(s, -1), "64  the command line is wrong")
		if !strings.HasPrefix(s, "0 ") {
			entries = append(entries, "0   nothing was refused, nothing was found")
		}
		slices.Sort(entries)
		return strings.Join(entries, "\n")
	})
	cobra.EnableCommandSorting = false
}
