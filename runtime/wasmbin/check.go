package wasmbin

// Operand is an entry of the checker's operand stack. Type 0 is an unknown
// type below a polymorphic stack. Node is the caller's label, -1 if none.
type Operand struct {
	Type ValType
	Node int32
}

// NoNode is the label of operands that nobody labelled.
const NoNode int32 = -1

// frame is an open block, loop, if or else, or the function itself.
type frame struct {
	op          Op
	params      []ValType
	results     []ValType
	height      int
	unreachable bool
}

func (f *frame) labelTypes() []ValType {
	if f.op == OpLoop {
		return f.params
	}
	return f.results
}

// Checker validates function bodies one instruction at a time, as the
// algorithm in the appendix of the specification does, and lets an analysis
// ride along: operands can carry labels. It is reused from function to
// function and is not safe for concurrent use.
type Checker struct {
	m          *Module
	r          reader
	locals     []ValType
	stack      []Operand
	frames     []frame
	popped     []Operand
	labels     []uint32
	results    []ValType // of the function being checked
	slots      int       // 8-byte slots on the operand stack
	maxSlots   int
	maxNesting int
}

// NewChecker returns a checker for the functions of m that allows maxNesting
// open blocks in a function (the function's own included).
func NewChecker(m *Module, maxNesting int) *Checker {
	return &Checker{m: m, maxNesting: maxNesting}
}

// Begin starts with defined function i.
func (c *Checker) Begin(i int) {
	b := c.m.Bodies[i]
	t := c.m.Types[c.m.Funcs[i]]
	c.r = reader{buf: c.m.Bytes, pos: b.From, end: b.To}
	c.locals = append(c.locals[:0], t.Params...)
	for _, g := range b.Groups {
		for range g.Count {
			c.locals = append(c.locals, g.Type)
		}
	}
	c.stack, c.frames, c.popped = c.stack[:0], c.frames[:0], c.popped[:0]
	c.slots, c.maxSlots = 0, 0
	c.results = t.Results
	c.frames = append(c.frames, frame{op: OpBlock, results: t.Results})
}

// Done reports whether the function's closing end was read.
func (c *Checker) Done() bool { return len(c.frames) == 0 }

// Depth is the number of open frames, the function's own included.
func (c *Checker) Depth() int { return len(c.frames) }

// Reachable reports whether the next instruction can be reached.
func (c *Checker) Reachable() bool {
	return len(c.frames) > 0 && !c.frames[len(c.frames)-1].unreachable
}

// MaxSlots is the greatest height of the operand stack so far, in 8-byte
// slots.
func (c *Checker) MaxSlots() int { return c.maxSlots }

// Locals returns the types of parameters and locals; valid until Begin.
func (c *Checker) Locals() []ValType { return c.locals }

// Popped returns the operands that the last instruction consumed, topmost
// first; valid until Next.
func (c *Checker) Popped() []Operand { return c.popped }

// Label labels the topmost operand.
func (c *Checker) Label(node int32) {
	if n := len(c.stack); n > 0 {
		c.stack[n-1].Node = node
	}
}

// Next reads and checks one instruction. After the closing end, Done is true.
func (c *Checker) Next(in *Instr) error {
	c.popped = c.popped[:0]
	c.r.instr(in, c.labels)
	if in.Labels != nil {
		c.labels = in.Labels
	}
	if c.r.err != nil {
		return c.r.err
	}
	info := in.Op.info()
	if info.memory && len(c.m.AllMemories) == 0 {
		c.fail(in, "unknown memory")
	}
	if info.fixed {
		c.segment(in, info.imm)
		for i := len(info.in) - 1; i >= 0; i-- {
			c.pop(in, info.in[i])
		}
		if info.out != 0 {
			c.push(info.out)
		}
	} else {
		c.special(in)
	}
	if c.r.err == nil && len(c.frames) == 0 && c.r.pos != c.r.end {
		c.fail(in, "end of function before the end of its body")
	}
	return c.r.err
}

// Check validates all functions of m.
func (m *Module) Check(maxNesting int) error {
	c := NewChecker(m, maxNesting)
	var in Instr
	for i := range m.Bodies {
		for c.Begin(i); !c.Done(); {
			if err := c.Next(&in); err != nil {
				return err
			}
		}
	}
	return nil
}

func (c *Checker) fail(in *Instr, rule string) { c.r.fail(in.Off, rule) }

func (c *Checker) push(t ValType) {
	c.stack = append(c.stack, Operand{Type: t, Node: NoNode})
	c.slots += t.Slots()
	if c.slots > c.maxSlots {
		c.maxSlots = c.slots
	}
}

func (c *Checker) pushAll(ts []ValType) {
	for _, t := range ts {
		c.push(t)
	}
}

func (c *Checker) popAny(in *Instr) ValType {
	f := &c.frames[len(c.frames)-1]
	if len(c.stack) == f.height {
		if !f.unreachable {
			c.fail(in, "type mismatch: empty stack")
		}
		c.popped = append(c.popped, Operand{Node: NoNode})
		return 0
	}
	o := c.stack[len(c.stack)-1]
	c.stack = c.stack[:len(c.stack)-1]
	c.slots -= o.Type.Slots()
	c.popped = append(c.popped, o)
	return o.Type
}

func (c *Checker) pop(in *Instr, want ValType) ValType {
	got := c.popAny(in)
	if got != want && got != 0 && want != 0 {
		c.fail(in, "type mismatch")
	}
	return got
}

func (c *Checker) popAll(in *Instr, ts []ValType) {
	for i := len(ts) - 1; i >= 0; i-- {
		c.pop(in, ts[i])
	}
}

// dead makes the rest of the innermost frame unreachable.
func (c *Checker) dead() {
	f := &c.frames[len(c.frames)-1]
	for _, o := range c.stack[f.height:] {
		c.slots -= o.Type.Slots()
	}
	c.stack = c.stack[:f.height]
	f.unreachable = true
}

func (c *Checker) open(in *Instr, params, results []ValType) {
	if len(c.frames) >= c.maxNesting {
		c.r.limit(in.Off, "block nesting", uint64(len(c.frames)+1), uint64(c.maxNesting))
		return
	}
	c.frames = append(c.frames, frame{op: in.Op, params: params, results: results, height: len(c.stack)})
	c.pushAll(params)
}

// shut closes the innermost frame, whose results must be all that is left.
func (c *Checker) shut(in *Instr) frame {
	f := c.frames[len(c.frames)-1]
	c.popAll(in, f.results)
	if len(c.stack) != f.height {
		c.fail(in, "type mismatch: values remaining on stack at end of block")
	}
	c.frames = c.frames[:len(c.frames)-1]
	return f
}

// label returns the types that a branch to label l carries.
func (c *Checker) label(in *Instr, l uint32) []ValType {
	if int64(l) >= int64(len(c.frames)) {
		c.fail(in, "unknown label")
		return nil
	}
	return c.frames[len(c.frames)-1-int(l)].labelTypes()
}

var singles = func() (s [256][]ValType) {
	for i := range s {
		s[i] = []ValType{ValType(i)}
	}
	return s
}()

func (c *Checker) blockType(in *Instr) (params, results []ValType) {
	bt := in.Block()
	switch {
	case bt == BlockEmpty:
		return nil, nil
	case bt < 0:
		return nil, singles[byte(bt)&0x7F]
	case int(bt) < len(c.m.Types):
		t := c.m.Types[bt]
		return t.Params, t.Results
	}
	c.fail(in, "unknown type")
	return nil, nil
}
