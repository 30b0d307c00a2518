// Command bench prints what mining and checking cost on this machine: units a
// second of each shipped proof of work on each device, and the milliseconds
// that a validator spends for each unit it checks, everything counted: proof
// of the sample, opening, set-up, re-execution and keyed digest.
//
//	go run ./testdata/bench [-seconds 2]
package main

import (
	"context"
	"crypto/rand"
	"flag"
	"fmt"
	"os"
	"runtime"
	"time"

	"github.com/assaynet/assay/hostgpu/cpudev"
	"github.com/assaynet/assay/hostgpu/device"
	"github.com/assaynet/assay/hostgpu/wasmdev"
	"github.com/assaynet/assay/modules/catalog"
	"github.com/assaynet/assay/modules/manifest"
	"github.com/assaynet/assay/runtime/sandbox"
	"github.com/assaynet/assay/verifier/commit"
	"github.com/assaynet/assay/verifier/recheck"
	"github.com/assaynet/assay/verifier/sample"
)

const (
	fold    = 64
	batch   = 256 // units of one call while mining
	checked = 50  // units a validator draws of one claim: 200 among four
)

func main() {
	seconds := flag.Float64("seconds", 2, "time to spend on each figure")
	flag.Parse()
	if err := run(context.Background(), time.Duration(*seconds*float64(time.Second))); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, each time.Duration) error {
	rt, err := sandbox.New(sandbox.Config{})
	if err != nil {
		return err
	}
	defer rt.Close()
	devices, err := open(rt)
	if err != nil {
		return err
	}
	fmt.Printf("%s/%s, %d processors, test parameters of each module\n\n", runtime.GOOS, runtime.GOARCH, runtime.GOMAXPROCS(0))
	fmt.Printf("%-16s %-20s %12s %18s %18s\n", "module", "device", "units/s", "ms/checked unit", "ms/fresh instance")
	for _, name := range catalog.Names() {
		e, err := catalog.Get(name)
		if err != nil {
			return err
		}
		if e.Manifest.Kind != manifest.KindPow {
			continue
		}
		for _, d := range devices {
			f, err := measure(ctx, rt, d, e, each)
			if err != nil {
				return fmt.Errorf("%s on %s: %w", name, d.name, err)
			}
			fmt.Printf("%-16s %-20s %12.0f %18.3f %18.3f\n", name, d.name, f.unitsPerSecond, f.msChecked, f.msFresh)
		}
	}
	return nil
}

type named struct {
	device.Device
	name string
}

func open(rt *sandbox.Runtime) ([]named, error) {
	ref, err := wasmdev.New(wasmdev.Config{Sandbox: rt})
	if err != nil {
		return nil, err
	}
	out := []named{{ref, ref.Name()}}
	for _, isa := range cpudev.Available() {
		d, err := cpudev.New(cpudev.Config{ISA: isa})
		if err != nil {
			return nil, err
		}
		out = append(out, named{d, d.Name() + " " + string(isa)})
	}
	return out, nil
}

type figures struct{ unitsPerSecond, msChecked, msFresh float64 }

func measure(ctx context.Context, rt *sandbox.Runtime, dev device.Device, e catalog.Entry, each time.Duration) (figures, error) {
	compiled, err := rt.Admit(e.Wasm) // held: compiling takes seconds, once
	if err != nil {
		return figures{}, err
	}
	defer compiled.Close()
	m := e.Manifest
	w := recheck.Work{ModuleHash: m.Hash, Wasm: e.Wasm, Params: m.Params, Identity: make([]byte, 20),
		TensorBytes: m.TensorBytes, MemoryPages: m.MemoryPages, GasSetup: m.GasSetup, GasUnit: m.GasUnit}
	claim, tree, digests, rate, err := mine(ctx, rt, dev, w, each)
	if err != nil {
		return figures{}, err
	}
	key, err := sample.GenerateKey(rand.Reader)
	if err != nil {
		return figures{}, err
	}
	// Idle 1 and two claimants: each claim is set up anew, as for a validator
	// that goes from miner to miner.
	checker := recheck.New(recheck.Config{Runtime: rt, Device: dev, Idle: 1})
	defer checker.Close()
	var spent time.Duration
	rounds := 0
	for ; spent < each; rounds++ {
		proof := key.Prove(sample.Input("bench-1", uint64(rounds), 0, claim.Root))
		key, indexes := sample.AuditKey(proof.Output()), sample.Samples(proof.Output(), claim.Claimant, claim.Count, checked)
		encoded, err := openings(tree, digests, claim, indexes)
		if err != nil {
			return figures{}, err
		}
		start := time.Now()
		if err := check(ctx, checker, w, claim, encoded, indexes, &key); err != nil {
			return figures{}, err
		}
		spent += time.Since(start)
		other := w
		other.Identity = []byte{1}
		if _, err := checker.Units(ctx, other, []uint64{0}, nil); err != nil {
			return figures{}, err
		}
	}
	start, fresh := time.Now(), 0
	for ; time.Since(start) < each/4 || fresh == 0; fresh++ {
		if _, err := checker.Unit(ctx, w, uint64(fresh)); err != nil {
			return figures{}, err
		}
	}
	return figures{rate, ms(spent) / float64(rounds*checked), ms(time.Since(start)) / float64(fresh)}, nil
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// mine computes and commits for a while.
func mine(ctx context.Context, rt *sandbox.Runtime, dev device.Device, w recheck.Work, each time.Duration) (commit.Claim, *commit.Builder, []commit.Digest, float64, error) {
	fail := func(err error) (commit.Claim, *commit.Builder, []commit.Digest, float64, error) {
		return commit.Claim{}, nil, nil, 0, err
	}
	s, err := recheck.Open(ctx, rt, dev, w)
	if err != nil {
		return fail(err)
	}
	defer s.Close()
	tree, err := commit.NewBuilder(fold)
	if err != nil {
		return fail(err)
	}
	var digests []commit.Digest
	indexes := make([]uint64, batch)
	start := time.Now()
	for time.Since(start) < each || len(digests) < checked {
		for i := range indexes {
			indexes[i] = uint64(len(digests) + i)
		}
		units, err := s.Units(ctx, indexes, nil)
		if err != nil {
			return fail(err)
		}
		digests = append(digests, recheck.Digests(units)...)
		for i := len(digests) - batch; i < len(digests); i += fold {
			if _, err := tree.AddFold(digests[i : i+fold]); err != nil {
				return fail(err)
			}
		}
	}
	rate := float64(len(digests)) / time.Since(start).Seconds()
	return commit.Claim{Claimant: w.Identity, Root: tree.Root(), Count: tree.Count()}, tree, digests, rate, nil
}

func openings(tree *commit.Builder, digests []commit.Digest, claim commit.Claim, indexes []uint64) ([][]byte, error) {
	out := make([][]byte, len(indexes))
	for i, x := range indexes {
		path, err := tree.InclusionProof(x/fold, claim.Count)
		if err != nil {
			return nil, err
		}
		o := commit.Opening{Index: x, Digests: digests[x/fold*fold : x/fold*fold+fold], Proof: path}
		if out[i], err = o.MarshalBinary(); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// check is a validator's work on one claim, without the network.
func check(ctx context.Context, c *recheck.Checker, w recheck.Work, claim commit.Claim, encoded [][]byte, indexes []uint64, key *[32]byte) error {
	units, err := c.Units(ctx, w, indexes, key)
	if err != nil {
		return err
	}
	for i, b := range encoded {
		var o commit.Opening
		if err := o.UnmarshalBinary(b); err != nil {
			return err
		}
		digest, err := o.Verify(claim.Root, claim.Count, fold)
		if err != nil {
			return err
		}
		if digest != units[i].Digest {
			return fmt.Errorf("unit %d does not repeat", o.Index)
		}
	}
	return nil
}
