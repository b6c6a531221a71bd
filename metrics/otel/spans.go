package otel

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/emersion/go-smtp"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/smtpretry/smtpretry"
)

// Of a large transaction not everything is told.
const (
	mostEvents    = 16 // reasons for refusals in one attempt
	mostAddresses = 50 // in one attribute
)

// spanKey is where a context has the span of the call.
type spanKey struct{}

func (t *Telemetry) began(ctx context.Context, m *smtpretry.Message) context.Context {
	ctx, span := t.tracer.Start(ctx, "smtp send")
	if span.IsRecording() {
		span.SetAttributes(semconv.NetworkProtocolName("smtp"), attribute.Int("smtpretry.recipients", len(m.To)))
		if m.Size > 0 {
			span.SetAttributes(attribute.Int64("smtpretry.size", m.Size))
		}
		if t.texts {
			span.SetAttributes(attribute.String("smtpretry.from", m.From), attribute.StringSlice("smtpretry.to", m.To[:min(len(m.To), mostAddresses)]))
		}
	}
	return context.WithValue(ctx, spanKey{}, span)
}

func (t *Telemetry) finished(f smtpretry.Finish) {
	span, ok := f.Context().Value(spanKey{}).(trace.Span)
	if !ok {
		return
	}
	defer span.End(trace.WithTimestamp(f.End))
	if !span.IsRecording() {
		return
	}
	span.SetAttributes(semconv.ServerAddress(f.Host), attribute.Int("smtpretry.attempts", len(f.Result.Attempts)))
	span.SetAttributes(states(f.Result.Recipients)...)
	if t.texts && f.Result.Queued != "" {
		span.SetAttributes(attribute.String("smtpretry.queued", f.Result.Queued))
	}
	if f.Err == nil {
		return
	}
	v := gravest(f.Result.Recipients)
	span.SetAttributes(semconv.ErrorTypeKey.String(errorType(f, v)))
	span.SetAttributes(t.verdict(v)...)
	status := f.Result.String()
	if t.texts {
		status = f.Err.Error()
	}
	span.SetStatus(codes.Error, status)
}

// errorType is a word for what a call ended with.
func errorType(f smtpretry.Finish, v smtpretry.Verdict) string {
	switch {
	case v.Rule != "":
		return v.Cause.String()
	case f.Context().Err() != nil:
		return "context"
	default:
		return "limit" // it was never offered
	}
}

func (t *Telemetry) attempted(a smtpretry.Attempt) {
	_, span := t.tracer.Start(a.Context(), "smtp attempt", trace.WithTimestamp(a.Start), trace.WithSpanKind(trace.SpanKindClient))
	defer span.End(trace.WithTimestamp(a.End))
	if !span.IsRecording() {
		return
	}
	span.SetAttributes(semconv.NetworkProtocolName("smtp"), semconv.ServerAddress(a.Host),
		attribute.Int("smtpretry.attempt", a.Number),
		attribute.Bool("smtpretry.charged", a.Charged),
		attribute.Bool("smtpretry.reused", a.Reused),
		attribute.String("smtpretry.stage", a.Stage.String()),
		attribute.Int("smtpretry.recipients", len(a.Recipients)))
	span.SetAttributes(states(a.Recipients)...)
	span.SetAttributes(peer(a.Addr)...)
	if t.texts && a.Queued != "" {
		span.SetAttributes(attribute.String("smtpretry.queued", a.Queued))
	}
	if a.Verdict.Rule == "" {
		return
	}
	span.SetAttributes(semconv.ErrorTypeKey.String(a.Verdict.Cause.String()))
	span.SetAttributes(t.verdict(a.Verdict)...)
	span.SetStatus(codes.Error, meaning(a.Verdict))
	t.refusals(span, a)
}

// refusals adds an event for each reason for which recipients were refused.
func (t *Telemetry) refusals(span trace.Span, a smtpretry.Attempt) {
	type group struct {
		verdict smtpretry.Verdict
		to      []string
	}
	var groups []group
	for _, r := range a.Recipients {
		if r.Verdict.Rule == "" {
			continue
		}
		v := r.Verdict
		if !t.texts {
			v.Text = "" // it may differ in nothing but the address
		}
		i := slices.IndexFunc(groups, func(g group) bool { return g.verdict == v })
		if i < 0 {
			if len(groups) == mostEvents {
				continue
			}
			i = len(groups)
			groups = append(groups, group{verdict: v})
		}
		groups[i].to = append(groups[i].to, r.Address)
	}
	for _, g := range groups {
		attrs := append(t.verdict(g.verdict), attribute.Int("smtpretry.recipients", len(g.to)))
		if t.texts {
			attrs = append(attrs, attribute.StringSlice("smtpretry.to", g.to[:min(len(g.to), mostAddresses)]))
		}
		span.AddEvent("smtp refusal", trace.WithTimestamp(a.End), trace.WithAttributes(attrs...))
	}
}

func (t *Telemetry) waited(w smtpretry.Wait) {
	_, span := t.tracer.Start(w.Context(), "smtp wait", trace.WithTimestamp(w.Start),
		trace.WithAttributes(semconv.ServerAddress(w.Host), attribute.String("smtpretry.wait.reason", w.For)))
	span.End(trace.WithTimestamp(w.End))
}

// verdict is what a refusal means, and with texts what was said.
func (t *Telemetry) verdict(v smtpretry.Verdict) []attribute.KeyValue {
	if v.Rule == "" {
		return nil
	}
	attrs := []attribute.KeyValue{
		attribute.String("smtpretry.class", v.Class.String()),
		attribute.String("smtpretry.cause", v.Cause.String()),
		attribute.String("smtpretry.scope", v.Scope.String()),
		attribute.String("smtpretry.refused.stage", v.Stage.String()),
		attribute.String("smtpretry.rule", v.Rule),
	}
	if v.Code != 0 {
		attrs = append(attrs, attribute.Int("smtpretry.reply.code", v.Code))
	}
	if e := v.Enhanced; e != (smtp.EnhancedCode{}) {
		attrs = append(attrs, attribute.String("smtpretry.reply.enhanced", fmt.Sprintf("%d.%d.%d", e[0], e[1], e[2])))
	}
	if v.InDoubt {
		attrs = append(attrs, attribute.Bool("smtpretry.in_doubt", true))
	}
	if t.texts && v.Text != "" {
		attrs = append(attrs, attribute.String("smtpretry.reply.text", v.Text))
	}
	return attrs
}

// meaning is the status of an attempt, without the server's words.
func meaning(v smtpretry.Verdict) string {
	code := ""
	if v.Code != 0 {
		code = fmt.Sprint(v.Code, " ")
	}
	return fmt.Sprintf("%s%s %s at %s", code, v.Class, v.Cause, v.Stage)
}

// states counts recipients by state; those that none are in are left out.
func states(rcpts []smtpretry.Recipient) (attrs []attribute.KeyValue) {
	n := map[smtpretry.State]int{}
	for _, r := range rcpts {
		n[r.State]++
	}
	for _, s := range []smtpretry.State{smtpretry.Accepted, smtpretry.Deferred, smtpretry.Rejected, smtpretry.InDoubt} {
		if n[s] > 0 {
			attrs = append(attrs, attribute.Int("smtpretry.recipients."+strings.ReplaceAll(s.String(), "-", "_"), n[s]))
		}
	}
	return attrs
}

// gravest returns a refusal for good before another one; zero if there was none.
func gravest(rcpts []smtpretry.Recipient) (v smtpretry.Verdict) {
	for _, r := range rcpts {
		if r.State != smtpretry.Accepted && (v.Rule == "" || r.Verdict.Class == smtpretry.Permanent && v.Class != smtpretry.Permanent) {
			v = r.Verdict
		}
	}
	return v
}

// peer is the server's network address.
func peer(addr string) []attribute.KeyValue {
	if at, err := netip.ParseAddrPort(addr); err == nil {
		return []attribute.KeyValue{semconv.NetworkPeerAddress(at.Addr().String()), semconv.NetworkPeerPort(int(at.Port()))}
	}
	if addr == "" {
		return nil
	}
	return []attribute.KeyValue{semconv.NetworkPeerAddress(addr)}
}
