package stand

import (
	"io"
	"net/http"
	"strings"
	"testing"
)

// Tokens has everything that is asked over HTTP answered with one access token.
func Tokens(t *testing.T, token string) {
	t.Helper()
	before := http.DefaultTransport
	t.Cleanup(func() { http.DefaultTransport = before })
	http.DefaultTransport = answer(`{"access_token":"` + token + `","token_type":"Bearer","expires_in":3600}`)
}

type answer string

func (a answer) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body != nil {
		r.Body.Close()
	}
	return &http.Response{
		StatusCode: http.StatusOK, Request: r,
		Header: http.Header{"Content-Type": {"application/json"}},
		Body:   io.NopCloser(strings.NewReader(string(a))),
	}, nil
}
