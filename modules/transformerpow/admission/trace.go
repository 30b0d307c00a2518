package admission

import (
	"fmt"
	"strings"

	"github.com/assaynet/assay/hostgpu/device"
)

// Tracer is a device that notes every op that runs on it. It serves one
// goroutine.
type Tracer struct {
	device.Device
	Ops  []string // op, shapes, immediates; the stream of expand left out
	MACs uint64   // multiply-accumulates of all of them, attention as a full square
}

// Reset forgets what ran.
func (t *Tracer) Reset() { t.Ops, t.MACs = nil, 0 }

// NewSpace implements device.Device.
func (t *Tracer) NewSpace(limit int64) (device.Space, error) {
	sp, err := t.Device.NewSpace(limit)
	if err != nil {
		return nil, err
	}
	return &tracedSpace{sp, t}, nil
}

type tracedSpace struct {
	device.Space
	t *Tracer
}

func (s *tracedSpace) Run(c device.Call) error {
	if err := s.Space.Run(c); err != nil {
		return err
	}
	var line strings.Builder
	line.WriteString(c.Op.String())
	shapes := make([]device.Shape, len(c.Tensors))
	for i, h := range c.Tensors {
		if h != 0 {
			_, shapes[i], _ = s.Stat(h)
		}
		fmt.Fprint(&line, " ", shapes[i])
	}
	if c.Op != device.OpExpand {
		fmt.Fprint(&line, " ", c.Imms)
	}
	s.t.Ops = append(s.t.Ops, line.String())
	switch c.Op {
	case device.OpGemm:
		s.t.MACs += uint64(shapes[0].Elems() * int64(shapes[1].Cols))
	case device.OpLinear:
		s.t.MACs += uint64(shapes[0].Elems() * int64(shapes[1].Cols))
	case device.OpAttention: // q·k and p·v, every query of a segment with every key
		segments := int64(shapes[0].Rows) / c.Imms[0]
		s.t.MACs += uint64(2 * shapes[0].Elems() * int64(shapes[3].Rows) / max(segments, 1))
	}
	return nil
}
