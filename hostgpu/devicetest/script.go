package devicetest

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/assaynet/assay/hostgpu/device"
)

// scriptBytes is the limit of a script's space, small so that it is reached.
const scriptBytes = 1 << 15

// Script runs calls decoded from data, most of them wrong, against a fresh
// space, and returns what came of each: the class of its error, the handle or
// the bytes. Two devices that disagree on one line are not the same device.
// The error is a failure of the device.
func Script(dev device.Device, data []byte) ([]string, error) {
	sp, err := dev.NewSpace(scriptBytes)
	if err != nil {
		return nil, err
	}
	defer sp.Close()
	s := &script{sp: sp, in: data}
	for len(s.in) > 0 && len(s.lines) < 300 {
		if err := s.step(); err != nil {
			return nil, err
		}
	}
	return s.lines, nil
}

type script struct {
	sp    device.Space
	in    []byte
	last  device.Handle
	lines []string
}

func (s *script) byte() int {
	if len(s.in) == 0 {
		return 0
	}
	b := s.in[0]
	s.in = s.in[1:]
	return int(b)
}

// size is mostly small, now and then at or over a bound.
func (s *script) size() int {
	switch b := s.byte(); b {
	case 255:
		return -1
	case 254:
		return device.MaxDim
	case 253:
		return device.MaxDim + 1
	default:
		return b % 48
	}
}

func (s *script) handle() device.Handle { return device.Handle(s.byte()) % (s.last + 2) }

// jobErrors are the errors that are a job's fault.
var jobErrors = []error{device.ErrShape, device.ErrType, device.ErrHandle, device.ErrAlias, device.ErrMemory, device.ErrOp}

// note writes a line; an error outside the closed set is the device's failure.
func (s *script) note(what string, err error, result any) error {
	if err == nil {
		s.lines = append(s.lines, fmt.Sprint(what, " ", result))
		return nil
	}
	for _, e := range jobErrors {
		if errors.Is(err, e) {
			s.lines = append(s.lines, what+": "+e.Error())
			return nil
		}
	}
	return fmt.Errorf("%s: %w", what, err)
}

func (s *script) step() error {
	switch s.byte() % 8 {
	case 0, 1:
		h, err := s.sp.Alloc(device.DType(s.byte()%6), device.Shape{Rows: s.size(), Cols: s.size()})
		s.last = max(s.last, h)
		return s.note("alloc", err, h)
	case 2:
		h, err := s.sp.View(s.handle(), s.size(), device.Shape{Rows: s.size(), Cols: s.size()})
		s.last = max(s.last, h)
		return s.note("view", err, h)
	case 3:
		return s.note("free", s.sp.Free(s.handle()), "")
	case 4:
		p := make([]byte, s.byte())
		for i := range p {
			p[i] = byte(s.byte())
		}
		return s.note("write", s.sp.Write(s.handle(), int64(s.size())*4, p), "")
	case 5:
		p := make([]byte, s.byte())
		err := s.sp.Read(s.handle(), int64(s.size())*4, p)
		return s.note("read", err, p)
	case 6:
		return s.run()
	default:
		c := RandomCase(uint64(s.byte()) | uint64(s.byte())<<8)
		outs, err := executeIn(s.sp, c, mode(s.byte()%2))
		s.last += 20 // it used some numbers
		return s.note(c.Name, err, outs)
	}
}

// run makes a call with operands chosen by the input.
func (s *script) run() error {
	call := device.Call{Op: device.Op(s.byte() % (len(device.Ops) + 2))}
	if spec := call.Op.Spec(); spec != nil {
		for range spec.Tensors() {
			call.Tensors = append(call.Tensors, s.handle())
		}
		for _, o := range spec.Imms() {
			v := int64(s.size())
			if o.Kind == device.Imm64 {
				v = int64(binary.LittleEndian.Uint64([]byte{byte(s.byte()), 0, 0, 0, 0, 0, 0, byte(s.byte())}))
			}
			call.Imms = append(call.Imms, v)
		}
	}
	return s.note("run "+call.Op.String(), s.sp.Run(call), "")
}
