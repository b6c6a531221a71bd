package smtpretry

import (
	"cmp"
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
	rcpts    []*recipient
	rcptOpts func(string) *smtp.RcptOptions
	size     int64 // 0: unknown
	body     body
	client   *Client
	permit   *permit
	sent     *exchange // its commands have gone out already; nil: they have not
	reply    [1]answer // room for the replies
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
	defer cn.unguard(cn.guard(ctx))
	defer func() { cn.rested = time.Now() }()
	o = outcome{replies: room(&e.reply, len(e.rcpts))[:len(e.rcpts)], stage: StageHello}
	t, n := cn.begin(e, &o)
	if t == nil {
		return o
	}
	defer t.done()
	cn.used++
	cn.dirty, cn.left = true, true
	err := t.mail()
	if cn.judge(err); !cn.dead {
		e.permit.counted(err == nil)
	}
	if err != nil {
		if e.client.classify(err, StageMail).Cause == CauseConnectionLimit {
			cn.abort() // the next one would hear the same
		}
		if t.ahead() && !cn.dead {
			t.leave(n)
		}
		// A MAIL that is refused begins nothing, but Postfix remembers its SIZE;
		// and on a kept connection that cannot be listened to, the reply may
		// have been there before it.
		sized := e.options != nil && e.options.Size > 0
		cn.dirty = cn.dead || sized || cn.wire == nil && cn.used > 1
		return o.all(err, StageMail)
	}

	cn.begun++
	o.stage = StageRcpt
	if !cn.offer(e, t, n, &o) {
		if t.ahead() && !cn.dead {
			t.leave(0)
		}
		return o
	}

	o.stage = StageData
	if err := t.data(); err != nil {
		cn.judge(err)
		return o.all(err, StageData)
	}
	o.stage = StageBody
	err = upload(t, e)
	if err == nil {
		err = ctx.Err() // the guard may not have run yet, and the dot would deliver
	}
	if err != nil {
		err = cn.early(err)
		cn.abort()
		var bad *FieldError
		if errors.As(err, &bad) {
			o.body = err
			err = &fault{rule: "bad-body", scope: ScopeMessage, msg: "the upload was broken off", err: err}
		}
		return o.all(err, StageBody)
	}
	cn.invite(e, t)
	if err := t.end(); err != nil {
		// Not all octets have left, and the dot is the last of them.
		err = cn.early(err)
		cn.abort()
		return o.all(err, StageBody)
	}
	o.stage = StageDot
	cn.settle(e, t, &o)
	return o
}

// begin makes the connection ready for a transaction, and says for how many
// recipients. Without a talk there is none, and o says why.
func (cn *conn) begin(e *envelope, o *outcome) (talk, int) {
	if x := e.sent; x != nil {
		o.stage = StageMail
		if err := x.show(x.group); err != nil {
			x.done()
			cn.abort()
			o.all(err, StageMail)
			return nil, 0
		}
		return x, x.n
	}
	err := cn.unasked()
	if err == nil {
		err = cn.reset()
	}
	if err == nil {
		err = cn.greet("")
	}
	if err != nil {
		cn.abort()
		o.all(cn.stale(err), StageHello)
		return nil, 0
	}

	n := cn.fits(e)
	if n == 0 {
		_ = cn.Close() // nothing is under way on it
		cn.dead = true
		o.all(errDomains, StageHello)
		return nil, 0
	}
	for i := n; i < len(e.rcpts); i++ {
		o.replies[i].unasked = true
	}

	o.stage = StageMail
	if err := cn.unfit(e); err != nil {
		o.all(err, StageMail)
		return nil, 0
	}
	if e.permit.void() {
		_ = cn.Close() // nothing is under way on it
		cn.dead = true
		o.all(errLapsed, StageHello)
		return nil, 0
	}
	e.permit.lower(n)
	t := cn.talk(e, n)
	if err := t.begin(); err != nil {
		t.done()
		cn.abort()
		o.all(err, StageMail)
		return nil, 0
	}
	e.permit.started()
	return t, n
}

// talk returns how the commands of a transaction for the first n recipients go
// out.
func (cn *conn) talk(e *envelope, n int) talk {
	if cn.wire == nil {
		return &steps{cn: cn, e: e}
	}
	offered, _ := cn.smtp.Extension("PIPELINING")
	cn.latest = 1 - cn.latest
	x := &cn.exchanges[cn.latest]
	*x = exchange{cn: cn, e: e, n: n, group: x.group[:0], grouped: offered && cn.groups.may(within)}
	return x
}

// stale returns what a refused RSET, or a refused EHLO after it, means on a
// connection that has carried messages: not that the server refuses service,
// but that it does not go on with this connection. Some answer a second EHLO
// with 503.
func (cn *conn) stale(err error) error {
	r := asReply(err)
	if cn.used == 0 || r == nil || r.Code == 421 {
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

// offer sees the RCPTs through, and says whether any was taken.
func (cn *conn) offer(e *envelope, t talk, n int, o *outcome) bool {
	taken := 0
	for i := range n {
		err := t.rcpt(i)
		if err == nil {
			taken++
			continue
		}
		o.replies[i] = answer{err: err, stage: StageRcpt}
		if cn.judge(err); cn.dead {
			o.all(err, StageRcpt) // also for those taken: nothing was delivered
			return false
		}
		v := e.client.classify(err, StageRcpt)
		crowded := taken > 0 && v.Cause == CauseTooManyRecipients
		if crowded {
			o.replies[i] = answer{unasked: true}
			o.most = cmp.Or(o.most, taken)
		}
		if !crowded && teaches(v) != lessonRate || t.ahead() {
			continue
		}
		// The rest would be refused alike, and counted as errors.
		for j := i + 1; j < n; j++ {
			o.replies[j] = o.replies[i]
		}
		break
	}
	return taken > 0
}

// upload writes the body, without the final dot.
func upload(w io.Writer, e *envelope) error {
	for {
		p, err := e.body.next()
		if err == io.EOF {
			break
		}
		if err == nil {
			_, err = w.Write(p)
		}
		if err != nil {
			return err
		}
	}
	return e.body.unchanged()
}

// early returns the reply that a server sent in the middle of the body, if it
// did, in place of the write error which its closing caused.
func (cn *conn) early(err error) error {
	if cn.wire != nil && cn.wire.failed {
		if r := cn.wire.salvage(); r != nil {
			return fmt.Errorf("%w (before the end of the body: %w)", r, err)
		}
	}
	return err
}

// settle gives the replies to the final dot to all who were taken at RCPT.
func (cn *conn) settle(e *envelope, t talk, o *outcome) {
	cn.dirty = false
	delivered := false
	for i := range e.rcpts {
		if o.taken(i) {
			said, err := t.said(i)
			o.replies[i] = o.final(said, err)
			delivered = delivered || o.replies[i].err == nil
		}
	}
	for _, a := range o.replies { // all have been read
		if a.stage == StageDot {
			cn.judge(a.err)
		}
	}
	if delivered {
		cn.delivered++
	}
}

// final reads one reply to the final dot, or the failure in its place: any 2yz
// is an acceptance, and without a clear word the message is in doubt.
func (o *outcome) final(said string, err error) answer {
	r := asReply(err)
	if r != nil && r.Code/100 == 2 {
		said, err = r.Message, nil
	}
	if err == nil {
		o.queued = oneLine(said)
		return answer{stage: StageDot}
	}
	return answer{err: err, stage: StageDot, inDoubt: r == nil || !isRefusal(r)}
}
