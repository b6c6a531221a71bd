package smtpretry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/emersion/go-smtp"
)

// An envelope is one transaction to be made.
type envelope struct {
	from     string
	options  *smtp.MailOptions
	rcpts    []string
	rcptOpts func(string) *smtp.RcptOptions
	size     int64 // 0: unknown
	body     *body
	same     func() error // says whether the body, now read, may be sent; nil: yes
	classify func(error, Stage) Verdict
	only     bool // there is no other connection to go over

	announced func(ehloLimits) // by a server that can be trusted
	offering  func(rcpts int)  // so many will be offered
	mailing   func()           // MAIL is about to be written
	mailed    func()           // MAIL was answered
}

// An answer is what one recipient got: the last reply that concerns it, or the
// failure that took its place.
type answer struct {
	err     error // nil: accepted
	stage   Stage
	inDoubt bool // the final dot was sent, no reply was understood
	unasked bool // one too many for this transaction: offered in the next, at once
}

// An outcome is what became of a transaction.
type outcome struct {
	replies []answer // one for each recipient
	stage   Stage    // how far it got
	queued  string   // the server's words to the final dot, on one line
	body    error    // a *FieldError: the body is at fault, nothing was sent
	most    int      // recipients that were taken when one more was too many; 0: none was
}

// taken says whether nothing has been held against recipient i so far.
func (o *outcome) taken(i int) bool { return o.replies[i].err == nil && !o.replies[i].unasked }

// all gives every recipient that has none yet the same reply.
func (o *outcome) all(err error, at Stage) outcome {
	for i := range o.replies {
		if o.taken(i) {
			o.replies[i] = answer{err: err, stage: at}
		}
	}
	return *o
}

// transact makes one transaction. One that did not end is left as it is, as
// go-smtp does: RSET comes before the next, and is spared if none comes.
func (cn *conn) transact(ctx context.Context, e *envelope) (o outcome) {
	done := cn.guard(ctx)
	defer done()
	defer func() { cn.rested = time.Now() }()
	o = outcome{replies: make([]answer, len(e.rcpts)), stage: StageHello}
	err := cn.unasked()
	if err == nil {
		err = cn.reset()
	}
	if err == nil {
		err = cn.greet("")
	}
	if err != nil {
		cn.abort()
		return o.all(cn.stale(err), StageHello)
	}

	n := cn.fits(e)
	if n == 0 {
		_ = cn.Close() // nothing is under way on it
		cn.dead = true
		return o.all(errDomains, StageHello)
	}
	for i := n; i < len(e.rcpts); i++ {
		o.replies[i].unasked = true
	}

	o.stage = StageMail
	if err := cn.unfit(e); err != nil {
		return o.all(err, StageMail)
	}
	e.offering(n)
	e.mailing()
	cn.used++
	cn.dirty, cn.left = true, true
	err = cn.smtp.Mail(e.from, e.options)
	if cn.judge(err); !cn.dead {
		e.mailed()
	}
	if err != nil {
		if e.classify(err, StageMail).Cause == CauseConnectionLimit {
			cn.abort() // the next one would hear the same
		}
		// A MAIL that is refused begins nothing, but Postfix remembers its SIZE;
		// and on a kept connection that cannot be listened to, the reply may
		// have been there before it.
		sized := e.options != nil && e.options.Size > 0
		cn.dirty = cn.dead || sized || cn.wire == nil && cn.used > 1
		return o.all(err, StageMail)
	}

	o.stage = StageRcpt
	if !cn.offer(e, &o) {
		return o
	}

	o.stage = StageData
	data, err := cn.smtp.Data()
	if err != nil {
		cn.judge(err)
		return o.all(err, StageData)
	}
	o.stage = StageBody
	if cn.tap != nil {
		cn.watchBody(len(e.rcpts))
	}
	err = cn.upload(data, e)
	if err == nil {
		err = ctx.Err() // the guard may not have run yet, and the dot would deliver
	}
	if err != nil {
		cn.abort()
		var bad *FieldError
		if errors.As(err, &bad) {
			o.body = err
			err = &fault{rule: "bad-body", scope: ScopeMessage, msg: "the upload was broken off", err: err}
		}
		return o.all(err, StageBody)
	}
	o.stage = StageDot
	cn.finish(data, e, &o)
	return o
}

// stale returns what a refused RSET, or a refused EHLO after it, means on a
// connection that has carried messages: not that the server refuses service,
// but that it does not go on with this connection. Some answer a second EHLO
// with 503.
func (cn *conn) stale(err error) error {
	var r *smtp.SMTPError
	if cn.used == 0 || !errors.As(err, &r) || r.Code == 421 {
		return err
	}
	return spent(fmt.Sprintf("%d %s", r.Code, oneLine(r.Message)))
}

// spent is the failure of a kept connection that takes no further message.
func spent(why string) error {
	return &fault{rule: "connection-spent", class: Temporary, cause: CauseNetwork, scope: ScopeConnection,
		msg: "the server takes no further message on this connection: " + why}
}

// unfit finds what the server has said it cannot do, before it is asked.
func (cn *conn) unfit(e *envelope) error {
	if limit, ok := cn.smtp.MaxMessageSize(); ok && limit > 0 && e.size > int64(limit) {
		return &fault{rule: "size-announced", class: Permanent, cause: CauseSize, scope: ScopeMessage,
			msg: "message too large", err: &FieldError{Field: "Message.Size",
				Reason: fmt.Sprintf("is %d octets, the server takes at most %d", e.size, limit)}}
	}
	if e.options == nil {
		return nil
	}
	if ok, _ := cn.smtp.Extension("SMTPUTF8"); e.options.UTF8 && !ok {
		return &fault{rule: "no-smtputf8", class: Permanent, cause: CauseProtocol, scope: ScopeMessage,
			msg: "the server does not offer SMTPUTF8, which the addresses or MailOptions.UTF8 ask for"}
	}
	if ok, _ := cn.smtp.Extension("REQUIRETLS"); e.options.RequireTLS && !ok {
		return &fault{rule: "no-requiretls", class: Permanent, cause: CauseTLS, scope: ScopeMessage,
			msg: "the server does not offer REQUIRETLS, which MailOptions.RequireTLS asks for"}
	}
	return nil
}

// offer sends RCPT for each recipient and says whether any was taken.
func (cn *conn) offer(e *envelope, o *outcome) bool {
	taken := 0
	for i, rcpt := range e.rcpts {
		if o.replies[i].unasked {
			break
		}
		var opts *smtp.RcptOptions
		if e.rcptOpts != nil {
			opts = e.rcptOpts(rcpt)
		}
		cn.tap.expect(0)
		err := cn.smtp.Rcpt(rcpt, opts)
		if err == nil {
			taken++
			continue
		}
		o.replies[i] = answer{err: err, stage: StageRcpt}
		if cn.judge(err); cn.dead {
			o.all(err, StageRcpt) // also for those taken: nothing was delivered
			return false
		}
		// The rest would be refused alike, and counted as errors.
		switch v := e.classify(err, StageRcpt); {
		case taken > 0 && v.Cause == CauseTooManyRecipients:
			o.most = taken
			for j := i; j < len(e.rcpts); j++ {
				o.replies[j].unasked = true
			}
			return true
		case teaches(v) == lessonRate:
			for j := i + 1; j < len(e.rcpts); j++ {
				if o.taken(j) {
					o.replies[j] = o.replies[i]
				}
			}
			return taken > 0
		}
	}
	return taken > 0
}

// upload writes the body, without the final dot.
func (cn *conn) upload(w io.Writer, e *envelope) error {
	for {
		p, err := e.body.next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
		stop := cn.within(dataTimeout)
		_, err = w.Write(p)
		stop()
		if err != nil {
			return cn.early(err)
		}
	}
	if e.same != nil {
		return e.same()
	}
	return nil
}

// within breaks the connection off after d unless stop is called before. It
// takes the place of the deadline that the wire sets for writing, and that
// cannot be set on a connection that cannot be seen.
func (cn *conn) within(d time.Duration) (stop func() bool) {
	if cn.wire != nil {
		return func() bool { return true }
	}
	return time.AfterFunc(d, cn.interrupt).Stop
}

// early returns the reply that a server sent in the middle of the body, if it
// did, in place of the write error which its closing caused.
func (cn *conn) early(err error) error {
	if cn.wire != nil {
		if r := cn.wire.salvage(); r != nil {
			return fmt.Errorf("%w (before the end of the body: %w)", r, err)
		}
	}
	return err
}

// finish sends the final dot and reads what becomes of the message.
func (cn *conn) finish(data *smtp.DataCommand, e *envelope, o *outcome) {
	// The last octets and the dot are written here, too.
	defer cn.within(dataTimeout + cn.smtp.SubmissionTimeout)()
	resp, err := data.CloseWithResponse()
	var r *smtp.SMTPError
	switch {
	case err == nil:
		cn.settle(e, o, resp.StatusText, nil)
		return
	case errors.As(err, &r):
		cn.settle(e, o, r.Message, err)
		return
	}

	// Either the link broke, or this is LMTP; then nothing has been sent
	// yet, and this call does. On plain SMTP it does nothing.
	each, lerr := data.CloseWithLMTPResponse()
	if each != nil {
		cn.settleEach(e, o, each, lerr)
		return
	}
	if isLocal(err) {
		err = lerr
	}
	if cn.wire != nil && cn.wire.failed {
		// Not all octets have left, and the dot is the last of them.
		err = cn.early(err)
		cn.abort()
		o.stage = StageBody
		o.all(err, StageBody)
		return
	}
	cn.settle(e, o, "", err)
}

// settle gives the reply to the final dot to all who were taken at RCPT.
func (cn *conn) settle(e *envelope, o *outcome, said string, err error) {
	a := cn.final(o, said, err)
	cn.dirty = false
	if a.err == nil {
		cn.delivered++
	}
	for i := range e.rcpts {
		if o.taken(i) {
			o.replies[i] = a
		}
	}
}

// settleEach is settle for LMTP, where each recipient has a reply.
func (cn *conn) settleEach(e *envelope, o *outcome, accepted map[string]*smtp.DataResponse, err error) {
	cn.dirty = false
	var refused smtp.LMTPDataError
	errors.As(err, &refused)
	delivered := false
	for i, rcpt := range e.rcpts {
		if !o.taken(i) {
			continue
		}
		if ok := accepted[rcpt]; ok != nil {
			o.replies[i] = cn.final(o, ok.StatusText, nil)
		} else if r := refused[rcpt]; r != nil {
			o.replies[i] = cn.final(o, r.Message, r)
		} else {
			o.replies[i] = cn.final(o, "", linkOf(err))
		}
		delivered = delivered || o.replies[i].err == nil
	}
	if delivered {
		cn.delivered++
	}
}

// final reads one reply to the final dot, or the failure in its place: any 2yz
// is an acceptance, and without a clear word the message is in doubt.
func (cn *conn) final(o *outcome, said string, err error) answer {
	var r *smtp.SMTPError
	isReply := errors.As(err, &r)
	if err == nil || isReply && r.Code/100 == 2 {
		o.queued = oneLine(said)
		return answer{stage: StageDot}
	}
	cn.judge(err)
	return answer{err: err, stage: StageDot, inDoubt: !isReply || !isRefusal(r)}
}

// linkOf returns the failure of the link in what CloseWithLMTPResponse
// returns, which can be joined with the replies of some recipients.
func linkOf(err error) error {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		for _, e := range joined.Unwrap() {
			var replies smtp.LMTPDataError
			if !errors.As(e, &replies) {
				return e
			}
		}
	}
	if err == nil {
		return io.ErrUnexpectedEOF
	}
	return err
}
