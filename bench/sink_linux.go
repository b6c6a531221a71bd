package main

import "github.com/smtpretry/smtpretry/internal/realservers"

type realServer struct{ *realservers.Server }

func startSink() (realSink, error) {
	s, err := realservers.StartSinks([]realservers.Sink{{Name: sink, Counts: true}})
	if err != nil {
		return nil, err
	}
	return realServer{s}, nil
}

func (s realServer) addr() string { return s.Addr(sink) }

func (s realServer) count() (tally, error) {
	n, err := s.Counted(sink)
	return tally{messages: n, recipients: -1}, err
}

func (s realServer) close() error { return s.Close() }

func postfixVersion() (string, error) { return realservers.PostfixVersion() }
