package manifest

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"math"
)

// Bounds of a model blob. They equal the device's own (hostgpu/device.MaxDim,
// MaxBytes), which a test checks, and keep a header small enough to parse
// before anything else is known about the blob.
const (
	MaxModelHeader  = 4 << 20 // bytes of JSON
	MaxModelConfig  = 64 << 10
	MaxModelTensors = 65536
	MaxTensorName   = 128
	MaxTensorDim    = 1 << 24
	MaxTensorBytes  = 1 << 31
)

const (
	modelMagic = "ASYM1\x00\x00\x00"
	modelAlign = 64 // every tensor starts at a multiple of it, for mapped reads
	modelFixed = len(modelMagic) + 4
)

// Element types of a tensor: the numbers of hostgpu/device.DType.
const (
	U8    uint8 = 1
	S8    uint8 = 2
	S32   uint8 = 3
	Scale uint8 = 4
)

// elemSize is indexed by element type; 0 marks an unknown one.
var elemSize = [...]int64{0, 1, 1, 4, 8}

// Tensor is one named matrix of a model. Data is row-major, little-endian, of
// Rows × Cols elements.
type Tensor struct {
	Name       string
	DType      uint8
	Rows, Cols int
	Data       []byte
}

// ModelFile is a whole model: a config that only the module that runs the
// model understands, and tensors in the order in which they are stored.
type ModelFile struct {
	// Config is one JSON object without insignificant space.
	Config  json.RawMessage
	Tensors []Tensor
}

type modelHeader struct {
	Config  json.RawMessage `json:"config"`
	Tensors []tensorHeader  `json:"tensors"`
}

type tensorHeader struct {
	Name   string `json:"name"`
	DType  uint8  `json:"dtype"`
	Rows   int    `json:"rows"`
	Cols   int    `json:"cols"`
	Offset int64  `json:"offset"` // from the start of the data part
	Size   int64  `json:"size"`   // bytes
}

// Tensor finds a tensor by name.
func (m *ModelFile) Tensor(name string) (*Tensor, bool) {
	for i := range m.Tensors {
		if m.Tensors[i].Name == name {
			return &m.Tensors[i], true
		}
	}
	return nil, false
}

// Bytes is the sum of the tensors' sizes: what the model takes on a device.
func (m *ModelFile) Bytes() int64 {
	var n int64
	for i := range m.Tensors {
		n += int64(len(m.Tensors[i].Data))
	}
	return n
}

// Encode writes the only encoding of m. It fails when m breaks a bound.
func (m *ModelFile) Encode() ([]byte, error) {
	var compact bytes.Buffer
	if err := json.Compact(&compact, m.Config); err != nil {
		return nil, bad("model", "config", fmt.Errorf("%w: %v", ErrSyntax, err))
	}
	h := modelHeader{Config: compact.Bytes(), Tensors: make([]tensorHeader, len(m.Tensors))}
	var off int64
	for i := range m.Tensors {
		t := &m.Tensors[i]
		h.Tensors[i] = tensorHeader{t.Name, t.DType, t.Rows, t.Cols, off, int64(len(t.Data))}
		off = align(off + int64(len(t.Data)))
	}
	if err := h.check(); err != nil {
		return nil, err
	}
	text, err := encodeJSON(h)
	if err != nil {
		return nil, bad("model", "header", fmt.Errorf("%w: %v", ErrSyntax, err))
	}
	if len(text) > MaxModelHeader {
		return nil, bad("model", "header length", fmt.Errorf("%w: %d, at most %d", ErrBound, len(text), MaxModelHeader))
	}
	start := align(int64(modelFixed + len(text)))
	out := make([]byte, start+off)
	copy(out, modelMagic)
	binary.LittleEndian.PutUint32(out[len(modelMagic):], uint32(len(text)))
	copy(out[modelFixed:], text)
	for i := range m.Tensors {
		copy(out[start+h.Tensors[i].Offset:], m.Tensors[i].Data)
	}
	return out, nil
}

// DecodeModel reads a blob. The tensors' Data alias blob. Only what Encode
// writes is accepted; every error is a *FormatError.
func DecodeModel(blob []byte) (*ModelFile, error) {
	if len(blob) < modelFixed || string(blob[:len(modelMagic)]) != modelMagic {
		return nil, bad("model", "magic", ErrSyntax)
	}
	n := int64(binary.LittleEndian.Uint32(blob[len(modelMagic):]))
	if n > MaxModelHeader || n > int64(len(blob)-modelFixed) {
		return nil, bad("model", "header length", fmt.Errorf("%w: %d, at most %d and the blob", ErrBound, n, MaxModelHeader))
	}
	text := blob[modelFixed : int64(modelFixed)+n]
	var h modelHeader
	if err := decodeJSON(text, &h); err != nil {
		return nil, bad("model", "header", fmt.Errorf("%w: %v", ErrSyntax, err))
	}
	if err := h.check(); err != nil {
		return nil, err
	}
	if again, err := encodeJSON(h); err != nil || !bytes.Equal(again, text) {
		return nil, bad("model", "header", ErrCanonical)
	}
	start := align(int64(modelFixed) + n)
	end := start
	if k := len(h.Tensors); k > 0 {
		end += align(h.Tensors[k-1].Offset + h.Tensors[k-1].Size)
	}
	if end != int64(len(blob)) {
		return nil, bad("model", "length", fmt.Errorf("%w: %d bytes, the header needs %d", ErrBound, len(blob), end))
	}
	if !zero(blob[int64(modelFixed)+n : start]) {
		return nil, bad("model", "padding", ErrCanonical)
	}
	m := &ModelFile{Config: h.Config, Tensors: make([]Tensor, len(h.Tensors))}
	for i, t := range h.Tensors {
		lo, hi := start+t.Offset, start+t.Offset+t.Size
		if !zero(blob[hi : start+align(t.Offset+t.Size)]) {
			return nil, bad("model", "padding after "+t.Name, ErrCanonical)
		}
		m.Tensors[i] = Tensor{t.Name, t.DType, t.Rows, t.Cols, blob[lo:hi:hi]}
	}
	return m, nil
}

// check enforces every bound of the header, and that offsets are the ones
// Encode gives: in order, aligned, without gaps.
func (h *modelHeader) check() error {
	if len(h.Config) > MaxModelConfig {
		return bad("model", "config", fmt.Errorf("%w: %d bytes, at most %d", ErrBound, len(h.Config), MaxModelConfig))
	}
	if len(h.Config) < 2 || h.Config[0] != '{' {
		return bad("model", "config", fmt.Errorf("%w: not an object", ErrSyntax))
	}
	if len(h.Tensors) > MaxModelTensors {
		return bad("model", "tensors", fmt.Errorf("%w: %d, at most %d", ErrBound, len(h.Tensors), MaxModelTensors))
	}
	seen := make(map[string]struct{}, len(h.Tensors))
	var off int64
	for i := range h.Tensors {
		t := &h.Tensors[i]
		if err := t.check(); err != nil {
			return err
		}
		if _, dup := seen[t.Name]; dup {
			return bad("model", "tensor "+t.Name, fmt.Errorf("%w: named twice", ErrBound))
		}
		seen[t.Name] = struct{}{}
		if t.Offset != off {
			return bad("model", "tensor "+t.Name, fmt.Errorf("%w: offset %d, must be %d", ErrCanonical, t.Offset, off))
		}
		off = align(off + t.Size)
		if off > math.MaxInt64-2*MaxTensorBytes {
			return bad("model", "length", ErrBound)
		}
	}
	return nil
}

func (t *tensorHeader) check() error {
	if len(t.Name) == 0 || len(t.Name) > MaxTensorName {
		return bad("model", "tensor name", fmt.Errorf("%w: %d bytes, 1 to %d", ErrBound, len(t.Name), MaxTensorName))
	}
	for i := 0; i < len(t.Name); i++ {
		if c := t.Name[i]; c < '!' || c > '~' || c == '"' || c == '\\' {
			return bad("model", fmt.Sprintf("tensor %q", t.Name), fmt.Errorf("%w: name is not printable ASCII", ErrBound))
		}
	}
	if int(t.DType) >= len(elemSize) || elemSize[t.DType] == 0 {
		return bad("model", "tensor "+t.Name, fmt.Errorf("%w: element type %d", ErrBound, t.DType))
	}
	if t.Rows < 0 || t.Cols < 0 || t.Rows > MaxTensorDim || t.Cols > MaxTensorDim {
		return bad("model", "tensor "+t.Name, fmt.Errorf("%w: shape [%d,%d], each at most %d", ErrBound, t.Rows, t.Cols, MaxTensorDim))
	}
	size := int64(t.Rows) * int64(t.Cols) * elemSize[t.DType]
	if size > MaxTensorBytes {
		return bad("model", "tensor "+t.Name, fmt.Errorf("%w: %d bytes, at most %d", ErrBound, size, int64(MaxTensorBytes)))
	}
	if t.Size != size {
		return bad("model", "tensor "+t.Name, fmt.Errorf("%w: size %d, shape and type make %d", ErrBound, t.Size, size))
	}
	return nil
}

func align(n int64) int64 { return (n + modelAlign - 1) &^ (modelAlign - 1) }

func zero(p []byte) bool {
	for _, b := range p {
		if b != 0 {
			return false
		}
	}
	return true
}

// encodeJSON is compact, in field order, without HTML escapes and without a
// final newline.
func encodeJSON(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// decodeJSON refuses unknown fields and anything after the value.
func decodeJSON(text []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return err
	}
	if _, err := d.Token(); err != io.EOF {
		return fmt.Errorf("data after the value")
	}
	return nil
}
