package cpudev

import (
	"runtime"
	"sync"
	"sync/atomic"
)

// defaultMemory is assumed where the machine does not tell its size.
const defaultMemory = 8 << 30

// minWork is the least work, in units of about a nanosecond, that is worth
// sharing with another goroutine.
const minWork = 20000

// parallel splits [0, n) into pieces of at most grain and runs f on them, on
// as many goroutines as the work (units of about 1 ns for each index) is worth.
// f must write only what its range owns.
func (e *engine) parallel(n, grain, work int, f func(lo, hi int)) {
	if n <= 0 {
		return
	}
	grain = max(1, grain)
	pieces := (n + grain - 1) / grain
	workers := min(e.threads, pieces, 1+int(int64(n)*int64(work)/minWork))
	if workers <= 1 {
		f(0, n)
		return
	}
	e.team.run(workers, pieces, func(p int) { f(p*grain, min(n, (p+1)*grain)) })
}

// rows splits the rows of an element-wise op.
func (e *engine) rows(rows, workPerRow int, f func(lo, hi int)) {
	grain := max(1, rows/(4*e.threads))
	if workPerRow > 0 {
		grain = max(grain, minWork/2/workPerRow)
	}
	e.parallel(rows, grain, workPerRow, f)
}

// job is one op's pieces while several goroutines take them. Each worker has a
// run of neighbouring pieces, so that what it fetches ahead is its own; when
// its run is empty it takes from the others'.
type job struct {
	f       func(piece int)
	runs    []run
	joined  atomic.Int32 // helpers that took part; each has a run
	left    atomic.Int64 // pieces not done
	waiting atomic.Bool  // the caller sleeps on done
	done    chan struct{}
}

// run is the pieces [next, end).
type run struct {
	next atomic.Int64
	end  int64
	_    [48]byte // a cache line of its own
}

func newJob(workers, pieces int, f func(piece int)) *job {
	j := &job{f: f, runs: make([]run, workers), done: make(chan struct{}, 1)}
	j.left.Store(int64(pieces))
	for w := range workers {
		j.runs[w].next.Store(int64(w * pieces / workers))
		j.runs[w].end = int64((w + 1) * pieces / workers)
	}
	return j
}

// work takes pieces, those of worker w first, until none is left to take.
func (j *job) work(w int) {
	for i := range j.runs {
		r := &j.runs[(w+i)%len(j.runs)]
		for {
			p := r.next.Add(1) - 1
			if p >= r.end {
				break
			}
			j.f(int(p))
			if j.left.Add(-1) == 0 && j.waiting.Load() {
				j.done <- struct{}{}
			}
		}
	}
}

// spins is how often a helper without work, or a caller whose helpers still
// work, looks again before it sleeps: about 50 µs. Waking a thread takes that
// long, and the next op of a pass comes sooner.
const spins = 400

// team is the helpers of a device. They start with the first op that is worth
// sharing and end when the device is closed.
type team struct {
	jobs    chan *job
	helpers int
	started atomic.Bool
	closed  chan struct{}
	once    sync.Once
}

func newTeam(threads int) *team {
	n := max(0, threads-1)
	return &team{jobs: make(chan *job, n), helpers: n, closed: make(chan struct{})}
}

func (t *team) close() { t.once.Do(func() { close(t.closed) }) }

// run does the pieces on the caller and at most workers-1 helpers. Helpers that
// are busy with another op leave their share to the others.
func (t *team) run(workers, pieces int, f func(piece int)) {
	if !t.started.Swap(true) {
		for range t.helpers {
			go t.help()
		}
	}
	j := newJob(workers, pieces, f)
offer:
	for range min(workers-1, t.helpers) {
		select {
		case t.jobs <- j:
		default: // as many jobs wait as there are helpers
			break offer
		}
	}
	j.work(0)
	for range spins {
		if j.left.Load() == 0 {
			return
		}
		runtime.Gosched()
	}
	// Whoever brings left to 0 after this sees waiting; before, this sees 0.
	j.waiting.Store(true)
	if j.left.Load() != 0 {
		<-j.done
	}
}

func (t *team) help() {
	for {
		j := t.next()
		if j == nil {
			return
		}
		j.work(int(j.joined.Add(1)) % len(j.runs))
	}
}

// next is the next job, nil when the device is closed.
func (t *team) next() *job {
	for range spins {
		select {
		case j := <-t.jobs:
			return j
		case <-t.closed:
			return nil
		default:
			runtime.Gosched()
		}
	}
	select {
	case j := <-t.jobs:
		return j
	case <-t.closed:
		return nil
	}
}
