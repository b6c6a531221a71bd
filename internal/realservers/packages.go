//go:build linux

package realservers

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"syscall"
)

// dependsFile, in the folder of an unpacked package, lists what it needs.
const dependsFile = "needs"

// Supported returns nil where the servers can run, otherwise what is missing.
func Supported() error {
	if os.Getuid() != 0 {
		return errors.New("root is needed")
	}
	for _, tool := range []string{"apt-get", "dpkg-deb", "dpkg-query"} {
		if _, err := exec.LookPath(tool); err != nil {
			return fmt.Errorf("%s is needed", tool)
		}
	}
	return nil
}

// unpack returns the folder that holds the content of some Debian packages,
// each in a folder of its name, and sees to it that what they depend on and
// the users they run as are there.
func unpack(packages, users []string) (string, error) {
	if len(packages) == 0 && len(users) == 0 {
		return "", nil
	}
	if err := Supported(); err != nil {
		return "", err
	}
	cache, err := cacheDir()
	if err != nil {
		return "", err
	}
	// One at a time, over all programs.
	lock, err := os.OpenFile(filepath.Join(cache, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return "", err
	}
	defer lock.Close()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return "", fmt.Errorf("locking %s: %w", lock.Name(), err)
	}
	var needs []string
	for _, pkg := range packages {
		list, err := fetch(cache, pkg)
		if err != nil {
			return "", fmt.Errorf("package %s: %w", pkg, err)
		}
		needs = append(needs, list...)
	}
	if err := install(needs); err != nil {
		return "", err
	}
	for _, name := range users {
		if err := ensureUser(name); err != nil {
			return "", err
		}
	}
	return cache, nil
}

// cacheDir is one for each release of each distribution, whose packages have
// the same names and other content.
func cacheDir() (string, error) {
	base, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	release, err := os.ReadFile("/etc/os-release")
	if err != nil {
		return "", err
	}
	value := func(key string) string {
		m := regexp.MustCompile(`(?m)^` + key + `="?([\w.-]+)`).FindSubmatch(release)
		if m == nil {
			return "unknown"
		}
		return string(m[1])
	}
	dir := filepath.Join(base, "smtpretry-servers", value("ID")+"-"+value("VERSION_ID")+"-"+runtime.GOARCH)
	return dir, os.MkdirAll(dir, 0o755)
}

// fetch downloads and unpacks a package unless that was done before. The
// folder appears when it is complete. The result is what the package needs.
func fetch(cache, pkg string) ([]string, error) {
	dir := filepath.Join(cache, pkg)
	if needs, err := os.ReadFile(filepath.Join(dir, dependsFile)); err == nil {
		return strings.Fields(string(needs)), nil
	}
	tmp, err := os.MkdirTemp(cache, "new-*")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(tmp)
	if err := download(tmp, pkg); err != nil {
		return nil, err
	}
	debs, err := filepath.Glob(filepath.Join(tmp, "*.deb"))
	if err != nil || len(debs) != 1 {
		return nil, fmt.Errorf("apt-get download left %q", debs)
	}
	content := filepath.Join(tmp, "content")
	if _, err := run(tmp, "dpkg-deb", "-x", debs[0], content); err != nil {
		return nil, err
	}
	depends, err := run(tmp, "dpkg-deb", "-f", debs[0], "Depends")
	if err != nil {
		return nil, err
	}
	needs := libraries(depends)
	if err := os.WriteFile(filepath.Join(content, dependsFile), []byte(strings.Join(needs, "\n")), 0o644); err != nil {
		return nil, err
	}
	return needs, os.Rename(content, dir)
}

func download(dir, pkg string) error {
	if _, err := run(dir, "apt-get", "download", "-qq", pkg); err == nil {
		return nil
	}
	// The lists of packages are missing or out of date.
	if _, err := run(dir, "apt-get", "update", "-qq"); err != nil {
		return err
	}
	_, err := run(dir, "apt-get", "download", "-qq", pkg)
	return err
}

// library is what may be installed: nothing with a service or a mail setup.
var library = regexp.MustCompile(`^(lib[a-z0-9.+-]+|zlib1g|perl|netbase)`)

// libraries reads a Depends field.
func libraries(depends string) []string {
	var names []string
	for _, one := range strings.Split(depends, ",") {
		// PostgreSQL needs the large libllvm only to compile queries.
		if name := library.FindString(strings.TrimSpace(one)); name != "" && !strings.HasPrefix(name, "libllvm") {
			names = append(names, name)
		}
	}
	return names
}

// install installs those packages that are not.
func install(packages []string) error {
	// It fails when it knows nothing of one; the rest is said nevertheless.
	known, _ := exec.Command("dpkg-query", append([]string{"-W", "-f", "${Package} ${Status}\n"}, packages...)...).Output()
	var missing []string
	for _, pkg := range packages {
		if !strings.Contains("\n"+string(known), "\n"+pkg+" install ok installed\n") {
			missing = append(missing, pkg)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	args := append([]string{"install", "-y", "-qq", "--no-install-recommends", "-o", "DPkg::Lock::Timeout=120"}, missing...)
	if _, err := run("/", "apt-get", args...); err == nil {
		return nil
	}
	if _, err := run("/", "apt-get", "update", "-qq"); err != nil {
		return err
	}
	_, err := run("/", "apt-get", args...)
	return err
}

func ensureUser(name string) error {
	if _, err := user.LookupGroup(name); err != nil {
		if _, err := run("/", "groupadd", "--system", name); err != nil {
			return err
		}
	}
	if _, err := user.Lookup(name); err == nil {
		return nil
	}
	_, err := run("/", "useradd", "--system", "--gid", name, "--no-create-home",
		"--home-dir", "/nonexistent", "--shell", "/usr/sbin/nologin", name)
	return err
}

// run returns what a command says. Its error ends with the last lines of what
// it said besides.
func run(dir, name string, args ...string) (string, error) {
	return runAs(nil, dir, name, args...)
}

// runAs is run as somebody else, unless that is nil.
func runAs(who *syscall.Credential, dir, name string, args ...string) (string, error) {
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: who}
	cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive", "LC_ALL=C")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		said := strings.TrimSpace(stderr.String() + "\n" + string(out))
		lines := strings.Split(said, "\n")
		return "", fmt.Errorf("%s: %w\n%s", cmd, err, strings.Join(lines[max(0, len(lines)-8):], "\n"))
	}
	return string(out), nil
}
