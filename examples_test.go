package main

import (
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// foreign is what an example of the SDK may hold: another chain's names, or a placeholder.
var foreign = regexp.MustCompile(`<[a-z]|\[[a-z]|simd|cosmos1|stake`)

// Every command has an example, in this chain's names, that its parser takes.
func TestExamples(t *testing.T) {
	root, err := newRoot()
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	var walk func(c *cobra.Command)
	walk = func(c *cobra.Command) {
		for _, child := range c.Commands() {
			walk(child)
		}
		if !c.Runnable() || c.HasSubCommands() || c.Hidden || c.Name() == "help" || c.Parent() != nil && c.Parent().Name() == "completion" {
			return
		}
		seen++
		if what := foreign.FindString(c.Example); what != "" {
			t.Errorf("%s: example with %q:\n%s", c.CommandPath(), what, c.Example)
		}
		own := 0
		for _, line := range strings.Split(strings.ReplaceAll(c.Example, "\\\n", ""), "\n") {
			args := words(line)
			if len(args) < 2 || args[0] != "assay" {
				continue
			}
			found, rest, err := root.Find(args[1:])
			if err != nil {
				t.Errorf("%s: %v", line, err)
				continue
			}
			if found == c {
				own++
			}
			found.InitDefaultHelpFlag()
			if err := found.ParseFlags(rest); err != nil {
				t.Errorf("%s: %v", line, err)
			} else if err := found.ValidateArgs(found.Flags().Args()); err != nil {
				t.Errorf("%s: %v", line, err)
			}
		}
		if own == 0 {
			t.Errorf("%s: no example of its own: %q", c.CommandPath(), c.Example)
		}
	}
	walk(root)
	if seen < 100 {
		t.Errorf("only %d commands", seen)
	}
}

// words splits the part of a line that a shell gives to its first command; two spaces in a row begin a
// remark.
func words(line string) []string {
	var out []string
	var word strings.Builder
	quote, have := rune(0), false
	line = strings.TrimSpace(line)
	for i, r := range line {
		switch {
		case quote != 0 && r == quote:
			quote = 0
		case quote != 0:
			word.WriteRune(r)
		case r == '\'' || r == '"':
			quote, have = r, true
		case r == ' ' || r == '|' || r == '>' || r == ';':
			if have {
				out = append(out, word.String())
				word.Reset()
				have = false
			}
			if r != ' ' || strings.HasPrefix(line[i:], "  ") {
				return out
			}
		default:
			word.WriteRune(r)
			have = true
		}
	}
	if have {
		out = append(out, word.String())
	}
	return out
}
