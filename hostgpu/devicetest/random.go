package devicetest

import (
	"encoding/binary"
	"errors"

	"github.com/assaynet/assay/hostgpu/device"
)

// ErrMismatch says that a device and the reference disagree.
var ErrMismatch = errors.New("devicetest: mismatch")

// RandomCase makes a valid call of small random shape from a seed: the same
// seed gives the same case everywhere. It is what differential fuzzing draws.
func RandomCase(seed uint64) Case {
	var name [8]byte
	binary.LittleEndian.PutUint64(name[:], seed)
	g := newGen(string(name[:]))
	family := families[g.n(len(families))]
	c := Case{Name: family.op.String() + " of a seed", Op: family.op}
	r := &roller{gen: g, dims: map[string]int{}}
	r.chooseDims(family.op)
	for _, o := range family.op.Spec().Operands {
		if o.Kind == device.Imm32 || o.Kind == device.Imm64 {
			c.Imms = append(c.Imms, r.imm(family.op, o))
			continue
		}
		if o.Kind == device.Opt && g.n(2) == 0 {
			c.Tensors = append(c.Tensors, absent)
			continue
		}
		dt := o.Type
		if dt == device.TypeAny {
			dt = r.anyType
		}
		rows, cols := r.dim(o.Rows), r.dim(o.Cols)
		if o.Kind == device.Out {
			c.Tensors = append(c.Tensors, out(dt, rows, cols))
		} else {
			c.Tensors = append(c.Tensors, g.data(dt, rows, cols, allFills[g.n(len(allFills))]))
		}
	}
	return c
}

// roller draws the shape and immediates of one case.
type roller struct {
	*gen
	dims    map[string]int
	anyType device.DType
	seg     int
}

func (r *roller) dim(symbol string) int {
	if v, ok := r.dims[symbol]; ok {
		return v
	}
	if len(symbol) > 1 || symbol[0] < 'A' {
		v := 0
		for _, c := range symbol {
			v = v*10 + int(c-'0')
		}
		return v
	}
	limits := []int{4, 20, 70, 200}
	v := r.n(limits[r.n(len(limits))])
	r.dims[symbol] = v
	return v
}

// chooseDims fixes the dimensions that the op's own rules tie together.
func (r *roller) chooseDims(op device.Op) {
	r.anyType = allTypes[r.n(len(allTypes))]
	switch op {
	case device.OpRope:
		r.dims["D"] = 2 * (1 + r.n(40))
		r.dims["C"] = r.dims["D"] * r.n(4)
		r.dims["P"] = 1 + r.n(9)
	case device.OpAttention:
		d := []int{1 + r.n(40), 64, 128}[r.n(3)]
		g := 1 + r.n(3)
		h := g * (1 + r.n(3))
		n := r.n(3)
		r.seg = 1 + r.n(20)
		kseg := r.seg + r.n(60)
		r.dims = map[string]int{"M": n * r.seg, "S": n * kseg, "H": h, "G": g, "C": h * d, "E": g * d}
	case device.OpEmbed, device.OpSample:
		r.dims["V"] = 1 + r.n(300)
	case device.OpSlice:
		r.dims["K"] = r.dim("N") + r.n(20)
	case device.OpGather:
		r.dims["S"] = 1 + r.n(30)
	}
}

func (r *roller) imm(op device.Op, o device.Operand) int64 {
	switch {
	case op == device.OpAttention && o.Name == "seg":
		return int64(r.seg)
	case o.Name == "exp":
		return int64(20 + r.n(30))
	case o.Name == "eout" && r.n(4) > 0:
		return int64(25 + r.n(50))
	case op == device.OpSlice:
		return int64(r.n(r.dim("K") - r.dim("N") + 1))
	}
	span := uint64(o.Max) - uint64(o.Min)
	v := r.src.Uint64() >> r.n(64) // every order of magnitude
	if span != ^uint64(0) {
		v %= span + 1
	}
	return int64(uint64(o.Min) + v)
}

// Differ runs a case on a device and on the reference. The error wraps
// ErrMismatch where they disagree.
func Differ(dev device.Device, c Case) error {
	for _, m := range []mode{plain, views} {
		got, err := execute(dev, c, m)
		if err != nil {
			return err
		}
		want, err := execute(Reference(), c, plain)
		if err != nil {
			return err
		}
		if msg := compare(c, got, want); msg != "" {
			return errors.Join(ErrMismatch, errors.New(msg))
		}
	}
	return nil
}
