package ptx

// Bounds of a compiled kernel. Calls are compiled in place, so nested ones
// could grow it without end.
const (
	maxCode   = 1 << 20 // instructions
	maxInline = 32      // depth of calls; recursion runs into it
	maxRows   = 1 << 16 // registers of a thread
	maxLocal  = 1 << 19 // bytes of local memory of a thread (PTX ISA: 512 KB)
	maxParams = 4352    // bytes of kernel parameters, the most that sm_90 takes (32764) is PTX 8.1
)

// row is the values of one register in the 32 threads of a warp. Values of
// narrower registers are zero-extended.
type row [32]uint64

type insKind uint8

const (
	insPlain  insKind = iota // fn
	insBranch                // target
	insIndex                 // brx.idx: targets by the value in row index
	insExit
	insSync // fn, once the lanes of its mask have arrived
	insBar  // fn is called with all lanes of the warp that take part
)

// An ins is one instruction of a kernel. fn runs it for the lanes in m.
type ins struct {
	fn      func(w *warp, m uint32)
	kind    insKind
	not     bool
	guard   int32 // predicate, or -1
	target  int32
	line    int32
	index   int32   // row
	targets []int32 // of insIndex
	// mask says for insSync which lanes belong together; nil: the whole warp.
	mask func(w *warp, lane int) uint32
	// held is the rows that an instruction reads or writes, for Checks.Race in
	// kernels with wgmma. writes is how many of them, from the front, it writes.
	held   []int32
	writes int
	async  bool // wgmma.mma_async itself
}

// A constant is a row that is the same in all threads and blocks. With vari it
// is that variable's address plus value.
type constant struct {
	row   int
	value uint64
	vari  *variable
}

// A program is a compiled kernel.
type program struct {
	*Kernel
	code    []ins
	rows    int // registers, constants and special registers
	preds   int
	consts  []constant
	special []special
	local   int // bytes of a thread
	shared  map[*variable]int
	dynamic int // where dynamic shared memory begins
	fn      *function
	wgmma   bool
}

// special is a row that the machine fills: %tid.x.
type special struct {
	row  int
	name string
}

// An instance is a function compiled in place.
type instance struct {
	f      *function
	outer  *instance
	regs   map[int]int       // register → row or predicate
	places map[*variable]int // .local and .param variables → address
	pcs    []int32           // statement → instruction
	fix    []fixup
	rets   []int32 // branches to the end
}

type fixup struct {
	pc    int32
	label int
	list  int // index into targets, or -1
}

type compiler struct {
	p      *parser
	prog   *program
	inst   *instance
	consts map[constKey]int
	sregs  map[string]int
	stmt   *stmt
	err    *ParseError
	depth  int
	mods   []string // not yet consumed
	held   []int32
	writes int

	mbarSpace space // of the mbarrier instruction being compiled
}

type constKey struct {
	v    uint64
	vari *variable
}

// Addresses in the param space: the kernel's parameters from 0; .param
// variables of functions, which are the thread's own, from threadParam.
const threadParam = 1 << 24

func (p *parser) compile() {
	for _, f := range p.order {
		c := &compiler{p: p, consts: map[constKey]int{}, sregs: map[string]int{}}
		c.prog = &program{Kernel: &Kernel{Name: f.name, ParamBytes: f.paramSize}, shared: map[*variable]int{}, fn: f}
		if f.maxntid[0] != 0 {
			c.prog.MaxThreads = f.maxntid[0] * f.maxntid[1] * f.maxntid[2]
		}
		if f.paramSize > maxParams {
			p.fail(unsupported(f.line, "parameters of %d bytes", f.paramSize))
			return
		}
		c.function(f, nil, nil, nil)
		c.layoutShared()
		if c.err == nil && len(c.prog.code) > maxCode {
			c.fail("kernel of more than %d instructions", maxCode)
		}
		if c.err != nil {
			p.err = c.err
			return
		}
		// Functions are compiled alone too, so that nothing unknown hides in one
		// that nobody calls.
		if f.entry {
			p.mod.kernels = append(p.mod.kernels, c.prog.Kernel)
			put(&p.mod.programs, f.name, c.prog)
		}
	}
}

// maxStatic is how much shared memory a kernel can have without asking for it at
// launch, in bytes: the assembler refuses more.
const maxStatic = 48 << 10

// sharedBase is where shared memory begins: Hopper keeps the first KiB of it.
const sharedBase = 1024

// layoutShared places the static shared variables that the kernel uses, in the
// order of their first use, and the dynamic memory behind them.
func (c *compiler) layoutShared() {
	at, align := sharedBase, 16
	for i := range c.prog.consts {
		k := &c.prog.consts[i]
		if k.vari == nil || k.vari.space != spaceShared || k.vari.extern {
			continue
		}
		place, ok := c.prog.shared[k.vari]
		if !ok {
			place = (at + k.vari.align - 1) &^ (k.vari.align - 1)
			c.prog.shared[k.vari] = place
			at = place + k.vari.size
		}
		k.value += uint64(place)
	}
	for _, k := range c.prog.consts {
		if k.vari != nil && k.vari.extern {
			align = max(align, k.vari.align)
		}
	}
	if c.prog.Shared = at - sharedBase; c.prog.Shared > maxStatic {
		c.fail("%d bytes of static shared memory", c.prog.Shared)
	}
	c.prog.dynamic = (at + align - 1) &^ (align - 1)
	for i := range c.prog.consts {
		k := &c.prog.consts[i]
		if k.vari == nil || k.vari.space != spaceShared {
			continue
		}
		if k.vari.extern {
			k.value += uint64(c.prog.dynamic)
		}
		k.vari = nil
	}
}

// fail keeps the first error.
func (c *compiler) fail(format string, args ...any) {
	if c.err == nil {
		line := c.prog.fn.line
		if c.stmt != nil {
			line = c.stmt.line
		}
		c.err = unsupported(line, format, args...)
	}
}

// function compiles f in place. params and rets are the addresses of the
// .param variables that a call passes.
func (c *compiler) function(f *function, outer *instance, params, rets []int) {
	in := &instance{f: f, outer: outer, regs: map[int]int{}, places: map[*variable]int{}}
	for i, v := range f.params {
		in.places[v] = v.offset
		if outer != nil {
			in.places[v] = params[i]
		} else if !f.entry {
			in.places[v] = c.thread(v) + threadParam
		}
	}
	for i, v := range f.rets {
		if outer != nil {
			in.places[v] = rets[i]
		} else {
			in.places[v] = c.thread(v) + threadParam
		}
	}
	for _, v := range f.vars {
		switch v.space {
		case spaceLocal:
			in.places[v] = c.thread(v)
		case spaceParam:
			in.places[v] = c.thread(v) + threadParam
		}
	}
	c.inst = in
	for i := range f.body {
		if c.err != nil {
			return
		}
		in.pcs = append(in.pcs, int32(len(c.prog.code)))
		c.statement(&f.body[i])
	}
	in.pcs = append(in.pcs, int32(len(c.prog.code)))
	c.stmt = nil
	end := int32(len(c.prog.code))
	for _, pc := range in.rets {
		c.prog.code[pc].target = end
	}
	if outer == nil {
		c.emit(ins{kind: insExit}) // control may run off the end
	}
	pcOf := func(label int) int32 { return in.pcs[f.labels[label]] }
	for _, x := range in.fix {
		if x.list < 0 {
			c.prog.code[x.pc].target = pcOf(x.label)
			continue
		}
		for _, o := range f.targets[x.list] {
			c.prog.code[x.pc].targets = append(c.prog.code[x.pc].targets, pcOf(o.label))
		}
	}
	c.inst = outer
}

// thread reserves local memory for v.
func (c *compiler) thread(v *variable) int {
	at := (c.prog.local + v.align - 1) &^ (v.align - 1)
	c.prog.local = at + v.size
	if c.prog.local > maxLocal {
		c.fail("more than %d bytes of local memory", maxLocal)
		c.prog.local = 0
	}
	return at
}

func (c *compiler) emit(i ins) {
	if len(c.prog.code) > maxCode {
		c.fail("kernel of more than %d instructions", maxCode)
		return
	}
	i.guard = -1
	if c.stmt != nil {
		i.line = int32(c.stmt.line)
		if c.stmt.guard >= 0 {
			i.guard = int32(c.pred(c.stmt.guard))
			i.not = c.stmt.guardNot
		}
	}
	i.held, i.writes = c.held, c.writes
	c.prog.code = append(c.prog.code, i)
}

// plain emits an instruction whose lanes do not depend on each other's presence.
func (c *compiler) plain(fn func(w *warp, m uint32)) { c.emit(ins{fn: fn}) }

func (c *compiler) statement(s *stmt) {
	c.stmt, c.mods, c.held, c.writes = s, s.mods, nil, 0
	fn := instructions[s.op]
	if fn == nil {
		c.fail("instruction %s", s.op)
		return
	}
	fn(c, s)
	if c.err == nil && len(c.mods) > 0 {
		c.fail("%s: modifier .%s", s.op, c.mods[0])
	}
}

// need refuses an instruction that the module's .version or .target has not:
// a driver's compiler would.
func (c *compiler) need(version, sm int, arch bool) {
	if c.p.version < version {
		c.fail("%s in PTX %d.%d: it needs %d.%d", c.stmt.op, c.p.version/10, c.p.version%10, version/10, version%10)
	}
	if have, a := targetOf(c.p.mod.Target); have < sm || arch && (have != sm || !a) {
		c.fail("%s is not in %s", c.stmt.op, c.p.mod.Target)
	}
}

// targetOf reads sm_90a as 90 and true.
func targetOf(s string) (sm int, arch bool) {
	for _, ch := range []byte(s[len("sm_"):]) {
		if ch == 'a' {
			arch = true
		} else if isDigit(ch) && sm < 1000 {
			sm = sm*10 + int(ch-'0')
		}
	}
	return sm, arch
}
