package queue

// DSN configures delivery status notifications.
type DSN struct {
	ReportingMTA string
}

func (q *Queue) notification(*mail, []byte, []int, noticeKind) *parcel { return nil }
