package ptx

// A regDecl is one declared register (PTX ISA: State Spaces, .reg).
type regDecl struct {
	bits int // 16, 32 or 64; 1: predicate
	name string
}

// A variable is a declared piece of memory. Its place is known when a kernel is
// compiled or a module is loaded.
type variable struct {
	name   string
	space  space
	align  int
	size   int  // bytes
	extern bool // .extern .shared x[]: the dynamic shared memory
	init   []byte
	offset int // parameters: from the first one
	line   int
}

type operandKind uint8

const (
	opNone  operandKind = iota
	opReg               // reg
	opImm               // imm
	opVar               // variable (its address) + imm
	opSreg              // name: %tid.x
	opLabel             // label
	opVec               // {elems}
	opAddr              // [elems[0] + imm]
	opPair              // elems[0] | elems[1]
	opSink              // _
	opName              // a name to be resolved at the end of the function
)

type operand struct {
	kind  operandKind
	not   bool // !p
	reg   int  // index into function.regs
	imm   uint64
	label int
	name  string
	vari  *variable
	elems []operand
	scope *scope
}

// A stmt is one instruction.
type stmt struct {
	line     int
	op       string   // "mad"
	mods     []string // "lo", "s32"
	guard    int      // index of a predicate register, or -1
	guardNot bool
	args     []operand
	callee   string
	rets     []operand
	params   []operand
}

// A function is a .entry or a .func.
type function struct {
	name      string
	entry     bool
	line      int
	params    []*variable
	rets      []*variable
	paramSize int
	regs      []regDecl
	vars      []*variable // .local, .param and .shared of the body
	labels    []int       // statement that a label stands before; -1: not placed
	labelName []string
	targets   [][]operand // lists of .branchtargets
	body      []stmt
	maxntid   [3]int
	reqntid   [3]int
}

// A scope maps names to what they were declared as. Functions and inline
// assembly in braces open one each.
type scope struct {
	outer  *scope
	regs   map[string]int
	ranges map[string][2]int // %r<100>: first index and count
	vars   map[string]*variable
	labels map[string]int
	lists  map[string]int
}

func newScope(outer *scope) *scope { return &scope{outer: outer} }

func (s *scope) reg(name string) (int, bool) {
	prefix, n := splitIndex(name)
	for ; s != nil; s = s.outer {
		if r, ok := s.regs[name]; ok {
			return r, true
		}
		if n >= 0 {
			if r, ok := s.ranges[prefix]; ok && n < r[1] {
				return r[0] + n, true
			}
		}
	}
	return 0, false
}

// splitIndex splits %r12 into %r and 12; the index is −1 where there is none.
func splitIndex(name string) (string, int) {
	i := len(name)
	for i > 0 && isDigit(name[i-1]) {
		i--
	}
	if i == len(name) || len(name)-i > 7 || name[i] == '0' && len(name)-i > 1 {
		return name, -1
	}
	n := 0
	for _, c := range name[i:] {
		n = n*10 + int(c-'0')
	}
	return name[:i], n
}

func (s *scope) variable(name string) *variable {
	for ; s != nil; s = s.outer {
		if v := s.vars[name]; v != nil {
			return v
		}
	}
	return nil
}

func (s *scope) label(name string) (int, bool) {
	for ; s != nil; s = s.outer {
		if l, ok := s.labels[name]; ok {
			return l, true
		}
	}
	return 0, false
}

func (s *scope) list(name string) (int, bool) {
	for ; s != nil; s = s.outer {
		if l, ok := s.lists[name]; ok {
			return l, true
		}
	}
	return 0, false
}

// declared says whether name is taken in this very scope.
func (s *scope) declared(name string) bool {
	_, reg := s.regs[name]
	_, label := s.labels[name]
	return reg || label || s.vars[name] != nil
}

func put[V any](m *map[string]V, name string, v V) {
	if *m == nil {
		*m = map[string]V{}
	}
	(*m)[name] = v
}

// space is a state space (PTX ISA: State Spaces).
type space uint8

const (
	spaceGeneric space = iota
	spaceGlobal
	spaceShared
	spaceLocal
	spaceParam // of the kernel
	spaceConst
	spaceReg
)

func (s space) String() string {
	return [...]string{"generic", "global", "shared", "local", "param", "const", "reg"}[s]
}

func spaceOf(word string) (space, bool) {
	switch word {
	case "global":
		return spaceGlobal, true
	case "shared", "shared::cta":
		return spaceShared, true
	case "local":
		return spaceLocal, true
	case "param", "param::entry", "param::func":
		return spaceParam, true
	case "const":
		return spaceConst, true
	}
	return 0, false
}
