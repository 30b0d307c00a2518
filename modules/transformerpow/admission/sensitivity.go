package admission

import (
	"math"
	"math/rand/v2"

	"github.com/assaynet/assay/hostgpu/device"
)

// Flips says how many digests one flipped bit changed.
type Flips struct {
	What    string  `json:"what"`
	Flips   int     `json:"flips"`   // positions tried
	Digests int     `json:"digests"` // of the batch, over all flips
	Changed int     `json:"changed"`
	Least   float64 `json:"least"` // share of Digests that must change
}

// OK reports whether enough digests changed. The number that need not is
// rounded up: fewer than a thousand digests cannot tell 0.1 % from one.
func (f Flips) OK() bool {
	return f.Digests-f.Changed <= int(math.Ceil((1-f.Least)*float64(f.Digests)))
}

// Share of digests that changed.
func (f Flips) Share() float64 { return float64(f.Changed) / float64(max(f.Digests, 1)) }

// entries are the tensors whose entries are flipped beside weights: the
// queries and keys themselves, and as attention reads them. A quantized query
// of row 0 sees one key and cannot matter. A quantized key of the last row
// meets one query only; where that holds a zero, in up to 3 % of places, the
// key cannot matter either.
func (n *Network) entries() []struct {
	what, name string
	from, to   int // rows of a unit
	least      float64
} {
	last := int(n.cfg.Shape.Tokens) - 1
	return []struct {
		what, name string
		from, to   int
		least      float64
	}{
		{"query", "q", 0, last, MinSensitive},
		{"key", "k", 0, last, MinSensitive},
		{"int8 query, row 1 on", "q8", 1, last, MinSensitive},
		{"int8 key, all rows but the last", "k8", 0, last - 1, MinSensitive},
		{"int8 key, last row", "k8", last, last, 0.97},
	}
}

// Sensitivity flips one bit of one weight, or of one entry of the queries or
// keys of every unit of a full batch, at places drawn from seed, and counts
// the digests that change: perMatrix flips of each weight matrix, perEntry of
// each kind of entry.
func (n *Network) Sensitivity(perMatrix, perEntry int, seed uint64) ([]Flips, error) {
	r := rand.New(rand.NewPCG(seed, 1))
	indexes := make([]uint64, n.cfg.Batch)
	for i := range indexes {
		indexes[i] = r.Uint64()
	}
	want, err := n.Digests(indexes...)
	if err != nil {
		return nil, err
	}
	count := func(f *Flips) error {
		got, err := n.Digests(indexes...)
		if err != nil {
			return err
		}
		f.Flips++
		for i := range got {
			f.Digests++
			if got[i] != want[i] {
				f.Changed++
			}
		}
		return nil
	}
	weights := Flips{What: "weight", Least: MinSensitive}
	for l := range n.weights {
		for _, w := range n.weights[l] {
			for range perMatrix {
				if err := n.flipWeight(w, r, func() error { return count(&weights) }); err != nil {
					return nil, err
				}
			}
		}
	}
	out := []Flips{weights}
	defer func() { n.Look = nil }()
	for _, e := range n.entries() {
		f := Flips{What: e.what, Least: e.least}
		for range perEntry {
			layer := r.IntN(int(n.cfg.Shape.Layers))
			var failed error
			n.Look = func(l int, name string, h device.Handle) {
				if l == layer && name == e.name {
					failed = n.flipRows(h, r, e.from, e.to)
				}
			}
			if err := count(&f); err != nil {
				return nil, err
			}
			if failed != nil {
				return nil, failed
			}
		}
		out = append(out, f)
	}
	return out, nil
}

// flipped flips a bit of an int8; −128 would be stored as −127, which may be
// what was there.
func flipped(old byte, r *rand.Rand) byte {
	if b := old ^ 1<<r.IntN(8); b != 0x80 {
		return b
	}
	return old ^ 2
}

// flipWeight changes a weight while f runs.
func (n *Network) flipWeight(w device.Handle, r *rand.Rand, f func() error) error {
	_, s, err := n.sp.Stat(w)
	if err != nil {
		return err
	}
	at := r.IntN(int(s.Elems()))
	var old [1]byte
	if err := n.sp.Read(w, int64(at), old[:]); err != nil {
		return err
	}
	if err := n.WriteAt(w, at, flipped(old[0], r)); err != nil {
		return err
	}
	if err := f(); err != nil {
		return err
	}
	return n.WriteAt(w, at, old[0])
}

// flipRows flips one bit of one entry in each unit, in a row between from and
// to.
func (n *Network) flipRows(h device.Handle, r *rand.Rand, from, to int) error {
	dt, s, err := n.sp.Stat(h)
	if err != nil {
		return err
	}
	p, err := n.Read(h)
	if err != nil {
		return err
	}
	tokens := int(n.cfg.Shape.Tokens)
	for u := range s.Rows / tokens {
		row := u*tokens + from + r.IntN(to-from+1)
		at := (row*s.Cols + r.IntN(s.Cols)) * dt.Size()
		if dt == device.S8 {
			p[at] = flipped(p[at], r)
		} else {
			p[at+r.IntN(dt.Size())] ^= 1 << r.IntN(8)
		}
	}
	return n.sp.Write(h, 0, p)
}
