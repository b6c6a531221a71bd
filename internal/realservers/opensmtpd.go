//go:build linux

package realservers

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"syscall"
)

var opensmtpdListeners = []Listener{
	{Name: "opensmtpd", Does: "65536 octets (554 after the dot); 10 recipients per message (451); 5 messages per session (452 at MAIL); perm@example.test 550"},
}

// StartOpenSMTPD starts OpenSMTPD. Its queue and control socket have fixed
// paths, so it lives in a folder that it takes for the whole file system.
func StartOpenSMTPD() (*Server, error) {
	s, err := newServer("opensmtpd", opensmtpdListeners, []string{"opensmtpd"}, nil)
	if err != nil {
		return nil, err
	}
	if err := s.jail("root"); err != nil {
		return nil, fmt.Errorf("opensmtpd: %w", joinClose(err, s))
	}
	s.processes = []process{{
		Args:   []string{"/usr/sbin/smtpd", "-d", "-f", "/etc/smtpd.conf"},
		Chroot: s.path("root"),
		Log:    s.path("smtpd.log"),
	}}
	return s.launch()
}

// jail makes the folder with all that OpenSMTPD needs.
func (s *Server) jail(root string) error {
	if err := s.fill("opensmtpd", root+"/etc"); err != nil {
		return err
	}
	if err := s.folders("", root+"/dev", root+"/tmp", root+"/run", root+"/var/lib/opensmtpd/empty", root+"/var/spool/smtpd"); err != nil {
		return err
	}
	in := func(name string) string { return s.path(filepath.Join(root, name)) }
	if err := errors.Join(os.Symlink("/run", in("var/run")), os.Chmod(in("var/spool/smtpd"), 0o711)); err != nil { //nolint:gosec // as smtpd wants it
		return err
	}
	if err := syscall.Mknod(in("dev/null"), syscall.S_IFCHR|0o666, 1<<8|3); err != nil {
		return fmt.Errorf("mknod: %w", err)
	}
	if err := os.Chmod(in("dev/null"), 0o666); err != nil { //nolint:gosec // a device, and the umask may have taken from it
		return err
	}
	for name, from := range map[string]string{
		"usr/sbin/smtpd":                   s.pkg("opensmtpd", "usr/sbin/smtpd"),
		"usr/libexec/opensmtpd/mail.mda":   s.pkg("opensmtpd", "usr/libexec/opensmtpd/mail.mda"),
		"usr/libexec/opensmtpd/mail.local": s.pkg("opensmtpd", "usr/libexec/opensmtpd/mail.local"),
		"bin/sh":                           "/bin/sh",
		"bin/cat":                          "/bin/cat",
	} {
		if err := copyProgram(from, in(name), in("/")); err != nil {
			return err
		}
	}
	return nil
}

// copyProgram copies a program, and the libraries it is linked with to the
// same paths below root.
func copyProgram(from, to, root string) error {
	if err := copyFile(from, to); err != nil {
		return err
	}
	linked, err := run("/", "ldd", from)
	if err != nil {
		return err
	}
	for _, m := range regexp.MustCompile(`(?m)(/\S+) \(0x`).FindAllStringSubmatch(linked, -1) {
		if err := copyFile(m[1], filepath.Join(root, m[1])); err != nil {
			return err
		}
	}
	return nil
}

func copyFile(from, to string) error {
	if _, err := os.Stat(to); err == nil {
		return nil // another program's, too
	}
	content, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	return os.WriteFile(to, content, 0o755)
}
