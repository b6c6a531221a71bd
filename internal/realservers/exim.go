//go:build linux

package realservers

import "fmt"

// The account that Exim's listeners with TLS know.
const (
	User     = "me"
	Password = "right"
)

var eximListeners = []Listener{
	{Name: "exim", Does: "SIZE 64K; 10 recipients (452); 10 messages per connection, then 421 at MAIL without closing; perm* 550, temp* 451, full* 452, late* 451 after the dot"},
	{Name: "exim-perhost", Does: "2 connections at once per client (those to its other ports count), then 421 at the banner"},
	{Name: "exim-ratelimit", Does: "10 messages per window (leaky), then 451 at MAIL"},
	{Name: "exim-tls", Does: "STARTTLS, then AUTH, required; user " + User + ", password " + Password},
	{Name: "exim-tls-expired", Does: "STARTTLS, the certificate has expired"},
	{Name: "exim-tls-othername", Does: "STARTTLS, the certificate is another host's"},
	{Name: "exim-tls-unknownca", Does: "STARTTLS, the certificate is signed by itself"},
	{Name: "exim-smtps", Does: "implicit TLS", implicit: true},
	{Name: "exim-smtps-expired", Does: "implicit TLS, the certificate has expired", implicit: true},
}

// StartExim starts Exim.
func StartExim() (*Server, error) {
	s, err := newServer("exim", eximListeners, []string{"exim4-base", "exim4-daemon-light"}, []string{"Debian-exim"})
	if err != nil {
		return nil, err
	}
	err = s.fill("exim", "etc")
	if err == nil {
		err = s.folders("Debian-exim", "spool", "log")
	}
	if err != nil {
		return nil, fmt.Errorf("exim: %w", joinClose(err, s))
	}
	s.logs = []string{s.path("log/mainlog"), s.path("log/paniclog")}
	s.processes = []process{{
		Args: []string{s.pkg("exim4-daemon-light", "usr/sbin/exim4"), "-C", s.path("etc/exim.conf"), "-bdf"},
		Log:  s.path("exim.log"),
	}}
	return s.launch()
}
