package smtpretry_test

import (
	"testing"

	"github.com/emersion/go-smtp"

	"github.com/smtpretry/smtpretry"
)

var sink smtpretry.Verdict // keeps the work from being optimised away

func BenchmarkClassifyNil(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		sink = smtpretry.Classify(nil, smtpretry.StageRcpt)
	}
}

// BenchmarkClassifyCorpus takes the corpus in turn: ns/op is the mean for a reply.
func BenchmarkClassifyCorpus(b *testing.B) {
	replies := corpus(b, seenCorpus)
	errs := make([]*smtp.SMTPError, len(replies))
	for i, r := range replies {
		errs[i] = replyError(b, r.Reply)
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		n := i % len(errs)
		sink = smtpretry.Classify(errs[n], stages[replies[n].Stage])
	}
}

// BenchmarkClassifyLongest takes the longest reply of the corpus.
func BenchmarkClassifyLongest(b *testing.B) {
	longest := labelledReply{}
	for _, r := range corpus(b, seenCorpus) {
		if len(r.Reply) > len(longest.Reply) {
			longest = r
		}
	}
	err := replyError(b, longest.Reply)
	b.ReportAllocs()
	b.SetBytes(int64(len(longest.Reply)))
	for b.Loop() {
		sink = smtpretry.Classify(err, stages[longest.Stage])
	}
}

func TestClassifyNilIsFree(t *testing.T) {
	if n := testing.AllocsPerRun(100, func() { sink = smtpretry.Classify(nil, smtpretry.StageRcpt) }); n != 0 {
		t.Errorf("%v allocations for a success, want none", n)
	}
}
