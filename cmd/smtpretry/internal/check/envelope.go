package check

import (
	"context"
	"strings"
	"unicode/utf8"

	"github.com/smtpretry/smtpretry"
)

// envelope offers sender and recipients, and takes them back.
func (v *visit) envelope(ctx context.Context) {
	if len(v.c.Rcpt) == 0 {
		return
	}
	for _, s := range v.steps {
		if s.Name == StepAuth && s.Result == Skipped && v.blocked == "" {
			v.blocked = "because nobody is logged in"
		}
	}
	v.doAbout(StepMail, "<"+v.c.Mail+">", func(s *Step) {
		params := ""
		if _, ok := v.talk.offers["SMTPUTF8"]; ok && !isASCII(v.c.Mail+strings.Join(v.c.Rcpt, "")) {
			params = " SMTPUTF8"
		}
		v.offer(ctx, s, "MAIL FROM:<"+v.c.Mail+">"+params, smtpretry.StageMail)
	})
	blocked := v.blocked
	for _, to := range v.c.Rcpt {
		v.blocked = blocked // a recipient that is refused is no obstacle for the next
		v.doAbout(StepRcpt, "<"+to+">", func(s *Step) { v.offer(ctx, s, "RCPT TO:<"+to+">", smtpretry.StageRcpt) })
	}
	if blocked == "" && !v.talk.broken {
		_, _ = v.talk.ask(ctx, "250", "RSET")
	}
}

func (v *visit) offer(ctx context.Context, s *Step, command string, at smtpretry.Stage) {
	if _, err := v.talk.ask(ctx, "25", command); err != nil {
		s.refused("refused", err, at)
		return
	}
	s.ok("%s", v.talk.lastSaid())
}

func isASCII(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r >= utf8.RuneSelf })
}
