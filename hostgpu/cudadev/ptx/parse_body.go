package ptx

import "strings"

// function reads what follows .entry or .func.
func (p *parser) function(entry bool) {
	f := &function{entry: entry, line: p.tok.line}
	outer := newScope(p.globals)
	if !entry && p.is("(") {
		f.rets = p.parameters(outer, nil)
	}
	f.name = p.ident()
	if p.is("(") {
		f.params = p.parameters(outer, f)
	}
	p.performance(f)
	if p.err != nil {
		return
	}
	if g := p.funcs[f.name]; g != nil && (g.labels != nil || g.entry || entry) || p.globals.declared(f.name) {
		p.fail(syntaxError(f.line, "%s is declared twice", f.name))
		return
	}
	if p.accept(";") { // a declaration; the body comes later
		if entry {
			p.unsupported("entry without a body")
		}
		p.funcs[f.name] = f
		return
	}
	p.funcs[f.name] = f
	p.order = append(p.order, f)
	f.labels = []int{}
	p.expect("{")
	b := &body{parser: p, f: f}
	b.block(outer, 0)
	b.resolve()
}

// parameters reads a list in parentheses. Those of a kernel lie one behind the
// other, each at its alignment.
func (p *parser) parameters(sc *scope, f *function) []*variable {
	var list []*variable
	p.expect("(")
	for p.err == nil && !p.accept(")") {
		if !p.dot("param") {
			p.unsupported("parameter in %v", p.tok)
			return nil
		}
		sp, align, width := p.head()
		v := p.shape(sp, align, width)
		if v.size < 0 {
			p.unsupported("parameter without size")
			return nil
		}
		if f != nil {
			v.offset = (f.paramSize + align - 1) &^ (align - 1)
			f.paramSize = v.offset + v.size
		}
		p.declare(sc, v)
		list = append(list, v)
		if !p.is(")") {
			p.expect(",")
		}
	}
	return list
}

// performance reads the directives between parameters and body (PTX ISA:
// Performance-Tuning Directives). They bound a launch or advise a compiler.
func (p *parser) performance(f *function) {
	for p.err == nil && p.tok.kind == tokDot {
		word := p.tok.text
		p.advance()
		switch word {
		case "maxntid":
			f.maxntid = p.dimensions()
		case "reqntid":
			f.reqntid = p.dimensions()
		case "minnctapersm", "maxnreg":
			p.number()
		case "noreturn":
		case "pragma":
			p.pragma()
		default:
			p.unsupported("directive .%s", word)
		}
	}
}

func (p *parser) dimensions() [3]int {
	d := [3]int{1, 1, 1}
	for i := range d {
		if d[i] = p.size(1 << 16); d[i] == 0 {
			p.syntax("dimension 0")
		}
		if !p.accept(",") {
			break
		}
	}
	return d
}

// body reads the statements of a function.
type body struct {
	*parser
	f *function
}

// block reads up to the closing brace.
func (b *body) block(sc *scope, depth int) {
	if depth > maxDepth {
		b.unsupported("braces nested deeper than %d", maxDepth)
	}
	for b.err == nil && !b.accept("}") {
		switch {
		case b.accept("{"):
			b.block(newScope(sc), depth+1)
		case b.acceptDot("reg"):
			b.registers(sc)
		case b.dot("local", "param", "shared", "global", "const"):
			b.variables(sc, b.f, false)
		case b.acceptDot("pragma"):
			b.pragma()
		case b.acceptDot("loc"):
			b.number()
			b.number()
			b.number()
			if b.is(",") {
				b.unsupported(".loc with a function name")
			}
		case b.tok.kind == tokDot:
			b.unsupported("directive %v in a function", b.tok)
		case b.accept(";"):
		default:
			b.statement(sc)
		}
	}
}

// registers reads a .reg declaration.
func (b *body) registers(sc *scope) {
	bits := 0
	switch {
	case b.dot("pred"):
		bits = 1
	case b.dot("b16", "u16", "s16"):
		bits = 16
	case b.dot("b32", "u32", "s32"):
		bits = 32
	case b.dot("b64", "u64", "s64"):
		bits = 64
	default:
		b.unsupported("register type %v", b.tok)
	}
	b.advance()
	for b.err == nil {
		line, name := b.tok.line, b.ident()
		count := 1
		if b.accept("<") {
			count = b.size(maxRegisters)
			b.expect(">")
			if _, ok := sc.ranges[name]; ok {
				b.fail(syntaxError(line, "%s is declared twice", name))
			}
			put(&sc.ranges, name, [2]int{len(b.f.regs), count})
		} else if sc.declared(name) {
			b.fail(syntaxError(line, "%s is declared twice", name))
		} else {
			put(&sc.regs, name, len(b.f.regs))
		}
		if len(b.f.regs)+count > maxRegisters {
			b.unsupported("more than %d registers", maxRegisters)
			return
		}
		for range count {
			b.f.regs = append(b.f.regs, regDecl{bits: bits, name: name})
		}
		if !b.accept(",") {
			break
		}
	}
	b.expect(";")
}

// label returns the number of a label of this scope, placed or not.
func (b *body) label(sc *scope, name string) int {
	if l, ok := sc.labels[name]; ok {
		return l
	}
	l := len(b.f.labels)
	b.f.labels = append(b.f.labels, -1)
	b.f.labelName = append(b.f.labelName, name)
	put(&sc.labels, name, l)
	return l
}

func (b *body) statement(sc *scope) {
	s := stmt{line: b.tok.line, guard: -1}
	if b.accept("@") {
		s.guardNot = b.accept("!")
		name := b.ident()
		r, ok := sc.reg(name)
		if !ok || b.f.regs[r].bits != 1 {
			b.syntax("guard %s is not a predicate", name)
			return
		}
		s.guard = r
	}
	s.op = b.ident()
	if b.err != nil {
		return
	}
	if s.guard < 0 && b.accept(":") {
		b.placeLabel(sc, s.op, s.line)
		return
	}
	for b.tok.kind == tokDot {
		s.mods = append(s.mods, b.tok.text)
		b.advance()
	}
	if s.op == "call" {
		b.call(sc, &s)
	} else {
		for b.err == nil && !b.is(";") {
			s.args = append(s.args, b.operand(sc, 0))
			if !b.is(";") {
				b.expect(",")
			}
		}
	}
	b.expect(";")
	b.f.body = append(b.f.body, s)
}

// placeLabel handles "name:" and "name: .branchtargets a, b;".
func (b *body) placeLabel(sc *scope, name string, line int) {
	if b.acceptDot("branchtargets") {
		if _, ok := sc.lists[name]; ok {
			b.fail(syntaxError(line, "%s is declared twice", name))
		}
		var list []operand
		for b.err == nil {
			list = append(list, operand{kind: opName, name: b.ident(), scope: sc})
			if !b.accept(",") {
				break
			}
		}
		b.expect(";")
		put(&sc.lists, name, len(b.f.targets))
		b.f.targets = append(b.f.targets, list)
		return
	}
	if l := b.label(sc, name); b.f.labels[l] >= 0 || sc.vars[name] != nil {
		b.fail(syntaxError(line, "%s is declared twice", name))
	} else {
		b.f.labels[l] = len(b.f.body)
	}
}

// call reads call{.uni} (ret), name, (args); with parts left out (PTX ISA:
// call). Indirect calls are not supported.
func (b *body) call(sc *scope, s *stmt) {
	if b.is("(") {
		s.rets = b.callList(sc)
		b.expect(",")
	}
	s.callee = b.ident()
	if strings.HasPrefix(s.callee, "%") {
		b.unsupported("indirect call")
	}
	if b.accept(",") {
		s.params = b.callList(sc)
	}
	if b.is(",") {
		b.unsupported("indirect call")
	}
}

func (b *body) callList(sc *scope) []operand {
	var list []operand
	b.expect("(")
	for b.err == nil && !b.accept(")") {
		o := b.operand(sc, 0)
		if o.kind != opVar || o.vari.space != spaceParam || o.imm != 0 {
			b.unsupported("only .param variables are passed to functions")
		}
		list = append(list, o)
		if !b.is(")") {
			b.expect(",")
		}
	}
	return list
}

// operand reads one operand (PTX ISA: Instruction Operands).
func (b *body) operand(sc *scope, depth int) operand {
	if depth > 3 {
		b.syntax("operand nested too deeply")
		return operand{}
	}
	switch {
	case b.accept("{"):
		o := operand{kind: opVec}
		for b.err == nil {
			o.elems = append(o.elems, b.operand(sc, depth+1))
			if b.accept("}") {
				break
			}
			b.expect(",")
		}
		return o
	case b.accept("["):
		o := operand{kind: opAddr, elems: []operand{b.operand(sc, depth+1)}}
		switch e := &o.elems[0]; e.kind {
		case opVar, opImm:
			o.imm, e.imm = e.imm, 0
		case opReg:
			if b.f.regs[e.reg].bits < 32 || e.not {
				b.syntax("address in a register of another type")
			}
			o.imm, e.imm = e.imm, 0
		default:
			b.unsupported("address of this form")
		}
		b.expect("]")
		return o
	case b.accept("!"):
		o := b.operand(sc, depth+1)
		if o.kind != opReg || o.not || o.imm != 0 || b.f.regs[o.reg].bits != 1 {
			b.syntax("! before something that is not a predicate")
		}
		o.not = true
		return o
	case b.is("-") || b.tok.kind == tokNumber:
		return operand{kind: opImm, imm: b.number()}
	case b.tok.kind == tokIdent:
		return b.named(sc, depth)
	}
	b.syntax("%v where an operand belongs", b.tok)
	return operand{}
}

// named reads an operand that begins with a name, with an offset behind it
// (register+4, only in addresses, or variable+4) or a second destination (r|p).
func (b *body) named(sc *scope, depth int) operand {
	name := b.ident()
	var o operand
	if r, ok := sc.reg(name); ok {
		o = operand{kind: opReg, reg: r}
	} else if v := sc.variable(name); v != nil {
		o = operand{kind: opVar, vari: v}
	} else if name == "_" {
		o = operand{kind: opSink}
	} else if strings.HasPrefix(name, "%") {
		for b.tok.kind == tokDot {
			name += "." + b.tok.text
			b.advance()
		}
		o = operand{kind: opSreg, name: name}
	} else {
		o = operand{kind: opName, name: name, scope: sc}
	}
	switch {
	case b.tok.kind == tokDot:
		b.unsupported("operand %s%v", name, b.tok)
	case b.is("+") && (o.kind == opVar || o.kind == opReg && depth == 1):
		b.advance()
		o.imm = b.number()
	case b.is("-") && (o.kind == opVar || o.kind == opReg && depth == 1):
		b.advance()
		o.imm = -b.number()
	case b.is("|") && depth == 0:
		b.advance()
		return operand{kind: opPair, elems: []operand{o, b.operand(sc, 1)}}
	}
	return o
}

// resolve looks up the names that were used before they were declared: labels
// and lists of them.
func (b *body) resolve() {
	for i := range b.f.body {
		s := &b.f.body[i]
		for j := range s.args {
			o := &s.args[j]
			if o.kind != opName {
				continue
			}
			if l, ok := o.scope.label(o.name); ok && b.f.labels[l] >= 0 {
				*o = operand{kind: opLabel, label: l}
			} else if l, ok := o.scope.list(o.name); ok && s.op == "brx" {
				*o = operand{kind: opLabel, label: l}
			} else if b.err == nil {
				b.err = syntaxError(s.line, "unknown name %s", o.name)
			}
		}
	}
	for _, list := range b.f.targets {
		for j := range list {
			o := &list[j]
			if l, ok := o.scope.label(o.name); ok && b.f.labels[l] >= 0 {
				*o = operand{kind: opLabel, label: l}
			} else if b.err == nil {
				b.err = syntaxError(b.f.line, "unknown label %s", o.name)
			}
		}
	}
}
