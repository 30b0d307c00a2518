package devicecmd

import (
	"fmt"
	"time"

	"github.com/assaynet/assay/hostgpu/device"
)

// Result is one measurement.
type Result struct {
	Case        string  `json:"case"`
	Calls       int     `json:"calls"`
	Nanoseconds int64   `json:"nanoseconds"` // for all calls
	GOPS        float64 `json:"gops,omitempty"`
	GBs         float64 `json:"gb_per_s,omitempty"`
}

// Each is the time of one call.
func (r Result) Each() time.Duration { return time.Duration(r.Nanoseconds / int64(max(r.Calls, 1))) }

// workload is one case of the benchmark: ops counts multiplications and
// additions of one call, bytes what it reads and writes.
type workload struct {
	name  string
	call  device.Call
	ops   float64
	bytes float64
}

// Measure runs every case for about the given time. Calls are queued; each
// measurement ends with a wait for all of them.
func Measure(dev device.Device, each time.Duration) ([]Result, error) {
	sp, err := dev.NewSpace(256 << 20)
	if err != nil {
		return nil, err
	}
	defer sp.Close()
	b := &builder{sp: sp}
	cases := b.workloads()
	if b.err != nil {
		return nil, b.err
	}
	var out []Result
	for _, c := range cases {
		r, err := measure(sp, c, each)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", c.name, err)
		}
		out = append(out, r)
	}
	return out, nil
}

func measure(sp device.Space, w workload, each time.Duration) (Result, error) {
	run := func(n int) (time.Duration, error) {
		begin := time.Now()
		for range n {
			if err := sp.Run(w.call); err != nil {
				return 0, err
			}
		}
		err := sp.Sync()
		return time.Since(begin), err
	}
	// Warm up, then find how many calls fill the time.
	n := 1
	took, err := run(n)
	for err == nil && took < each/10 && n < 1<<24 {
		n *= 4
		took, err = run(n)
	}
	if err == nil {
		n = int(max(1, int64(float64(n)*float64(each)/float64(max(took, 1)))))
		took, err = run(n)
	}
	if err != nil {
		return Result{}, err
	}
	r := Result{Case: w.name, Calls: n, Nanoseconds: took.Nanoseconds()}
	perNano := float64(n) / float64(max(took.Nanoseconds(), 1))
	r.GOPS, r.GBs = w.ops*perNano, w.bytes*perNano
	return r, nil
}

// builder makes operands and keeps the first error.
type builder struct {
	sp   device.Space
	err  error
	seed device.Handle
	next int64
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
	if b.seed == 0 {
		b.seed = b.alloc(device.U8, 1, 32)
	}
	h := b.alloc(device.S8, rows, cols)
	b.next++
	b.run(device.OpExpand, []device.Handle{h, b.seed}, b.next)
	return h
}

// quantized is an s8 tensor with one scale a row, as an op makes it.
func (b *builder) quantized(rows, cols int) (q, scale, src device.Handle) {
	one := b.s8(cols, 1)
	src = b.alloc(device.S32, rows, cols)
	b.run(device.OpGemm, []device.Handle{src, b.s8(rows, 1), one})
	q, scale = b.alloc(device.S8, rows, cols), b.alloc(device.ScaleT, rows, 1)
	b.run(device.OpQuant, []device.Handle{q, scale, src}, 16)
	return q, scale, src
}

func (b *builder) workloads() []workload {
	var out []workload
	add := func(name string, ops, bytes float64, op device.Op, tensors []device.Handle, imms ...int64) {
		out = append(out, workload{name, device.Call{Op: op, Tensors: tensors, Imms: imms}, ops, bytes})
	}
	for _, s := range [][3]int{{8, 64, 64}, {16, 2048, 2048}, {1024, 1024, 1024}} {
		m, n, k := s[0], s[1], s[2]
		add(fmt.Sprintf("gemm %d×%d×%d", m, n, k), 2*float64(m)*float64(n)*float64(k), 0, device.OpGemm,
			[]device.Handle{b.alloc(device.S32, m, n), b.s8(m, k), b.s8(n, k)})
	}
	const n, k = 8192, 4096 // more than a cache holds
	add(fmt.Sprintf("gemm 1×%d×%d", n, k), 2*n*k, n*k, device.OpGemm, []device.Handle{b.alloc(device.S32, 1, n), b.s8(1, k), b.s8(n, k)})

	const rows, width = 16, 2048
	q, qs, src := b.quantized(rows, width)
	w, ws, _ := b.quantized(width, width)
	res := b.alloc(device.S32, rows, width)
	add(fmt.Sprintf("linear %d×%d×%d", rows, width, width), 2*rows*width*width, 0, device.OpLinear,
		[]device.Handle{res, q, qs, w, ws, 0, 0}, 47)
	add(fmt.Sprintf("quant %d×%d", rows, width), 0, 5*rows*width, device.OpQuant,
		[]device.Handle{b.alloc(device.S8, rows, width), b.alloc(device.ScaleT, rows, 1), src}, 16)
	_, _, gain := b.quantized(1, width)
	add(fmt.Sprintf("norm_quant %d×%d", rows, width), 0, 5*rows*width, device.OpNormQuant,
		[]device.Handle{b.alloc(device.S8, rows, width), b.alloc(device.ScaleT, rows, 1), src, gain}, 1<<20)
	add(fmt.Sprintf("silu_mul %d×%d", rows, width), 0, 12*rows*width, device.OpSiluMul,
		[]device.Handle{b.alloc(device.S32, rows, width), src, src})

	const tokens, heads, head = 256, 4, 64
	// One scale a head: the scale tensor of [tokens·heads] rows seen as [tokens, heads].
	aq, aqs, _ := b.quantized(tokens*heads, head)
	if b.err == nil {
		var err error
		if aq, err = b.sp.View(aq, 0, device.Shape{Rows: tokens, Cols: heads * head}); err == nil {
			aqs, err = b.sp.View(aqs, 0, device.Shape{Rows: tokens, Cols: heads})
		}
		b.err = err
	}
	add(fmt.Sprintf("attention %d tokens, %d×%d", tokens, heads, head), 2*heads*head*tokens*(tokens+1), 0, device.OpAttention,
		[]device.Handle{b.alloc(device.S32, tokens, heads*head), aq, aqs, aq, aqs, aq, aqs}, tokens, 1549082005, 33, 47)

	const mib = 1 << 20
	add("expand 1 MiB", 0, mib, device.OpExpand, []device.Handle{b.alloc(device.S8, 1, mib), b.seed}, 1)
	add("digest 1 MiB", 0, mib, device.OpDigest, []device.Handle{b.alloc(device.U8, 1, 32), b.s8(1, mib), 0})
	return out
}
