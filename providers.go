package smtpretry

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"time"
)

// providersJSON holds the published sending limits, each with its source.
//
//go:embed providers.json
var providersJSON []byte

// A provider is one entry of the published limits.
type provider struct {
	name    string
	key     string            // of all its MX hosts; empty for a host to log in to
	limit   Limit             // what it publishes
	sources map[string]string // field of limit → source
}

// A directory finds providers by host name.
type directory struct {
	all      []*provider
	hosts    map[string]*provider
	patterns []hostPattern
	suffixes map[string]*provider // of MX names
}

// A hostPattern is a host name with one label left open.
type hostPattern struct {
	prefix, suffix string
	provider       *provider
}

// published reads the embedded file, once.
var published = sync.OnceValue(func() *directory {
	d, err := readProviders(providersJSON)
	if err != nil {
		panic("smtpretry: embedded providers.json: " + err.Error()) // a test reads the same bytes
	}
	return d
})

func readProviders(text []byte) (*directory, error) {
	var file struct {
		Providers []struct {
			Provider   string
			Role       string
			Hosts      []string
			MXSuffixes []string `json:"mx_suffixes"`
			Limits     []struct {
				What   string
				Value  *float64
				Source string
			}
		}
	}
	if err := json.Unmarshal(text, &file); err != nil {
		return nil, err
	}
	d := &directory{hosts: make(map[string]*provider), suffixes: make(map[string]*provider)}
	for _, entry := range file.Providers {
		p := &provider{name: entry.Provider, sources: make(map[string]string)}
		for _, l := range entry.Limits {
			if l.Value == nil {
				continue // no figure is known
			}
			if field := applyPublished(&p.limit, l.What, *l.Value); field != "" {
				p.sources[field] = l.Source
				if field == "Rate" {
					p.sources["Burst"] = l.Source // none, as far as it is known
				}
			}
		}
		if err := p.limit.Validate(); err != nil {
			return nil, fmt.Errorf("%s: %w", p.name, err)
		}
		switch entry.Role {
		case "mx":
			if len(entry.MXSuffixes) > 0 {
				p.key = entry.MXSuffixes[0]
			}
			for _, s := range entry.MXSuffixes {
				d.suffixes[s] = p
			}
		case "submission":
			// A login's limits belong to the account, so each name is a host
			// of its own, and names under the same domain are none of it.
		default:
			return nil, fmt.Errorf("%s: unknown role %q", p.name, entry.Role)
		}
		for _, h := range entry.Hosts {
			if prefix, suffix, ok := strings.Cut(h, "*"); ok {
				d.patterns = append(d.patterns, hostPattern{prefix, suffix, p})
			} else {
				d.hosts[h] = p
			}
		}
		d.all = append(d.all, p)
	}
	return d, nil
}

// applyPublished sets the field of lim that a published figure is for, and
// returns its name. Figures with a qualification (for a free account, for
// unique recipients, as a sandbox, ...) hold for some users only and are not
// applied to all.
func applyPublished(lim *Limit, what string, n float64) (field string) {
	const day = 24 * time.Hour
	quota := func(list *[]Quota, per time.Duration) { *list = append(*list, Quota{int(n), per}) }
	switch what {
	case "messages per second":
		lim.Rate = PerSecond(n)
		return "Rate"
	case "messages per minute":
		quota(&lim.Quotas, time.Minute)
		return "Quotas"
	case "messages per hour":
		quota(&lim.Quotas, time.Hour)
		return "Quotas"
	case "messages per 24 hours", "messages per day":
		quota(&lim.Quotas, day)
		return "Quotas"
	case "recipients per 24 hours", "recipients per day":
		quota(&lim.RecipientQuotas, day)
		return "RecipientQuotas"
	case "recipients per message", "recipients per transaction":
		lim.PerMessage = int(n)
		return "PerMessage"
	case "concurrent connections":
		lim.MaxConns = int(n)
		return "MaxConns"
	case "messages per connection":
		lim.PerConn = int(n)
		return "PerConn"
	case "connections per minute":
		lim.NewConns = PerMinute(n)
		return "NewConns"
	}
	return ""
}

// find returns the provider of a normalised host name, or nil.
func (d *directory) find(name string) *provider {
	if p := d.hosts[name]; p != nil {
		return p
	}
	for _, h := range d.patterns {
		label, ok := strings.CutPrefix(name, h.prefix)
		if !ok {
			continue
		}
		if label, ok = strings.CutSuffix(label, h.suffix); ok && label != "" && !strings.Contains(label, ".") {
			return h.provider
		}
	}
	if p := d.suffixes[name]; p != nil {
		return p
	}
	first, rest, ok := strings.Cut(name, ".")
	if first == "smtp" || first == "mail" || first == "submission" {
		// By custom a host to log in to, such as smtp.qq.com beside the MX
		// names mx1.qq.com and so on. MX hosts with such a name are listed.
		return nil
	}
	for ok {
		if p := d.suffixes[rest]; p != nil {
			return p
		}
		_, rest, ok = strings.Cut(rest, ".")
	}
	return nil
}

// hostKey returns the limiter's key for a host as people write it, and its
// provider, if it is a known one. The key of a key is itself.
func hostKey(host string) (string, *provider) {
	name := normalizeHost(host)
	p := published().find(name)
	if p != nil && p.key != "" {
		name = p.key
	}
	return name, p
}

// normalizeHost strips what makes no difference: case, port, brackets, the
// final dot, and the spelling of an IPv6 address.
func normalizeHost(host string) string {
	host = strings.ToLower(strings.TrimSpace(host))
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	if inner, ok := strings.CutPrefix(host, "["); ok {
		host = strings.TrimSuffix(inner, "]")
	}
	if ip, err := netip.ParseAddr(host); err == nil {
		return ip.Unmap().String()
	}
	return strings.TrimSuffix(host, ".")
}
