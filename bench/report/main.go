// Command report makes tables and a picture of what the benchmarks have measured,
// and puts them where the documentation has places for them:
//
//	report results.json            prints the tables
//	report -docs .. results.json   writes README.md, docs/benchmarks.md and docs/benchmarks.svg
package main

import (
	"errors"
	"flag"
	"fmt"
	"log"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/smtpretry/smtpretry/bench/internal/results"
)

func main() {
	log.SetFlags(0)
	docs := flag.String("docs", "", "the folder with README.md and docs/ to be written; empty: print")
	flag.Parse()
	if flag.NArg() != 1 {
		log.Fatal("usage: report [-docs folder] results.json")
	}
	run, err := results.Read(flag.Arg(0))
	if err == nil && *docs != "" {
		err = write(*docs, run)
	} else if err == nil {
		show(run)
	}
	if err != nil {
		log.Fatal(err)
	}
}

// show prints all tables.
func show(run *results.Run) {
	tables := tables(run)
	for _, name := range slices.Sorted(maps.Keys(tables)) {
		fmt.Printf("%s:\n%s\n", name, tables[name])
	}
}

// write brings the documentation up to date.
func write(folder string, run *results.Run) error {
	if run.Quick {
		return errors.New("a quick run is not worth publishing")
	}
	tables := tables(run)
	for _, name := range []string{"README.md", "docs/benchmarks.md"} {
		name = filepath.Join(folder, name)
		page, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		if err := os.WriteFile(name, []byte(fill(string(page), tables)), 0o644); err != nil {
			return err
		}
	}
	f, err := os.Create(filepath.Join(folder, "docs", "benchmarks.svg"))
	if err != nil {
		return err
	}
	if err := chart(f, run); err != nil {
		return err
	}
	return f.Close()
}

var place = regexp.MustCompile(`(?s)(<!-- generated: (\S+) -->\n).*?(<!-- end -->)`)

// fill puts tables into the places of their names, and leaves other places alone.
func fill(page string, tables map[string]string) string {
	return place.ReplaceAllStringFunc(page, func(part string) string {
		m := place.FindStringSubmatch(part)
		if table, ok := tables[m[2]]; ok {
			return m[1] + strings.TrimRight(table, "\n") + "\n" + m[3]
		}
		return part
	})
}
