package meter_test

import (
	"math/rand/v2"
	"testing"

	"github.com/assaynet/assay/runtime/wasmbin"
)

// layout returns module b with padding functions of random sizes in front of
// its own: the same program at other addresses, which alone changes speed by
// tens of percent. Layout 0 is the module itself.
func layout(t testing.TB, b []byte, seed uint64) []byte {
	if seed == 0 {
		return b
	}
	m, err := wasmbin.Decode(b, wide)
	if err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(seed, 7))
	k := 1 + rng.IntN(30)
	l := &relocation{m: m, from: uint32(m.ImportedFuncs), by: uint32(k)}
	var types []uint32
	var code []byte
	for range k {
		types = append(types, 0)
		body := []byte{0}
		for i := range rng.IntN(200) {
			body = append(wasmbin.AppendS64(append(body, 0x41, 0, 0x41), int64(i)), 0x36, 2, 0)
		}
		body = append(body, 0x00, 0x0B)
		code = append(wasmbin.AppendU32(code, uint32(len(body))), body...)
	}
	c := wasmbin.NewChecker(m, 1<<20)
	for i := range m.Bodies {
		body := l.body(t, c, i)
		code = append(wasmbin.AppendU32(code, uint32(len(body))), body...)
	}
	w := &wasmbin.Writer{}
	w.Header()
	for _, s := range m.Sections {
		switch s.ID {
		case wasmbin.SecCustom:
		case wasmbin.SecFunction:
			w.Functions(append(types, m.Funcs...))
		case wasmbin.SecExport:
			w.Items(s.ID, wasmbin.Section{}, len(m.Exports), l.exports())
		case wasmbin.SecElement:
			w.Items(s.ID, wasmbin.Section{}, len(m.Elems), l.elements(t))
		case wasmbin.SecCode:
			w.Items(s.ID, wasmbin.Section{}, k+len(m.Bodies), code)
		case wasmbin.SecStart:
			s.Payload = wasmbin.AppendU32(nil, l.moved(m.Start))
			w.Raw(s)
		default:
			w.Raw(s)
		}
	}
	return w.Bytes()
}

// relocation renumbers the functions of m from one index on.
type relocation struct {
	m        *wasmbin.Module
	from, by uint32
}

func (l *relocation) moved(f uint32) uint32 {
	if f >= l.from {
		f += l.by
	}
	return f
}

func (l *relocation) exports() (out []byte) {
	for _, e := range l.m.Exports {
		if e.Kind == wasmbin.KindFunc {
			e.Index = l.moved(e.Index)
		}
		out = wasmbin.AppendU32(append(wasmbin.AppendName(out, e.Name), byte(e.Kind)), e.Index)
	}
	return out
}

// elements handles what clang and Go make: active segments of functions.
func (l *relocation) elements(t testing.TB) (out []byte) {
	for i := range l.m.Elems {
		e := &l.m.Elems[i]
		if e.Mode != wasmbin.Active || e.Table != 0 || len(e.Exprs) > 0 {
			t.Fatal("an element segment of another kind")
		}
		out = wasmbin.AppendU32(append(append(out, 0), e.At.Bytes...), uint32(len(e.Funcs)))
		for _, f := range e.Funcs {
			out = wasmbin.AppendU32(out, l.moved(f))
		}
	}
	return out
}

func (l *relocation) body(t testing.TB, c *wasmbin.Checker, i int) []byte {
	b := l.m.Bodies[i]
	out := wasmbin.AppendU32(nil, uint32(len(b.Groups)))
	for _, g := range b.Groups {
		out = append(wasmbin.AppendU32(out, g.Count), byte(g.Type))
	}
	var in wasmbin.Instr
	for c.Begin(i); !c.Done(); {
		if err := c.Next(&in); err != nil {
			t.Fatal(err)
		}
		if in.Op == wasmbin.OpCall || in.Op == wasmbin.OpRefFunc {
			out = wasmbin.AppendU32(append(out, byte(in.Op)), l.moved(in.A))
			continue
		}
		out = append(out, l.m.Bytes[in.Off:in.End]...)
	}
	return out
}
