package main

import (
	"bytes"
	"crypto/x509"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/smtpretry/smtpretry/cmd/smtpretry/internal/check"
	"github.com/smtpretry/smtpretry/cmd/smtpretry/internal/stage"
	"github.com/smtpretry/smtpretry/cmd/smtpretry/internal/ui"
	"github.com/smtpretry/smtpretry/internal/testserver"
)

// checkZone is a sender and a server in good order.
const checkZone = `
smtp.example.com.          A    192.0.2.25
10.2.0.192.in-addr.arpa.   PTR  mail.example.org.
mail.example.org.          A    192.0.2.10
example.org.               MX   10 mx.example.org.
example.org.               TXT  "v=spf1 ip4:192.0.2.10 -all"
s1._domainkey.example.org. TXT  "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="
_dmarc.example.org.        TXT  "v=DMARC1; p=quarantine; rua=mailto:dmarc@example.org"
_smtp._tls.example.org.    TXT  "v=TLSRPTv1; rua=mailto:tls@example.org"
example.net.               MX   10 mx1.example.net.
example.net.               MX   20 mx2.example.net.
mx1.example.net.           A    192.0.2.31
mx2.example.net.           A    192.0.2.32
`

// A scene is a call of the command in a world of its own.
type scene struct {
	name  string
	args  string
	code  int
	zone  string                       // more records
	hosts map[string]testserver.Config // by address and port
}

const goodArgs = "smtp://me@smtp.example.com --from me@example.org --selector s1 --ip 192.0.2.10 --helo mail.example.org"

func submissionServer(change func(*testserver.Config)) map[string]testserver.Config {
	cfg := testserver.Config{Name: "smtp.example.com", TLS: testserver.StartTLS, RequireTLS: true, RequireAuth: true,
		Users: map[string]string{"me": "open sesame"}, MaxSize: 25 << 20, Extra: []string{"LIMITS RCPTMAX=100 MAILMAX=50"}}
	if change != nil {
		change(&cfg)
	}
	return map[string]testserver.Config{"192.0.2.25:587": cfg}
}

var scenes = []scene{
	{name: "good", args: goodArgs + " --to you@example.net", hosts: submissionServer(nil)},
	{name: "expired", args: "smtp://me@smtp.example.com --no-dnsbl", code: 1,
		hosts: submissionServer(func(c *testserver.Config) { c.Cert = testserver.ExpiredCert })},
	{name: "wrong-port", args: "smtps://me@smtp.example.com:587 --no-dnsbl", code: 1, hosts: submissionServer(nil)},
	{name: "sender", args: goodArgs, code: 1, hosts: submissionServer(nil),
		zone: "10.2.0.192.zen.spamhaus.org. A 127.0.0.3\n10.2.0.192.bl.spamcop.net. A 127.255.255.254\n" +
			"example.org. TXT \"v=spf1 mx -all\""},
	{name: "domain", args: "example.net --from me@example.org --to you@example.net --selector s1 --no-dnsbl", code: 75,
		hosts: map[string]testserver.Config{"192.0.2.32:25": {Name: "mx2.example.net", TLS: testserver.StartTLS, Cert: testserver.UntrustedCert,
			Script: testserver.Script{testserver.On(testserver.Rcpt, testserver.Reply("450 4.2.0 Greylisted, try again in 300 seconds")).Always()}}}},
	{name: "report", args: "smtp://me@smtp.example.com --helo mail.example.org --no-dnsbl --report", code: 1,
		hosts: submissionServer(func(c *testserver.Config) { c.Users = map[string]string{"me": "another"} })},
}

// play calls the command.
func (sc scene) play(t *testing.T, more ...string) called {
	t.Helper()
	d := stage.NewDNS(t, checkZone)
	if strings.Contains(sc.zone, "example.org. TXT") {
		d.Remove("example.org", "TXT")
	}
	d.Add(t, sc.zone)
	network, roots := stage.Network{}, x509.NewCertPool()
	for at, cfg := range sc.hosts {
		s, addr := listen(t, cfg)
		network[at] = addr
		if cfg.Cert != testserver.UntrustedCert {
			roots.AppendCertsFromPEM(s.CertPEM())
		}
	}
	var out, errs bytes.Buffer
	u := ui.Plain(nil, &out, &errs)
	u.Getenv = func(name string) string { return map[string]string{envPassword: "open sesame"}[name] }
	cmd := newCheckWith(u, check.Config{Dial: network.DialContext, Roots: roots, Resolver: d.Addr})
	code := runCheck(t, u, cmd, append(strings.Fields(sc.args), more...))
	// Where the resolver is differs each time.
	return called{code, strings.ReplaceAll(out.String(), d.Addr, "127.0.0.1:53"), errs.String()}
}

// runCheck runs the command below a root, as run does.
func runCheck(t *testing.T, u *ui.UI, cmd *cobra.Command, args []string) int {
	t.Helper()
	root, _ := newRoot(u)
	old, _, err := root.Find([]string{"check"})
	if err != nil {
		t.Fatal(err)
	}
	root.RemoveCommand(old)
	root.AddCommand(cmd)
	root.SetArgs(append([]string{"check"}, args...))
	return ui.CodeOf(root.ExecuteContext(t.Context()), ui.Software)
}

func checkDoc() string { return filepath.Join("..", "..", "docs", "check.md") }

// The outputs in docs/check.md are what the command prints, but for times.
func TestCheckDoc(t *testing.T) {
	raw, err := os.ReadFile(checkDoc())
	if err != nil {
		t.Fatal(err)
	}
	doc := string(raw)
	for _, sc := range scenes {
		got := sc.play(t)
		if got.code != sc.code || got.errs != "" {
			t.Errorf("%s: exit code %d, want %d; %s\n%s", sc.name, got.code, sc.code, got.errs, got.out)
		}
		begin, end := "<!-- output: "+sc.name+" -->\n", "<!-- end -->"
		before, rest, ok := strings.Cut(doc, begin)
		old, after, ok2 := strings.Cut(rest, end)
		if !ok || !ok2 {
			t.Errorf("%s is not in the document; it prints\n%s", sc.name, got.out)
			continue
		}
		text := "```\n$ smtpretry check " + sc.args + "\n" + got.out + "```\n"
		if *update {
			doc = before + begin + text + end + after
		} else if timeless(old) != timeless(text) {
			t.Errorf("%s: the document is out of date (go test -run TestCheckDoc . -update); it prints\n%s", sc.name, got.out)
		}
	}
	if *update {
		if err := os.WriteFile(checkDoc(), []byte(doc), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

var (
	checkTimes = regexp.MustCompile(`\(?\b\d+(\.\d+)?\s?(ms|s)\b\)?|\d{4}-\d\d-\d\d([T ]\d\d:\d\d:\d\d(\.\d+Z| UTC))?|\d+ days`)
	checkPorts = regexp.MustCompile(`127\.0\.0\.1:\d+`)
	checkWith  = regexp.MustCompile(`smtpretry \S+, go\S+, \S+/\S+`)
)

// timeless is an output without what differs from time to time.
func timeless(s string) string {
	s = checkWith.ReplaceAllString(s, "WITH")
	s = checkPorts.ReplaceAllString(s, "LOCAL")
	return strings.Join(strings.Fields(checkTimes.ReplaceAllString(s, "")), " ")
}

// Every finding stands in docs/check.md, and none that there is not.
func TestCheckFindings(t *testing.T) {
	doc, err := os.ReadFile(checkDoc())
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob("internal/check/*.go")
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]bool{}
	call := regexp.MustCompile(`(?:fault|warn|note|skip|bad|add|refused)\(\s*"([a-z0-9-]+)"|return "([a-z]+)", `)
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil || strings.HasSuffix(f, "_test.go") {
			continue
		}
		for _, m := range call.FindAllStringSubmatch(string(text), -1) {
			if f := m[1] + m[2]; f != "some-" { // goes before the others of connect
				found[f] = true
			}
		}
	}
	if len(found) < 40 {
		t.Errorf("found only %v", slices.Sorted(maps.Keys(found)))
	}
	documented := map[string]bool{}
	for _, m := range regexp.MustCompile("(?m)^\\| `([a-z0-9-]+)` \\| [^|]+ \\| [^|]+ \\|$").FindAllStringSubmatch(string(doc), -1) {
		documented[m[1]] = true
	}
	for f := range found {
		if !documented[f] {
			t.Errorf("%s is not in docs/check.md", f)
		}
	}
	for f := range documented {
		if !found[f] && !strings.HasPrefix(f, "some-") {
			t.Errorf("docs/check.md has %s, which is never found", f)
		}
	}
}

// The keys of the JSON are those that programs rely on.
func TestCheckJSON(t *testing.T) {
	got := scenes[4].play(t, "--json")
	if got.code != 75 || strings.Count(got.out, "\n") != 1 {
		t.Fatalf("exit code %d, %s", got.code, got.out)
	}
	var report map[string]any
	if err := json.Unmarshal([]byte(got.out), &report); err != nil {
		t.Fatal(err)
	}
	if keys := slices.Sorted(maps.Keys(report)); !slices.Equal(keys, []string{"address", "ehlo", "result", "start", "steps", "target", "temporary", "took_ms"}) {
		t.Errorf("the keys are %q", keys)
	}
	if report["result"] != "fault" || report["temporary"] != true || report["target"] != "example.net" {
		t.Errorf("got %v, %v, %v", report["result"], report["temporary"], report["target"])
	}
	known := []string{"about", "advice", "details", "finding", "reply", "result", "start", "step", "temporary", "text", "took_ms"}
	refused := 0
	for _, s := range report["steps"].([]any) {
		step := s.(map[string]any)
		for key := range step {
			if !slices.Contains(known, key) {
				t.Errorf("%v has the key %q", step["step"], key)
			}
		}
		if reply, ok := step["reply"].(map[string]any); ok {
			refused++
			want := map[string]any{"code": 450.0, "enhanced": "4.2.0", "text": "Greylisted, try again in 300 seconds", "class": "temporary",
				"cause": "greylist", "scope": "recipient", "stage": "rcpt", "retry_after": 300.0, "rule": reply["rule"]}
			if !maps.Equal(reply, want) || step["step"] != "rcpt" {
				t.Errorf("%v: got %v, want %v", step["step"], reply, want)
			}
		}
	}
	if refused != 1 {
		t.Errorf("%d replies", refused)
	}
}

func TestCheckUsage(t *testing.T) {
	for _, test := range []struct{ args, says string }{
		{"smtps://me:open-sesame@smtp.example.com", "SMTPRETRY_PASSWORD"},
		{"http://smtp.example.com", "begins with http://"},
		{"smtps://smtp.example.com/inbox", "behind the host"},
		{"smtps://", "no host"},
		{"lmtp://smtp.example.com", "LMTP"},
		{"me@example.com", "smtps://user@host"},
		{"smtp.example.com:0", "no port"},
		{"smtp.example.com:mail", "cannot be read"},
		{"smtp.example.com --auth ntlm", "ntlm"},
		{"smtp.example.com --to you", "--to"},
		{"smtp.example.com --to you@example.com", "who sends"},
		{"smtp.example.com --from me@example.com --to you@example.com\r\nDATA", "--to"},
		{"smtp.example.com --ip here", "no IP address"},
		{"smtp.example.com --timeout 0s", "--timeout"},
		{"smtp.example.com --helo <me>", "--helo"},
		{"", "name one server or domain"},
		{"a b", "name one server or domain"},
	} {
		got := call(t.Context(), nil, nil, append([]string{"check"}, strings.Split(strings.TrimSpace(test.args), " ")...)...)
		if test.args == "" {
			got = call(t.Context(), nil, nil, "check")
		}
		if got.code != ui.Usage || !strings.Contains(got.errs, test.says) || strings.Contains(got.errs, "sesame") {
			t.Errorf("%q: exit code %d, %s", test.args, got.code, got.errs)
		}
	}
	for _, test := range []struct {
		args []string
		code int
		says string
	}{
		{[]string{"smtp.example.com", "--message", "testdata/no-such.eml"}, ui.NoInput, "no-such.eml"},
		{[]string{"smtps://me@smtp.example.com", "--password-file", "no-such"}, ui.NoInput, "no-such"},
		{[]string{"smtps://me@smtp.example.com", "--password-file", write(t, "empty", "\nsesame\n")}, ui.Config, "first line is empty"},
	} {
		got := call(t.Context(), nil, nil, append([]string{"check"}, test.args...)...)
		if got.code != test.code || !strings.Contains(got.errs, test.says) {
			t.Errorf("%q: exit code %d, %s", test.args, got.code, got.errs)
		}
	}
}
