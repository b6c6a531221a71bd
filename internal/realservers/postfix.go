//go:build linux

package realservers

import (
	"encoding/json"
	"fmt"
	"os"
	"os/user"
	"strconv"
	"strings"
	"time"
)

var postfixListeners = []Listener{
	{Name: "postfix", Does: "SIZE 65536; 10 recipients per message (452); perm* 550, temp* 450, full* 452, blocked* 554, closing* 421"},
	{Name: "postfix-conn", Does: "2 connections at once per client, the third gets 421 at the banner"},
	{Name: "postfix-connrate", Does: "5 new connections per window, then 421 at the banner"},
	{Name: "postfix-msgrate", Does: "10 messages per window, then 450 at MAIL"},
	{Name: "postfix-rcptrate", Does: "10 recipients per window, then 450 at RCPT"},
	{Name: "postfix-greylist", Does: "with postgrey: 450 at RCPT, with a hint, for a new client, sender and recipient"},
	{Name: "postfix-errors", Does: "the 21st refusal on a connection is followed by 421; perm* 550"},
	{Name: "postfix-hold", Does: "keeps in its queue what it takes, for counting"},
	{Name: "postfix-tls", Does: "STARTTLS required: 530 at MAIL before it"},
	{Name: "postfix-tls-expired", Does: "STARTTLS required, the certificate has expired"},
	{Name: "postfix-tls-othername", Does: "STARTTLS required, the certificate is another host's"},
	{Name: "postfix-tls-unknownca", Does: "STARTTLS required, the certificate is signed by itself"},
	{Name: "postfix-smtps", Does: "implicit TLS", implicit: true},
	{Name: "postfix-smtps-unknownca", Does: "implicit TLS, the certificate is signed by itself", implicit: true},
}

// StartPostfix starts Postfix, and postgrey beside it.
func StartPostfix() (*Server, error) {
	s, err := newServer("postfix", postfixListeners, []string{"postfix", "postgrey"}, []string{"postfix", "postdrop", "postgrey"})
	if err != nil {
		return nil, err
	}
	if err := s.preparePostfix(); err != nil {
		return nil, fmt.Errorf("postfix: %w", joinClose(err, s))
	}
	return s.launch()
}

func (s *Server) preparePostfix() error {
	if err := s.fill("postfix", "etc"); err != nil {
		return err
	}
	if err := s.readyPostfix(); err != nil {
		return err
	}
	if err := s.folders("postgrey", "grey"); err != nil {
		return err
	}
	// Nobody is on postgrey's lists of those who need not wait.
	if err := os.WriteFile(s.path("nobody"), nil, 0o644); err != nil {
		return err
	}
	s.processes = append(s.processes,
		process{
			Args: []string{"perl", "-T", s.pkg("postgrey", "usr/sbin/postgrey"),
				"--inet=" + s.host + ":" + strconv.Itoa(s.sparePort()), "--dbdir=" + s.path("grey"),
				"--pidfile=" + s.path("grey/pid"), "--user=postgrey", "--group=postgrey",
				"--delay=" + strconv.Itoa(int(GreyDelay/time.Second)), "--auto-whitelist-clients=1000000",
				"--whitelist-clients=" + s.path("nobody"), "--whitelist-recipients=" + s.path("nobody"),
				"--greylist-text=Greylisted, try again in %s seconds"},
			Log: s.path("postgrey.log"),
		})
	return nil
}

// readyPostfix makes the folders of a Postfix whose configuration is written,
// and its process.
func (s *Server) readyPostfix() error {
	if err := s.folders("", "queue"); err != nil {
		return err
	}
	if err := s.folders("postfix", "data"); err != nil {
		return err
	}
	s.logs = []string{s.path("mail.log")}
	// Creates what is missing of the queue, with the right owners.
	if _, err := s.postfixTool("postfix", "check"); err != nil {
		return fmt.Errorf("%w\n%s", err, tail(s.Log(), 20)) // it speaks to its log
	}
	s.processes = append(s.processes, process{
		Args: []string{s.pkg("postfix", "usr/lib/postfix/sbin/master"), "-c", s.path("etc"), "-s"},
		Env:  []string{s.postfixLibs(), "MAIL_LOGTAG=postfix"},
		Log:  s.path("master.log"),
	})
	return nil
}

// postfixTool runs one of Postfix's commands on its configuration.
func (s *Server) postfixTool(name string, args ...string) (string, error) {
	all := []string{s.postfixLibs(), s.pkg("postfix", "usr/sbin/"+name), "-c", s.path("etc")}
	return run("/", "env", append(all, args...)...)
}

// postfixLibs is the environment in which the unpacked programs find theirs.
func (s *Server) postfixLibs() string {
	return "LD_LIBRARY_PATH=" + s.pkg("postfix", "usr/lib/postfix")
}

// Queue returns how often each recipient stands in the queue of a Postfix.
func (s *Server) Queue() (map[string]int, error) {
	out, err := s.postfixTool("postqueue", "-j")
	if err != nil {
		return nil, err
	}
	queue := map[string]int{}
	for d := json.NewDecoder(strings.NewReader(out)); d.More(); {
		var m struct{ Recipients []struct{ Address string } }
		if err := d.Decode(&m); err != nil {
			return nil, err
		}
		for _, r := range m.Recipients {
			queue[r.Address]++
		}
	}
	return queue, nil
}

// idsOf returns the numbers of a user and its group.
func idsOf(name string) (uid, gid int, err error) {
	u, err := user.Lookup(name)
	if err != nil {
		return 0, 0, err
	}
	if uid, err = strconv.Atoi(u.Uid); err != nil {
		return 0, 0, err
	}
	gid, err = strconv.Atoi(u.Gid)
	return uid, gid, err
}
