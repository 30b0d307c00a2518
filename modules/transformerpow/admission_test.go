package main_test

import (
	"slices"
	"testing"

	"github.com/assaynet/assay/hostgpu/device"
	"github.com/assaynet/assay/modules/catalog"
	"github.com/assaynet/assay/modules/internal/guesttest"
	"github.com/assaynet/assay/modules/transformerpow/admission"
	"github.com/assaynet/assay/modules/transformerpow/shape"
)

func network(t *testing.T, dev device.Device, cfg admission.Config) *admission.Network {
	t.Helper()
	n, err := admission.New(dev, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { n.Close() })
	return n
}

// The network that the statistics look into is the guest's: the same digests,
// by the same operations in the same order; and these do not depend on what
// the input is.
func TestNetworkIsTheGuest(t *testing.T) {
	_, m := guesttest.Admit(t, catalog.TransformerPow, false)
	for _, s := range shapes {
		dev := &admission.Tracer{Device: guesttest.CPU(t)}
		j := job(dev, s)
		in, _ := setUp(t, m, j)
		units(t, in, 1, 2) // allocates
		n := network(t, dev, admission.Config{Shape: s, Seed: j.Seed, Identity: j.Identity, Batch: 2})
		other := network(t, dev, admission.Config{Shape: s, Seed: [32]byte{77}, Identity: []byte("somebody else"), Batch: 2})

		dev.Reset()
		got, _ := units(t, in, 4, 1<<50)
		guest, macs := dev.Ops, dev.MACs
		dev.Reset()
		want, err := n.Digests(4, 1<<50)
		if err != nil {
			t.Fatal(err)
		}
		if got[0].Digest != want[0] || got[1].Digest != want[1] {
			t.Errorf("%+v: guest %x, network %x", s, got[0].Digest, want[0])
		}
		if !slices.Equal(guest, dev.Ops) {
			t.Errorf("%+v: the guest ran\n%q\nand the network\n%q", s, guest, dev.Ops)
		}
		if macs != 2*s.MACs() || dev.MACs != macs {
			t.Errorf("%+v: %d multiply-accumulates, declared %d", s, macs, 2*s.MACs())
		}
		dev.Reset()
		if _, err := other.Digests(99, 0); err != nil {
			t.Fatal(err)
		}
		if ops := dev.Ops; len(ops) != len(guest) || !slices.Equal(ops[1:], guest[1:]) { // but for the claimant's key
			t.Errorf("%+v: another input ran other operations", s)
		}
	}
}

// admissionShapes: the test network's, and one with the proportions of a real
// sprint; "make bench-pass" prints the statistics of the real one.
var admissionShapes = []shape.Shape{
	shape.Test,
	{Layers: 2, Width: 512, Heads: 4, KVHeads: 4, FFN: 1408, Tokens: 16},
}

// Statistics that a proof of work is admitted by: few zeros, no saturation,
// attention neither flat nor on one key.
func TestAdmissionStatistics(t *testing.T) {
	for _, s := range admissionShapes {
		n := network(t, guesttest.CPU(t), admission.Config{Shape: s, Seed: [32]byte{7}, Identity: []byte("someone"), Batch: 32})
		st, err := n.Measure(64)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("width %d, %d layers, %d tokens: attention entropy %.2f of the uniform", s.Width, s.Layers, s.Tokens, st.Entropy)
		for _, x := range st.Tensors {
			t.Logf("  layer %d %-22s zeros %5.2f %%, saturated %.2f %%", x.Layer, x.Name, 100*x.Zeros, 100*x.Saturated)
		}
		if !st.OK() {
			t.Errorf("width %d: outside the limits: %+v, %+v, entropy %.2f", s.Width, st.Zeros(), st.Saturated(), st.Entropy)
		}
	}
}

// Flipping any one bit of a weight, a query or a key must change the digest
// of (nearly) every unit.
func TestSensitivity(t *testing.T) {
	for _, s := range shapes[:2] {
		n := network(t, guesttest.CPU(t), admission.Config{Shape: s, Seed: [32]byte{9}, Identity: []byte("someone"), Batch: 16})
		flips, err := n.Sensitivity(12, 100, 3)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range flips {
			t.Logf("width %d: one bit of a %s changes %d of %d digests", s.Width, f.What, f.Changed, f.Digests)
			if !f.OK() {
				t.Errorf("width %d, %s: %.4f of the digests change, want %.3f", s.Width, f.What, f.Share(), f.Least)
			}
		}
	}
}
