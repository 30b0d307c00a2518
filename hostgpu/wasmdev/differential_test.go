package wasmdev_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"testing"

	"github.com/assaynet/assay/hostgpu/cpudev"
	"github.com/assaynet/assay/hostgpu/device"
	"github.com/assaynet/assay/hostgpu/devicetest"
	"github.com/assaynet/assay/hostgpu/wasmdev"
)

// FuzzWasmVersusCPU makes a random call of a random op, valid or not, and
// compares this device, the native one and the reference: same outputs, same
// kind of refusal. The seeds below and the corpus in testdata run with every
// "go test".
func FuzzWasmVersusCPU(f *testing.F) {
	for op := range device.Ops {
		for seed := range uint64(24) {
			f.Add(uint8(op), seed)
		}
	}
	cpu, err := cpudev.New(cpudev.Config{Threads: 2})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { cpu.Close() })
	portable, err := cpudev.New(cpudev.Config{Threads: 1, ISA: cpudev.Portable})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { portable.Close() })
	devs := []device.Device{open(f, wasmdev.Config{}), devicetest.Reference(), cpu, portable}
	f.Fuzz(func(t *testing.T, op uint8, seed uint64) {
		c := randomCall(&device.Ops[int(op)%len(device.Ops)], seed)
		want, wantErr := c.run(devs[0])
		for _, d := range devs[1:] {
			got, err := c.run(d)
			if kindOf(err) != kindOf(wantErr) {
				t.Fatalf("%s %v %v: %s says %v, %s says %v", c.spec.Name, c.shapes, c.imms, d.Name(), err, devs[0].Name(), wantErr)
			}
			for i := range want {
				if !bytes.Equal(got[i], want[i]) {
					t.Errorf("%s %v %v: output %d of %s differs from %s", c.spec.Name, c.shapes, c.imms, i, d.Name(), devs[0].Name())
				}
			}
		}
	})
}

// kindOf is the sentinel of a job's error; anything else is itself.
func kindOf(err error) error {
	for _, k := range []error{device.ErrShape, device.ErrType, device.ErrHandle, device.ErrAlias, device.ErrMemory, device.ErrOp} {
		if errors.Is(err, k) {
			return k
		}
	}
	return err
}

// call is a random call: shapes and data of its tensors in table order.
type call struct {
	spec   *device.OpSpec
	types  []device.DType // invalid: absent
	shapes []device.Shape
	data   [][]byte
	imms   []int64
}

func (c *call) run(d device.Device) ([][]byte, error) {
	sp, err := d.NewSpace(64 << 20)
	if err != nil {
		return nil, err
	}
	defer sp.Close()
	dc := device.Call{Op: c.spec.Op, Imms: c.imms}
	for i := range c.types {
		var h device.Handle
		if c.types[i] != device.DTypeInvalid {
			if h, err = sp.Alloc(c.types[i], c.shapes[i]); err == nil {
				err = sp.Write(h, 0, c.data[i])
			}
			if err != nil {
				return nil, err
			}
		}
		dc.Tensors = append(dc.Tensors, h)
	}
	if err := sp.Run(dc); err != nil {
		return nil, err
	}
	var outs [][]byte
	for i, o := range c.spec.Tensors() {
		if o.Kind != device.Out {
			continue
		}
		p := make([]byte, len(c.data[i]))
		if err := sp.Read(dc.Tensors[i], 0, p); err != nil {
			return nil, err
		}
		outs = append(outs, p)
	}
	return outs, nil
}

func randomCall(spec *device.OpSpec, seed uint64) *call {
	var key [32]byte
	binary.LittleEndian.PutUint64(key[:], seed)
	copy(key[8:], spec.Name)
	g := generator{rand.New(rand.NewChaCha8(key))}
	c := &call{spec: spec}
	dims, seg := g.dims(spec.Op)
	style := g.IntN(4)
	shared := []device.DType{device.U8, device.S8, device.S32, device.ScaleT}[g.IntN(4)]
	for _, o := range spec.Tensors() {
		dt := o.Type
		switch {
		case o.Kind == device.Opt && g.IntN(2) == 0:
			dt = device.DTypeInvalid
		case dt == device.TypeAny:
			dt = shared
		}
		s := device.Shape{Rows: size(o.Rows, dims), Cols: size(o.Cols, dims)}
		c.types = append(c.types, dt)
		c.shapes = append(c.shapes, s)
		c.data = append(c.data, g.data(dt, s, style))
	}
	for _, o := range spec.Imms() {
		c.imms = append(c.imms, g.imm(o, dims, seg))
	}
	return c
}

func size(symbol string, dims map[string]int) int {
	if n, ok := dims[symbol]; ok {
		return n
	}
	n := 0
	for _, d := range symbol {
		n = n*10 + int(d-'0')
	}
	return n
}

type generator struct{ *rand.Rand }

// dim is mostly small, sometimes about a block of a kernel, rarely 0.
func (g generator) dim() int {
	switch g.IntN(8) {
	case 0:
		return g.IntN(3)
	case 1:
		return 120 + g.IntN(20)
	default:
		return 1 + g.IntN(40)
	}
}

// dims chooses the symbols of an op, nearly always as its rules ask.
func (g generator) dims(op device.Op) (d map[string]int, seg int) {
	d = map[string]int{}
	for s := 'A'; s <= 'Z'; s++ {
		d[string(s)] = g.dim()
	}
	bad := g.IntN(20) == 0
	switch op {
	case device.OpRope:
		if !bad {
			d["D"] = 2 * (1 + g.IntN(20))
			d["C"] = d["D"] * g.IntN(4)
		}
	case device.OpAttention:
		head, groups := 1+g.IntN(40), 1+g.IntN(3)
		d["G"], d["H"] = groups, groups*(1+g.IntN(3))
		d["E"], d["C"] = groups*head, d["H"]*head
		seg = 1 + g.IntN(6)
		n := g.IntN(4)
		d["M"], d["S"] = n*seg, n*(seg+g.IntN(60))
		if bad {
			d["S"]++
		}
	case device.OpSample:
		d["V"] = 1 + g.IntN(500)
	case device.OpGemm, device.OpLinear:
		if g.IntN(10) == 0 {
			d["K"] = 2040 + g.IntN(20) // a block of depth
		}
		if g.IntN(10) == 0 {
			d["N"] = 250 + g.IntN(12)
		}
	}
	return d, seg
}

func (g generator) imm(o device.Operand, dims map[string]int, seg int) int64 {
	switch o.Name {
	case "seg":
		return int64(max(seg, 1))
	case "eout":
		if g.IntN(4) > 0 {
			return int64(40 + g.IntN(40))
		}
	case "exp":
		if g.IntN(4) > 0 {
			return int64(20 + g.IntN(20))
		}
	case "col0":
		return int64(g.IntN(max(1, dims["K"]-dims["N"]+2)))
	case "topk":
		if g.IntN(2) == 0 {
			return int64(g.IntN(50))
		}
	case "temperature":
		return int64(g.IntN(3) * g.IntN(1<<17))
	}
	if g.IntN(30) == 0 && o.Max < 1<<40 {
		return o.Max + 1
	}
	span := uint64(o.Max) - uint64(o.Min)
	if span == 1<<64-1 {
		return int64(g.Uint64())
	}
	return int64(uint64(o.Min) + g.Uint64()%(span+1))
}

// data fills a tensor: 0 anything, 1 and 2 as a model has it, 3 extremes.
func (g generator) data(dt device.DType, s device.Shape, style int) []byte {
	var b []byte
	base := int32(20 + g.IntN(16))
	for range s.Elems() {
		switch dt {
		case device.U8, device.S8:
			v := byte(g.Uint32())
			if style == 3 && g.IntN(2) == 0 {
				v = []byte{0x7F, 0x81, 0, 1}[g.IntN(4)]
			}
			b = append(b, v)
		case device.S32:
			v := int32(g.Uint32())
			switch {
			case style == 1 || style == 2:
				v >>= 8 + g.IntN(16)
			case style == 3:
				v = []int32{-1 << 31, 1<<31 - 1, 0, -1, 1 << 30, v}[g.IntN(6)]
			}
			b = binary.LittleEndian.AppendUint32(b, uint32(v))
		case device.ScaleT:
			m, e := g.Uint32(), int32(g.Uint32())
			if style == 1 || style == 2 {
				m, e = m>>1|1<<30, base+int32(g.IntN(1+3*style))
			} else if g.IntN(2) == 0 {
				e = base - 30 + int32(g.IntN(90))
			}
			if g.IntN(16) == 0 {
				m = 0
			}
			b = binary.LittleEndian.AppendUint32(b, m)
			b = binary.LittleEndian.AppendUint32(b, uint32(e))
		}
	}
	return b
}

// TestRandomCalls: enough of the fuzzer's calls pass the checks, and some do not.
func TestRandomCalls(t *testing.T) {
	dev := open(t, wasmdev.Config{})
	refused := 0
	for i := range device.Ops {
		spec := &device.Ops[i]
		const n = 60
		ran := 0
		for seed := range uint64(n) {
			if _, err := randomCall(spec, seed).run(dev); err == nil {
				ran++
			}
		}
		if ran < n/2 {
			t.Errorf("%s: only %d of %d calls run", spec.Name, ran, n)
		}
		refused += n - ran
	}
	if refused == 0 {
		t.Error("no call is refused")
	}
}
