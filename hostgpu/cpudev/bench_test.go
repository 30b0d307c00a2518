//go:build linux

package cpudev_test

import (
	"fmt"
	"syscall"
	"testing"
	"time"

	"github.com/assaynet/assay/hostgpu/cpudev"
	"github.com/assaynet/assay/hostgpu/device"
)

// bench is a device with operands, for one benchmark.
type bench struct {
	tb  testing.TB
	dev device.Device
	sp  device.Space
}

func newBench(tb testing.TB, cfg cpudev.Config) *bench {
	dev, err := cpudev.New(cfg)
	if err != nil {
		tb.Skip(err)
	}
	sp, err := dev.NewSpace(4 << 30)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { dev.Close() })
	return &bench{tb, dev, sp}
}

func (b *bench) must(err error) {
	if err != nil {
		b.tb.Helper()
		b.tb.Fatal(err)
	}
}

func (b *bench) alloc(dt device.DType, rows, cols int) device.Handle {
	h, err := b.sp.Alloc(dt, device.Shape{Rows: rows, Cols: cols})
	b.must(err)
	return h
}

// random is an s8 tensor from the keystream.
func (b *bench) random(rows, cols int, stream int64) device.Handle {
	h, seed := b.alloc(device.S8, rows, cols), b.alloc(device.U8, 1, 32)
	b.run(device.OpExpand, []device.Handle{h, seed}, stream)
	return h
}

// activations is an s32 tensor of a model's size: a product of random numbers.
func (b *bench) activations(rows, cols int) device.Handle {
	h := b.alloc(device.S32, rows, cols)
	b.run(device.OpGemm, []device.Handle{h, b.random(rows, 64, 1), b.random(cols, 64, 2)})
	return h
}

// quantized is an s8 tensor with its row scales.
func (b *bench) quantized(rows, cols int) (q, scale device.Handle) {
	q, scale = b.alloc(device.S8, rows, cols), b.alloc(device.ScaleT, rows, 1)
	b.run(device.OpQuant, []device.Handle{q, scale, b.activations(rows, cols)}, 16)
	return q, scale
}

func (b *bench) view(h device.Handle, rows, cols int) device.Handle {
	v, err := b.sp.View(h, 0, device.Shape{Rows: rows, Cols: cols})
	b.must(err)
	return v
}

func (b *bench) run(op device.Op, tensors []device.Handle, imms ...int64) {
	b.must(b.sp.Run(device.Call{Op: op, Tensors: tensors, Imms: imms}))
}

// cpuTime is the processor time that this process has used: on a machine that
// others share, rates by it mean more than rates by the clock.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// measure runs f as a benchmark and reports work units (of 10^9 a second) by
// processor time, under the given name.
func measure(b *testing.B, work float64, unit string, f func()) {
	b.ResetTimer()
	start := cpuTime()
	for b.Loop() {
		f()
	}
	b.ReportMetric(work*float64(b.N)/float64(cpuTime()-start), unit+"/cpu")
}

func eachISA(b *testing.B, f func(b *testing.B, cfg cpudev.Config)) {
	for _, isa := range cpudev.Available() {
		b.Run(string(isa), func(b *testing.B) { f(b, cpudev.Config{ISA: isa, Threads: 1}) })
	}
}

// BenchmarkGemm reports 2·MAC/s of one thread, in billions.
func BenchmarkGemm(b *testing.B) {
	for _, s := range [][3]int{{1024, 1024, 1024}, {16, 2048, 2048}, {64, 2048, 2048}, {16, 5504, 2048}, {16, 2048, 5504}, {1, 4096, 4096}} {
		b.Run(fmt.Sprintf("%dx%dx%d", s[0], s[1], s[2]), func(b *testing.B) {
			eachISA(b, func(b *testing.B, cfg cpudev.Config) {
				x := newBench(b, cfg)
				dst, l, r := x.alloc(device.S32, s[0], s[1]), x.random(s[0], s[2], 1), x.random(s[1], s[2], 2)
				work := 2 * float64(s[0]) * float64(s[1]) * float64(s[2])
				measure(b, work, "GOPS", func() { x.run(device.OpGemm, []device.Handle{dst, l, r}) })
			})
		})
	}
}
