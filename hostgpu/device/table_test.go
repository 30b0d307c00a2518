package device_test

import (
	"flag"
	"os"
	"strings"
	"testing"

	"github.com/assaynet/assay/hostgpu/device"
)

var update = flag.Bool("update", false, "rewrite the generated table of docs/spec/ops.md")

// TestSpecTable keeps the specification's table equal to the Go table.
func TestSpecTable(t *testing.T) {
	const path = "../../docs/spec/ops.md"
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	text := string(raw)
	head, rest, ok := strings.Cut(text, "<!-- table:begin")
	marker, rest, ok2 := strings.Cut(rest, "-->\n")
	_, tail, ok3 := strings.Cut(rest, "<!-- table:end -->")
	if !ok || !ok2 || !ok3 {
		t.Fatal("markers missing")
	}
	want := head + "<!-- table:begin" + marker + "-->\n" + device.Markdown() + "<!-- table:end -->" + tail
	if text == want {
		return
	}
	if !*update {
		t.Fatal("docs/spec/ops.md is stale: run with -update")
	}
	if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestSpecSections asks that every op has a section of its own.
func TestSpecSections(t *testing.T) {
	raw, err := os.ReadFile("../../docs/spec/ops.md")
	if err != nil {
		t.Fatal(err)
	}
	var headings strings.Builder
	for _, line := range strings.Split(string(raw), "\n") {
		if strings.HasPrefix(line, "### ") {
			headings.WriteString(strings.NewReplacer("### ", ",", " ", "").Replace(line) + ",")
		}
	}
	for _, op := range device.Ops {
		if !strings.Contains(headings.String(), ","+op.Name+",") {
			t.Errorf("no section for %s", op.Name)
		}
	}
}
