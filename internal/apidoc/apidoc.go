// Package apidoc finds what a package exports without telling or showing it.
package apidoc

import (
	"go/ast"
	"go/doc"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strings"
)

// known are the methods that the standard library's interfaces ask for. What
// they do is known from there.
var known = []string{"String", "Error", "Unwrap", "Is", "As", "MarshalText", "UnmarshalText", "Close"}

// Gaps returns what the package in dir exports without a doc comment, and what
// no Example shows. A function or a type is shown when it has an Example or is
// named in one, a type also by a function that makes it, or one of its methods or
// constants; a method when it has an Example of its own. Methods that the standard
// library asks for need none, nor do those that are exempt.
func Gaps(dir string, exempt func(recv, name string) bool) (undocumented, unshown []string, err error) {
	names, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		return nil, nil, err
	}
	fset := token.NewFileSet()
	var files []*ast.File
	for _, name := range names {
		f, err := parser.ParseFile(fset, name, nil, parser.ParseComments)
		if err != nil {
			return nil, nil, err
		}
		// What a package exports for its own tests alone is nobody else's.
		if !strings.HasSuffix(name, "_test.go") || strings.HasSuffix(f.Name.Name, "_test") {
			files = append(files, f)
		}
	}
	p, err := doc.NewFromFiles(fset, files, "example.org/"+filepath.Base(dir))
	if err != nil {
		return nil, nil, err
	}
	named := namedIn(files, p.Name)
	told := func(name, text string) {
		if text == "" {
			undocumented = append(undocumented, name)
		}
	}
	values := func(list []*doc.Value) {
		for _, v := range list {
			told(v.Names[0], v.Doc)
		}
	}
	shown := func(name string, examples []*doc.Example) bool { return len(examples) > 0 || named[name] }
	funcs := func(list []*doc.Func) (some bool) {
		for _, f := range list {
			told(f.Name, f.Doc)
			if shown(f.Name, f.Examples) {
				some = true
			} else {
				unshown = append(unshown, f.Name)
			}
		}
		return some
	}
	told("package "+p.Name, p.Doc)
	values(p.Consts)
	values(p.Vars)
	funcs(p.Funcs)
	for _, t := range p.Types {
		told(t.Name, t.Doc)
		values(t.Consts)
		values(t.Vars)
		some := funcs(t.Funcs) || shown(t.Name, t.Examples)
		for _, v := range t.Consts {
			some = some || slices.ContainsFunc(v.Names, func(name string) bool { return named[name] })
		}
		for _, m := range t.Methods {
			some = some || len(m.Examples) > 0
		}
		if !some {
			unshown = append(unshown, t.Name)
		}
		for _, m := range t.Methods {
			told(t.Name+"."+m.Name, m.Doc)
			if len(m.Examples) == 0 && !slices.Contains(known, m.Name) && !exempt(t.Name, m.Name) {
				unshown = append(unshown, t.Name+"."+m.Name)
			}
		}
	}
	return undocumented, unshown, nil
}

// namedIn returns the names of the package that its Examples use.
func namedIn(files []*ast.File, pkg string) map[string]bool {
	names := make(map[string]bool)
	for _, e := range doc.Examples(files...) {
		ast.Inspect(e.Code, func(n ast.Node) bool {
			if sel, ok := n.(*ast.SelectorExpr); ok {
				if x, ok := sel.X.(*ast.Ident); ok && x.Name == pkg {
					names[sel.Sel.Name] = true
				}
			}
			return true
		})
	}
	return names
}
