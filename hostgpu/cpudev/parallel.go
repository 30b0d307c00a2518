package cpudev

import (
	"sync"
	"sync/atomic"
)

// defaultMemory is assumed where the machine does not tell its size.
const defaultMemory = 8 << 30

// minWork is the least work, in units of about a nanosecond, that is worth
// waking another goroutine for.
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
	var next atomic.Int64
	loop := func() {
		for {
			p := int(next.Add(1)) - 1
			if p >= pieces {
				return
			}
			f(p*grain, min(n, (p+1)*grain))
		}
	}
	var wg sync.WaitGroup
	for range workers - 1 {
		wg.Go(loop)
	}
	loop()
	wg.Wait()
}

// rows splits the rows of an element-wise op.
func (e *engine) rows(rows, workPerRow int, f func(lo, hi int)) {
	grain := max(1, rows/(4*e.threads))
	if workPerRow > 0 {
		grain = max(grain, minWork/2/workPerRow)
	}
	e.parallel(rows, grain, workPerRow, f)
}
