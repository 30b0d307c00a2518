package ptx

import (
	"fmt"
	"math/bits"
)

// A warp is 32 lanes. Each lane has its own program counter; lanes at the same
// one run together. The group with the lowest counter runs first, so that lanes
// meet again behind what they diverged over, and a warp that has run long
// without meeting gives the other groups their turn: no lane starves (PTX ISA:
// Independent Thread Scheduling).
type warp struct {
	*block
	id     int
	rows   []row
	preds  []uint32
	carry  uint32 // CC.CF of each lane
	local  []byte // local memory, lane after lane
	exist  uint32 // lanes that the block has
	live   uint32 // lanes that have not exited
	parked uint32 // lanes that wait for others of the warp, at their counter
	barred uint32 // lanes that wait at a barrier of the block
	pc     [32]int32
	cur    int32 // instruction that runs
	again  bool  // the instruction changed masks or wants other warps to run
	yield  bool
	flip   bool // run the highest group instead of the lowest
	last   *allocation
	async  asyncState
}

func first(m uint32) int { return bits.TrailingZeros32(m) }

// fault ends the launch.
func (w *warp) fault(err error, lane int, space string, addr uint64, format string, args ...any) {
	t := uint32(w.id*32 + lane)
	n := w.launch.block
	f := &Fault{Err: err, Kernel: w.prog.Name, Block: w.index, Addr: addr, Space: space, Detail: fmt.Sprintf(format, args...),
		Thread: [3]uint32{t % n[0], t / n[0] % n[1], t / n[0] / n[1]}}
	if int(w.cur) < len(w.prog.code) {
		f.Line = int(w.prog.code[w.cur].line)
	}
	panic(f)
}

// quantum is how many instructions a warp runs before others have their turn,
// slice how many a group of its lanes does.
const (
	quantum = 1 << 13
	slice   = 1 << 10
)

// runnable are the lanes that can go on by themselves.
func (w *warp) runnable() uint32 { return w.live &^ w.parked &^ w.barred }

// pick returns the group to run: its counter and lanes, and the next higher
// counter at which other lanes wait to be joined.
func (w *warp) pick(lanes uint32) (pc int32, mask uint32, next int32) {
	next = 1<<31 - 1
	if f := first(lanes); lanes == w.live || lanes == w.exist {
		pc = w.pc[f]
		same := true
		for m := lanes; m != 0; m &= m - 1 {
			if w.pc[first(m)] != pc {
				same = false
				break
			}
		}
		if same {
			return pc, lanes, next
		}
	}
	pc = -1
	for m := lanes; m != 0; m &= m - 1 {
		l := first(m)
		switch at := w.pc[l]; {
		case pc < 0 || !w.flip && at < pc || w.flip && at > pc:
			if pc >= 0 && pc > at {
				next = pc
			}
			pc, mask = at, 1<<l
		case at == pc:
			mask |= 1 << l
		case at > pc:
			next = min(next, at)
		}
	}
	return pc, mask, next
}

func (w *warp) save(m uint32, pc int32) {
	for ; m != 0; m &= m - 1 {
		w.pc[first(m)] = pc
	}
}

// run executes until no lane can go on, the warp yields or its quantum is spent.
// It says whether anything was executed.
func (w *warp) run() bool {
	code := w.prog.code
	left, turn, ran := quantum, slice, false
	w.yield, w.flip = false, false
	if w.random != nil {
		left, turn, w.flip = 1+w.random.IntN(100), 1+w.random.IntN(20), w.random.IntN(2) == 0
	}
	for left > 0 && !w.yield {
		lanes := w.runnable()
		if lanes == 0 {
			if w.parked == 0 || !w.retry() {
				return ran
			}
			ran = true
			continue
		}
		pc, mask, next := w.pick(lanes)
		rest := turn // then another group has its turn, if there is one
		ran = true
	group:
		for {
			in := &code[pc]
			w.cur = pc
			w.steps += uint64(bits.OnesCount32(mask))
			m := mask
			if in.guard >= 0 {
				g := w.preds[in.guard]
				if in.not {
					g = ^g
				}
				m &= g
			}
			if w.async.held != nil && len(in.held) > 0 && m != 0 {
				w.checkHeld(in, m)
			}
			switch in.kind {
			case insPlain:
				if m != 0 {
					in.fn(w, m)
				}
				pc++
				if w.again {
					w.again = false
					w.save(mask, pc)
					break group
				}
			case insBranch:
				if m == mask {
					pc = in.target
				} else {
					if m != 0 {
						w.save(m, in.target)
						w.save(mask&^m, pc+1)
						break group
					}
					pc++
				}
			case insIndex:
				w.index_(in, m, mask, pc)
				break group
			case insExit:
				w.live &^= m
				w.save(mask&^m, pc+1)
				if m != 0 {
					w.exited(m)
				}
				break group
			case insSync:
				if m == mask && m == w.exist && w.whole(in, m) {
					in.fn(w, m)
					pc++
					if w.again {
						w.again = false
						w.save(mask, pc)
						break group
					}
					break
				}
				w.save(mask&^m, pc+1)
				w.save(m, pc)
				w.parked |= m
				if m != 0 {
					w.meet(in, pc)
				}
				break group
			}
			if left--; left <= 0 || pc >= next {
				w.save(mask, pc)
				break
			}
			if rest--; rest <= 0 && mask != w.live {
				w.flip = !w.flip
				w.save(mask, pc)
				break
			}
		}
	}
	return ran
}

// index_ executes brx.idx.
func (w *warp) index_(in *ins, m, mask uint32, pc int32) {
	w.save(mask&^m, pc+1)
	for ; m != 0; m &= m - 1 {
		l := first(m)
		i := w.rows[in.index][l]
		if i >= uint64(len(in.targets)) {
			w.fault(ErrOperand, l, "", 0, "index %d into %d targets", i, len(in.targets))
		}
		w.pc[l] = in.targets[i]
	}
}

// whole says whether all lanes in m, which are all the warp has, name m as the
// lanes to wait for.
func (w *warp) whole(in *ins, m uint32) bool {
	if in.mask == nil {
		return true
	}
	for r := m; r != 0; r &= r - 1 {
		if in.mask(w, first(r)) != m {
			return false
		}
	}
	return true
}

// meet runs a synchronising instruction for those of the lanes parked at it
// whose mates have all arrived. It says whether any ran.
func (w *warp) meet(in *ins, pc int32) bool {
	var here uint32
	for m := w.parked; m != 0; m &= m - 1 {
		if l := first(m); w.pc[l] == pc {
			here |= 1 << l
		}
	}
	ran := false
	for here != 0 {
		l := first(here)
		want := w.exist
		if in.mask != nil {
			if want = in.mask(w, l); want>>l&1 == 0 {
				w.fault(ErrSync, l, "", 0, "mask %#x does not hold the lane itself", want)
			}
		}
		var group uint32
		for m := here; m != 0; m &= m - 1 {
			if r := first(m); in.mask == nil || in.mask(w, r) == want {
				group |= 1 << r
			}
		}
		here &^= group
		if gone := want &^ w.live; gone != 0 {
			if w.checks.Sync {
				w.fault(ErrSync, l, "", 0, "mask %#x waits for lanes %#x, which have exited or do not exist", want, gone)
			}
			want &= w.live
		}
		if group != want {
			continue
		}
		w.parked &^= group
		w.save(group, pc+1)
		in.fn(w, group)
		w.again = false
		ran = true
	}
	return ran
}

// retry runs what lanes are parked at where that has become possible because
// lanes have exited.
func (w *warp) retry() bool {
	for m := w.parked; m != 0; m &= m - 1 {
		pc := w.pc[first(m)]
		w.cur = pc
		if w.meet(&w.prog.code[pc], pc) {
			return true
		}
	}
	return false
}
