package main

import (
	"fmt"
	"math"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/assaynet/assay/hostgpu/cpudev"
	"github.com/assaynet/assay/hostgpu/device"
)

const defaultBurst = 25 * time.Millisecond

type config struct {
	peer   string
	rounds int
	burst  time.Duration
	only   []string
}

// shape of a product: a s8[M,K] times w s8[N,K] transposed.
type shape struct{ M, N, K int }

func (s shape) String() string { return fmt.Sprintf("%dx%dx%d", s.M, s.N, s.K) }
func (s shape) ops() float64   { return 2 * float64(s.M) * float64(s.N) * float64(s.K) }

// gemmShapes: the square one that libraries quote; then a proof of work of
// width 2048 for one unit of 16 tokens and for four.
var gemmShapes = []shape{{1024, 1024, 1024}, {64, 2048, 2048}, {16, 2048, 2048}, {16, 5504, 2048}, {16, 2048, 5504}, {128, 5504, 2048}}

// gemvShape is larger than any third-level cache of a small machine.
var gemvShape = shape{1, 32768, 4096}

type gemmResult struct {
	Shape   string     `json:"shape"`
	Path    cpudev.ISA `json:"path"`
	Threads int        `json:"threads"`
	GOPS    float64    `json:"gops"`
	Peak    float64    `json:"peak_gops,omitempty"` // of the instruction set's registers, all threads
	OfPeak  float64    `json:"of_peak,omitempty"`
	Peer    float64    `json:"onnxruntime_gops,omitempty"`
	PerPeer float64    `json:"per_onnxruntime,omitempty"`
	Scaling float64    `json:"per_one_thread,omitempty"`
}

type gemvResult struct {
	Shape    string     `json:"shape"`
	Path     cpudev.ISA `json:"path"`
	Threads  int        `json:"threads"`
	GBs      float64    `json:"gb_per_s"`
	Stream   float64    `json:"stream_gb_per_s"`
	OfStream float64    `json:"of_stream"`
}

type report struct {
	Processor   string       `json:"processor"`
	Processors  int          `json:"processors"`
	PeerVersion string       `json:"onnxruntime,omitempty"`
	Gemm        []gemmResult `json:"gemm"`
	Gemv        []gemvResult `json:"gemv"`
}

// burst is one thing measured; it does about the given time of work and
// returns its rate in units a nanosecond.
type burst func(time.Duration) (float64, error)

// alternate runs the bursts in turn, rounds times, after one to warm up. It
// returns the rates: [burst][round].
func alternate(cfg config, bursts []burst) ([][]float64, error) {
	rates := make([][]float64, len(bursts))
	for round := range cfg.rounds + 1 {
		for i, b := range bursts {
			if b == nil {
				continue
			}
			rate, err := b(cfg.burst)
			if err != nil {
				return nil, err
			}
			if round > 0 {
				rates[i] = append(rates[i], rate)
			}
		}
	}
	return rates, nil
}

func best(rates []float64) float64 {
	if len(rates) == 0 {
		return 0
	}
	return slices.Max(rates)
}

// ratio compares the best bursts: what else the machine does makes the others
// worse, by more than a processor's clock changes within a run.
func ratio(a, b []float64) float64 {
	if len(a) == 0 || len(b) == 0 {
		return 0
	}
	return best(a) / best(b)
}

// timed makes a burst of a function that runs calls times: it finds how many
// calls fill the time.
func timed(work float64, run func(calls int) (time.Duration, error)) burst {
	calls := 1
	return func(d time.Duration) (float64, error) {
		took, err := run(calls)
		if err != nil {
			return 0, err
		}
		took = max(took, 1)
		rate := work * float64(calls) / float64(took)
		calls = max(1, int(float64(calls)*float64(d)/float64(took)))
		return rate, nil
	}
}

// inParallel runs f on a number of threads at once.
func inParallel(threads int, f func(thread int)) {
	var wg sync.WaitGroup
	for i := range threads - 1 {
		wg.Go(func() { f(i + 1) })
	}
	f(0)
	wg.Wait()
}

func peakBurst(isa cpudev.ISA, threads int) burst {
	const rounds = 1 << 12
	ops := peak(isa, 1) * rounds * float64(threads)
	if ops == 0 {
		return nil
	}
	return timed(ops, func(calls int) (time.Duration, error) {
		begin := time.Now()
		inParallel(threads, func(int) {
			for range calls {
				peak(isa, rounds)
			}
		})
		return time.Since(begin), nil
	})
}

func streamBurst(p []byte, threads, ahead int) burst {
	part := len(p) / threads &^ 255
	return timed(float64(len(p)), func(calls int) (time.Duration, error) {
		begin := time.Now()
		for range calls {
			inParallel(threads, func(i int) { read(p[i*part:(i+1)*part], ahead) })
		}
		return time.Since(begin), nil
	})
}

// readPortable is read without assembly.
func readPortable(p []byte) {
	var sum byte
	for _, b := range p {
		sum ^= b
	}
	runtime.KeepAlive(sum)
}

// gemmBurst is cpudev's product, through the device interface.
func gemmBurst(s shape, isa cpudev.ISA, threads int, work float64) (burst, func() error, error) {
	dev, err := cpudev.New(cpudev.Config{ISA: isa, Threads: threads})
	if err != nil {
		return nil, nil, err
	}
	sp, err := dev.NewSpace(1 << 30)
	if err != nil {
		return nil, nil, err
	}
	call, err := product(sp, s)
	if err != nil {
		return nil, nil, err
	}
	return timed(work, func(calls int) (time.Duration, error) {
		begin := time.Now()
		for range calls {
			if err := sp.Run(call); err != nil {
				return 0, err
			}
		}
		err := sp.Sync()
		return time.Since(begin), err
	}), dev.Close, nil
}

// product allocates the operands of a shape and fills them.
func product(sp device.Space, s shape) (device.Call, error) {
	var failed error
	alloc := func(t device.DType, rows, cols int) device.Handle {
		h, err := sp.Alloc(t, device.Shape{Rows: rows, Cols: cols})
		if err != nil {
			failed = err
		}
		return h
	}
	seed := alloc(device.U8, 1, 32)
	dst, a, w := alloc(device.S32, s.M, s.N), alloc(device.S8, s.M, s.K), alloc(device.S8, s.N, s.K)
	for i, h := range []device.Handle{a, w} {
		if failed == nil {
			failed = sp.Run(device.Call{Op: device.OpExpand, Tensors: []device.Handle{h, seed}, Imms: []int64{int64(i)}})
		}
	}
	return device.Call{Op: device.OpGemm, Tensors: []device.Handle{dst, a, w}}, failed
}

func measureAll(cfg config) (report, error) {
	r := report{Processor: processor(), Processors: runtime.GOMAXPROCS(0)}
	var p *peer
	if cfg.peer != "" {
		var err error
		if p, err = startPeer(cfg.peer); err != nil {
			return r, err
		}
		defer p.close()
	}
	for _, s := range gemmShapes {
		if len(cfg.only) > 0 && !slices.Contains(cfg.only, s.String()) {
			continue
		}
		if err := r.gemm(cfg, p, s); err != nil {
			return r, fmt.Errorf("%s: %w", s, err)
		}
	}
	if len(cfg.only) == 0 || slices.Contains(cfg.only, gemvShape.String()) {
		if err := r.gemv(cfg, gemvShape); err != nil {
			return r, fmt.Errorf("%s: %w", gemvShape, err)
		}
	}
	if p != nil {
		r.PeerVersion = p.version
	}
	return r, nil
}

// threadCounts are one thread and, where there are processors for it, two.
func threadCounts() []int {
	if runtime.GOMAXPROCS(0) < 2 {
		return []int{1}
	}
	return []int{1, 2}
}

// gemm measures a shape on every path; the peer takes part in the best one.
func (r *report) gemm(cfg config, p *peer, s shape) error {
	for i, isa := range cpudev.Available() {
		if isa == cpudev.Portable && i > 0 {
			continue // seconds a call
		}
		var bursts []burst
		counts := threadCounts()
		for _, threads := range counts {
			ours, done, err := gemmBurst(s, isa, threads, s.ops())
			if err != nil {
				return err
			}
			defer done()
			var theirs burst
			if p != nil && i == 0 {
				session, err := p.load(s, threads)
				if err != nil {
					return err
				}
				theirs = timed(s.ops(), session)
			}
			bursts = append(bursts, ours, peakBurst(isa, threads), theirs)
		}
		rates, err := alternate(cfg, bursts)
		if err != nil {
			return err
		}
		for j, threads := range counts {
			ours, top, theirs := rates[3*j], rates[3*j+1], rates[3*j+2]
			g := gemmResult{Shape: s.String(), Path: isa, Threads: threads,
				GOPS: best(ours), Peak: best(top), OfPeak: ratio(ours, top), Peer: best(theirs), PerPeer: ratio(ours, theirs)}
			if j > 0 {
				g.Scaling = ratio(ours, rates[0])
			}
			r.Gemm = append(r.Gemm, g)
		}
	}
	return nil
}

// gemv measures a product of one row against reading as many bytes. Of the
// ways to read, the one with the best burst is what the others are held to.
func (r *report) gemv(cfg config, s shape) error {
	buffer, release, err := mapMemory(s.N * s.K)
	if err != nil {
		return err
	}
	defer release()
	for i := range buffer {
		buffer[i] = byte(i)
	}
	for i, isa := range cpudev.Available() {
		if isa == cpudev.Portable && i > 0 {
			continue
		}
		for _, threads := range threadCounts() {
			ours, done, err := gemmBurst(s, isa, threads, float64(s.N*s.K))
			if err != nil {
				return err
			}
			bursts := []burst{ours}
			for _, ahead := range aheads {
				bursts = append(bursts, streamBurst(buffer, threads, ahead))
			}
			rates, err := alternate(cfg, bursts)
			if err != nil {
				return err
			}
			stream := slices.MaxFunc(rates[1:], func(a, b []float64) int {
				return int(math.Copysign(1, best(a)-best(b)))
			})
			r.Gemv = append(r.Gemv, gemvResult{Shape: s.String(), Path: isa, Threads: threads,
				GBs: best(rates[0]), Stream: best(stream), OfStream: ratio(rates[0], stream)})
			if err := done(); err != nil {
				return err
			}
		}
	}
	return nil
}

// processor is the name that the system gives this processor.
func processor() string {
	info, err := os.ReadFile("/proc/cpuinfo")
	if err == nil {
		for line := range strings.Lines(string(info)) {
			if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
				return strings.TrimSpace(value)
			}
		}
	}
	return runtime.GOOS + "/" + runtime.GOARCH
}
