//go:build linux

package check_test

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/smtpretry/smtpretry/internal/realservers"
)

func TestMain(m *testing.M) {
	if err := realservers.Supported(); err != nil {
		fmt.Println("the tests with real mail servers need Linux with apt, and root:", err)
		if os.Getenv("CI") != "" {
			os.Exit(1)
		}
		return
	}
	flag.Parse()
	if err := flag.Set("test.parallel", "16"); err != nil { // they wait more than they work
		fmt.Println(err)
		os.Exit(1)
	}
	code := m.Run()
	for _, s := range started.list {
		if err := s.Close(); err != nil {
			fmt.Println(err)
			code = 1
		}
	}
	os.Exit(code)
}

// started are the servers to be closed at the end.
var started struct {
	sync.Mutex
	list []*realservers.Server
}

// servers are one of each kind, started by the first test that asks.
var servers = map[string]func() (*realservers.Server, error){
	"postfix":   shared(realservers.StartPostfix),
	"exim":      shared(realservers.StartExim),
	"opensmtpd": shared(realservers.StartOpenSMTPD),
}

func shared(start func() (*realservers.Server, error)) func() (*realservers.Server, error) {
	return sync.OnceValues(func() (*realservers.Server, error) {
		s, err := start()
		if err == nil {
			started.Lock()
			defer started.Unlock()
			started.list = append(started.list, s)
		}
		return s, err
	})
}

// listener returns the address of a real server's listener, by its name.
func listener(t *testing.T, name string) string {
	t.Helper()
	kind, _, _ := strings.Cut(name, "-")
	s, err := servers[kind]()
	if err != nil {
		t.Fatal(err)
	}
	return s.Addr(name)
}
