package devicetest

import (
	"encoding/binary"
	"math/rand/v2"

	"github.com/assaynet/assay/hostgpu/device"
)

// Data is one operand of a Case; nil Bytes on an output, absent if Type is 0.
type Data struct {
	Type  device.DType
	Shape device.Shape
	Bytes []byte
}

// Case is one call with everything it reads, in table order.
type Case struct {
	Name    string
	Op      device.Op
	Tensors []Data
	Imms    []int64
}

// fill says what values an operand gets.
type fill int

const (
	uniform fill = iota // every bit pattern of the type
	typical             // what a model has: small numbers, normalised scales
	extreme             // the ends of the range and the powers of two
	zeros
	top    // all at the upper end
	bottom // all at the lower end
	spike  // zeros but for one large value
)

var allFills = []fill{uniform, typical, extreme, zeros, top, bottom, spike}

func (f fill) String() string {
	return [...]string{"uniform", "typical", "extreme", "zeros", "top", "bottom", "spike"}[f]
}

// gen makes operands from a fixed stream.
type gen struct{ src *rand.ChaCha8 }

func newGen(name string) *gen {
	var seed [32]byte
	copy(seed[:], name)
	return &gen{rand.NewChaCha8(seed)}
}

func (g *gen) n(limit int) int { return int(g.src.Uint64() >> 1 % uint64(limit)) }

// data makes one operand.
func (g *gen) data(dt device.DType, rows, cols int, f fill) Data {
	d := Data{Type: dt, Shape: device.Shape{Rows: rows, Cols: cols}}
	n := rows * cols
	d.Bytes = make([]byte, 0, n*dt.Size())
	at := -1
	if n > 0 {
		at = g.n(n)
	}
	for i := range n {
		hit := f != spike || i == at
		switch dt {
		case device.U8:
			d.Bytes = append(d.Bytes, byte(g.src.Uint64()))
		case device.S8:
			d.Bytes = append(d.Bytes, byte(g.s8(f, hit)))
		case device.S32:
			d.Bytes = binary.LittleEndian.AppendUint32(d.Bytes, uint32(g.s32(f, hit)))
		case device.ScaleT:
			s := g.scale(f, hit)
			d.Bytes = binary.LittleEndian.AppendUint32(d.Bytes, s.M)
			d.Bytes = binary.LittleEndian.AppendUint32(d.Bytes, uint32(s.E))
		}
	}
	return d
}

func (g *gen) s8(f fill, hit bool) int8 {
	r := g.src.Uint64()
	switch f {
	case zeros:
		return 0
	case top:
		return 127
	case bottom:
		return -127
	case typical:
		return int8(r%41) - 20
	case extreme:
		return [...]int8{127, -127, 126, -126, 1, -1, 0, 64}[r%8]
	case spike:
		if !hit {
			return 0
		}
	}
	return int8(r%255) - 127
}

func (g *gen) s32(f fill, hit bool) int32 {
	r := g.src.Uint64()
	switch f {
	case zeros:
		return 0
	case top:
		return 1<<31 - 1
	case bottom:
		return -1 << 31
	case typical:
		return int32(r)>>13 + int32(r>>32)>>13 // about ±4 in Q16
	case extreme:
		x := int32(1)<<(r>>8&31) - int32(r>>16&3) + 1
		if r&1 != 0 {
			x = -x
		}
		return x
	case spike:
		if !hit {
			return 0
		}
	}
	return int32(r)
}

func (g *gen) scale(f fill, hit bool) device.Scale {
	r := g.src.Uint64()
	s := device.Scale{M: 1<<30 | uint32(r)>>2, E: 38 + int32(r>>40&7)}
	switch f {
	case zeros:
		return device.Scale{}
	case top:
		return device.Scale{M: 1<<31 - 1, E: 30}
	case bottom:
		return device.Scale{M: 1 << 30, E: 61}
	case uniform:
		return device.Scale{M: uint32(r), E: int32(r >> 32)}
	case extreme:
		s.E = 20 + int32(r>>40&63)
		if r>>50&7 == 0 {
			s.M = 0
		}
		if r>>53&7 == 0 {
			s.E = int32(r>>32&4095) - 2048
		}
	case spike:
		if hit {
			s.E -= 12
		}
	}
	return s
}

// out is the operand of an output.
func out(dt device.DType, rows, cols int) Data {
	return Data{Type: dt, Shape: device.Shape{Rows: rows, Cols: cols}}
}

// absent is an optional operand left out.
var absent = Data{}

// ints makes an [n,1] or [1,n] tensor of given values.
func values(rows, cols int, v ...int32) Data {
	d := Data{Type: device.S32, Shape: device.Shape{Rows: rows, Cols: cols}, Bytes: []byte{}}
	for _, x := range v {
		d.Bytes = binary.LittleEndian.AppendUint32(d.Bytes, uint32(x))
	}
	return d
}

// indexes makes n indexes around [0, limit), some of them outside.
func (g *gen) indexes(n, limit int) Data {
	v := make([]int32, n)
	for i := range v {
		v[i] = int32(g.n(limit+2)) - 1
	}
	if n > 2 {
		v[1], v[2] = -1<<31, 1<<31-1
	}
	return values(n, 1, v...)
}
