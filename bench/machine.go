package main

import (
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"

	"github.com/smtpretry/smtpretry/bench/internal/results"
)

// surroundings says what it runs on, and what is compared.
func surroundings() (results.Machine, []results.Version) {
	m := results.Machine{
		CPU:    first("/proc/cpuinfo", `(?m)^model name\s*:\s*(.*)`),
		Cores:  runtime.NumCPU(),
		Kernel: runtime.GOOS + " " + first("/proc/sys/kernel/osrelease", `(.*)`),
	}
	if kb, err := strconv.ParseInt(first("/proc/meminfo", `(?m)^MemTotal:\s*(\d+)`), 10, 64); err == nil {
		m.RAM = kb << 10
	}
	versions := []results.Version{{Name: "smtpretry", Version: commit()}, {Name: "Go", Version: strings.TrimPrefix(runtime.Version(), "go")}}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, d := range info.Deps {
			switch d.Path {
			case "github.com/emersion/go-smtp", "github.com/wneessen/go-mail":
				versions = append(versions, results.Version{Name: d.Path[strings.LastIndexByte(d.Path, '/')+1:], Version: strings.TrimPrefix(d.Version, "v")})
			}
		}
	}
	if v, err := postfixVersion(); err == nil {
		versions = append(versions, results.Version{Name: "Postfix", Version: v})
	}
	return m, versions
}

// first returns what a file says; "unknown" where it does not.
func first(file, pattern string) string {
	b, err := os.ReadFile(file)
	if err != nil {
		return "unknown"
	}
	m := regexp.MustCompile(pattern).FindSubmatch(b)
	if m == nil {
		return "unknown"
	}
	return strings.TrimSpace(string(m[1]))
}

// commit is the last that changed the library, with a plus when it is not what
// that says.
func commit() string {
	library := []string{"--", ":/*.go", ":(top,exclude)bench"}
	out, err := exec.Command("git", append([]string{"log", "-1", "--format=%h", "--abbrev=12"}, library...)...).Output()
	id := strings.TrimSpace(string(out))
	if err != nil || id == "" {
		return "unknown"
	}
	if exec.Command("git", append([]string{"diff", "--quiet", "HEAD"}, library...)...).Run() != nil {
		id += "+"
	}
	return id
}
