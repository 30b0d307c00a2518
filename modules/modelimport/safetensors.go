package modelimport

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math"

	"github.com/assaynet/assay/modules/manifest"
)

// ErrCheckpoint is the class of every error about the input.
var ErrCheckpoint = errors.New("modelimport: bad checkpoint")

func bad(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrCheckpoint, fmt.Sprintf(format, args...))
}

// MaxSafetensorsHeader bounds the JSON header, as other readers of the format do.
const MaxSafetensorsHeader = 100 << 20

// Tensor is a float tensor of a checkpoint, row-major. A vector has one row.
type Tensor struct {
	Rows, Cols int
	Data       []float32
}

// Row aliases row i.
func (t *Tensor) Row(i int) []float32 { return t.Data[i*t.Cols : (i+1)*t.Cols] }

type stEntry struct {
	DType   string   `json:"dtype"`
	Shape   []int64  `json:"shape"`
	Offsets [2]int64 `json:"data_offsets"`
}

// ReadSafetensors decodes a file of F32, F16 or BF16 tensors of one or two
// dimensions.
func ReadSafetensors(file []byte) (map[string]*Tensor, error) {
	if len(file) < 8 {
		return nil, bad("safetensors: %d bytes", len(file))
	}
	n := binary.LittleEndian.Uint64(file)
	if n > MaxSafetensorsHeader || n > uint64(len(file)-8) {
		return nil, bad("safetensors: header of %d bytes, at most %d and the file", n, MaxSafetensorsHeader)
	}
	var head map[string]json.RawMessage
	if err := json.Unmarshal(file[8:8+n], &head); err != nil {
		return nil, bad("safetensors: header: %v", err)
	}
	delete(head, "__metadata__")
	data := file[8+n:]
	out := make(map[string]*Tensor, len(head))
	for name, raw := range head {
		var e stEntry
		d := json.NewDecoder(bytes.NewReader(raw))
		d.DisallowUnknownFields()
		if err := d.Decode(&e); err != nil {
			return nil, bad("safetensors: %q: %v", name, err)
		}
		t, err := e.decode(data)
		if err != nil {
			return nil, fmt.Errorf("%w (tensor %q)", err, name)
		}
		out[name] = t
	}
	return out, nil
}

func (e *stEntry) decode(data []byte) (*Tensor, error) {
	t := &Tensor{Rows: 1}
	switch len(e.Shape) {
	case 1:
		t.Cols = int(e.Shape[0])
	case 2:
		t.Rows, t.Cols = int(e.Shape[0]), int(e.Shape[1])
	default:
		return nil, bad("%d dimensions, 1 or 2 are supported", len(e.Shape))
	}
	for _, n := range e.Shape {
		if n < 0 || n > manifest.MaxTensorDim {
			return nil, bad("dimension %d, at most %d", n, manifest.MaxTensorDim)
		}
	}
	size := map[string]int64{"F32": 4, "F16": 2, "BF16": 2}[e.DType]
	if size == 0 {
		return nil, bad("element type %q; F32, F16 and BF16 are supported", e.DType)
	}
	lo, hi := e.Offsets[0], e.Offsets[1]
	if lo < 0 || hi < lo || hi > int64(len(data)) || hi-lo != int64(t.Rows)*int64(t.Cols)*size {
		return nil, bad("data_offsets %v do not fit the shape %v and %d bytes of data", e.Offsets, e.Shape, len(data))
	}
	p := data[lo:hi]
	t.Data = make([]float32, t.Rows*t.Cols)
	for i := range t.Data {
		switch e.DType {
		case "F32":
			t.Data[i] = math.Float32frombits(binary.LittleEndian.Uint32(p[4*i:]))
		case "BF16":
			t.Data[i] = math.Float32frombits(uint32(binary.LittleEndian.Uint16(p[2*i:])) << 16)
		case "F16":
			t.Data[i] = half(binary.LittleEndian.Uint16(p[2*i:]))
		}
		if v := float64(t.Data[i]); math.IsNaN(v) || math.IsInf(v, 0) {
			return nil, bad("element %d is not finite", i)
		}
	}
	return t, nil
}

// half decodes IEEE binary16.
func half(b uint16) float32 {
	sign, exp, frac := uint32(b>>15)<<31, int(b>>10&31), uint32(b&1023)
	switch exp {
	case 0:
		v := float32(math.Ldexp(float64(frac), -24))
		return math.Float32frombits(math.Float32bits(v) | sign)
	case 31:
		return math.Float32frombits(sign | 0xff<<23 | frac<<13)
	}
	return math.Float32frombits(sign | uint32(exp+112)<<23 | frac<<13)
}
