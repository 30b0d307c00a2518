package devicetest

import (
	"bytes"
	"errors"
	"testing"

	"github.com/assaynet/assay/hostgpu/device"
)

func (x *env) refused(what string, err, want error) {
	x.t.Helper()
	if !errors.Is(err, want) {
		x.t.Errorf("%s: got %v, want %v", what, err, want)
	}
}

// runMemory checks accounting, zeroing, transfers and what comes after Close.
func runMemory(t *testing.T, dev device.Device) {
	x := newEnv(t, dev, 1<<20)
	shape := func(r, c int) device.Shape { return device.Shape{Rows: r, Cols: c} }

	a := x.alloc(s32, 512, 512) // the whole limit
	if !bytes.Equal(x.bytes(a), make([]byte, 1<<20)) {
		t.Error("fresh memory is not zero")
	}
	_, err := x.sp.Alloc(u8, shape(1, 1))
	x.refused("above the limit", err, device.ErrMemory)
	v := x.view(a, 10, 4, 512)
	x.must(x.sp.Free(a))
	_, err = x.sp.Alloc(u8, shape(1, 1))
	x.refused("a view keeps its memory", err, device.ErrMemory)
	x.refused("read of a freed handle", x.sp.Read(a, 0, make([]byte, 4)), device.ErrHandle)
	x.must(x.sp.Free(v))
	x.refused("double free", x.sp.Free(v), device.ErrHandle)
	// One byte counts as 64.
	for range 1 << 20 / 64 {
		x.alloc(u8, 1, 1)
	}
	_, err = x.sp.Alloc(u8, shape(1, 1))
	x.refused("rounded accounting", err, device.ErrMemory)

	y := newEnv(t, dev, 1<<20)
	q := y.alloc(s8, 1, 5)
	y.must(y.sp.Write(q, 0, []byte{0x80, 0x7F, 0x81, 0, 0x80}))
	if got := y.bytes(q); !bytes.Equal(got, []byte{0x81, 0x7F, 0x81, 0, 0x81}) {
		t.Errorf("a written -128 is %x", got)
	}
	p := []byte{1, 2, 3}
	y.must(y.sp.Write(q, 1, p))
	p[0] = 99 // p was copied
	if got := y.bytes(q); got[1] != 1 {
		t.Error("Write kept the caller's slice")
	}
	w := y.alloc(s32, 2, 2)
	for _, bad := range []struct {
		off int64
		n   int
	}{{2, 4}, {0, 3}, {-4, 4}, {16, 4}, {12, 8}, {1 << 62, 4}} {
		y.refused("write", y.sp.Write(w, bad.off, make([]byte, bad.n)), device.ErrShape)
		y.refused("read", y.sp.Read(w, bad.off, make([]byte, bad.n)), device.ErrShape)
	}
	y.must(y.sp.Write(w, 16, nil))
	y.must(y.sp.Sync())
	y.must(y.sp.Close())
	y.must(y.sp.Close())
	_, err = y.sp.Alloc(s8, shape(1, 1))
	y.refused("alloc after close", err, device.ErrClosed)
	y.refused("read after close", y.sp.Read(q, 0, p), device.ErrClosed)
	y.refused("run after close", y.sp.Run(device.Call{Op: device.OpCopy}), device.ErrClosed)
	_, err = dev.NewSpace(1 << 62)
	if err == nil {
		t.Error("a space of 2^62 bytes was granted")
	} else if !errors.Is(err, device.ErrDeviceMemory) {
		t.Errorf("a space of 2^62 bytes: %v", err)
	}
}

func runViews(t *testing.T, dev device.Device) {
	x := newEnv(t, dev, 1<<20)
	h := x.alloc(s32, 4, 6)
	all := make([]byte, 96)
	for i := range all {
		all[i] = byte(i)
	}
	x.must(x.sp.Write(h, 0, all))
	if got := x.bytes(x.view(h, 1, 9, 2)); !bytes.Equal(got, all[24:]) {
		t.Error("a view from row 1 does not start there")
	}
	inner := x.view(x.view(h, 1, 6, 3), 2, 1, 12) // elements 12 ..
	if got := x.bytes(inner); !bytes.Equal(got, all[48:]) {
		t.Error("a view of a view is misplaced")
	}
	x.view(h, 4, 0, 7) // empty, at the end
	for _, bad := range []struct {
		row, rows, cols int
		want            error
	}{
		{-1, 1, 1, device.ErrShape}, {5, 0, 0, device.ErrShape}, {3, 7, 1, device.ErrShape},
		{0, 5, 5, device.ErrShape}, {0, -1, 1, device.ErrShape}, {0, device.MaxDim + 1, 0, device.ErrShape},
	} {
		_, err := x.sp.View(h, bad.row, device.Shape{Rows: bad.rows, Cols: bad.cols})
		x.refused("view", err, bad.want)
	}
	_, err := x.sp.View(999, 0, device.Shape{})
	x.refused("view of nothing", err, device.ErrHandle)
}

func runShare(t *testing.T, dev device.Device) {
	owner, user := newEnv(t, dev, 1<<20), newEnv(t, dev, 256)
	w := owner.put(s8, 8, 64, uniform)
	h, err := user.sp.Share(owner.sp, w)
	user.must(err)
	if !bytes.Equal(user.bytes(h), owner.bytes(w)) {
		t.Error("shared bytes differ")
	}
	user.refused("write to a share", user.sp.Write(h, 0, []byte{1}), device.ErrHandle)
	dst := user.alloc(s8, 1, 64)
	v := user.view(h, 2, 1, 64)
	user.refused("share as output", user.sp.Run(device.Call{Op: device.OpCopy, Tensors: []device.Handle{v, dst}}), device.ErrHandle)
	user.run(device.OpCopy, []device.Handle{dst, v})
	if !bytes.Equal(user.bytes(dst), owner.bytes(w)[128:192]) {
		t.Error("copy out of a share differs")
	}
	_, err = user.sp.Share(owner.sp, 12345)
	user.refused("share of nothing", err, device.ErrHandle)
	other := Reference()
	sp, err := other.NewSpace(100)
	user.must(err)
	_, err = user.sp.Share(sp, 1)
	user.refused("share across devices", err, device.ErrHandle)
}

// runErrors sends malformed calls of every op: each is refused with the typed
// error, by Gas as by Run, and leaves every operand as it was.
func runErrors(t *testing.T, dev device.Device) {
	for op := range device.Ops {
		spec := &device.Ops[op]
		t.Run(spec.Name, func(t *testing.T) {
			for c := range Cases() {
				if c.Op == spec.Op && c.Tensors[0].Shape.Elems() > 0 {
					malform(newEnv(t, dev, spaceBytes), c)
					return
				}
			}
			t.Fatal("no case")
		})
	}
	x := newEnv(t, dev, spaceBytes)
	for _, op := range []device.Op{0, device.Op(len(device.Ops) + 1), 65535} {
		x.refused("unknown op", x.sp.Run(device.Call{Op: op}), device.ErrOp)
	}
	runRules(x)
}

func malform(x *env, c Case) {
	ops := c.Op.Spec().Tensors()
	handles := make([]device.Handle, len(ops))
	for i, d := range c.Tensors {
		if d.Type != device.DTypeInvalid {
			handles[i] = x.place(d)
		}
	}
	try := func(what string, want error, tensors []device.Handle, imms []int64) {
		x.t.Helper()
		call := device.Call{Op: c.Op, Tensors: tensors, Imms: imms}
		x.refused(what, x.sp.Run(call), want)
		if errors.Is(want, device.ErrAlias) {
			return // Gas looks at shapes only
		}
		_, err := device.Gas(x.sp, call)
		x.refused(what+" (gas)", err, want)
	}
	with := func(i int, h device.Handle) []device.Handle {
		t := append([]device.Handle(nil), handles...)
		t[i] = h
		return t
	}
	try("too few tensors", device.ErrOp, handles[1:], c.Imms)
	try("too many immediates", device.ErrOp, handles, append([]int64{0}, c.Imms...))
	for i, op := range ops {
		try("foreign handle", device.ErrHandle, with(i, 54321), c.Imms)
		if op.Kind != device.Opt {
			try("absent operand", device.ErrHandle, with(i, 0), c.Imms)
		}
		d := c.Tensors[i]
		if d.Type == device.DTypeInvalid {
			continue
		}
		if op.Type != device.TypeAny {
			wrong := device.S32
			if d.Type == device.S32 {
				wrong = device.ScaleT
			}
			try("wrong type", device.ErrType, with(i, x.alloc(wrong, d.Shape.Rows, d.Shape.Cols)), c.Imms)
		}
		if op.Rows == "1" || len(op.Cols) > 1 {
			try("wrong literal", device.ErrShape, with(i, x.alloc(d.Type, d.Shape.Rows+1, d.Shape.Cols)), c.Imms)
		}
	}
	for i, op := range c.Op.Spec().Imms() {
		for _, bad := range []int64{op.Min - 1, op.Max + 1} {
			if (bad < op.Min) != (bad > op.Max) && op.Min > -1<<63 { // no wrap-around
				imms := append([]int64(nil), c.Imms...)
				imms[i] = bad
				try("immediate", device.ErrShape, handles, imms)
			}
		}
	}
	for i, op := range ops { // an output over another operand of the same type and shape
		for j, o := range ops {
			if i != j && op.Kind == device.Out && op.InPlace != o.Name && c.Tensors[i].Shape.Elems() > 0 &&
				c.Tensors[i].Type == c.Tensors[j].Type && c.Tensors[i].Shape == c.Tensors[j].Shape {
				try("alias", device.ErrAlias, with(i, handles[j]), c.Imms)
			}
		}
	}
	for i, d := range c.Tensors {
		if d.Type != device.DTypeInvalid && d.Bytes != nil && !bytes.Equal(x.bytes(handles[i]), d.Bytes) {
			x.t.Errorf("operand %d changed by refused calls", i)
		}
	}
}

// runRules breaks what is beyond shape symbols, and overlaps views by a row.
func runRules(x *env) {
	const shape, alias = true, false
	try := func(op device.Op, wantShape bool, tensors []device.Handle, imms ...int64) {
		x.t.Helper()
		want := device.ErrAlias
		if wantShape {
			want = device.ErrShape
		}
		x.refused(op.String(), x.sp.Run(device.Call{Op: op, Tensors: tensors, Imms: imms}), want)
	}
	long := x.alloc(s8, 1, device.MaxK+1)
	try(device.OpGemm, shape, []device.Handle{x.alloc(s32, 1, 1), long, long})
	a := x.alloc(s32, 6, 8)
	try(device.OpAdd, shape, []device.Handle{x.alloc(s32, 6, 7), a, a})
	try(device.OpAdd, alias, []device.Handle{x.view(a, 0, 3, 8), x.view(a, 1, 3, 8), x.view(a, 3, 3, 8)})
	try(device.OpCopy, alias, []device.Handle{x.view(a, 0, 3, 8), x.view(a, 0, 3, 8)})
	pos := x.alloc(s32, 6, 1)
	dst := x.alloc(s32, 6, 8)
	for _, table := range [][2]int{{4, 3}, {4, 0}, {0, 4}, {4, 6}} {
		try(device.OpRope, shape, []device.Handle{dst, a, x.alloc(s32, table[0], table[1]), pos})
	}
	try(device.OpSlice, shape, []device.Handle{x.alloc(s32, 6, 3), a}, 6)
	try(device.OpGather, shape, []device.Handle{dst, x.alloc(s32, 0, 8), pos})
	try(device.OpEmbed, shape, []device.Handle{dst, x.alloc(s8, 0, 8), x.alloc(scale, 0, 1), pos}, 16)
	try(device.OpSample, shape, []device.Handle{x.alloc(s32, 1, 1), x.alloc(s32, 1, 0), 0, x.alloc(u8, 1, 32)}, 0, 0, 0, 65536, 65536)
	for _, s := range []struct{ m, c, h, s, e, g, seg int }{
		{2, 8, 3, 2, 8, 1, 2},                  // C not a multiple of H
		{2, 8, 2, 2, 8, 1, 2},                  // heads of different width
		{2, 12, 3, 2, 8, 2, 2},                 // H not a multiple of G
		{2, 8, 0, 2, 8, 1, 2},                  // no heads
		{3, 8, 2, 4, 8, 2, 2},                  // M not a multiple of seg
		{4, 8, 2, 5, 8, 2, 2},                  // S not a multiple of n
		{4, 8, 2, 2, 8, 2, 2},                  // fewer keys than queries
		{1, 1, 1, device.MaxKeys + 1, 1, 1, 1}, // too many keys
		{1, device.MaxHeadDim + 1, 1, 1, device.MaxHeadDim + 1, 1, 1}, // head too wide
	} {
		err := x.sp.Run(device.Call{Op: device.OpAttention, Tensors: []device.Handle{
			x.alloc(s32, s.m, s.c), x.alloc(s8, s.m, s.c), x.alloc(scale, s.m, s.h), x.alloc(s8, s.s, s.e), x.alloc(scale, s.s, s.g),
			x.alloc(s8, s.s, s.e), x.alloc(scale, s.s, s.g)}, Imms: []int64{int64(s.seg), 1 << 30, 30, 47}})
		x.refused("attention", err, device.ErrShape)
	}
}
