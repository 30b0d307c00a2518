package shape

import (
	"errors"
	"strconv"
)

// Size of the encoded parameters in bytes: six little-endian u32.
const Size = 24

// Bounds. They follow from the ops' own: attention takes heads of at most
// 1,024 columns, gemm at most 131,072 products a sum. The product of both
// matters too, so Weights is bounded on its own.
const (
	MaxLayers  = 128
	MaxWidth   = 16384
	MaxHeadDim = 1024
	MaxFFN     = 131072
	MaxTokens  = 4096
	MaxWeights = 1 << 36 // int8 weights of all layers
	passRows   = 4096    // activation rows of one pass over the weights
)

// ErrShape is the class of every refusal.
var ErrShape = errors.New("transformerpow: parameters outside their bounds")

// Shape of the transformer. The encoding is these six fields in order.
type Shape struct {
	Layers  uint32 // 1 to MaxLayers
	Width   uint32 // of the residual stream; a multiple of Heads
	Heads   uint32 // query heads of Width/Heads columns, an even number
	KVHeads uint32 // key and value heads; divides Heads
	FFN     uint32 // Width to MaxFFN
	Tokens  uint32 // rows of a unit, 2 to MaxTokens
}

// Test is the shape of test networks: a unit takes well under a millisecond.
var Test = Shape{Layers: 2, Width: 64, Heads: 4, KVHeads: 4, FFN: 128, Tokens: 8}

// Production is the shape of a real sprint: 102.8 MB of weights, 1.65·10^9
// multiply-accumulates a unit.
var Production = Shape{Layers: 2, Width: 2048, Heads: 16, KVHeads: 16, FFN: 5632, Tokens: 16}

// Decode reads and checks parameters.
func Decode(p []byte) (Shape, error) {
	if len(p) != Size {
		return Shape{}, refusal("length", uint64(len(p)))
	}
	u := func(i int) uint32 {
		p := p[4*i : 4*i+4] // encoding/binary would pull reflection into the guest
		return uint32(p[0]) | uint32(p[1])<<8 | uint32(p[2])<<16 | uint32(p[3])<<24
	}
	s := Shape{u(0), u(1), u(2), u(3), u(4), u(5)}
	return s, s.Check()
}

// Encode writes the parameter bytes.
func (s Shape) Encode() []byte {
	p := make([]byte, 0, Size)
	for _, v := range []uint32{s.Layers, s.Width, s.Heads, s.KVHeads, s.FFN, s.Tokens} {
		p = append(p, byte(v), byte(v>>8), byte(v>>16), byte(v>>24))
	}
	return p
}

// Check reports the first field outside its bounds.
func (s Shape) Check() error {
	switch {
	case s.Layers < 1 || s.Layers > MaxLayers:
		return refusal("layers", uint64(s.Layers))
	case s.Width < 2 || s.Width > MaxWidth:
		return refusal("width", uint64(s.Width))
	case s.Heads < 1 || s.Width%s.Heads != 0 || s.HeadDim()%2 != 0 || s.HeadDim() > MaxHeadDim:
		return refusal("heads", uint64(s.Heads))
	case s.KVHeads < 1 || s.Heads%s.KVHeads != 0:
		return refusal("key heads", uint64(s.KVHeads))
	case s.FFN < s.Width || s.FFN > MaxFFN:
		return refusal("feed-forward width", uint64(s.FFN))
	case s.Tokens < 2 || s.Tokens > MaxTokens:
		return refusal("tokens", uint64(s.Tokens))
	case s.Weights() > MaxWeights:
		return refusal("number of weights", s.Weights())
	}
	return nil
}

func refusal(field string, v uint64) error {
	return &Error{field, v}
}

// Error names the field that was refused.
type Error struct {
	Field string
	Value uint64
}

func (e *Error) Error() string {
	return ErrShape.Error() + ": " + e.Field + " " + strconv.FormatUint(e.Value, 10)
}

func (e *Error) Unwrap() error { return ErrShape }

// HeadDim is the columns of a head.
func (s Shape) HeadDim() uint32 { return s.Width / s.Heads }

// KVWidth is the columns of all key heads together.
func (s Shape) KVWidth() uint32 { return s.KVHeads * s.HeadDim() }

// Weights is the number of int8 weights.
func (s Shape) Weights() uint64 {
	d, e, f := uint64(s.Width), uint64(s.KVWidth()), uint64(s.FFN)
	return uint64(s.Layers) * (2*d*d + 2*d*e + 3*d*f)
}

// MACs is the multiply-accumulates of one unit: those of the weights and
// those of causal attention, counted as a full square.
func (s Shape) MACs() uint64 {
	t := uint64(s.Tokens)
	return t*s.Weights() + uint64(s.Layers)*2*t*t*uint64(s.Width)
}

// Pass is the most units that one pass over the weights computes.
func (s Shape) Pass() int { return max(1, passRows/int(s.Tokens)) }

// TensorBytes is the device memory that the module needs for passes of up to
// batch units: what to declare as a job's tensor memory. A larger batch than
// Pass needs no more than Pass.
func (s Shape) TensorBytes(batch int) int64 {
	var sum int64
	rows := int64(min(max(batch, 1), s.Pass())) * int64(s.Tokens)
	d, e, f := int64(s.Width), int64(s.KVWidth()), int64(s.FFN)
	h, g := int64(s.Heads), int64(s.KVHeads)
	// Activations, as the guest allocates them.
	sum += rows * (4*d + d + 8 + 4*d + 4*e + 4*e + d + 8*h + 2*e + 16*g + 4*f + 4*f + f)
	sum += rows * (4 + 4 + 8)
	if g != h {
		sum += rows * 4 * h
	}
	// Weights, gains, biases, scales, rotary table, keys.
	sum += int64(s.Weights()) + 4*d + 4*f + 8*f + 8*d + 8*d + 4*int64(s.Tokens)*int64(s.HeadDim())
	return sum + 4096
}
