package imports

// What the documentation gives as evidence is there: links, commands, tests, files.

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const top = "../.."

// documents are the Markdown files of the repository, by path from its root.
func documents(t *testing.T) map[string]string {
	t.Helper()
	docs := map[string]string{}
	err := filepath.WalkDir(top, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == ".git" || d.Name() == "node_modules" || d.Name() == "build") {
			return fs.SkipDir
		}
		if filepath.Ext(p) != ".md" {
			return nil
		}
		b, err := os.ReadFile(p)
		rel, _ := filepath.Rel(top, p)
		docs[filepath.ToSlash(rel)] = string(b)
		return err
	})
	if err != nil || len(docs) < 10 {
		t.Fatalf("%d documents: %v", len(docs), err)
	}
	return docs
}

// tests are the names of the test, benchmark and fuzz functions of each folder.
func tests(t *testing.T) map[string][]string {
	t.Helper()
	found := map[string][]string{}
	err := filepath.WalkDir(top, func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(p, "_test.go") {
			return err
		}
		f, err := parser.ParseFile(token.NewFileSet(), p, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(top, filepath.Dir(p))
		for _, decl := range f.Decls {
			if fn, ok := decl.(*ast.FuncDecl); ok && fn.Recv == nil {
				found[filepath.ToSlash(rel)] = append(found[filepath.ToSlash(rel)], fn.Name.Name)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

var (
	link    = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	heading = regexp.MustCompile(`(?m)^#+ +(.*)$`)
	code    = regexp.MustCompile("(?s)```.*?```|`[^`\n]+(?:\n[^`\n]+)?`")
	fence   = regexp.MustCompile("(?s)```.*?```")
)

// anchor is the name by which a heading is linked to.
func anchor(h string) string {
	h = strings.ToLower(strings.ReplaceAll(strings.TrimSpace(h), "`", ""))
	h = regexp.MustCompile(`[^\p{L}\p{N} _-]`).ReplaceAllString(h, "")
	return strings.ReplaceAll(h, " ", "-")
}

func TestLinks(t *testing.T) {
	docs := documents(t)
	for name, text := range docs {
		for _, m := range link.FindAllStringSubmatch(fence.ReplaceAllString(text, ""), -1) {
			target, at, _ := strings.Cut(m[1], "#")
			if strings.Contains(target, "://") || strings.HasPrefix(target, "mailto:") {
				continue
			}
			to := name
			if target != "" {
				to = path.Join(path.Dir(name), target)
				if _, err := os.Stat(filepath.Join(top, to)); err != nil {
					t.Errorf("%s links to %s: %v", name, m[1], err)
					continue
				}
			}
			if at == "" || path.Ext(to) != ".md" {
				continue
			}
			ok := false
			for _, h := range heading.FindAllStringSubmatch(fence.ReplaceAllString(docs[to], ""), -1) {
				ok = ok || anchor(h[1]) == at
			}
			if !ok {
				t.Errorf("%s links to %s: %s has no such heading", name, m[1], to)
			}
		}
	}
}

var (
	makes    = regexp.MustCompile(`\bmake ([a-z][a-z0-9-]*)`)
	goTest   = regexp.MustCompile("go test ([^`\n;&#]*)")
	selects  = regexp.MustCompile(`-(run|bench|fuzz)[ =]'?"?([^\s'"]+)`)
	packages = regexp.MustCompile(`\s(\.(?:/[\w./-]+)?)(?:\s|$|\))`)
	testName = regexp.MustCompile(`\b(?:Test|Benchmark|Fuzz)[A-Z]\w*`)
	unescape = strings.NewReplacer("\\\n", " ", `\|`, "|") // a long line; a bar in a table
	inTree   = regexp.MustCompile(`^(runtime|modules|hostgpu|chain|verifier|sdk|testdata|docs|\.ci)/[\w./*-]+$`)
)

// TestCommands: each make target, and each test or benchmark that a document tells to run, exists where it
// says.
func TestCommands(t *testing.T) {
	makefile, err := os.ReadFile(filepath.Join(top, "Makefile"))
	if err != nil {
		t.Fatal(err)
	}
	have := tests(t)
	for name, text := range documents(t) {
		for _, c := range code.FindAllString(text, -1) {
			for _, m := range makes.FindAllStringSubmatch(c, -1) {
				if !regexp.MustCompile(`(?m)^` + m[1] + `:`).Match(makefile) {
					t.Errorf("%s: make %s is no target", name, m[1])
				}
			}
			for _, m := range goTest.FindAllStringSubmatch(unescape.Replace(c), -1) {
				checkGoTest(t, name, m[0], have)
			}
		}
	}
}

func checkGoTest(t *testing.T, doc, command string, have map[string][]string) {
	t.Helper()
	var names []string
	for _, p := range packages.FindAllStringSubmatch(command, -1) {
		dir, all := strings.CutSuffix(p[1], "/...")
		dir = path.Clean(dir)
		for folder, list := range have {
			if folder == dir || all && (dir == "." || strings.HasPrefix(folder, dir+"/")) {
				names = append(names, list...)
			}
		}
		if _, err := os.Stat(filepath.Join(top, dir)); err != nil {
			t.Errorf("%s: %s: %v", doc, command, err)
		}
	}
	if len(names) == 0 {
		return // the package is said elsewhere: TestNames looks for the functions
	}
	prefix := map[string]string{"run": "Test", "bench": "Benchmark", "fuzz": "Fuzz"}
	for _, s := range selects.FindAllStringSubmatch(command, -1) {
		first, _, _ := strings.Cut(s[2], "/") // the rest selects subtests
		if first == "^$" || first == "xxx" || first == "NAME" {
			continue // no test at all, or any
		}
		exp, err := regexp.Compile(first)
		if err != nil {
			t.Errorf("%s: %s: %v", doc, command, err)
			continue
		}
		ok := false
		for _, n := range names {
			ok = ok || strings.HasPrefix(n, prefix[s[1]]) && exp.MatchString(n)
		}
		if !ok {
			t.Errorf("%s: %s: nothing matches -%s %s", doc, command, s[1], s[2])
		}
	}
}

// TestNames: tests that documents name, by their names' beginnings at least, are there, and files that they
// name in code font.
func TestNames(t *testing.T) {
	var all []string
	for _, list := range tests(t) {
		all = append(all, list...)
	}
	for name, text := range documents(t) {
		for _, n := range testName.FindAllString(text, -1) {
			if !slices.ContainsFunc(all, func(have string) bool { return strings.HasPrefix(have, n) }) {
				t.Errorf("%s: no test or benchmark %s", name, n)
			}
		}
		for _, c := range code.FindAllString(fence.ReplaceAllString(text, ""), -1) {
			c = strings.Trim(c, "`")
			if !inTree.MatchString(c) || c == "testdata/fuzz" { // each package has one
				continue
			}
			if found, err := filepath.Glob(filepath.Join(top, c)); err != nil || len(found) == 0 {
				// A package's symbol: the part before the dot is the folder.
				folder, _, _ := strings.Cut(path.Base(c), ".")
				if info, err := os.Stat(filepath.Join(top, path.Dir(c), folder)); err != nil || !info.IsDir() || path.Ext(c) == ".go" || path.Ext(c) == ".md" {
					t.Errorf("%s: no file %s", name, c)
				}
			}
		}
	}
}
