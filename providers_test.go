package smtpretry_test

import (
	"maps"
	"slices"
	"testing"

	"github.com/smtpretry/smtpretry"
)

// TestPublishedLimits lists what is applied by default. What providers.json
// says beyond that has a qualification, or no figure.
func TestPublishedLimits(t *testing.T) {
	want := map[string][]string{
		"amazon-ses":                 {"PerMessage 50"}, // rate and quota are those of the sandbox
		"barracuda-inbound":          {"MaxConns 10", "PerConn 15"},
		"comcast-inbound":            {"MaxConns 25", "PerConn 1000"},
		"cox-inbound":                {"MaxConns 10"},
		"default-kumomta":            {"NewConns 100/min", "MaxConns 10", "PerConn 100"}, // found by no host
		"emailit":                    {"Rate 2/s", "Quotas 5000 per 24h"},
		"fastmail":                   nil,
		"gmail-inbound":              {"MaxConns 5", "PerConn 50"},
		"gmail-workspace-relay":      {"Quotas 10000 per 24h", "PerMessage 100"},
		"gmail-workspace-submission": {"Quotas 2000 per 24h", "RecipientQuotas 10000 per 24h", "PerMessage 100"},
		"gmx-submission":             nil,
		"gmx-webde-inbound":          {"MaxConns 4", "PerConn 20"},
		"icloud-inbound":             {"MaxConns 10", "PerConn 5"},
		"icloud-submission":          {"Quotas 1000 per 24h", "RecipientQuotas 1000 per 24h", "PerMessage 500"},
		"kpn-inbound":                {"MaxConns 10", "PerConn 10"},
		"mailcom-inbound":            {"PerConn 100"}, // by recipient domain only: found by no host
		"mailgun":                    {"MaxConns 7000", "PerConn 3"},
		"microsoft365-inbound":       {"MaxConns 5", "PerConn 50"},
		"microsoft365-submission":    {"Quotas 30 per 1m", "RecipientQuotas 10000 per 24h", "MaxConns 3", "PerMessage 500"},
		"mimecast-inbound":           {"MaxConns 10", "PerConn 100"},
		"netease-inbound":            {"MaxConns 4", "PerConn 7"},
		"netvigator-inbound":         {"MaxConns 5", "PerConn 10"},
		"orange-inbound":             {"MaxConns 2", "PerConn 100"},
		"outlook-inbound":            {"MaxConns 500"},
		"outlook-submission":         {"RecipientQuotas 5000 per 24h", "PerMessage 500"},
		"ovh":                        nil,
		"postmark":                   {"MaxConns 10", "PerMessage 50"},
		"qq-inbound":                 {"MaxConns 4", "PerConn 8"},
		"sendgrid":                   {"MaxConns 10000", "PerConn 5000"},
		"yahoo-aol-inbound":          {"PerConn 20"},
		"yahoo-japan-inbound":        {"Rate 10/s", "MaxConns 2", "PerConn 20"}, // by recipient domain only: found by no host
		"yahoo-submission":           {"Quotas 500 per 24h", "PerMessage 100"},
		"yandex-inbound":             nil,
		"yandex-submission":          {"Quotas 500 per 24h", "RecipientQuotas 500 per 24h", "PerMessage 35"},
		"zoho":                       nil,
	}
	got := smtpretry.Published()
	for name := range maps.Keys(got) {
		if !slices.Equal(got[name], want[name]) {
			t.Errorf("%s: applied %q, want %q", name, got[name], want[name])
		}
	}
	for name := range want {
		if _, ok := got[name]; !ok {
			t.Errorf("%s is not in providers.json", name)
		}
	}
}

func TestHostKey(t *testing.T) {
	for _, c := range []struct{ host, key string }{
		{"MX.Example.COM", "mx.example.com"},
		{"mx.example.com.", "mx.example.com"},
		{"mx.example.com:25", "mx.example.com"},
		{" mx.example.com.:2525 ", "mx.example.com"},
		{"192.0.2.1:25", "192.0.2.1"},
		{"2001:DB8::1", "2001:db8::1"},
		{"[2001:db8:0::1]:25", "2001:db8::1"},
		{"[2001:db8::1]", "2001:db8::1"},
		{"::ffff:192.0.2.1", "192.0.2.1"},
		{"", ""},

		// All MX hosts of a provider are one.
		{"example-com.mail.protection.outlook.com", "mail.protection.outlook.com"},
		{"EXAMPLE-ORG.mail.protection.outlook.com.:25", "mail.protection.outlook.com"},
		{"example-com.m-v1.mx.microsoft", "mail.protection.outlook.com"},
		{"hotmail-com.olc.protection.outlook.com", "olc.protection.outlook.com"},
		{"aspmx.l.google.com", "google.com"},
		{"alt1.gmail-smtp-in.l.google.com", "google.com"},
		{"smtp.google.com", "google.com"},
		{"mta5.am0.yahoodns.net", "yahoodns.net"},
		{"mx00.gmx.net", "gmx.net"},
		{"mx-ha02.web.de", "gmx.net"},

		// Names to log in to are hosts of their own, also under the same domain.
		{"smtp.gmail.com", "smtp.gmail.com"},
		{"smtp.office365.com:587", "smtp.office365.com"},
		{"mail.gmx.net", "mail.gmx.net"},
		{"smtp.web.de", "smtp.web.de"},
		{"smtp.yandex.ru", "smtp.yandex.ru"},
		{"smtp.qq.com", "smtp.qq.com"},
		{"email-smtp.ap-southeast-2.amazonaws.com", "email-smtp.ap-southeast-2.amazonaws.com"},

		// No suffix in the middle of a label, no provider from a longer name.
		{"mx.notgmx.net", "mx.notgmx.net"},
		{"google.com.example.org", "google.com.example.org"},
	} {
		if got := smtpretry.HostKey(c.host); got != c.key {
			t.Errorf("%q is counted as %q, want %q", c.host, got, c.key)
		}
		if again := smtpretry.HostKey(c.key); again != c.key {
			t.Errorf("the key %q is counted as %q, want itself", c.key, again)
		}
	}
}

// TestPublishedByHost holds that a host is given the limits of its provider,
// and of no other.
func TestPublishedByHost(t *testing.T) {
	for _, c := range []struct {
		host string
		want smtpretry.Limit
	}{
		{"mx.example.com", smtpretry.Limit{}},
		{"email-smtp.ap-southeast-2.amazonaws.com:587", smtpretry.Limit{PerMessage: 50}},
		{"email-smtp.a.b.amazonaws.com", smtpretry.Limit{}},
		{"email-smtp..amazonaws.com", smtpretry.Limit{}},
		{"example-com.mail.protection.outlook.com", smtpretry.Limit{MaxConns: 5, PerConn: 50}},
		{"hotmail-com.olc.protection.outlook.com", smtpretry.Limit{MaxConns: 500}},
		{"smtp-mail.outlook.com", smtpretry.Limit{PerMessage: 500}},
		{"mx3.qq.com", smtpretry.Limit{MaxConns: 4, PerConn: 8}},
		{"smtp.qq.com", smtpretry.Limit{}},
		{"submission.comcast.net", smtpretry.Limit{}},
		{"mailgun.org", smtpretry.Limit{}},
		{"smtp.mailgun.org", smtpretry.Limit{MaxConns: 7000, PerConn: 3}},
	} {
		e := smtpretry.NewLimiter(smtpretry.Limit{}).Explain(c.host)
		got := e.Limit
		if got.PerMessage != c.want.PerMessage || got.MaxConns != c.want.MaxConns || got.PerConn != c.want.PerConn {
			t.Errorf("%s: %+v, want %+v", c.host, got, c.want)
		}
		if i := slices.IndexFunc(e.Origins, func(o smtpretry.Origin) bool { return o.Field == "Rate" }); i < 0 || e.Origins[i].From != smtpretry.OriginLearned {
			t.Errorf("%s: origins %+v, want a rate that has to be found out", c.host, e.Origins)
		}
	}
}
