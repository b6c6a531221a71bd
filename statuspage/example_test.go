package statuspage_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/smtpretry/smtpretry"
	"github.com/smtpretry/smtpretry/internal/testserver"
	"github.com/smtpretry/smtpretry/statuspage"
)

// A page below /mail/, which only those may see whom the program knows. What is
// shown to a person is there for programs, too.
func Example() {
	limiter := smtpretry.NewLimiter(smtpretry.Limit{})
	if err := limiter.SetLimit("smtp.example.com", smtpretry.Limit{Rate: smtpretry.PerSecond(14), MaxConns: 5}); err != nil {
		fmt.Println(err)
		return
	}
	page := &statuspage.Handler{Limiter: limiter, Title: "Newsletter"}
	// Each client gets the same limiter, and tells the page of its attempts:
	// smtpretry.Config{Limiter: limiter, Trace: page.Trace(), …}

	mux := http.NewServeMux()
	mux.Handle("/mail/", http.StripPrefix("/mail", onlyForUs(page)))
	srv := httptest.NewServer(mux)
	defer srv.Close()

	request, _ := http.NewRequest(http.MethodGet, srv.URL+"/mail/?format=json", nil)
	request.SetBasicAuth("operator", "secret")
	resp, err := http.DefaultClient.Do(request)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer resp.Body.Close()
	var state struct {
		List []struct {
			Host      string
			Condition string
			Limits    []struct{ Field, Value, From string }
		}
	}
	if err := json.NewDecoder(resp.Body).Decode(&state); err != nil {
		fmt.Println(err)
		return
	}
	for _, host := range state.List {
		fmt.Println(host.Host, "is", host.Condition)
		for _, l := range host.Limits {
			fmt.Printf("  %s %s, %s\n", l.Field, l.Value, l.From)
		}
	}
	// Output:
	// smtp.example.com is idle
	//   Rate 14/s, set by SetLimit
	//   MaxConns 5, set by SetLimit
}

// The page knows of attempts, and of what the servers said, by its Trace.
func ExampleHandler_Trace() {
	limiter := smtpretry.NewLimiter(smtpretry.Limit{})
	page := &statuspage.Handler{Limiter: limiter}
	srv := testserver.New(testserver.Config{Script: testserver.Script{
		testserver.On(testserver.Rcpt, testserver.Reply("452 4.2.2 Mailbox full")),
	}})
	defer srv.Close()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	go srv.Serve(l)
	client, err := smtpretry.New(smtpretry.Config{
		Host:    "smtp.example.com",
		Dialer:  &smtpretry.Dialer{Addr: l.Addr().String(), TLS: smtpretry.TLSNone},
		Limiter: limiter,
		Trace:   page.Trace(),
	})
	if err != nil {
		panic(err)
	}
	defer client.Close()
	result, _ := client.Try(context.Background(), note("you@example.net"))
	fmt.Println(result)

	shown := httptest.NewRecorder()
	page.ServeHTTP(shown, httptest.NewRequest(http.MethodGet, "/host?name=smtp.example.com", nil))
	fmt.Println("shown:", strings.Contains(shown.Body.String(), "452 4.2.2 Mailbox full"))
	// Output:
	// 1 deferred
	// shown: true
}

// onlyForUs stands for how the program knows who is asking.
func onlyForUs(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if user, password, _ := r.BasicAuth(); user != "operator" || password != "secret" {
			w.Header().Set("WWW-Authenticate", `Basic realm="mail"`)
			http.Error(w, "Who is there?", http.StatusUnauthorized)
			return
		}
		h.ServeHTTP(w, r)
	})
}

// Visitors see the page; operators may act on the queue, too.
func ExampleHandler() {
	page := &statuspage.Handler{
		Queue:     new(queue), // that of package queue: queuepage.Of(q)
		Authorize: func(r *http.Request) bool { return r.Header.Get("X-Role") == "operator" },
	}
	for _, role := range []string{"visitor", "operator"} {
		w := do(page, http.MethodPost, "/hold", http.Header{"X-Role": {role}}, "host=mx.example.net&for=2h")
		fmt.Println(role, w.Code, http.StatusText(w.Code))
	}
	// Output:
	// visitor 403 Forbidden
	// operator 303 See Other
}
