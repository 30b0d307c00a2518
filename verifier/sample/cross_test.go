package sample

import (
	"encoding/binary"
	"slices"
	"testing"

	"github.com/assaynet/assay/verifier/commit"
)

func output(i uint64) (o Output) {
	binary.LittleEndian.PutUint64(o[:], i)
	return o
}

// The draws of all others together are Challenges leaves of a verdict on average, whatever the
// powers, and a challenger's part is as its power.
func TestCrossDrawMean(t *testing.T) {
	const trials = 4000
	powers := []uint64{1, 1, 3, 10, 85, 900}
	total := uint64(0)
	for _, p := range powers {
		total += p
	}
	for target := range powers {
		sum := make([]int, len(powers))
		all := 0
		for i := range uint64(trials) {
			for w := range powers {
				if w == target {
					continue
				}
				d := CrossDraw{Target: []byte{byte(target)}, Leaves: 1000, Challenges: 6,
					Power: powers[w], TargetPower: powers[target], TotalPower: total}
				n := len(d.Positions(output(i*16 + uint64(w))))
				exact := 6 * powers[w]
				if floor := exact / (total - powers[target]); uint64(n) < floor || uint64(n) > floor+1 {
					t.Fatalf("%d leaves for power %d of %d", n, powers[w], total-powers[target])
				}
				sum[w] += n
				all += n
			}
		}
		// The number of one challenger is rounded at random: its variance is at most 1/4 a trial, so
		// five standard deviations of the mean over 4,000 are below 0.04.
		for w, n := range sum {
			want := 6 * float64(powers[w]) / float64(total-powers[target])
			if got := float64(n) / trials; w != target && (got < want-0.04 || got > want+0.04) {
				t.Errorf("power %d draws %.3f of the verdict of power %d, want %.3f", powers[w], got, powers[target], want)
			}
		}
		if got := float64(all) / trials; got < 5.9 || got > 6.1 {
			t.Errorf("%.3f leaves of the verdict of power %d, want 6", got, powers[target])
		}
	}
}

func TestCrossDrawBounds(t *testing.T) {
	d := CrossDraw{Target: []byte("t"), Leaves: 5, Challenges: 64, Power: 10, TargetPower: 0, TotalPower: 10}
	if got := d.Positions(output(1)); !slices.Equal(got, []uint64{0, 1, 2, 3, 4}) {
		t.Errorf("more challenges than leaves: %v", got)
	}
	for name, bend := range map[string]func(*CrossDraw){
		"no leaves":     func(d *CrossDraw) { d.Leaves = 0 },
		"no power":      func(d *CrossDraw) { d.Power = 0 },
		"nobody else":   func(d *CrossDraw) { d.TargetPower = 10 },
		"more than all": func(d *CrossDraw) { d.TargetPower = 11 },
		"no challenges": func(d *CrossDraw) { d.Challenges = 0 },
	} {
		x := d
		bend(&x)
		if got := x.Positions(output(1)); len(got) != 0 {
			t.Errorf("%s: %v", name, got)
		}
	}
	d = CrossDraw{Target: []byte("t"), Leaves: ^uint64(0), Challenges: ^uint64(0), Power: ^uint64(0), TargetPower: 1, TotalPower: ^uint64(0)}
	got := d.Positions(output(2))
	if len(got) != MaxSamples || !slices.IsSorted(got) || len(slices.Compact(slices.Clone(got))) != len(got) {
		t.Errorf("%d positions of the largest tree", len(got))
	}
	d = CrossDraw{Target: []byte("t"), Leaves: 1 << 30, Challenges: 8, Power: 1, TotalPower: 1}
	first := d.Positions(output(3))
	other := d
	other.Target = []byte("u")
	if slices.Equal(first, other.Positions(output(3))) || slices.Equal(first, d.Positions(output(4))) {
		t.Error("the draw does not depend on the target or the output")
	}
}

// The inputs of verdict and challenge are never one another's.
func TestCrossInput(t *testing.T) {
	root := commit.Root{1}
	seen := map[string]string{string(Input("c", 1, 0, root)): "verdict"}
	for name, in := range map[string][]byte{
		"challenge": CrossInput("c", 1, 0, root), "chain": CrossInput("d", 1, 0, root), "epoch": CrossInput("c", 2, 0, root),
		"round": CrossInput("c", 1, 1, root), "root": CrossInput("c", 1, 0, commit.Root{2}),
	} {
		if before, ok := seen[string(in)]; ok {
			t.Errorf("%s and %s share an input", name, before)
		}
		seen[string(in)] = name
	}
}

// VerifyEach says the same as Verify of each proof, wherever the false ones are.
func TestVerifyEach(t *testing.T) {
	msg := []byte("round")
	var batch []Signed
	for i := range byte(20) {
		k := key(t, i)
		batch = append(batch, Signed{k.Public(), k.Prove(msg)})
	}
	for _, bad := range [][]int{nil, {0}, {19}, {3, 4, 11}, {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19}} {
		some := slices.Clone(batch)
		for n, i := range bad {
			switch n % 3 {
			case 0:
				some[i].Proof = batch[(i+1)%20].Proof // another's
			case 1:
				some[i].Proof[50] ^= 1 // no point, or none of the subgroup
			case 2:
				some[i].Key = PublicKey{}
			}
		}
		for i, ok := range VerifyEach(msg, some) {
			if ok == slices.Contains(bad, i) {
				t.Errorf("false are %v: proof %d is %v", bad, i, ok)
			}
		}
	}
	if len(VerifyEach(msg, nil)) != 0 {
		t.Error("results for no proofs")
	}
}
