package device

import (
	"fmt"
	"strings"
)

// Markdown renders the table of operands for docs/spec/ops.md.
func Markdown() string {
	var b strings.Builder
	b.WriteString("| op | outputs | inputs | immediates | requires |\n| --- | --- | --- | --- | --- |\n")
	for i := range Ops {
		s := &Ops[i]
		var out, in, imm []string
		for _, o := range s.Operands {
			switch o.Kind {
			case Imm32, Imm64:
				bits := "i32"
				if o.Kind == Imm64 {
					bits = "i64"
				}
				imm = append(imm, fmt.Sprintf("%s %s in [%d, %d]", o.Name, bits, o.Min, o.Max))
			default:
				ty := o.Type.String()
				if o.Type == TypeAny {
					ty = "any"
				}
				text := fmt.Sprintf("%s %s[%s,%s]", o.Name, ty, o.Rows, o.Cols)
				if o.Kind == Opt {
					text += " optional"
				}
				if o.InPlace != "" {
					text += " (may be " + o.InPlace + ")"
				}
				if o.Kind == Out {
					out = append(out, text)
				} else {
					in = append(in, text)
				}
			}
		}
		fmt.Fprintf(&b, "| %d %s | %s | %s | %s | %s |\n", s.Op, s.Name,
			strings.Join(out, "; "), strings.Join(in, "; "), strings.Join(imm, "; "), s.Requires)
	}
	return b.String()
}

// GasMarkdown renders the table of prices for docs/spec/ops.md.
func GasMarkdown() string {
	var b strings.Builder
	b.WriteString("| op | gas·256, beside the base |\n| --- | --- |\n")
	for i := range Ops {
		var terms []string
		for _, t := range Ops[i].Price {
			text := fmt.Sprint(t.Rate)
			for _, s := range t.Of {
				text += "·" + string(s)
			}
			if t.If != "" {
				text += " if " + t.If
			}
			terms = append(terms, text)
		}
		fmt.Fprintf(&b, "| %s | %s |\n", Ops[i].Name, strings.Join(terms, " + "))
	}
	return b.String()
}

// Spec returns the text of docs/spec/ops.md with its generated tables as Ops
// has them. Each stands between "<!-- NAME:begin" ... "-->" and
// "<!-- NAME:end -->".
func Spec(text string) (string, error) {
	for _, t := range []struct {
		name string
		make func() string
	}{{"table", Markdown}, {"gas", GasMarkdown}} {
		head, rest, ok := strings.Cut(text, "<!-- "+t.name+":begin")
		note, rest, ok2 := strings.Cut(rest, "-->\n")
		_, tail, ok3 := strings.Cut(rest, "<!-- "+t.name+":end -->")
		if !ok || !ok2 || !ok3 {
			return "", fmt.Errorf("device: no markers of the %s table", t.name)
		}
		text = head + "<!-- " + t.name + ":begin" + note + "-->\n" + t.make() + "<!-- " + t.name + ":end -->" + tail
	}
	return text, nil
}
