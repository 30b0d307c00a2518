package ptx

import (
	"math/bits"
	"math/rand/v2"
	"sync"
)

// A block is a CTA that runs: its warps take turns on one goroutine.
type block struct {
	*launch
	index  [3]uint32
	warps  []warp
	exits  int    // threads that have exited
	steps  uint64 // instructions of threads since the last count
	shared []byte
	valid  []byte // of shared, 1: written; nil without the check
	bars   [16]barrier
	mbars  map[uint64]*mbarrier
	race   *race

	rows     *[]row     // of all warps
	poisoned bool       // rows hold what they do before the first block
	order    []int      // in which warps have their turns
	random   *rand.Rand // Checks.Order; nil: 0
	scratch  *wgmmaScratch
}

// sharedPoison fills shared memory before a block starts, since it is undefined.
const sharedPoison = 0xa5

// newBlock makes what the blocks of a launch that run one after another on a
// goroutine need.
func newBlock(l *launch) *block {
	b := &block{launch: l, shared: make([]byte, l.sharedEnd), mbars: map[uint64]*mbarrier{}}
	if l.checks.Uninitialised {
		b.valid = make([]byte, l.sharedEnd)
	}
	if l.checks.Race {
		b.race = takeRace(l)
	}
	n := (l.threads + 31) / 32
	b.warps = make([]warp, n)
	b.rows = takeRows(n * l.prog.rows)
	rows := *b.rows
	preds := make([]uint32, n*l.prog.preds)
	for i := range b.warps {
		w := &b.warps[i]
		w.block, w.id = b, i
		w.rows = rows[i*l.prog.rows : (i+1)*l.prog.rows]
		w.preds = preds[i*l.prog.preds : (i+1)*l.prog.preds]
		w.local = make([]byte, 32*l.prog.local)
		w.exist = ^uint32(0)
		if rest := l.threads - 32*i; rest < 32 {
			w.exist = 1<<rest - 1
		}
	}
	return b
}

// registerPoison is what registers hold before they are written: a value that
// fits the narrowest.
const registerPoison = 0xdead

var poisonRow = func() (r row) {
	for l := range r {
		r[l] = registerPoison
	}
	return r
}()

// rowPool keeps the registers of blocks that have ended: megabytes for a large
// kernel, and many launches are small.
var rowPool sync.Pool

func takeRows(n int) *[]row {
	if p, ok := rowPool.Get().(*[]row); ok && cap(*p) >= n {
		*p = (*p)[:n]
		return p
	}
	p := make([]row, n)
	return &p
}

// free gives back what later blocks can use.
func (b *block) free() {
	rowPool.Put(b.rows)
	if b.race != nil && b.race.reusable() {
		racePool.Put(b.race)
	}
}

// poison sets all rows to what they hold before a block runs.
func (w *warp) poison() {
	for i := range w.rows {
		w.rows[i] = poisonRow
	}
	for i := range w.preds {
		w.preds[i] = 0xaaaaaaaa
	}
	for i, c := range w.prog.consts {
		for l := range w.rows[c.row] {
			w.rows[c.row][l] = w.consts[i]
		}
	}
}

// start resets what a block has.
func (b *block) start(index [3]uint32) {
	b.index, b.exits = index, 0
	for i := range b.shared {
		b.shared[i] = sharedPoison
	}
	clear(b.valid)
	clear(b.mbars)
	b.bars = [16]barrier{}
	if b.race != nil {
		b.race.reset()
	}
	defer func() { b.poisoned = true }()
	for i := range b.warps {
		w := &b.warps[i]
		if !b.poisoned || b.checks.Uninitialised {
			w.poison()
		}
		w.live, w.parked, w.barred, w.carry, w.pc = w.exist, 0, 0, 0, [32]int32{}
		w.async.reset(w)
		w.again, w.last = false, nil
		for _, s := range w.prog.special {
			get := sregs[s.name].get
			for l := range w.rows[s.row] {
				w.rows[s.row][l] = uint64(get(w, l))
			}
		}
	}
}

// begin makes the block ready to run as the one at index.
func (b *block) begin(index [3]uint32) {
	b.start(index)
	b.order = b.order[:0]
	for i := range b.warps {
		b.order = append(b.order, i)
	}
	if b.checks.Order != 0 {
		b.random = rand.New(rand.NewPCG(b.checks.Order, uint64(index[0])|uint64(index[1])<<32|uint64(index[2])<<48))
	}
}

// step gives each warp a turn, and says whether the block has ended. It panics
// with a *Fault.
func (b *block) step() bool {
	ran, live := false, false
	if b.random != nil {
		b.random.Shuffle(len(b.order), func(i, j int) { b.order[i], b.order[j] = b.order[j], b.order[i] })
	}
	for _, i := range b.order {
		w := &b.warps[i]
		if w.live == 0 {
			continue
		}
		if w.run() {
			ran = true
		}
		live = live || w.live != 0
		b.count(w)
	}
	if live && !ran {
		b.stuck()
	}
	return !live
}

// count takes the steps off the launch's budget.
func (b *block) count(w *warp) {
	spent := b.spent.Add(b.steps)
	b.steps = 0
	if spent > b.budget {
		w.fault(ErrSteps, max(first(w.exist&w.live), 0)&31, "", 0, "after %d instructions of threads", spent)
	}
	if b.stop.Load() {
		panic(stopped{})
	}
}

// stopped ends a block because the launch ends.
type stopped struct{}

// stuck is called when no warp can go on: threads wait for others that never
// come.
func (b *block) stuck() {
	for i := range b.warps {
		w := &b.warps[i]
		for _, wait := range []struct {
			lanes uint32
			what  string
		}{{w.parked, "wait for others of the warp"}, {w.barred, "wait at a barrier"}} {
			if wait.lanes == 0 {
				continue
			}
			l := first(wait.lanes)
			w.cur = w.pc[l]
			if wait.lanes == w.barred {
				w.cur-- // the counter is behind the barrier already
			}
			w.fault(ErrSync, l, "", 0, "lanes %#x %s for ever; %d threads have exited, the others %s", wait.lanes, wait.what, b.exits, b.whereabouts())
		}
	}
}

// whereabouts names the lines at which threads wait.
func (b *block) whereabouts() string {
	lines := map[int32]int{}
	for i := range b.warps {
		w := &b.warps[i]
		for m := w.live; m != 0; m &= m - 1 {
			pc := w.pc[first(m)]
			if w.barred>>first(m)&1 != 0 {
				pc--
			}
			lines[w.prog.code[pc].line]++
		}
	}
	return "wait at lines " + countList(lines)
}

// exited is called when the lanes m have exited.
func (w *warp) exited(m uint32) {
	w.exits += bits.OnesCount32(m)
	for i := range w.bars {
		w.bars[i].check(w, i)
	}
}
