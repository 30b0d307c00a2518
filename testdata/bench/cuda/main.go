// Command cuda measures a GPU: copies, matrix products against cuBLASLt,
// decoding of a language model against the bandwidth of its memory, the whole
// pass of the proof of work, digests, and how long the device takes to come
// back after it was killed. It ends with one table.
//
// It needs nothing but NVIDIA's driver; cuBLASLt is measured where it is
// installed. docs/bench/cuda.md explains the rows.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/assaynet/assay/hostgpu/cudadev"
	"github.com/assaynet/assay/hostgpu/cudadev/driver"
	"github.com/assaynet/assay/hostgpu/device"
)

type options struct {
	gpu    int
	each   time.Duration
	device string // assay-device, for what needs a process
	small  bool
}

func main() {
	var o options
	flag.IntVar(&o.gpu, "gpu", 0, "GPU to measure, as CUDA numbers them")
	flag.DurationVar(&o.each, "time", time.Second, "time of each measurement")
	flag.StringVar(&o.device, "device", "", "path of assay-device, for recovery times; none are taken without")
	flag.BoolVar(&o.small, "small", false, "small shapes, to try the command")
	flag.Parse()
	d, err := driver.Open()
	if err != nil {
		fmt.Println(err) // one line; a machine without a GPU is no failure
		return
	}
	if err := run(context.Background(), d, o, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "cuda:", err)
		os.Exit(1)
	}
}

// row is one line of the table.
type row struct{ what, value, of string }

type report struct {
	rows []row
	log  io.Writer
}

// add notes a row, and shows it at once.
func (r *report) add(what, value, of string) {
	r.rows = append(r.rows, row{what, value, of})
	fmt.Fprintf(r.log, "%-52s %-18s %s\n", what, value, of)
}

func (r *report) table(w io.Writer) {
	fmt.Fprintln(w, "\n| what | measured | against |\n| --- | --- | --- |")
	for _, x := range r.rows {
		fmt.Fprintf(w, "| %s | %s | %s |\n", x.what, x.value, x.of)
	}
}

func run(ctx context.Context, d driver.Driver, o options, w io.Writer) error {
	info, err := d.Info(o.gpu)
	if err != nil {
		return err
	}
	r := &report{log: w}
	fmt.Fprintf(w, "%s, compute capability %d.%d, %d multiprocessors, %.1f GiB, driver of CUDA %s, %s\n\n", info.Name, info.Major, info.Minor,
		info.SMs, float64(info.Memory)/(1<<30), driver.VersionString(d.Version()), time.Now().UTC().Format(time.DateOnly))
	bandwidth, err := copies(d, o, r)
	if err != nil {
		return fmt.Errorf("copies: %w", err)
	}
	dev, err := cudadev.New(cudadev.Config{Driver: d, GPU: o.gpu})
	if err != nil {
		return err
	}
	for _, part := range []struct {
		name string
		f    func() error
	}{
		{"products", func() error { return products(dev, o, r) }},
		{"decoding", func() error { return decoding(dev, o, bandwidth, r) }},
		{"pass", func() error { return pass(ctx, dev, o, r) }},
	} {
		if err := part.f(); err != nil {
			return fmt.Errorf("%s: %w", part.name, err)
		}
	}
	if err := dev.Close(); err != nil {
		return err
	}
	if o.device == "" {
		r.add("recovery after kill -9", "not measured", "needs -device")
	} else if err := recovery(ctx, o, r); err != nil {
		return fmt.Errorf("recovery: %w", err)
	}
	r.table(w)
	return nil
}

// repeat runs f until the time is filled, with one wait at the end, and returns
// the time of one run.
func repeat(each time.Duration, f, wait func() error) (time.Duration, error) {
	once := func(n int) (time.Duration, error) {
		begin := time.Now()
		for range n {
			if err := f(); err != nil {
				return 0, err
			}
		}
		err := wait()
		return time.Since(begin), err
	}
	n := 1
	took, err := once(n) // the first warms up
	for err == nil && took < each/8 && n < 1<<20 {
		n *= 4
		took, err = once(n)
	}
	if err != nil {
		return 0, err
	}
	n = max(1, int(float64(n)*float64(each)/float64(max(took, 1))))
	took, err = once(n)
	return took / time.Duration(n), err
}

// builder makes tensors and keeps the first error.
type builder struct {
	sp   device.Space
	err  error
	seed device.Handle
	next int64
}

func newBuilder(dev device.Device, limit int64) (*builder, error) {
	sp, err := dev.NewSpace(limit)
	if err != nil {
		return nil, err
	}
	b := &builder{sp: sp}
	b.seed = b.alloc(device.U8, 1, 32)
	return b, b.err
}

func (b *builder) alloc(dt device.DType, rows, cols int) device.Handle {
	if b.err != nil {
		return 0
	}
	h, err := b.sp.Alloc(dt, device.Shape{Rows: rows, Cols: cols})
	b.err = err
	return h
}

func (b *builder) run(op device.Op, tensors []device.Handle, imms ...int64) {
	if b.err == nil {
		b.err = b.sp.Run(device.Call{Op: op, Tensors: tensors, Imms: imms})
	}
}

// s8 is a tensor of dense pseudo-random values.
func (b *builder) s8(rows, cols int) device.Handle {
	h := b.alloc(device.S8, rows, cols)
	b.next++
	b.run(device.OpExpand, []device.Handle{h, b.seed}, b.next)
	return h
}

// scales are n row or channel scales as quant makes them.
func (b *builder) scales(n int) device.Handle {
	src := b.alloc(device.S32, n, 1)
	b.run(device.OpGemm, []device.Handle{src, b.s8(n, 32), b.s8(1, 32)})
	q, s := b.alloc(device.S8, n, 1), b.alloc(device.ScaleT, n, 1)
	b.run(device.OpQuant, []device.Handle{q, s, src}, 16)
	return s
}

// s32 is a tensor of numbers of some size.
func (b *builder) s32(rows, cols int) device.Handle {
	h := b.alloc(device.S32, rows, cols)
	b.run(device.OpGemm, []device.Handle{h, b.s8(rows, 32), b.s8(cols, 32)})
	return h
}

func (b *builder) sync() error {
	if b.err != nil {
		return b.err
	}
	return b.sp.Sync()
}

func percent(a, b float64) string {
	if b == 0 {
		return "-"
	}
	return fmt.Sprintf("%.0f %%", 100*a/b)
}
