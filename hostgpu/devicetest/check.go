package devicetest

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"sync"

	"github.com/assaynet/assay/hostgpu/device"
	"lukechampine.com/blake3"
)

// spaceBytes is what the suite's spaces may hold.
const spaceBytes = 64 << 20

// Report is what Check found.
type Report struct {
	Cases      int
	Digest     [32]byte // of every output of every case: equal on every correct device
	Mismatches []string // the first of them, with their first differing byte
	Failed     int      // cases with a mismatch
}

// maxMismatches bounds what a Report names.
const maxMismatches = 20

// Check runs every case on dev and compares it with the reference. The error
// is a failure of the device, not a mismatch.
func Check(dev device.Device) (Report, error) {
	var r Report
	all, err := expected()
	if err != nil {
		return r, fmt.Errorf("reference: %w", err)
	}
	h := blake3.New(32, nil)
	for c := range Cases() {
		got, err := execute(dev, c, plain)
		if err != nil {
			return r, fmt.Errorf("%s: %w", c.Name, err)
		}
		r.Cases++
		if msg := compare(c, got, all[c.Name]); msg != "" {
			r.Failed++
			if len(r.Mismatches) < maxMismatches {
				r.Mismatches = append(r.Mismatches, msg)
			}
		}
		for _, o := range got {
			var size [8]byte
			binary.LittleEndian.PutUint64(size[:], uint64(len(o)))
			h.Write(size[:])
			h.Write(o)
		}
	}
	h.Sum(r.Digest[:0])
	return r, nil
}

// expected computes what the reference says of every case, once.
var expected = sync.OnceValues(func() (map[string][][]byte, error) {
	ref := Reference()
	all := map[string][][]byte{}
	for c := range Cases() {
		want, err := execute(ref, c, plain)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", c.Name, err)
		}
		all[c.Name] = want
	}
	return all, nil
})

// compare describes the first difference, "" if there is none.
func compare(c Case, got, want [][]byte) string {
	o := 0
	for i, op := range c.Op.Spec().Tensors() {
		if op.Kind != device.Out {
			continue
		}
		g, w := got[o], want[o]
		o++
		if bytes.Equal(g, w) {
			continue
		}
		at := 0
		for g[at] == w[at] {
			at++
		}
		at -= at % c.Tensors[i].Type.Size()
		end := at + c.Tensors[i].Type.Size()
		shapes := ""
		for _, t := range c.Tensors {
			shapes += " " + t.Shape.String()
		}
		return fmt.Sprintf("%s%s %v: %s differs at element %d: got % x, want % x",
			c.Name, shapes, c.Imms, op.Name, at/c.Tensors[i].Type.Size(), g[at:end], w[at:end])
	}
	return ""
}

// mode is how the operands of a case lie in memory.
type mode int

const (
	plain   mode = iota // every operand its own tensor
	views               // every operand a view into a larger tensor, guarded on both sides
	inPlace             // outputs that may be an input are that input
)

// guard fills what an op must overwrite, or must not touch.
const guard = 0x5A

// execute runs one case in a fresh space and returns its outputs.
func execute(dev device.Device, c Case, m mode) ([][]byte, error) {
	sp, err := dev.NewSpace(spaceBytes)
	if err != nil {
		return nil, err
	}
	defer sp.Close()
	return executeIn(sp, c, m)
}

func executeIn(sp device.Space, c Case, m mode) ([][]byte, error) {
	ops := c.Op.Spec().Tensors()
	call := device.Call{Op: c.Op, Imms: c.Imms}
	var owned []device.Handle
	bases := make([]device.Handle, len(ops))
	for i, t := range c.Tensors {
		if t.Type == device.DTypeInvalid {
			call.Tensors = append(call.Tensors, 0)
			continue
		}
		h, base, err := place(sp, t, m)
		if err != nil {
			return nil, err
		}
		bases[i] = base
		owned = append(owned, base)
		if h != base {
			owned = append(owned, h)
		}
		call.Tensors = append(call.Tensors, h)
	}
	if m == inPlace {
		for i, op := range ops {
			for j := range ops {
				if op.InPlace == ops[j].Name && call.Tensors[j] != 0 {
					call.Tensors[i] = call.Tensors[j]
				}
			}
		}
	}
	if err := sp.Run(call); err != nil {
		return nil, err
	}
	var outs [][]byte
	for i, op := range ops {
		if op.Kind != device.Out {
			continue
		}
		t := c.Tensors[i]
		p := make([]byte, t.Shape.Elems()*int64(t.Type.Size()))
		if err := sp.Read(call.Tensors[i], 0, p); err != nil {
			return nil, err
		}
		outs = append(outs, p)
	}
	if m == views {
		if err := checkGuards(sp, c, bases); err != nil {
			return nil, err
		}
	}
	for _, h := range owned {
		if err := sp.Free(h); err != nil {
			return nil, err
		}
	}
	return outs, nil
}

// place allocates and fills one operand; an output is filled with the guard.
func place(sp device.Space, t Data, m mode) (h, base device.Handle, err error) {
	s := t.Shape
	around := s
	if m == views {
		around.Rows += 2
	}
	base, err = sp.Alloc(t.Type, around)
	if err != nil {
		return 0, 0, err
	}
	if n := around.Elems() * int64(t.Type.Size()); n > 0 && (t.Bytes == nil || m == views) {
		if err := sp.Write(base, 0, bytes.Repeat([]byte{guard}, int(n))); err != nil {
			return 0, 0, err
		}
	}
	h = base
	if m == views {
		if h, err = sp.View(base, 1, s); err != nil {
			return 0, 0, err
		}
	}
	if len(t.Bytes) > 0 {
		err = sp.Write(h, 0, t.Bytes)
	}
	return h, base, err
}

// checkGuards reads the rows around every operand of a case run with views,
// and every input: an op writes its outputs and nothing else.
func checkGuards(sp device.Space, c Case, bases []device.Handle) error {
	for i, t := range c.Tensors {
		if t.Type == device.DTypeInvalid {
			continue
		}
		row := t.Shape.Cols * t.Type.Size()
		p := make([]byte, (t.Shape.Rows+2)*row)
		if err := sp.Read(bases[i], 0, p); err != nil {
			return err
		}
		want := bytes.Repeat([]byte{guard}, row)
		if !bytes.Equal(p[:row], want) || !bytes.Equal(p[len(p)-row:], want) {
			return fmt.Errorf("operand %d: memory around it was written", i)
		}
		if t.Bytes != nil && !bytes.Equal(p[row:len(p)-row], t.Bytes) {
			return fmt.Errorf("operand %d: an input was written", i)
		}
	}
	return nil
}
