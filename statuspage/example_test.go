package statuspage_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/smtpretry/smtpretry"
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
