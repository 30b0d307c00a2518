package main_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/assaynet/assay/hostgpu/device"
	"github.com/assaynet/assay/modules/catalog"
	"github.com/assaynet/assay/modules/internal/guesttest"
	"github.com/assaynet/assay/modules/transformerpow/shape"
	"github.com/assaynet/assay/runtime/abi"
	"github.com/assaynet/assay/runtime/sandbox"
)

// shapes that the tests run: the test network's; grouped queries with a
// feed-forward width that is no multiple of the width; odd numbers everywhere.
var shapes = []shape.Shape{
	shape.Test,
	{Layers: 2, Width: 64, Heads: 4, KVHeads: 2, FFN: 176, Tokens: 8},
	{Layers: 1, Width: 30, Heads: 5, KVHeads: 1, FFN: 31, Tokens: 3},
}

func job(dev device.Device, s shape.Shape) sandbox.Job {
	return sandbox.Job{
		Device: dev, TensorBytes: s.TensorBytes(s.Pass()), Seed: [32]byte{1, 2, 3}, Identity: []byte("claimant-one-address"),
		Params: s.Encode(), Gas: guesttest.Gas,
	}
}

// setUp starts an instance and runs pow_setup, which must succeed.
func setUp(t testing.TB, m *sandbox.Module, j sandbox.Job) (*sandbox.Instance, sandbox.Outcome) {
	t.Helper()
	in := guesttest.Start(t, m, j)
	out, err := in.PowSetup(context.Background())
	if err != nil || !out.Trap.OK() {
		t.Fatalf("setup: %v, %v, code %d, log %q", err, out.Trap, out.Code, out.Log)
	}
	return in, out
}

func units(t testing.TB, in *sandbox.Instance, indexes ...uint64) ([]sandbox.Unit, sandbox.Outcome) {
	t.Helper()
	u, out, err := in.PowUnits(context.Background(), indexes, nil)
	if err != nil || !out.Trap.OK() || len(u) != len(indexes) {
		t.Fatalf("units: %v, %v, %d of %d, log %q", err, out.Trap, len(u), len(indexes), out.Log)
	}
	return u, out
}

// One digest for a unit: on both engines and both devices, in any batch.
func TestDigestsAgreeEverywhere(t *testing.T) {
	indexes := []uint64{0, 1, 2, 77, 1 << 40, 1<<63 + 5, 3}
	want := map[string][32]byte{}
	for _, interpreter := range []bool{false, true} {
		rt, m := guesttest.Admit(t, catalog.TransformerPow, interpreter)
		for _, dev := range []device.Device{guesttest.CPU(t), guesttest.Reference(t, rt)} {
			for si, s := range shapes {
				in, _ := setUp(t, m, job(dev, s))
				for _, batch := range []int{1, 3, 7} {
					for lo := 0; lo < len(indexes); lo += batch {
						part := indexes[lo:min(lo+batch, len(indexes))]
						got, _ := units(t, in, part...)
						for _, u := range got {
							key := fmt.Sprint(si, u.Index)
							if w, ok := want[key]; !ok {
								want[key] = u.Digest
							} else if w != u.Digest {
								t.Fatalf("shape %d, unit %d: digest differs on %s, interpreter %v, batch %d", si, u.Index, dev.Name(), interpreter, batch)
							}
						}
					}
				}
			}
		}
	}
	seen := map[[32]byte]string{}
	for k, d := range want {
		if other, dup := seen[d]; dup {
			t.Errorf("units %s and %s have one digest", k, other)
		}
		seen[d] = k
	}
}

// A call of more units than one pass computes each as any other batch does.
func TestLargeCallRunsInPasses(t *testing.T) {
	s := shape.Shape{Layers: 1, Width: 16, Heads: 2, KVHeads: 2, FFN: 16, Tokens: 1024}
	_, m := guesttest.Admit(t, catalog.TransformerPow, false)
	in, _ := setUp(t, m, job(guesttest.CPU(t), s))
	if s.Pass() != 4 {
		t.Fatalf("pass of %d units", s.Pass())
	}
	all, _ := units(t, in, 9, 8, 7, 6, 5, 4)
	for _, u := range all {
		one, _ := units(t, in, u.Index)
		if one[0].Digest != u.Digest {
			t.Errorf("unit %d differs", u.Index)
		}
	}
}

func TestInputsDifferByMinerSeedAndParams(t *testing.T) {
	_, m := guesttest.Admit(t, catalog.TransformerPow, false)
	dev := guesttest.CPU(t)
	seen := map[[32]byte]string{}
	for name, edit := range map[string]func(*sandbox.Job){
		"base":          func(*sandbox.Job) {},
		"identity":      func(j *sandbox.Job) { j.Identity = []byte("claimant-two-address") },
		"long identity": func(j *sandbox.Job) { j.Identity = make([]byte, 32) },
		"no identity":   func(j *sandbox.Job) { j.Identity = nil },
		"seed":          func(j *sandbox.Job) { j.Seed[31] ^= 1 },
		"heads": func(j *sandbox.Job) {
			s := shape.Test
			s.KVHeads = 2
			j.Params = s.Encode()
		},
	} {
		j := job(dev, shape.Test)
		edit(&j)
		in, _ := setUp(t, m, j)
		u, _ := units(t, in, 5)
		if other, dup := seen[u[0].Digest]; dup {
			t.Errorf("%s and %s give one digest", name, other)
		}
		seen[u[0].Digest] = name
	}
}

// Gas of a unit must depend on neither its input nor what ran before, and stay
// within what the manifest declares.
func TestGasIsTheSameForEveryUnit(t *testing.T) {
	e, err := catalog.Get(catalog.TransformerPow)
	if err != nil {
		t.Fatal(err)
	}
	var first [3]int64 // setup, unit, and the same unit in a batch of 16
	for _, interpreter := range []bool{false, true} {
		_, m := guesttest.Admit(t, catalog.TransformerPow, interpreter)
		for who := byte(0); who < 3; who++ {
			j := job(guesttest.CPU(t), shape.Test)
			j.Params, j.TensorBytes = e.Manifest.Params, e.Manifest.TensorBytes
			j.Gas, j.GasUnit = e.Manifest.GasSetup, e.Manifest.GasUnit
			j.Seed[0], j.Identity = who, []byte{who}
			in, setup := setUp(t, m, j)
			// The garbage collector would show as a call that costs more.
			for i := uint64(0); i < 200; i++ {
				_, out := units(t, in, i*i*i*0x9E3779B97F4A7C15)
				got := [3]int64{setup.GasUsed, out.GasUsed}
				if i == 0 {
					var batch [16]uint64
					for k := range batch {
						batch[k] = uint64(k)
					}
					units(t, in, batch[:]...) // allocates
					_, out = units(t, in, batch[:]...)
					got[2] = out.GasUsed / 16
					units(t, in, 1)
				} else {
					got[2] = first[2]
				}
				if first == [3]int64{} {
					first = got
				}
				if got != first {
					t.Fatalf("seed %d, unit %d, interpreter %v: gas %v, was %v", who, i, interpreter, got, first)
				}
			}
		}
	}
	t.Logf("gas: setup %d, unit %d, unit in a batch of 16 %d; %d MACs a unit", first[0], first[1], first[2], shape.Test.MACs())
	if first[1] > e.Manifest.GasUnit || e.Manifest.GasUnit > 5*first[1] || first[0] > e.Manifest.GasSetup || e.Manifest.GasSetup > 2*first[0] {
		t.Errorf("declared setup %d and unit %d must be within twice and five times the measured", e.Manifest.GasSetup, e.Manifest.GasUnit)
	}
}

func TestRefusesBadParameters(t *testing.T) {
	_, m := guesttest.Admit(t, catalog.TransformerPow, false)
	dev := guesttest.CPU(t)
	odd := shape.Test
	odd.Heads = 3
	for name, params := range map[string][]byte{
		"none": nil, "short": shape.Test.Encode()[:20], "long": append(shape.Test.Encode(), 0), "heads": odd.Encode(),
	} {
		j := job(dev, shape.Test)
		j.Params = params
		in := guesttest.Start(t, m, j)
		out, err := in.PowSetup(context.Background())
		if err != nil || out.Trap != abi.TrapAbort || out.Code != 1 || len(out.Log) == 0 {
			t.Errorf("%s: %v, %v, code %d, log %q", name, err, out.Trap, out.Code, out.Log)
		}
	}
	in := guesttest.Start(t, m, job(dev, shape.Test))
	_, out, err := in.PowUnits(context.Background(), []uint64{1}, nil)
	if err != nil || out.Trap != abi.TrapAbort || out.Code != 2 {
		t.Errorf("units before setup: %v, %v, code %d", err, out.Trap, out.Code)
	}
	small := job(dev, shape.Test)
	small.TensorBytes = 1000
	in = guesttest.Start(t, m, small)
	if out, err := in.PowSetup(context.Background()); err != nil || out.Trap != abi.TrapTensorMemory {
		t.Errorf("too little memory: %v, %v", err, out.Trap)
	}
}

// The declared memory is enough for a full pass and not far off.
func TestDeclaredMemory(t *testing.T) {
	_, m := guesttest.Admit(t, catalog.TransformerPow, false)
	dev := guesttest.CPU(t)
	for _, s := range shapes {
		for _, batch := range []int{1, 16, s.Pass()} {
			indexes := make([]uint64, batch)
			j := job(dev, s)
			j.TensorBytes = s.TensorBytes(batch)
			in, _ := setUp(t, m, j)
			units(t, in, indexes...)
			if j.TensorBytes < 64<<10 {
				continue // mostly alignment
			}
			j.TensorBytes = j.TensorBytes * 9 / 10
			in = guesttest.Start(t, m, j)
			out, err := in.PowSetup(context.Background())
			if err == nil && out.Trap.OK() {
				_, out, err = in.PowUnits(context.Background(), indexes, nil)
			}
			if err != nil || out.Trap != abi.TrapTensorMemory {
				t.Errorf("%+v, batch %d: nine tenths of the declared memory gave %v, %v", s, batch, err, out.Trap)
			}
		}
	}
}

func BenchmarkUnits(b *testing.B) {
	rt, m := guesttest.Admit(b, catalog.TransformerPow, false)
	large := shape.Shape{Layers: 2, Width: 512, Heads: 8, KVHeads: 8, FFN: 1408, Tokens: 16}
	for _, dev := range []device.Device{guesttest.CPU(b), guesttest.Reference(b, rt)} {
		for name, s := range map[string]shape.Shape{"test": shape.Test, "w512": large} {
			for _, batch := range []int{1, 16, 64} {
				b.Run(fmt.Sprintf("%s/%s/%d", dev.Name(), name, batch), func(b *testing.B) {
					in, _ := setUp(b, m, job(dev, s))
					indexes := make([]uint64, batch)
					start := time.Now()
					n := 0
					for b.Loop() {
						units(b, in, indexes...)
						n += batch
					}
					rate := float64(n) / time.Since(start).Seconds()
					b.ReportMetric(rate, "units/s")
					b.ReportMetric(rate*float64(s.MACs())*2e-9, "GOPS")
				})
			}
		}
	}
}

// Batches of any size after one another stay within the unit's gas.
func TestChangingBatchesStayWithinTheGas(t *testing.T) {
	e, err := catalog.Get(catalog.TransformerPow)
	if err != nil {
		t.Fatal(err)
	}
	_, m := guesttest.Admit(t, catalog.TransformerPow, false)
	j := job(guesttest.CPU(t), shape.Test)
	j.Gas, j.GasUnit = e.Manifest.GasSetup, e.Manifest.GasUnit
	in, _ := setUp(t, m, j)
	for _, n := range []int{1, 2, 3, 2, 300, 1, 299, 301, 1, 512, 1, 600, 1} {
		indexes := make([]uint64, n)
		_, out := units(t, in, indexes...)
		t.Logf("batch of %d: %d gas a unit", n, out.GasUsed/int64(n))
		if out.GasUsed > int64(n)*e.Manifest.GasUnit*9/10 {
			t.Errorf("batch of %d: %d gas, more than nine tenths of %d", n, out.GasUsed, int64(n)*e.Manifest.GasUnit)
		}
	}
}
