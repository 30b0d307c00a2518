package ptx

import (
	"encoding/binary"
	"errors"
	"strings"
	"testing"
)

// seeds are kernels with every family of instructions.
func seeds() []string {
	var list []string
	for _, c := range append(append([]opCase(nil), arithmetic...), logic...) {
		list = append(list, head80+snippetHead+c.ptx+snippetTail)
	}
	list = append(list, wgmmaText(nil), wgmmaKernel(16, [2]string{"s8", "s8"}, "", true))
	for _, v := range violations {
		head := v.head
		if head == "" {
			head = head80
		}
		list = append(list, entry(head, v.decl, strings.ReplaceAll(v.body, "@@", v.fixed)))
	}
	return list
}

// tryText parses and runs a text: nothing may panic or take more than its
// length explains, errors are typed, and what is accepted runs under a budget.
func tryText(t *testing.T, text string) {
	mod, err := Parse([]byte(text))
	if err != nil {
		var p *ParseError
		if !errors.As(err, &p) || p.Line < 1 {
			t.Fatalf("untyped: %v", err)
		}
		return
	}
	m := NewMachine(Config{Major: 9, SharedPerBlock: 227 << 10, Memory: 1 << 20, Workers: 1})
	a, err := m.Alloc(1 << 16)
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range mod.Kernels() {
		if p := mod.programs[k.Name]; p.rows > 1<<10 || p.local > 1<<12 || len(p.code) > 1<<12 {
			continue
		}
		args := pack(a, a, a, a, a, a, a, a)
		err := tryLaunch(m, mod, k.Name, 1, 64, 2048, args[:min(len(args), k.ParamBytes)], Checks{Steps: 1 << 16, Race: true, Sync: true})
		var fault *Fault
		if err != nil && !errors.As(err, &fault) && !errors.Is(err, ErrLaunch) && !errors.Is(err, ErrTarget) && !errors.Is(err, ErrMemory) {
			t.Fatalf("untyped: %v", err)
		}
	}
}

// FuzzParse feeds text.
func FuzzParse(f *testing.F) {
	for _, s := range seeds() {
		f.Add(s)
	}
	f.Fuzz(tryText)
}

// words splits a text into its tokens and what lies between them.
func words(text string) (list []string) {
	l := lexer{src: []byte(text), line: 1}
	for {
		from := l.pos
		t, err := l.next()
		if err != nil || t.kind == tokEOF {
			return append(list, text[from:])
		}
		list = append(list, text[from:l.pos])
	}
}

// FuzzTokens replaces tokens of a kernel by tokens of all kernels, so that what
// comes out is nearly PTX: six bytes an edit, the first two choose the kernel.
func FuzzTokens(f *testing.F) {
	list := seeds()
	var vocabulary []string
	known := map[string]bool{}
	for _, s := range list {
		for _, w := range words(s) {
			if !known[w] {
				known[w] = true
				vocabulary = append(vocabulary, w)
			}
		}
	}
	f.Add([]byte("\x00\x01\x00\x50\x00\x00\x00\x07"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) < 2 || len(data) > 256 {
			return
		}
		text := words(list[int(binary.LittleEndian.Uint16(data))%len(list)])
		for data = data[2:]; len(data) >= 6; data = data[6:] {
			at := int(binary.LittleEndian.Uint16(data)) % len(text)
			w := vocabulary[int(binary.LittleEndian.Uint16(data[2:]))%len(vocabulary)]
			switch data[4] % 4 {
			case 0:
				text[at] = ""
			case 1:
				text[at] += w
			default:
				text[at] = w
			}
		}
		tryText(t, strings.Join(text, ""))
	})
}
