package main_test

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"testing"

	"github.com/assaynet/assay/modules/catalog"
	"github.com/assaynet/assay/modules/internal/guesttest"
	"github.com/assaynet/assay/runtime/abi"
	"github.com/assaynet/assay/runtime/sandbox"
	"lukechampine.com/blake3"
)

func rounds(n uint32) []byte { return binary.LittleEndian.AppendUint32(nil, n) }

func job(params []byte) sandbox.Job {
	return sandbox.Job{Seed: [32]byte{5}, Identity: []byte("claimant-one-address"), Params: params, Gas: guesttest.Gas}
}

// chain is the definition in doc.go, by the host.
func chain(seed [32]byte, identity []byte, index uint64, n int) []byte {
	base := sha256.Sum256(append(append([]byte("assay/hashpow/1"), seed[:]...), identity...))
	h := sha256.Sum256(binary.LittleEndian.AppendUint64(base[:], index))
	for range n {
		h = sha256.Sum256(append(h[:], h[:]...))
	}
	return h[:]
}

func TestDigestsAreThoseOfTheDefinition(t *testing.T) {
	for _, interpreter := range []bool{false, true} {
		_, m := guesttest.Admit(t, catalog.HashPow, interpreter)
		for _, n := range []uint32{1, 30} {
			for _, identity := range []string{"", "claimant-one-address", "an-identity-of-thirty-two-bytes!"} {
				j := job(rounds(n))
				j.Identity = []byte(identity)
				in := guesttest.Start(t, m, j)
				if out, err := in.PowSetup(context.Background()); err != nil || !out.Trap.OK() {
					t.Fatalf("setup: %v, %v", err, out.Trap)
				}
				key := [32]byte{8}
				units, out, err := in.PowUnits(context.Background(), []uint64{0, 1, 1<<64 - 1}, &key)
				if err != nil || !out.Trap.OK() || len(units) != 3 {
					t.Fatalf("units: %v, %v", err, out.Trap)
				}
				for _, u := range units {
					record := append([]byte{0}, chain(j.Seed, j.Identity, u.Index, int(n))...)
					c := blake3.Sum256(record)
					msg := binary.LittleEndian.AppendUint64([]byte("assay/unit/1"), u.Index)
					if blake3.Sum256(append(msg, c[:]...)) != u.Digest {
						t.Errorf("identity %q, unit %d, %d rounds: wrong digest", identity, u.Index, n)
					}
					if u.Keyed == u.Digest || u.Keyed == [32]byte{} {
						t.Errorf("unit %d: keyed digest %x", u.Index, u.Keyed)
					}
				}
			}
		}
	}
}

func TestGasIsTheSameForEveryUnit(t *testing.T) {
	e, err := catalog.Get(catalog.HashPow)
	if err != nil {
		t.Fatal(err)
	}
	var first [2]int64
	for _, interpreter := range []bool{false, true} {
		_, m := guesttest.Admit(t, catalog.HashPow, interpreter)
		for who := byte(0); who < 2; who++ {
			j := job(e.Manifest.Params)
			j.Seed[0], j.Identity[0], j.Gas, j.GasUnit = who, who, e.Manifest.GasSetup, e.Manifest.GasUnit
			in := guesttest.Start(t, m, j)
			setup, err := in.PowSetup(context.Background())
			if err != nil || !setup.Trap.OK() {
				t.Fatalf("setup: %v, %v", err, setup.Trap)
			}
			for i := uint64(0); i < 50; i++ {
				_, out, err := in.PowUnits(context.Background(), []uint64{i * 0x9E3779B97F4A7C15}, nil)
				if err != nil || !out.Trap.OK() {
					t.Fatalf("unit %d: %v, %v", i, err, out.Trap)
				}
				if first == [2]int64{} {
					first = [2]int64{setup.GasUsed, out.GasUsed}
				}
				if got := [2]int64{setup.GasUsed, out.GasUsed}; got != first {
					t.Fatalf("unit %d, interpreter %v: gas %v, was %v", i, interpreter, got, first)
				}
			}
		}
	}
	t.Logf("gas: setup %d, unit %d", first[0], first[1])
	if e.Manifest.GasUnit < first[1] || e.Manifest.GasUnit > 2*first[1] || e.Manifest.GasSetup < first[0] {
		t.Errorf("declared setup %d, unit %d", e.Manifest.GasSetup, e.Manifest.GasUnit)
	}
}

func TestRefusesBadParameters(t *testing.T) {
	_, m := guesttest.Admit(t, catalog.HashPow, false)
	for name, p := range map[string][]byte{"none": nil, "three bytes": {1, 0, 0}, "five": {1, 0, 0, 0, 0}, "zero": rounds(0), "many": rounds(1000001)} {
		out, err := guesttest.Start(t, m, job(p)).PowSetup(context.Background())
		if err != nil || out.Trap != abi.TrapAbort || out.Code != 1 {
			t.Errorf("%s: %v, %v, code %d", name, err, out.Trap, out.Code)
		}
	}
	_, out, err := guesttest.Start(t, m, job(rounds(1))).PowUnits(context.Background(), []uint64{1}, nil)
	if err != nil || out.Trap != abi.TrapAbort || out.Code != 2 {
		t.Errorf("units before setup: %v, %v, code %d", err, out.Trap, out.Code)
	}
}

func BenchmarkUnits(b *testing.B) {
	e, err := catalog.Get(catalog.HashPow)
	if err != nil {
		b.Fatal(err)
	}
	_, m := guesttest.Admit(b, catalog.HashPow, false)
	in := guesttest.Start(b, m, job(e.Manifest.Params))
	if out, err := in.PowSetup(context.Background()); err != nil || !out.Trap.OK() {
		b.Fatalf("setup: %v, %v", err, out.Trap)
	}
	for b.Loop() {
		if _, out, err := in.PowUnits(context.Background(), []uint64{1}, nil); err != nil || !out.Trap.OK() {
			b.Fatalf("%v, %v", err, out.Trap)
		}
	}
}
