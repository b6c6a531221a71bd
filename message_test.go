package smtpretry_test

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"

	"github.com/smtpretry/smtpretry"
	"github.com/smtpretry/smtpretry/internal/testserver"
)

// TestMessageFields: what must not go out is named, and nothing is sent.
func TestMessageFields(t *testing.T) {
	valid := func() *smtpretry.Message { return note("a@example.net") }
	to := func(addr string) *smtpretry.Message { return note("a@example.net", addr) }
	from := func(addr string) *smtpretry.Message { m := valid(); m.From = addr; return m }
	mail := func(o smtp.MailOptions) *smtpretry.Message { m := valid(); m.MailOptions = &o; return m }
	rcpt := func(o smtp.RcptOptions) *smtpretry.Message {
		m := valid()
		m.RcptOptions = func(string) *smtp.RcptOptions { return &o }
		return m
	}
	priority := 10
	with := func(change func(*smtpretry.Message)) *smtpretry.Message { m := valid(); change(m); return m }
	const rcptOptions = "Message.RcptOptions(a@example.net)."
	tests := []struct {
		name  string
		m     *smtpretry.Message
		field string // "": valid
	}{
		{"valid", valid(), ""},
		{"nil", nil, "Message"},
		{"null sender", from(""), ""},
		{"parameter in From", from("a@x> SIZE=1 AUTH=<"), "Message.From"},
		{"space in From", from("a b@example.net"), "Message.From"},
		{"CRLF in From", from("a@example.net>\r\nRCPT TO:<b@example.net"), "Message.From"},
		{"no recipients", note(), "Message.To"},
		{"empty recipient", to(""), "Message.To[1]"},
		{"angle brackets", to("<b@example.net>"), "Message.To[1]"},
		{"closing bracket", to("b@example.net>"), "Message.To[1]"},
		{"space", to("b @example.net"), "Message.To[1]"},
		{"no-break space", to("b\u00a0@example.net"), "Message.To[1]"},
		{"tab", to("b\t@example.net"), "Message.To[1]"},
		{"CR", to("b@example.net\r"), "Message.To[1]"},
		{"LF", to("b@example.net\n"), "Message.To[1]"},
		{"NUL", to("b\x00@example.net"), "Message.To[1]"},
		{"DEL", to("b\x7f@example.net"), "Message.To[1]"},
		{"C1 control", to("b\u009b@example.net"), "Message.To[1]"},
		{"no UTF-8", to("b\xff@example.net"), "Message.To[1]"},
		{"UTF-8", to("jürgen@example.net"), ""},
		{"no domain", to("postmaster"), ""},
		{"nil body", with(func(m *smtpretry.Message) { m.Body = nil }), "Message.Body"},
		{"negative size", with(func(m *smtpretry.Message) { m.Size = -1 }), "Message.Size"},
		{"Return", mail(smtp.MailOptions{Return: "SOME"}), "Message.MailOptions.Return"},
		{"EnvelopeID", mail(smtp.MailOptions{EnvelopeID: "a\r\nb"}), "Message.MailOptions.EnvelopeID"},
		{"negative SIZE", mail(smtp.MailOptions{Size: -1}), "Message.MailOptions.Size"},
		{"BINARYMIME", mail(smtp.MailOptions{Body: smtp.BodyBinaryMIME}), "Message.MailOptions.Body"},
		{"good options", mail(smtp.MailOptions{Return: smtp.DSNReturnHeaders, EnvelopeID: "id+1", Size: 1000}), ""},
		{"Notify", rcpt(smtp.RcptOptions{Notify: []smtp.DSNNotify{"SOMETIMES"}}), rcptOptions + "Notify"},
		{"Notify twice", rcpt(smtp.RcptOptions{Notify: []smtp.DSNNotify{smtp.DSNNotifySuccess, smtp.DSNNotifySuccess}}), rcptOptions + "Notify"},
		{"Notify never and", rcpt(smtp.RcptOptions{Notify: []smtp.DSNNotify{smtp.DSNNotifyNever, smtp.DSNNotifySuccess}}), rcptOptions + "Notify"},
		{"OriginalRecipient", rcpt(smtp.RcptOptions{OriginalRecipient: "a\n", OriginalRecipientType: smtp.DSNAddressTypeRFC822}), rcptOptions + "OriginalRecipient"},
		{"OriginalRecipientType", rcpt(smtp.RcptOptions{OriginalRecipient: "a@example.net", OriginalRecipientType: "X400"}), rcptOptions + "OriginalRecipientType"},
		{"MTPriority", rcpt(smtp.RcptOptions{MTPriority: &priority}), rcptOptions + "MTPriority"},
		{"DeliverBy mode", rcpt(smtp.RcptOptions{DeliverBy: &smtp.DeliverByOptions{Time: time.Hour, Mode: "X"}}), rcptOptions + "DeliverBy.Mode"},
		{"DeliverBy time", rcpt(smtp.RcptOptions{DeliverBy: &smtp.DeliverByOptions{Time: time.Second - 1, Mode: smtp.DeliverByReturn}}), rcptOptions + "DeliverBy.Time"},
		{"good recipient options", rcpt(smtp.RcptOptions{Notify: []smtp.DSNNotify{smtp.DSNNotifyFailure, smtp.DSNNotifyDelayed}}), ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			bubble(t, testserver.Config{}, func(t *testing.T, srv *testserver.Server) {
				c := client(t, srv, nil)
				res, err := c.Send(t.Context(), test.m)
				if test.field == "" {
					if err != nil {
						t.Error(err)
					}
					return
				}
				wantField(t, err, test.field)
				if res != nil {
					t.Errorf("there is a Result: %v", res)
				}
				if n := srv.Stats().Conns; n != 0 {
					t.Errorf("%d connections were made", n)
				}
			})
		})
	}
}

func wantField(t *testing.T, err error, field string) {
	t.Helper()
	var bad *smtpretry.FieldError
	if !errors.As(err, &bad) || bad.Field != field {
		t.Errorf("got %v, want a *FieldError for %s", err, field)
	}
	if err != nil && strings.ContainsAny(err.Error(), "\r\n\x00\x7f\t") {
		t.Errorf("%q is not fit for a log", err)
	}
}

// TestConfigFields: a contradiction is named before anything is dialled.
func TestConfigFields(t *testing.T) {
	dial := func(context.Context) (*smtp.Client, error) { return nil, errBroken }
	auth := func(context.Context) (sasl.Client, error) { return nil, errBroken }
	dialer := &smtpretry.Dialer{Addr: "mx.example:25"}
	with := func(d smtpretry.Dialer) smtpretry.Config { return smtpretry.Config{Dialer: &d} }
	policy := func(p smtpretry.Policy) smtpretry.Config { return smtpretry.Config{Dialer: dialer, Policy: p} }
	tests := []struct {
		name  string
		cfg   smtpretry.Config
		wrap  bool
		field string // "": valid
	}{
		{"Dialer", smtpretry.Config{Dialer: dialer}, false, ""},
		{"Dial and Host", smtpretry.Config{Dial: dial, Host: "mx.example"}, false, ""},
		{"nothing", smtpretry.Config{Host: "mx.example"}, false, "Config.Dialer"},
		{"both", smtpretry.Config{Dialer: dialer, Dial: dial}, false, "Config.Dial"},
		{"Dial without Host", smtpretry.Config{Dial: dial}, false, "Config.Host"},
		{"wrapped without Host", smtpretry.Config{}, true, "Config.Host"},
		{"wrapped", smtpretry.Config{Host: "mx.example"}, true, ""},
		{"wrapped with Dialer", smtpretry.Config{Dialer: dialer, MaxConns: 5, Auth: auth}, true, ""},
		{"negative MaxConns", smtpretry.Config{Dialer: dialer, MaxConns: -1}, false, "Config.MaxConns"},
		{"MaxConns without a way to connect", smtpretry.Config{Host: "mx.example", MaxConns: 2}, true, "Config.MaxConns"},
		{"Auth without a way to connect", smtpretry.Config{Host: "mx.example", Auth: auth}, true, "Config.Auth"},
		{"no port", with(smtpretry.Dialer{Addr: "mx.example"}), false, "Config.Dialer.Addr"},
		{"no host", with(smtpretry.Dialer{Addr: ":25"}), false, "Config.Dialer.Addr"},
		{"empty port", with(smtpretry.Dialer{Addr: "mx.example:"}), false, "Config.Dialer.Addr"},
		{"no Addr", with(smtpretry.Dialer{}), false, "Config.Dialer.Addr"},
		{"no mode", with(smtpretry.Dialer{Addr: "mx.example:25", TLS: 9}), false, "Config.Dialer.TLS"},
		{"TLSNone with TLSConfig", with(smtpretry.Dialer{Addr: "mx.example:25", TLS: smtpretry.TLSNone, TLSConfig: new(tls.Config)}), false, "Config.Dialer.TLSConfig"},
		{"LocalName", with(smtpretry.Dialer{Addr: "mx.example:25", LocalName: "a b"}), false, "Config.Dialer.LocalName"},
		{"LocalName with CRLF", with(smtpretry.Dialer{Addr: "mx.example:25", LocalName: "a\r\nMAIL"}), false, "Config.Dialer.LocalName"},
		{"MaxAttempts", policy(smtpretry.Policy{MaxAttempts: -1}), false, "Config.Policy.MaxAttempts"},
		{"Backoff", policy(smtpretry.Policy{Backoff: smtpretry.Backoff{Initial: -1}}), false, "Config.Policy.Backoff.Initial"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var c *smtpretry.Client
			var err error
			if test.wrap {
				near, far := net.Pipe()
				t.Cleanup(func() { near.Close(); far.Close() })
				c, err = smtpretry.Wrap(smtp.NewClient(near), test.cfg)
			} else {
				c, err = smtpretry.New(test.cfg)
			}
			switch {
			case test.field != "":
				wantField(t, err, test.field)
			case err != nil || c == nil:
				t.Errorf("got %v", err)
			default:
				c.Close()
			}
		})
	}
	_, err := smtpretry.Wrap(nil, smtpretry.Config{Host: "mx.example"})
	wantField(t, err, "client")
}

// TestUnfit: what the server has said it cannot do is not tried.
func TestUnfit(t *testing.T) {
	tests := []struct {
		name string
		cfg  testserver.Config
		m    func(*smtpretry.Message)
	}{
		{"SMTPUTF8 for a recipient", testserver.Config{Without: []string{"SMTPUTF8"}}, func(m *smtpretry.Message) { m.To[0] = "jürgen@example.net" }},
		{"SMTPUTF8 for the sender", testserver.Config{Without: []string{"SMTPUTF8"}}, func(m *smtpretry.Message) { m.From = "jürgen@example.net" }},
		{"SMTPUTF8 by option", testserver.Config{Without: []string{"SMTPUTF8"}}, func(m *smtpretry.Message) { m.MailOptions = &smtp.MailOptions{UTF8: true} }},
		{"REQUIRETLS", testserver.Config{}, func(m *smtpretry.Message) { m.MailOptions = &smtp.MailOptions{RequireTLS: true} }},
		{"SIZE", testserver.Config{MaxSize: 10}, func(m *smtpretry.Message) { m.Size = int64(len(text)) }},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			bubble(t, test.cfg, func(t *testing.T, srv *testserver.Server) {
				c := client(t, srv, nil)
				m := note("a@example.net")
				test.m(m)
				res, err := c.Send(t.Context(), m)
				wantOneReason(t, err, smtpretry.ErrRejected)
				wantStates(t, res, rejected)
				if said := srv.Transcript(); strings.Contains(said, "C: MAIL") {
					t.Errorf("it was tried:\n%s", said)
				}
				if _, err := c.Send(t.Context(), &smtpretry.Message{From: "me@example.org", To: []string{"b@example.net"}, Body: body("x\r\n")}); err != nil {
					t.Errorf("the next message: %v", err)
				}
				if n := srv.Stats().Conns; n != 1 {
					t.Errorf("%d connections, want 1", n)
				}
			})
		})
	}
}

// TestOptions reach the server.
func TestOptions(t *testing.T) {
	bubble(t, testserver.Config{}, func(t *testing.T, srv *testserver.Server) {
		c := client(t, srv, nil)
		m := note("jürgen@example.net")
		m.Size = int64(len(text))
		m.MailOptions = &smtp.MailOptions{Return: smtp.DSNReturnHeaders, EnvelopeID: "id1"}
		m.RcptOptions = func(string) *smtp.RcptOptions {
			return &smtp.RcptOptions{Notify: []smtp.DSNNotify{smtp.DSNNotifyFailure}}
		}
		if _, err := c.Send(t.Context(), m); err != nil {
			t.Fatal(err)
		}
		got := srv.Messages()[0]
		if got.Params["SIZE"] != "32" || got.Params["RET"] != "HDRS" || got.Params["ENVID"] != "id1" || !got.UTF8 {
			t.Errorf("MAIL had %v", got.Params)
		}
		if got.To[0].Params["NOTIFY"] != "FAILURE" {
			t.Errorf("RCPT had %v", got.To[0].Params)
		}
		if m.MailOptions.Size != 0 || m.MailOptions.UTF8 {
			t.Error("the caller's MailOptions were changed")
		}
	})
}

// TestValidate: what Send would refuse is known before, and nil too.
func TestValidate(t *testing.T) {
	m := note("a@example.net")
	if err := m.Validate(); err != nil {
		t.Error(err)
	}
	m.To = append(m.To, "b@example.net>\r\nRCPT TO:<c@example.net")
	var fe *smtpretry.FieldError
	if err := m.Validate(); !errors.As(err, &fe) || fe.Field != "Message.To[1]" {
		t.Errorf("got %v, want a *FieldError of Message.To[1]", err)
	}
	if err := (*smtpretry.Message)(nil).Validate(); !errors.As(err, &fe) {
		t.Errorf("nil: got %v", err)
	}
}
