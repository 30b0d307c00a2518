package adversary

import (
	"slices"

	"github.com/assaynet/assay/hostgpu/device"
)

// Cut is a way to compute less than a unit asks for.
type Cut int

// Cuts.
const (
	// FourBitWeights rounds each weight to a multiple of 16.
	FourBitWeights Cut = iota
	// DroppedLowBits computes with seven bits of each activation.
	DroppedLowBits
	// SkippedLayer leaves the second layer out.
	SkippedLayer
	// SkippedAttention leaves the attention of every layer out.
	SkippedAttention
)

// Approximate is a device that cuts a corner of transformerpow. The module that runs on it is the
// real one; only what some ops write differs.
func Approximate(dev device.Device, cut Cut) device.Device { return cutDevice{dev, cut} }

type cutDevice struct {
	device.Device
	cut Cut
}

func (d cutDevice) NewSpace(limit int64) (device.Space, error) {
	s, err := d.Device.NewSpace(limit)
	return &cutSpace{Space: s, cut: d.cut}, err
}

type cutSpace struct {
	device.Space
	cut   Cut
	norms int // since the pass began: two a layer
}

func (s *cutSpace) Run(c device.Call) error {
	switch c.Op {
	case device.OpEmbed:
		s.norms = 0
	case device.OpNormQuant:
		s.norms++
	}
	if s.cut == SkippedLayer && s.norms > 2 && c.Op != device.OpDigest && c.Op != device.OpExpand {
		return nil
	}
	if s.cut == SkippedAttention && c.Op == device.OpAttention {
		return s.change(c.Tensors[0], func(byte) byte { return 0 })
	}
	if err := s.Space.Run(c); err != nil {
		return err
	}
	switch {
	case s.cut == FourBitWeights && c.Op == device.OpExpand:
		// Inputs have as many rows as a unit has tokens, no weight matrix has so few.
		if _, shape, err := s.Stat(c.Tensors[0]); err != nil || shape.Rows == int(small.Tokens) {
			return err
		}
		return s.change(c.Tensors[0], func(b byte) byte {
			v := (int(int8(b)) + 8) >> 4 << 4
			return byte(int8(min(v, 112)))
		})
	case s.cut == DroppedLowBits && (c.Op == device.OpQuant || c.Op == device.OpNormQuant):
		return s.change(c.Tensors[0], func(b byte) byte { return byte(max(int8(b)&^1, -126)) })
	}
	return nil
}

// change rewrites every byte of a tensor.
func (s *cutSpace) change(h device.Handle, f func(byte) byte) error {
	dt, shape, err := s.Stat(h)
	if err != nil {
		return err
	}
	p := make([]byte, int(shape.Elems())*dt.Size())
	if err := s.Read(h, 0, p); err != nil {
		return err
	}
	was := slices.Clone(p)
	for i, b := range p {
		p[i] = f(b)
	}
	if slices.Equal(p, was) {
		return nil
	}
	return s.Write(h, 0, p)
}
