package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	netmail "net/mail"

	"github.com/smtpretry/smtpretry"
)

// envelope takes from the header what from and to leave open.
func envelope(mail []byte, from string, to []string) (*smtpretry.Message, error) {
	m, err := netmail.ReadMessage(bytes.NewReader(mail))
	if err != nil {
		return nil, fmt.Errorf("the message has no proper header: %w", err)
	}
	if m.Header.Get("Bcc") != "" {
		// Sent as it is, the message would tell everybody of them.
		return nil, errors.New("the message has a Bcc field: take it out and name its recipients by -to")
	}
	switch from {
	case "":
		addrs, err := addresses(m.Header, "From")
		if err != nil {
			return nil, err
		}
		if len(addrs) != 1 {
			return nil, fmt.Errorf("the From field has %d addresses: say by -from which to use", len(addrs))
		}
		from = addrs[0]
	case "<>":
		from = "" // the null sender, RFC 5321 section 4.5.5
	}
	if len(to) == 0 {
		for _, field := range []string{"To", "Cc"} {
			addrs, err := addresses(m.Header, field)
			if err != nil {
				return nil, err
			}
			to = append(to, addrs...)
		}
	}
	return &smtpretry.Message{
		From: from, To: to, Size: int64(len(mail)),
		Body: func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(mail)), nil },
	}, nil
}

// addresses reads a field; one that is missing has none.
func addresses(h netmail.Header, field string) ([]string, error) {
	list, err := h.AddressList(field)
	if errors.Is(err, netmail.ErrHeaderNotPresent) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("the %s field cannot be read: %w", field, err)
	}
	addrs := make([]string, len(list))
	for i, a := range list {
		addrs[i] = a.Address
	}
	return addrs, nil
}
