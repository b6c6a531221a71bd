package maillog

import (
	"net/textproto"
	"regexp"
	"strconv"
	"strings"

	"github.com/smtpretry/smtpretry"
)

var (
	// replyStart is how a line of a reply begins.
	replyStart = regexp.MustCompile(`^([2-5]\d\d)(?:([ -])|$)`)

	// replyWithin finds a refusal in somebody's words about it: behind what
	// introduces it, or with an enhanced status code, lest every number be one.
	replyWithin = regexp.MustCompile(`(?:^|: |said |SMTP error |["'(<=])([45]\d\d)(?:([ -]).|:? ?$)|(?:^|[\s(\[])([45]\d\d)([ -])#?[45]\.\d{1,3}\.\d{1,3}\b|SMTP error ([45]\d\d):( )`)

	// ofSMTP is a reply that HTTP's answers cannot be taken for: with an enhanced
	// status code, or a code that is rare there; aboutMail is what else tells.
	ofSMTP    = regexp.MustCompile(`^(?:[45]\d\d[ -]#?[45]\.\d{1,3}\.\d{1,3}\b|421|432|4[4-7]\d|5[2-7]\d)`)
	aboutMail = regexp.MustCompile(`(?i)smtp|\be?mail\b|\brcpt\b|recipient|mailbox`)

	// codeAgain is where the next line begins of a reply that a log has
	// joined by spaces.
	codeAgain = regexp.MustCompile(`\s+([2-5]\d\d)([ -])`)
)

// ParseReply reads a reply as a server sends it: a code of three digits and the
// words, of several lines if the code is followed by a hyphen. Lines may also be
// joined by spaces, or by \n spelled out, as logs have them.
func ParseReply(text string) (*textproto.Error, bool) {
	text = strings.TrimSpace(text)
	start := replyStart.FindStringSubmatch(text)
	if start == nil {
		return nil, false
	}
	code, _ := strconv.Atoi(start[1])
	if !strings.Contains(text, "\n") {
		text = strings.NewReplacer(`\r\n`, "\n", `\n`, "\n").Replace(text)
	}
	if start[2] == "-" && !strings.Contains(text, "\n") {
		text = codeAgain.ReplaceAllStringFunc(text, func(s string) string {
			if strings.TrimSpace(s)[:3] != start[1] {
				return s
			}
			return "\n" + strings.TrimLeft(s, " \t")
		})
	}
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		line = strings.TrimSpace(line)
		if m := replyStart.FindString(line); m != "" && line[:3] == start[1] {
			line = line[len(m):]
		}
		lines[i] = line
	}
	return &textproto.Error{Code: code, Msg: strings.Join(lines, "\n")}, true
}

// FindReply finds a refusal within words about it, such as a program's error.
func FindReply(text string) (*textproto.Error, bool) {
	at := replyWithin.FindStringSubmatchIndex(text)
	if at == nil {
		return nil, false
	}
	for _, group := range []int{2, 6, 10} {
		if at[group] < 0 {
			continue
		}
		found := text[at[group]:]
		// go-smtp writes "SMTP error 421: words".
		if len(found) > 4 && found[3] == ':' {
			found = found[:3] + found[4:]
		}
		if !ofSMTP.MatchString(found) && !aboutMail.MatchString(text) {
			return nil, false
		}
		return ParseReply(found)
	}
	return nil, false
}

// stageHints tell by a reply's words at which stage it was given, for replies
// that come alone. Only what is hardly ever said elsewhere stands here.
var stageHints = []struct {
	stage   smtpretry.Stage
	pattern *regexp.Regexp
}{
	{smtpretry.StageAuth, regexp.MustCompile(`(?i)^(?:535|534|538|432)\b|\b[45]\.7\.(?:8|9|12|13|14)\b|\b(?:authentication|login) (?:failed|unsuccessful)`)},
	{smtpretry.StageTLS, regexp.MustCompile(`(?i)^454 .*\bTLS\b`)},
	{smtpretry.StageMail, regexp.MustCompile(`(?i)\b[45]\.1\.[78]\b|sender address rejected|^530\b|^552 5\.3\.4\b|^55[23] .*sender`)},
	{smtpretry.StageRcpt, regexp.MustCompile(`(?i)\b[45]\.1\.(?:0|1|2|3|4|6|10)\b|\b[45]\.2\.[0-4]\b|\b[45]\.5\.3\b|recipient address rejected|user unknown|unknown user|no such user|mailbox (?:is )?full|gr[ea]ylist|relay(?:ing)? (?:access )?denied|too many recipients`)},
	{smtpretry.StageDot, regexp.MustCompile(`(?i)\b[45]\.6\.\d+\b|\b5\.7\.26\b|spam message|message (?:rejected|content)|content rejected|virus`)},
	{smtpretry.StageGreeting, regexp.MustCompile(`(?i)^421 .*(?:too many (?:\w+ )?(?:connections|sessions)|connection (?:rate|limit)|cannot accept|service not available|try again later)|^554 .*(?:no smtp service|mail service)`)},
}

// GuessStage guesses at which stage a reply was given that comes without a word
// about that; StageUnknown if nothing tells.
func GuessStage(reply *textproto.Error) smtpretry.Stage {
	text := strconv.Itoa(reply.Code) + " " + reply.Msg
	for _, h := range stageHints {
		if h.pattern.MatchString(text) {
			return h.stage
		}
	}
	return smtpretry.StageUnknown
}

// stageWords are the names that logs give to stages, each as it begins.
var stageWords = []struct {
	stage smtpretry.Stage
	words []string
}{
	{smtpretry.StageGreeting, []string{"initial connection", "receiving the initial server greeting", "greeting", "connect"}},
	{smtpretry.StageHello, []string{"ehlo", "helo", "lhlo", "performing the ehlo", "performing the helo", "performing the lhlo", "sending ehlo", "sending helo", "hello"}},
	{smtpretry.StageTLS, []string{"starttls", "performing the starttls", "receiving the starttls", "tls"}},
	{smtpretry.StageAuth, []string{"auth"}},
	{smtpretry.StageMail, []string{"mail", "sending mail from"}},
	{smtpretry.StageRcpt, []string{"rcpt", "sending rcpt to", "recipient"}},
	{smtpretry.StageDot, []string{"end of data", "sending end of data", `sending final "."`, "eod", "dot", "end-of-data"}},
	{smtpretry.StageBody, []string{"sending message body", "sending data block", "body"}},
	{smtpretry.StageData, []string{"data", "sending data command", "bdat"}},
}

// stageNamed returns the stage that a log calls so; StageUnknown if none.
func stageNamed(name string) smtpretry.Stage {
	name = strings.TrimPrefix(strings.ToLower(strings.TrimSpace(name)), "pipelined ")
	for _, s := range stageWords {
		for _, w := range s.words {
			if strings.HasPrefix(name, w) {
				return s.stage
			}
		}
	}
	return smtpretry.StageUnknown
}
