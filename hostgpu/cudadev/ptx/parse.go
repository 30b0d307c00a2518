package ptx

import (
	"encoding/binary"
	"slices"
	"strings"
)

// Bounds of a module, far above any kernel's, so that hostile text cannot take
// more memory than its length explains.
const (
	maxRegisters = 1 << 20 // declared in a function; only used ones cost memory
	maxVariable  = 1 << 28 // bytes of a variable
	maxDepth     = 64      // nested braces
	maxModule    = 1 << 29 // bytes of all variables
)

type parser struct {
	lex     lexer
	tok     token
	err     *ParseError
	mod     *Module
	globals *scope
	funcs   map[string]*function
	order   []*function
	bytes   int // of all variables
	version int // major*10 + minor
}

// Parse reads and checks PTX. The error is a *ParseError.
func Parse(text []byte) (*Module, error) {
	if len(text) > maxText {
		return nil, unsupported(1, "text of %d bytes", len(text))
	}
	p := &parser{lex: lexer{src: text, line: 1}, mod: &Module{}, globals: newScope(nil), funcs: map[string]*function{}}
	p.advance()
	p.module()
	if p.err == nil {
		p.compile()
	}
	if p.err != nil {
		return nil, p.err
	}
	return p.mod, nil
}

// fail keeps the first error and makes the parser run to its end quickly.
func (p *parser) fail(err *ParseError) {
	if p.err == nil {
		p.err = err
	}
	p.tok = token{line: p.tok.line}
	p.lex.pos = len(p.lex.src)
}

func (p *parser) syntax(format string, args ...any) {
	p.fail(syntaxError(p.tok.line, format, args...))
}

func (p *parser) unsupported(format string, args ...any) {
	p.fail(unsupported(p.tok.line, format, args...))
}

func (p *parser) advance() {
	if p.err != nil {
		return
	}
	t, err := p.lex.next()
	p.tok = t
	if err != nil {
		p.fail(err)
	}
}

func (p *parser) is(text string) bool { return p.tok.kind == tokPunct && p.tok.text == text }

func (p *parser) accept(text string) bool {
	if p.is(text) {
		p.advance()
		return true
	}
	return false
}

func (p *parser) expect(text string) {
	if !p.accept(text) {
		p.syntax("%v where %q belongs", p.tok, text)
	}
}

func (p *parser) dot(words ...string) bool {
	return p.tok.kind == tokDot && slices.Contains(words, p.tok.text)
}

func (p *parser) acceptDot(word string) bool {
	if p.dot(word) {
		p.advance()
		return true
	}
	return false
}

func (p *parser) ident() string {
	if p.tok.kind != tokIdent {
		p.syntax("%v where a name belongs", p.tok)
		return ""
	}
	s := p.tok.text
	p.advance()
	return s
}

func (p *parser) number() uint64 {
	neg := p.accept("-")
	if p.tok.kind != tokNumber {
		p.syntax("%v where a number belongs", p.tok)
		return 0
	}
	v := p.tok.num
	p.advance()
	if neg {
		v = -v
	}
	return v
}

// size is a number of at most limit.
func (p *parser) size(limit uint64) int {
	v := p.number()
	if v > limit {
		p.unsupported("%d is more than %d", v, limit)
		return 0
	}
	return int(v)
}

func (p *parser) module() {
	if !p.acceptDot("version") {
		p.syntax("PTX begins with .version")
		return
	}
	line := p.tok.line
	// The lexer splits 7.0 into the number 7 and the word ".0".
	p.mod.Version[0] = p.size(99)
	if p.tok.kind != tokDot || len(p.tok.text) != 1 || !isDigit(p.tok.text[0]) {
		p.syntax("version")
		return
	}
	p.mod.Version[1] = int(p.tok.text[0] - '0')
	p.advance()
	p.version = p.mod.Version[0]*10 + p.mod.Version[1]
	if p.mod.Version[0] < 6 || p.mod.Version[0] > 9 {
		p.fail(unsupported(line, "PTX version %d.%d", p.mod.Version[0], p.mod.Version[1]))
	}
	if !p.acceptDot("target") {
		p.syntax(".target follows .version")
		return
	}
	p.mod.Target = p.ident()
	if !strings.HasPrefix(p.mod.Target, "sm_") {
		p.unsupported("target %s", p.mod.Target)
	}
	if p.is(",") {
		p.unsupported("target options")
	}
	if line = p.tok.line; !p.acceptDot("address_size") || p.size(64) != 64 {
		p.fail(unsupported(line, "only .address_size 64"))
	}
	for p.err == nil && p.tok.kind != tokEOF {
		p.declaration()
	}
}

func (p *parser) declaration() {
	linkage := ""
	for p.dot("visible", "extern", "weak", "common") {
		if linkage != "" || p.dot("common") {
			p.unsupported("linkage %v", p.tok)
		}
		linkage = p.tok.text
		p.advance()
	}
	switch {
	case p.dot("entry", "func"):
		entry := p.dot("entry")
		p.advance()
		if linkage == "extern" && entry {
			p.unsupported("extern entry")
		}
		p.function(entry)
	case p.dot("global", "const", "shared"):
		p.variables(p.globals, nil, linkage == "extern")
	case linkage == "" && p.acceptDot("pragma"):
		p.pragma()
	case linkage == "" && p.acceptDot("file"):
		p.number()
		if p.tok.kind != tokString {
			p.syntax("name of a file")
		}
		p.advance()
	case p.tok.kind == tokDot:
		p.unsupported("directive %v", p.tok)
	default:
		p.syntax("%v at the level of the module", p.tok)
	}
}

// pragma reads the strings of .pragma, which only advise a compiler.
func (p *parser) pragma() {
	for {
		if p.tok.kind != tokString {
			p.syntax("string of .pragma")
			return
		}
		if p.tok.text != "nounroll" {
			p.unsupported("pragma %v", p.tok)
		}
		p.advance()
		if !p.accept(",") {
			break
		}
	}
	p.expect(";")
}

// fundamental is the size in bytes of a type of memory.
func fundamental(word string) int {
	switch word {
	case "b8", "u8", "s8":
		return 1
	case "b16", "u16", "s16":
		return 2
	case "b32", "u32", "s32":
		return 4
	case "b64", "u64", "s64":
		return 8
	}
	return 0
}

// head reads space, alignment and type of a declaration.
func (p *parser) head() (sp space, align, width int) {
	sp, ok := spaceOf(p.tok.text)
	if !ok || p.tok.kind != tokDot {
		p.unsupported("declaration %v", p.tok)
		return
	}
	p.advance()
	for p.err == nil {
		if p.acceptDot("align") {
			align = p.size(1 << 16)
			if align == 0 || align&(align-1) != 0 {
				p.syntax("alignment %d", align)
			}
			continue
		}
		if width = fundamental(p.tok.text); p.tok.kind != tokDot || width == 0 {
			p.unsupported("type %v", p.tok)
			return
		}
		p.advance()
		break
	}
	if align == 0 {
		align = width
	}
	if align < width {
		p.unsupported("alignment %d of elements of %d bytes", align, width)
	}
	return
}

// shape reads a name and its dimensions; size is −1 for x[].
func (p *parser) shape(sp space, align, width int) *variable {
	v := &variable{space: sp, align: align, size: width, line: p.tok.line}
	v.name = p.ident()
	for first := true; p.accept("["); first = false {
		if first && p.accept("]") {
			v.size = -1
			break
		}
		n := p.size(maxVariable)
		if v.size *= n; v.size > maxVariable {
			p.unsupported("variable of %d bytes", v.size)
		}
		p.expect("]")
	}
	return v
}

// variables reads a declaration of memory up to its semicolon. fn is the
// function whose body it is in.
func (p *parser) variables(sc *scope, fn *function, extern bool) {
	sp, align, width := p.head()
	for p.err == nil {
		v := p.shape(sp, align, width)
		if p.accept("=") {
			if sp != spaceGlobal && sp != spaceConst {
				p.unsupported("initial value in .%v", sp)
			}
			v.init = p.initial(width, max(v.size, 0))
			if v.size < 0 {
				v.size = len(v.init)
			}
		}
		switch {
		case sp == spaceShared && extern:
			// Dynamic shared memory: any size it is declared with is a lower
			// bound that the launch decides about.
			if v.size > 0 {
				p.unsupported("extern shared variable with a size")
			}
			v.extern, v.size = true, 0
		case extern:
			p.unsupported("external variable %s", v.name)
		case v.size < 0:
			p.syntax("array %s without size", v.name)
		}
		if p.bytes += v.size; p.bytes > maxModule {
			p.unsupported("variables of more than %d bytes", maxModule)
		}
		p.declare(sc, v)
		if fn != nil && sp != spaceGlobal && sp != spaceConst {
			fn.vars = append(fn.vars, v)
		} else {
			p.mod.vars = append(p.mod.vars, v)
		}
		if !p.accept(",") {
			break
		}
	}
	p.expect(";")
}

func (p *parser) declare(sc *scope, v *variable) {
	if sc.declared(v.name) || sc.outer == nil && p.funcs[v.name] != nil {
		p.fail(syntaxError(v.line, "%s is declared twice", v.name))
		return
	}
	put(&sc.vars, v.name, v)
}

// initial reads a number or one list of them (PTX ISA: Initializers). Lists in
// lists and addresses are not supported.
func (p *parser) initial(width, limit int) []byte {
	if !p.accept("{") {
		return p.element(width, nil)
	}
	var out []byte
	for p.err == nil && !p.accept("}") {
		if len(out) >= limit && limit > 0 {
			p.syntax("more initial values than elements")
		}
		out = p.element(width, out)
		if !p.is("}") {
			p.expect(",")
		}
	}
	return out
}

func (p *parser) element(width int, out []byte) []byte {
	if p.tok.kind == tokIdent || p.is("{") {
		p.unsupported("initial value %v", p.tok)
		return out
	}
	var b [8]byte
	binary.LittleEndian.PutUint64(b[:], p.number())
	return append(out, b[:width]...)
}
