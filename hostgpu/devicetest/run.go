package devicetest

import (
	"testing"

	"github.com/assaynet/assay/hostgpu/device"
)

// Run is the conformance suite: dev must agree with the reference bit for bit
// on every case, however the operands lie in memory, and behave as
// device.Space says. It leaves dev open.
func Run(t *testing.T, dev device.Device) {
	RunPart(t, dev, func(Case) bool { return true })
}

// RunPart is Run with some of the cases, for a device that takes long.
func RunPart(t *testing.T, dev device.Device, keep func(Case) bool) {
	t.Run("ops", func(t *testing.T) { runCases(t, dev, keep) })
	t.Run("fused", func(t *testing.T) { runFused(t, dev) })
	t.Run("batch", func(t *testing.T) { runBatch(t, dev) })
	t.Run("memory", func(t *testing.T) { runMemory(t, dev) })
	t.Run("views", func(t *testing.T) { runViews(t, dev) })
	t.Run("share", func(t *testing.T) { runShare(t, dev) })
	t.Run("errors", func(t *testing.T) { runErrors(t, dev) })
	t.Run("concurrent", func(t *testing.T) { runConcurrent(t, dev) })
}

// runCases compares every case to keep three times: plain, through views, in
// place.
func runCases(t *testing.T, dev device.Device, keep func(Case) bool) {
	all, err := expected()
	if err != nil {
		t.Fatalf("reference: %v", err)
	}
	x := newEnv(t, dev, spaceBytes)
	failed := 0
	for c := range Cases() {
		if !keep(c) {
			continue
		}
		for _, m := range []mode{plain, views, inPlace} {
			if m == inPlace && !c.canReplace() {
				continue
			}
			got, err := executeIn(x.sp, c, m)
			if err != nil {
				t.Fatalf("%s (mode %d): %v", c.Name, m, err)
			}
			if msg := compare(c, got, all[c.Name]); msg != "" {
				t.Errorf("mode %d: %s", m, msg)
				if failed++; failed >= maxMismatches {
					t.Fatal("too many mismatches")
				}
			}
		}
	}
}

// canReplace says whether an output of the op may be one of its inputs.
func (c Case) canReplace() bool {
	for _, o := range c.Op.Spec().Tensors() {
		if o.InPlace != "" {
			return true
		}
	}
	return false
}

// env is a space under test.
type env struct {
	t  *testing.T
	sp device.Space
	g  *gen
}

func newEnv(t *testing.T, dev device.Device, limit int64) *env {
	t.Helper()
	sp, err := dev.NewSpace(limit)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := sp.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return &env{t, sp, newGen(t.Name())}
}

func (x *env) must(err error) {
	x.t.Helper()
	if err != nil {
		x.t.Fatal(err)
	}
}

func (x *env) alloc(dt device.DType, rows, cols int) device.Handle {
	x.t.Helper()
	h, err := x.sp.Alloc(dt, device.Shape{Rows: rows, Cols: cols})
	x.must(err)
	return h
}

// put allocates a tensor and writes generated data to it.
func (x *env) put(dt device.DType, rows, cols int, f fill) device.Handle {
	x.t.Helper()
	return x.place(x.g.data(dt, rows, cols, f))
}

func (x *env) place(d Data) device.Handle {
	x.t.Helper()
	h, _, err := place(x.sp, d, plain)
	x.must(err)
	return h
}

func (x *env) view(h device.Handle, row0, rows, cols int) device.Handle {
	x.t.Helper()
	v, err := x.sp.View(h, row0, device.Shape{Rows: rows, Cols: cols})
	x.must(err)
	return v
}

func (x *env) run(op device.Op, tensors []device.Handle, imms ...int64) {
	x.t.Helper()
	x.must(x.sp.Run(device.Call{Op: op, Tensors: tensors, Imms: imms}))
}

func (x *env) bytes(h device.Handle) []byte {
	x.t.Helper()
	dt, s, err := x.sp.Stat(h)
	x.must(err)
	p := make([]byte, s.Elems()*int64(dt.Size()))
	x.must(x.sp.Read(h, 0, p))
	return p
}
