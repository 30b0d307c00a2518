package sample

import (
	"encoding/binary"
	"errors"
	"math/big"
	"math/rand/v2"
	"slices"
	"testing"
)

func outputOf(i uint64) (o Output) {
	binary.LittleEndian.PutUint64(o[:], i)
	return o
}

func TestSamplesAreASet(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	for i := range uint64(400) {
		count := uint64(1 + rng.IntN(500))
		n := rng.IntN(600)
		s := Samples(outputOf(i), []byte{1}, count, n)
		if want := min(n, int(count)); len(s) != want {
			t.Fatalf("%d samples of %d, want %d", len(s), count, want)
		}
		for j, x := range s {
			if x >= count || (j > 0 && x <= s[j-1]) {
				t.Fatalf("sample %d of %d at %d: %v", x, count, j, s)
			}
		}
		if !slices.Equal(s, Samples(outputOf(i), []byte{1}, count, n)) {
			t.Fatal("not deterministic")
		}
	}
	if got := len(Samples(Output{}, nil, 1<<40, 1<<30)); got != MaxSamples {
		t.Errorf("%d samples, cap %d", got, MaxSamples)
	}
	if Samples(Output{}, nil, 10, -1) != nil || Samples(Output{}, nil, 0, 5) != nil {
		t.Error("samples of nothing")
	}
}

// Vectors pin the draw: a change of one is a change of consensus.
func TestSampleVectors(t *testing.T) {
	got := Samples(Output{1, 2, 3}, []byte("assay"), 1_000_000, 6)
	want := []uint64{133032, 330186, 380942, 507184, 620656, 986902}
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// Each index, and each pair, is drawn as often as it should be: chi-square
// against the uniform distribution, at a bound that chance exceeds less than
// once in 10^6 (the stream is fixed, so this never flakes).
func TestSamplesAreUniform(t *testing.T) {
	const count, n, draws = 10, 3, 30_000
	var single [count]float64
	var pair [count][count]float64
	for i := range uint64(draws) {
		s := Samples(outputOf(i), []byte("m"), count, n)
		for a, x := range s {
			single[x]++
			for _, y := range s[a+1:] {
				pair[x][y]++
			}
		}
	}
	chi := 0.0
	for _, f := range single {
		e := float64(draws) * n / count
		chi += (f - e) * (f - e) / e
	}
	if chi > 45 { // 9 degrees of freedom
		t.Errorf("single indexes: chi-square %.1f", chi)
	}
	chi = 0
	for x := range count {
		for y := x + 1; y < count; y++ {
			e := float64(draws) * n * (n - 1) / (count * (count - 1))
			chi += (pair[x][y] - e) * (pair[x][y] - e) / e
		}
	}
	if chi > 110 { // 44 degrees of freedom
		t.Errorf("pairs: chi-square %.1f", chi)
	}
}

// A biased generator would show at a range just above half of 2^64.
func TestUniformRejects(t *testing.T) {
	values := []uint64{0, 1, 1<<63 - 2, 1<<63 + 5} // 2^64 mod n is 2^63-1: the first three are surplus
	i := 0
	read := func(b []byte) (int, error) {
		binary.LittleEndian.PutUint64(b, values[i])
		i++
		return 8, nil
	}
	if got := uniform(read, 1<<63+1); got != 4 || i != 4 {
		t.Errorf("took %d after %d reads, want 4 after 4", got, i)
	}
}

func TestTotal(t *testing.T) {
	for _, c := range []struct {
		count, min, max uint64
		want            int
	}{
		{0, 20, 300, 0}, {5, 20, 300, 5}, {20, 20, 300, 20}, {399, 20, 300, 20}, {400, 20, 300, 20},
		{441, 20, 300, 21}, {90_000, 20, 300, 300}, {1 << 48, 20, 300, 300}, {1 << 63, 20, 1 << 62, MaxSamples},
	} {
		if got := Total(c.count, c.min, c.max); got != c.want {
			t.Errorf("Total(%d, %d, %d) = %d, want %d", c.count, c.min, c.max, got, c.want)
		}
	}
	for _, n := range []uint64{0, 1, 2, 3, 4, 8, 9, 1<<32 - 1, 1 << 32, 1<<62 - 1, 1 << 63, 1<<64 - 1, 18446744065119617025, 18446744065119617024} {
		want := new(big.Int).Sqrt(new(big.Int).SetUint64(n)).Uint64()
		if got := isqrt(n); got != want {
			t.Errorf("isqrt(%d) = %d, want %d", n, got, want)
		}
	}
}

// Shares of the others cover the claim, never more than one unit each above
// the exact proportion, for powers up to 2^62.
func TestShare(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 8))
	for range 3000 {
		powers := make([]uint64, 1+rng.IntN(8))
		var total uint64
		for i := range powers {
			powers[i] = rng.Uint64N(1 << (1 + rng.IntN(59)))
			total += powers[i]
		}
		n := rng.IntN(400)
		claimant := rng.IntN(len(powers))
		sum := 0
		for i, p := range powers {
			if i == claimant {
				continue
			}
			got := Share(n, p, total, powers[claimant])
			others := new(big.Int).SetUint64(total - powers[claimant])
			if others.Sign() == 0 {
				if got != 0 {
					t.Fatal("a share of nothing")
				}
				continue
			}
			want := new(big.Int).Mul(big.NewInt(int64(n)), new(big.Int).SetUint64(p))
			want.Add(want, others).Sub(want, big.NewInt(1)).Div(want, others)
			if int64(got) != want.Int64() {
				t.Fatalf("Share(%d, %d, %d, %d) = %d, want %s", n, p, total, powers[claimant], got, want)
			}
			sum += got
		}
		if total > powers[claimant] && sum < n {
			t.Fatalf("shares sum to %d of %d", sum, n)
		}
	}
}

// A validator with 90 % of the power does not audit itself, and its claim is
// still checked in full by the other 10 %.
func TestGiantIsAuditedByOthers(t *testing.T) {
	giant, small := []byte("giant"), []byte("small")
	d := Draw{Validator: giant, Claimant: giant, Count: 1_000_000, Power: 900, TotalPower: 1000, ClaimantPower: 900, Units: 300}
	if d.Size() != 0 || d.Indexes(Output{1}) != nil {
		t.Error("the giant audits itself")
	}
	d.Validator, d.Power = small, 100
	if d.Size() != 300 {
		t.Errorf("the others draw %d of 300", d.Size())
	}
	d.Claimant, d.ClaimantPower = []byte("third"), 0
	if d.Size() != 30 {
		t.Errorf("of a third party they draw %d, want 30", d.Size())
	}
}

// A coalition below a third does not learn more of an honest validator's
// sample than chance: its own draws overlap as uniform draws would.
func TestDrawsAreIndependent(t *testing.T) {
	const count, n, epochs = 1000, 100, 2000
	overlap := 0
	for i := range uint64(epochs) {
		a := Samples(outputOf(2*i), []byte("m"), count, n)
		b := Samples(outputOf(2*i+1), []byte("m"), count, n)
		for _, x := range a {
			if _, ok := slices.BinarySearch(b, x); ok {
				overlap++
			}
		}
	}
	// Expectation n²/count = 10 an epoch, variance < 9; six sigma over 2,000 epochs is 0.4.
	mean := float64(overlap) / epochs
	if mean < 9.6 || mean > 10.4 {
		t.Errorf("mean overlap %.2f, want 10", mean)
	}
}

func TestContains(t *testing.T) {
	d := Draw{Validator: []byte("v"), Claimant: []byte("c"), Count: 1000, Power: 1, TotalPower: 2, ClaimantPower: 1, Units: 50}
	s := d.Indexes(Output{1})
	if err := d.Contains(Output{1}, s); err != nil || len(s) != 50 {
		t.Fatal(err)
	}
	if err := d.Contains(Output{1}, s[10:20]); err != nil {
		t.Fatal(err)
	}
	if err := d.Contains(Output{1}, []uint64{s[1], s[0]}); !errors.Is(err, ErrOrder) {
		t.Errorf("unsorted: %v", err)
	}
	if err := d.Contains(Output{1}, []uint64{s[0], s[0]}); !errors.Is(err, ErrOrder) {
		t.Errorf("repeated: %v", err)
	}
	if err := d.Contains(Output{2}, s); !errors.Is(err, ErrSample) {
		t.Errorf("another output: %v", err)
	}
	d.Claimant = []byte("d")
	if err := d.Contains(Output{1}, s); !errors.Is(err, ErrSample) {
		t.Errorf("another claim: %v", err)
	}
}

func FuzzDraw(f *testing.F) {
	f.Add(uint64(1000), uint64(5), uint64(9), uint64(2), uint64(20), uint64(300))
	f.Fuzz(func(t *testing.T, count, p, total, pc, lo, hi uint64) {
		d := Draw{Validator: []byte("v"), Claimant: []byte("c"), Count: count, Power: p, TotalPower: total, ClaimantPower: pc, Units: uint64(Total(count, lo, hi))}
		s := d.Indexes(Output{1})
		if len(s) != d.Size() || len(s) > MaxSamples || uint64(len(s)) > count {
			t.Fatalf("%d samples, size %d, of %d", len(s), d.Size(), count)
		}
	})
}
