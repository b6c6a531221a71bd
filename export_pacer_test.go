package smtpretry

// The pacer's inside, for the simulation of its use.

type Pacer = pacer

const PacerNever = never

var NewPacer = newPacer

// Next returns when one more message may go; never if some are held for ever.
func (p *pacer) Next() int64 {
	at, event := p.bucket.ready(p.pace, 1)
	if event {
		return never
	}
	return at
}

// Start sends a message, and says whether it used what the rate allows.
func (p *pacer) Start(now int64) (bound bool) {
	bound = p.binds(now)
	p.bucket.held++
	p.bucket = p.bucket.charge(p.pace, 1, now)
	return bound
}

func (p *pacer) Accept(bound bool, now int64) { p.accept(bound, now) }

func (p *pacer) Refuse(began, hint int64, row int, now int64) int64 {
	return p.refuse(began, hint, row, now)
}

func (p *pacer) SetRate(rate float64, now int64) { p.setRate(rate, now) }

func (p *pacer) Rate() float64 { return p.rate }

// Mark is the last refusal; what began before it is answered for.
func (p *pacer) Mark() int64 { return p.mark }

// Probing says whether the pacer tries if more is taken than it settled for.
func (p *pacer) Probing() bool { return p.settled > 0 && p.rate > p.settled }

// Sound says whether all that the pacer reckons with is within its bounds.
func (p *pacer) Sound() bool {
	for _, f := range []float64{p.settled, p.high, p.restart, p.taken, p.row.taken, p.row.next} {
		if !(f >= 0 && f <= 1e18) {
			return false
		}
	}
	for _, t := range []int64{p.hold, p.resumed, p.bucket.full} {
		if t < 0 || t > never {
			return false
		}
	}
	return (p.rate == 0 || p.rate >= leastRate && p.rate <= mostRate) && p.bucket.held == 0
}
