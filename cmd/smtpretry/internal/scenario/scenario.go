// Package scenario reads how a fake server is to behave from a YAML or JSON file.
package scenario

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml"

	"github.com/smtpretry/smtpretry/internal/testserver"
)

// A file is a scenario as it is written down. docs/command.md describes it.
type file struct {
	About       string            `yaml:"about"`
	Name        string            `yaml:"name"`
	LMTP        bool              `yaml:"lmtp"`
	Without     []string          `yaml:"without"`
	Extra       []string          `yaml:"extra"`
	MaxSize     int64             `yaml:"max_size"`
	EarlySize   bool              `yaml:"early_size"`
	TLS         string            `yaml:"tls"`
	Cert        string            `yaml:"cert"`
	RequireTLS  bool              `yaml:"require_tls"`
	Users       map[string]string `yaml:"users"`
	Mechanisms  []string          `yaml:"mechanisms"`
	RequireAuth bool              `yaml:"require_auth"`
	IdleTimeout time.Duration     `yaml:"idle_timeout"`
	MaxErrors   int               `yaml:"max_errors"`
	Limits      limits            `yaml:"limits"`
	Rules       []rule            `yaml:"rules"`
}

// limits are a provider's.
type limits struct {
	Rate       rate          `yaml:"rate"`
	Burst      int           `yaml:"burst"`
	Recipients rate          `yaml:"recipients"`
	NewConns   rate          `yaml:"new_conns"`
	MaxConns   int           `yaml:"max_conns"`
	PerConn    int           `yaml:"per_conn"`
	PerMessage int           `yaml:"per_message"`
	Domains    int           `yaml:"domains"`
	Quota      rate          `yaml:"quota"`
	Greylist   time.Duration `yaml:"greylist"`
	Box        struct {
		After  int           `yaml:"after"`
		Within time.Duration `yaml:"within"`
		For    time.Duration `yaml:"for"`
	} `yaml:"box"`
	Announce bool              `yaml:"announce"`
	Replies  map[string]string `yaml:"replies"`
}

// A rate is so many per time, such as 5/s, 100/min or 20/90s.
type rate struct {
	n   int
	per time.Duration
}

var units = map[string]time.Duration{"s": time.Second, "min": time.Minute, "h": time.Hour, "day": 24 * time.Hour}

// UnmarshalYAML reads the text of a rate.
func (r *rate) UnmarshalYAML(b []byte) error {
	var s string
	if err := yaml.Unmarshal(b, &s); err != nil {
		return err
	}
	number, unit, _ := strings.Cut(s, "/")
	n, err := strconv.Atoi(strings.TrimSpace(number))
	per, ok := units[strings.TrimSpace(unit)]
	if !ok {
		per, _ = time.ParseDuration(strings.TrimSpace(unit))
	}
	if err != nil || n < 1 || per < time.Duration(n) {
		return fmt.Errorf("%q is no rate, such as 5/s, 100/min, 500/h, 2000/day or 20/90s", s)
	}
	*r = rate{n, per}
	return nil
}

func (r rate) withBurst(burst int) testserver.Rate {
	return testserver.Rate{N: r.n, Per: r.per, Burst: burst}
}

// Parse makes a server's configuration of a file in YAML or JSON. Errors name the
// line.
func Parse(text []byte) (testserver.Config, error) {
	var f file
	if err := yaml.UnmarshalWithOptions(text, &f, yaml.Strict()); err != nil {
		return testserver.Config{}, errors.New(strings.TrimSpace(yaml.FormatError(err, false, true)))
	}
	cfg := testserver.Config{
		Name: f.Name, LMTP: f.LMTP, Without: f.Without, Extra: f.Extra, MaxSize: f.MaxSize, EarlySize: f.EarlySize,
		RequireTLS: f.RequireTLS, Users: f.Users, Mechanisms: f.Mechanisms, RequireAuth: f.RequireAuth,
		IdleTimeout: f.IdleTimeout, MaxErrors: f.MaxErrors,
	}
	var err error
	if cfg.TLS, err = oneOf("tls", f.TLS, map[string]testserver.TLSMode{"none": testserver.NoTLS, "starttls": testserver.StartTLS, "implicit": testserver.ImplicitTLS}); err != nil {
		return cfg, err
	}
	if cfg.Cert, err = oneOf("cert", f.Cert, map[string]testserver.Cert{"good": testserver.GoodCert, "expired": testserver.ExpiredCert,
		"wrong-name": testserver.WrongNameCert, "untrusted": testserver.UntrustedCert}); err != nil {
		return cfg, err
	}
	switch {
	case f.RequireTLS && cfg.TLS == testserver.NoTLS:
		return cfg, errors.New("require_tls without tls: nobody could send")
	case f.RequireAuth && len(f.Users) == 0:
		return cfg, errors.New("require_auth without users: nobody could log in")
	}
	if cfg.Limits, err = f.Limits.config(); err != nil {
		return cfg, err
	}
	for i, r := range f.Rules {
		made, err := r.config()
		if err != nil {
			return cfg, fmt.Errorf("rule %d: %w", i+1, err)
		}
		cfg.Script = append(cfg.Script, made)
	}
	return cfg, nil
}

func (l *limits) config() (testserver.Limits, error) {
	out := testserver.Limits{
		Rate: l.Rate.withBurst(l.Burst), Recipients: l.Recipients.withBurst(l.Burst), NewConns: l.NewConns.withBurst(l.Burst),
		MaxConns: l.MaxConns, PerConn: l.PerConn, PerMessage: l.PerMessage, Domains: l.Domains,
		Quota: testserver.Quota{N: l.Quota.n, Per: l.Quota.per}, Greylist: l.Greylist,
		Box:      testserver.Box{After: l.Box.After, Within: l.Box.Within, For: l.Box.For},
		Announce: l.Announce, Replies: map[testserver.Limit]*testserver.Action{},
	}
	known := []testserver.Limit{testserver.ByRate, testserver.ByRecipients, testserver.ByNewConns, testserver.ByMaxConns, testserver.ByPerConn,
		testserver.ByPerMessage, testserver.ByDomains, testserver.ByQuota, testserver.ByGreylist, testserver.ByBox}
	for name, text := range l.Replies {
		by := testserver.Limit(name)
		if !slices.Contains(known, by) {
			return out, fmt.Errorf("limits.replies.%s is not one of %v", name, known)
		}
		reply, err := replyOf(text)
		if err != nil {
			return out, fmt.Errorf("limits.replies.%s: %w", name, err)
		}
		if strings.HasPrefix(text, "421") {
			reply = reply.ThenClose()
		}
		out.Replies[by] = reply
	}
	return out, nil
}

// oneOf looks a word up; the empty one is the zero value.
func oneOf[T any](field, word string, known map[string]T) (value T, err error) {
	if word == "" {
		return value, nil
	}
	value, ok := known[word]
	if !ok {
		return value, fmt.Errorf("%s is %q, want one of %s", field, word, strings.Join(slices.Sorted(maps.Keys(known)), ", "))
	}
	return value, nil
}
