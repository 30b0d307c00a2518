package ptx

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
)

// A launch is one run of a kernel.
type launch struct {
	m           *Machine
	prog        *program
	grid, block [3]uint32
	threads     int
	dynamic     int // bytes of dynamic shared memory
	sharedEnd   int // shared memory lies in [sharedBase, sharedEnd)
	args        []byte
	consts      []uint64 // values of prog.consts
	constSpace  []byte
	live, freed []*allocation
	checks      Checks
	budget      uint64
	number      uint64 // %gridid
	spent       atomic.Uint64
	next        atomic.Uint64 // block to run
	stop        atomic.Bool
	once        sync.Once
	err         error
}

var launches atomic.Uint64

// maxThreads is the most threads of a block, on every GPU there is.
const maxThreads = 1024

// Launch runs a kernel to its end. grid and block are in blocks and threads,
// shared is the dynamic shared memory of a block in bytes, args is the bytes of
// the kernel's parameters, laid out as the PTX declares them. The error is a
// *Fault, one of the errors above, or ctx's.
func (m *Machine) Launch(ctx context.Context, mod *Module, kernel string, grid, block [3]uint32,
	shared uint32, args []byte, checks Checks) error {
	prog := mod.programs[kernel]
	if prog == nil {
		return fmt.Errorf("%w: %q", ErrKernel, kernel)
	}
	where, err := m.load(mod)
	if err != nil {
		return err
	}
	l := &launch{m: m, prog: prog, grid: grid, block: block, dynamic: int(shared), args: slices.Clone(args),
		constSpace: where.space, checks: checks, budget: checks.Steps, number: launches.Add(1)}
	if l.budget == 0 {
		l.budget = 1 << 36
	}
	if err := l.validate(); err != nil {
		return fmt.Errorf("%w: %s: %w", ErrLaunch, kernel, err)
	}
	for _, c := range prog.consts {
		v := c.value
		if c.vari != nil {
			v += where.addr[c.vari]
		}
		l.consts = append(l.consts, v)
	}
	l.live, l.freed = m.mem.snapshot()
	return l.run(ctx)
}

// validate checks the launch against the kernel and the GPU (CUDA's limits of
// grid and block).
func (l *launch) validate() error {
	l.threads = 1
	for i, limit := range []uint32{maxThreads, maxThreads, 64} {
		if l.block[i] == 0 || l.block[i] > limit {
			return fmt.Errorf("block of %v threads", l.block)
		}
		l.threads *= int(l.block[i])
	}
	if l.threads > maxThreads || l.prog.MaxThreads > 0 && l.threads > l.prog.MaxThreads {
		return fmt.Errorf("block of %v threads", l.block)
	}
	if r := l.prog.fn.reqntid; r[0] != 0 && l.block != [3]uint32{uint32(r[0]), uint32(r[1]), uint32(r[2])} {
		return fmt.Errorf("block of %v threads where %v are required", l.block, r)
	}
	for i, limit := range []uint32{1<<31 - 1, 1<<16 - 1, 1<<16 - 1} {
		if l.grid[i] == 0 || l.grid[i] > limit {
			return fmt.Errorf("grid of %v blocks", l.grid)
		}
	}
	if len(l.args) != l.prog.ParamBytes {
		return fmt.Errorf("%d bytes of parameters where %d are declared", len(l.args), l.prog.ParamBytes)
	}
	l.sharedEnd = sharedBase + l.prog.Shared
	if l.dynamic > 0 {
		l.sharedEnd = l.prog.dynamic + l.dynamic
	}
	if used := l.sharedEnd - sharedBase; used > l.m.cfg.SharedPerBlock {
		return fmt.Errorf("%d bytes of shared memory where a block has at most %d", used, l.m.cfg.SharedPerBlock)
	}
	return nil
}

func (l *launch) blocks() uint64 { return uint64(l.grid[0]) * uint64(l.grid[1]) * uint64(l.grid[2]) }

// run lets the machine's workers take the blocks one by one.
func (l *launch) run(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	defer context.AfterFunc(ctx, func() { l.fail(ctx.Err()) })()
	workers := min(uint64(l.m.cfg.Workers), l.blocks())
	var wait sync.WaitGroup
	for range workers {
		wait.Go(l.work)
	}
	wait.Wait()
	l.once.Do(func() {}) // an error that comes now is too late
	return l.err
}

func (l *launch) fail(err error) {
	l.once.Do(func() { l.err = err })
	l.stop.Store(true)
}

// work runs blocks until there are none. Faults travel as panics; anything else
// that panics is a mistake of this package and goes on.
func (l *launch) work() {
	defer func() {
		switch e := recover().(type) {
		case nil, stopped:
		case *Fault:
			l.fail(e)
		default:
			panic(e)
		}
	}()
	// In an order that is drawn, a worker runs several blocks in turns, as a
	// multiprocessor does: what one leaves half done, another may see.
	resident := 1
	if l.checks.Order != 0 {
		resident = 4
	}
	var idle, running []*block
	defer func() {
		for _, b := range append(idle, running...) {
			b.free()
		}
	}()
	turns := rand.New(rand.NewPCG(l.checks.Order, 1))
	for n := l.blocks(); !l.stop.Load(); {
		for len(running) < resident {
			i := l.next.Add(1) - 1
			if i >= n {
				resident = len(running)
				break
			}
			b := (*block)(nil)
			if len(idle) > 0 {
				b, idle = idle[len(idle)-1], idle[:len(idle)-1]
			} else {
				b = newBlock(l)
			}
			running = append(running, b)
			i = l.permuted(i, n)
			x, y := uint64(l.grid[0]), uint64(l.grid[1])
			b.begin([3]uint32{uint32(i % x), uint32(i / x % y), uint32(i / x / y)})
		}
		if len(running) == 0 {
			return
		}
		at := 0
		if len(running) > 1 {
			at = turns.IntN(len(running))
		}
		if b := running[at]; b.step() {
			running[at] = running[len(running)-1]
			running = running[:len(running)-1]
			idle = append(idle, b)
		}
	}
}

// countList prints lines with the number of threads at each.
func countList(lines map[int32]int) string {
	var s []string
	for _, line := range slices.Sorted(maps.Keys(lines)) {
		s = append(s, fmt.Sprintf("%d (%d)", line, lines[line]))
	}
	return strings.Join(s, ", ")
}

// permuted is the i-th of n blocks in the order of Checks.Order: a step that has
// no divisor in common with n meets each of them once.
func (l *launch) permuted(i, n uint64) uint64 {
	seed := l.checks.Order
	if seed == 0 || n > 1<<31 {
		return i
	}
	step := seed%n + 1
	for gcd(step, n) != 1 {
		step++
	}
	return (i*(step%n) + seed/n) % n
}

func gcd(a, b uint64) uint64 {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}
