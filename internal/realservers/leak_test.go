//go:build linux

package realservers_test

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/smtpretry/smtpretry/internal/realservers"
)

// helperEnv turns this program into one that starts servers and waits to be
// killed.
const helperEnv = "SMTPRETRY_SERVERS_HELPER"

func helper() {
	for _, start := range []func() (*realservers.Server, error){
		realservers.StartPostfix,
		realservers.StartExim,
		realservers.StartOpenSMTPD,
		func() (*realservers.Server, error) { return realservers.StartSinks([]realservers.Sink{{Name: "sink"}}) },
	} {
		if _, err := start(); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
	}
	fmt.Println("ready")
	if os.Getenv(helperEnv) == "panic" {
		panic("as asked")
	}
	select {}
}

// TestNothingIsLeft: servers and their folders go when the program that
// started them is killed, or panics.
func TestNothingIsLeft(t *testing.T) {
	t.Parallel()
	for _, how := range []string{"kill", "panic"} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			tmp := t.TempDir()
			for dir := tmp; dir != os.TempDir(); dir = filepath.Dir(dir) { // servers switch users
				if err := os.Chmod(dir, 0o755); err != nil {
					t.Fatal(err)
				}
			}
			cmd := exec.Command("/proc/self/exe")
			cmd.Env = append(os.Environ(), helperEnv+"="+how, "TMPDIR="+tmp)
			out, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			line, err := bufio.NewReader(out).ReadString('\n')
			if err != nil || line != "ready\n" {
				t.Fatalf("the helper says %q, %v", line, err)
			}
			if how == "kill" {
				// Each of the mail servers is there.
				said := strings.Join(processes(tmp), "\n")
				for _, name := range []string{"/master -c", "postgrey --inet", "/exim4 -C", "/smtpd -d", "/smtp-sink -u"} {
					if !strings.Contains(said, name) {
						t.Errorf("%s does not run:\n%s", name, said)
					}
				}
				if err := cmd.Process.Signal(syscall.SIGKILL); err != nil {
					t.Fatal(err)
				}
			}
			if err := cmd.Wait(); err == nil {
				t.Error("the helper ended well")
			}
			end := time.Now().Add(30 * time.Second)
			for {
				left, err := filepath.Glob(tmp + "/*")
				if err != nil {
					t.Fatal(err)
				}
				left = append(left, processes(tmp)...)
				if len(left) == 0 {
					return
				}
				if time.Now().After(end) {
					t.Fatalf("these are left:\n%s", strings.Join(left, "\n"))
				}
				time.Sleep(50 * time.Millisecond)
			}
		})
	}
}

// processes returns the command lines of those that have anything to do with
// a folder: in their environment, arguments, working folder or root.
func processes(dir string) []string {
	var found []string
	entries, _ := filepath.Glob("/proc/[0-9]*")
	for _, p := range entries {
		args, _ := os.ReadFile(p + "/cmdline")
		env, _ := os.ReadFile(p + "/environ")
		cwd, _ := os.Readlink(p + "/cwd")
		root, _ := os.Readlink(p + "/root")
		if strings.Contains(string(args)+"\x00"+string(env)+"\x00"+cwd+"\x00"+root, dir) {
			found = append(found, strings.ReplaceAll(string(args), "\x00", " "))
		}
	}
	return found
}
