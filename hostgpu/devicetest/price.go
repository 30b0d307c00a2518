package devicetest

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/assaynet/assay/hostgpu/device"
)

// Priced is one workload's price beside its time.
type Priced struct {
	Op     string  `json:"op"`
	Shape  string  `json:"shape"`
	Values string  `json:"values"` // what the operands hold
	Gas    int64   `json:"gas"`
	Nanos  float64 `json:"ns"` // of one call; the fastest of a few runs
}

// Ratio is nanoseconds for a unit of gas.
func (p Priced) Ratio() float64 { return p.Nanos / float64(p.Gas) }

// workload is a call to price: sizes of the op's symbols, immediates, and what
// the operands hold.
type workload struct {
	op   device.Op
	dims string // "M=16 K=2048"
	imms []int64
	opt  bool // with the optional operands
	fill fill
}

// prices are workloads of every op: small, wide, tall and large; values as a
// model has them, and values that take an op's slowest path.
func prices() []workload {
	var w []workload
	add := func(op device.Op, imms []int64, opt bool, fills []fill, dims ...string) {
		for _, d := range dims {
			for _, f := range fills {
				w = append(w, workload{op, d, imms, opt, f})
			}
		}
	}
	plainFill, both := []fill{typical}, []fill{typical, extreme}
	add(device.OpExpand, []int64{1}, false, plainFill, "M=1 K=64", "M=16 K=2048", "M=2048 K=2048")
	gemm := []string{"M=1 N=64 K=64", "M=8 N=64 K=64", "M=1 N=2048 K=2048", "M=2 N=2048 K=2048", "M=4 N=2048 K=2048", "M=16 N=2048 K=2048", "M=17 N=2048 K=2048",
		"M=256 N=512 K=512", "M=512 N=1024 K=1024", "M=256 N=32 K=4096", "M=2000 N=3 K=500", "M=300 N=1000 K=9", "M=500 N=500 K=1"}
	add(device.OpGemm, nil, false, plainFill, gemm...)
	add(device.OpLinear, []int64{47}, false, both, gemm...)
	add(device.OpLinear, []int64{47}, true, plainFill, "M=16 N=2048 K=2048", "M=500 N=500 K=1")
	add(device.OpRescale, []int64{47}, false, both, "M=1 N=64", "M=16 N=2048", "M=512 N=1024", "M=2048 N=7")
	rows := []string{"M=1 K=64", "M=256 K=64", "M=16 K=2048", "M=512 K=2048", "M=1 K=131072", "M=2048 K=3"}
	for _, op := range []device.Op{device.OpQuant, device.OpNorm, device.OpNormQuant} {
		imms := []int64{16}
		if op != device.OpQuant {
			imms = []int64{42950 * 64}
		}
		add(op, imms, false, both, rows...)
	}
	add(device.OpRope, nil, false, both, "M=1 C=64 P=64 D=64", "M=16 C=2048 P=4096 D=128", "M=512 C=2048 P=4096 D=64", "M=256 C=512 P=16 D=2", "M=256 C=510 P=16 D=30")
	add(device.OpSiluMul, nil, false, both, rows...)
	add(device.OpAdd, nil, false, both, rows...)
	add(device.OpAddRow, nil, false, both, rows...)
	add(device.OpEmbed, []int64{16}, false, both, "M=1 K=64 V=100", "M=16 K=2048 V=1000", "M=512 K=2048 V=1000", "M=2048 K=3 V=1000")
	add(device.OpCopy, nil, false, plainFill, rows...)
	add(device.OpSlice, []int64{1}, false, plainFill, "M=1 K=65 N=64", "M=512 K=2049 N=2048", "M=2048 K=4 N=3", "M=512 K=2049 N=150")
	add(device.OpGather, nil, false, plainFill, "M=1 K=64 S=64", "M=512 K=2048 S=512", "M=2048 K=3 S=2048", "M=512 K=150 S=2048")
	for _, t := range []int64{0, 52429} {
		for _, p := range [][2]int64{{0, 65536}, {40, 62259}} {
			imms := []int64{7, t, p[0], p[1], 72090}
			add(device.OpSample, imms, false, []fill{typical, zeros}, "V=64", "V=1000", "V=32000", "V=151936")
			add(device.OpSample, imms, true, plainFill, "V=1000 L=2000", "V=151936 L=4096")
		}
	}
	add(device.OpDigest, nil, false, plainFill, "M=1 K=16", "M=1 K=64", "M=16 K=64", "M=16 K=2048", "M=512 K=2048")
	att := func(m, t, heads, kv, d, n int) string {
		return fmt.Sprintf("M=%d C=%d H=%d S=%d E=%d G=%d T=%d", m*n, heads*d, heads, t*n, kv*d, kv, t)
	}
	for _, a := range []struct {
		seg  int64
		dims string
	}{
		{1, att(1, 1, 1, 1, 64, 1)}, {16, att(16, 16, 16, 16, 128, 8)}, {8, att(8, 8, 4, 4, 16, 64)}, {1, att(1, 1000, 32, 8, 64, 1)},
		{1, att(1, 8192, 8, 8, 128, 1)}, {256, att(256, 256, 4, 4, 64, 1)}, {4, att(4, 4, 2, 2, 30, 100)}, {64, att(64, 64, 16, 16, 8, 1)}, {1, att(1, 1, 16, 16, 64, 64)},
	} {
		add(device.OpAttention, []int64{a.seg, 1549082005, 37, 47}, false, both, a.dims)
	}
	return w
}

// build makes the case of a workload.
func (w workload) build(g *gen) Case {
	dims := map[string]int{"1": 1, "32": 32}
	for _, f := range strings.Fields(w.dims) {
		var n int
		name, value, _ := strings.Cut(f, "=")
		fmt.Sscan(value, &n)
		dims[name] = n
	}
	c := Case{Name: w.op.String(), Op: w.op, Imms: w.imms}
	for _, o := range w.op.Spec().Tensors() {
		rows, cols := dims[o.Rows], dims[o.Cols]
		dt := o.Type
		if dt == device.TypeAny {
			dt = s32
		}
		switch {
		case o.Kind == device.Opt && !w.opt:
			c.Tensors = append(c.Tensors, absent)
		case o.Kind == device.Out:
			c.Tensors = append(c.Tensors, out(dt, rows, cols))
		case o.Name == "ids" || o.Name == "pos" || o.Name == "history":
			c.Tensors = append(c.Tensors, g.indexes(rows, max(dims["S"], dims["V"], dims["P"])))
		case dt == s8:
			c.Tensors = append(c.Tensors, g.data(dt, rows, cols, uniform))
		default:
			c.Tensors = append(c.Tensors, g.data(dt, rows, cols, w.fill))
		}
	}
	return c
}

// Prices measures every workload of the named ops, of all if there are none.
// It goes through them several times, spending about the given time on each
// every time, and keeps the fastest: a machine that is slow for a while then
// spoils no op.
func Prices(dev device.Device, each time.Duration, rounds int, ops ...string) ([]Priced, error) {
	var all []*measured
	defer func() {
		for _, m := range all {
			m.sp.Close()
		}
	}()
	for _, w := range prices() {
		if len(ops) > 0 && !slices.Contains(ops, w.op.String()) {
			continue
		}
		m, err := w.prepare(dev)
		if err != nil {
			return nil, fmt.Errorf("%v %s: %w", w.op, w.dims, err)
		}
		all = append(all, m)
	}
	for range max(rounds, 1) {
		for _, m := range all {
			if err := m.time(each); err != nil {
				return nil, fmt.Errorf("%s %s: %w", m.Op, m.Shape, err)
			}
		}
	}
	out := make([]Priced, len(all))
	for i, m := range all {
		out[i] = m.Priced
	}
	return out, nil
}

// measured is a workload with its operands on the device.
type measured struct {
	Priced
	sp    device.Space
	call  device.Call
	calls int // of one timing
}

func (w workload) prepare(dev device.Device) (*measured, error) {
	c := w.build(newGen("prices"))
	var limit int64
	for _, t := range c.Tensors {
		limit += device.Bytes(t.Type, t.Shape)
	}
	sp, err := dev.NewSpace(limit)
	if err != nil {
		return nil, err
	}
	m := &measured{sp: sp, call: device.Call{Op: w.op, Imms: w.imms}, calls: 1}
	m.Op, m.Shape, m.Values = w.op.String(), w.dims, w.fill.String()
	if w.op == device.OpSample {
		m.Shape += fmt.Sprintf(" temperature=%d topk=%d", w.imms[1], w.imms[2])
	}
	if w.opt {
		m.Shape += " with all operands"
	}
	for _, t := range c.Tensors {
		var h device.Handle
		if t.Type != device.DTypeInvalid && err == nil {
			h, _, err = place(sp, t, plain)
		}
		m.call.Tensors = append(m.call.Tensors, h)
	}
	if err == nil {
		m.Gas, err = device.Gas(sp, m.call)
	}
	if err != nil {
		sp.Close()
		return nil, err
	}
	return m, nil
}

// time spends about the given time on calls and keeps the fastest run.
func (m *measured) time(each time.Duration) error {
	run := func() (time.Duration, error) {
		begin := time.Now()
		for range m.calls {
			if err := m.sp.Run(m.call); err != nil {
				return 0, err
			}
		}
		err := m.sp.Sync()
		return time.Since(begin), err
	}
	took, err := run()
	for err == nil && took < each/8 && m.calls < 1<<24 {
		m.calls *= 2
		took, err = run()
	}
	for spent := time.Duration(0); err == nil && spent < each; spent += took {
		if ns := float64(took) / float64(m.calls); m.Nanos == 0 || ns < m.Nanos {
			m.Nanos = ns
		}
		took, err = run()
	}
	return err
}
