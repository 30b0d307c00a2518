package device

import (
	"fmt"
	"strings"
)

// Markdown renders the table of operands for docs/spec/ops.md.
func Markdown() string {
	var b strings.Builder
	b.WriteString("| op | outputs | inputs | immediates |\n| --- | --- | --- | --- |\n")
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
		fmt.Fprintf(&b, "| %d %s | %s | %s | %s |\n", s.Op, s.Name,
			strings.Join(out, "; "), strings.Join(in, "; "), strings.Join(imm, "; "))
	}
	return b.String()
}
