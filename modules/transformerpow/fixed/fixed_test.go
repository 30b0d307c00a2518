package fixed

import (
	"math"
	"testing"
)

func TestRoot(t *testing.T) {
	for _, c := range []struct{ num, den uint64 }{
		{1, 2}, {2, 10795}, {2, 10795 * 64}, {2, 10795 * 131072}, {558713232, 16 << 28}, {558713232, 1024 << 28}, {999, 1000}, {1, 1 << 61}, {5, 2}, {9, 2}, {1 << 61, 1},
	} {
		m, e := Root(c.num, c.den)
		if m < 1<<30 || m >= 1<<31 {
			t.Errorf("√(%d/%d): mantissa %d is not normal", c.num, c.den, m)
		}
		got, want := math.Ldexp(float64(m), -int(e)), math.Sqrt(float64(c.num)/float64(c.den))
		if math.Abs(got-want) > want*0x1p-29 {
			t.Errorf("√(%d/%d) = %g, want %g", c.num, c.den, got, want)
		}
	}
	for _, c := range [][2]uint64{{0, 1}, {1, 0}, {1 << 63, 1}} {
		if m, e := Root(c[0], c[1]); m != 0 || e != 0 {
			t.Errorf("√(%d/%d) = %d·2^-%d, want zero", c[0], c[1], m, e)
		}
	}
}

func TestSinCos(t *testing.T) {
	worst := 0.0
	for i := 0; i < 1<<16; i++ {
		phase := uint32(i) << 16
		sin, cos := SinCos(phase)
		a := 2 * math.Pi * float64(phase) / (1 << 32)
		worst = max(worst, math.Abs(float64(sin)/(1<<30)-math.Sin(a)), math.Abs(float64(cos)/(1<<30)-math.Cos(a)))
		if sin > 1<<30 || sin < -1<<30 || cos > 1<<30 || cos < -1<<30 {
			t.Fatalf("phase %#x: %d, %d leave Q30", phase, sin, cos)
		}
	}
	t.Logf("largest error %.2g", worst)
	if worst > 5e-6 {
		t.Errorf("largest error %g", worst)
	}
}

func TestPhaseStepFalls(t *testing.T) {
	for _, half := range []int{1, 2, 8, 64, 512} {
		last := uint32(math.MaxUint32)
		for j := 0; j < half; j++ {
			s := PhaseStep(j, half)
			if s == 0 || s >= last {
				t.Fatalf("half %d, pair %d: step %d after %d", half, j, s, last)
			}
			last = s
		}
		if PhaseStep(0, half) != 1<<29 {
			t.Errorf("half %d starts at %d", half, PhaseStep(0, half))
		}
	}
}
