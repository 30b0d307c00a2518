package plugin

import (
	"encoding/binary"
	"fmt"

	"github.com/assaynet/assay/hostgpu/device"
)

// recordVersion is the version of everything in this file and of ringHeader.
const recordVersion = 2

// A record is one operation of a queue: a header (size of the record in bytes,
// header included, u32; kind u32), its fields, zeros up to a multiple of eight
// bytes. All numbers are little-endian. Memory is named by the host with
// numbers that it never uses again.
type kind uint32

const (
	recAlloc kind = 1 // id u64, bytes i64
	recFree  kind = 2 // id u64
	recWrite kind = 3 // id u64, offset i64, data
	recRun   kind = 4 // see appendRun
	recRead  kind = 5 // id u64, offset i64, bytes i64; at most readChunk bytes
	recSync  kind = 6 // waits until what came before is done
)

const (
	headerSize = 8
	tensorSize = 32
	runFixed   = 8 + 4*26 // counts, then the dimensions
	// maxRun bounds a run record: every tensor and immediate the table allows.
	maxRun = headerSize + runFixed + 8*maxImms + tensorSize*device.MaxTensors
	// maxImms is above the largest number of immediates in the table.
	maxImms = 8
	// writeChunk is the most data that one write record carries.
	writeChunk = 256 << 10
	// readChunk is the most that one read record asks for.
	readChunk = 1 << 20
	// maxSmall bounds every record that carries no data and no task.
	maxSmall   = headerSize + 24
	writeFixed = headerSize + 16
)

var le = binary.LittleEndian

// start appends a header; finish fills in the size and pads.
func start(b []byte, k kind) []byte {
	b = le.AppendUint32(b, 0)
	return le.AppendUint32(b, uint32(k))
}

func finish(b []byte, at int) []byte {
	le.PutUint32(b[at:], uint32(len(b)-at))
	for (len(b)-at)%8 != 0 {
		b = append(b, 0)
	}
	return b
}

func appendAlloc(b []byte, id uint64, n int64) []byte {
	at := len(b)
	b = start(b, recAlloc)
	b = le.AppendUint64(b, id)
	b = le.AppendUint64(b, uint64(n))
	return finish(b, at)
}

func appendFree(b []byte, id uint64) []byte {
	at := len(b)
	b = start(b, recFree)
	b = le.AppendUint64(b, id)
	return finish(b, at)
}

func appendWrite(b []byte, id uint64, off int64, p []byte) []byte {
	at := len(b)
	b = start(b, recWrite)
	b = le.AppendUint64(b, id)
	b = le.AppendUint64(b, uint64(off))
	b = append(b, p...)
	return finish(b, at)
}

func appendRead(b []byte, id uint64, off, n int64) []byte {
	at := len(b)
	b = start(b, recRead)
	b = le.AppendUint64(b, id)
	b = le.AppendUint64(b, uint64(off))
	b = le.AppendUint64(b, uint64(n))
	return finish(b, at)
}

func appendSync(b []byte) []byte {
	at := len(b)
	return finish(start(b, recSync), at)
}

// appendRun encodes a task: op u16, tensor count u8, immediate count u8, zero
// u32; 26 dimensions i32; immediates i64; tensors (id u64, offset i64, rows
// u32, cols u32, type u8, present u8, zeros).
func appendRun(b []byte, t *device.Task, id func(device.Mem) uint64) []byte {
	at := len(b)
	b = start(b, recRun)
	b = le.AppendUint16(b, uint16(t.Op))
	b = append(b, byte(len(t.Tensors)), byte(len(t.Imms)), 0, 0, 0, 0)
	for _, d := range t.Dims {
		b = le.AppendUint32(b, uint32(int32(d)))
	}
	for _, v := range t.Imms {
		b = le.AppendUint64(b, uint64(v))
	}
	for i := range t.Tensors {
		x := &t.Tensors[i]
		var mem uint64
		if x.Mem != nil {
			mem = id(x.Mem)
		}
		b = le.AppendUint64(b, mem)
		b = le.AppendUint64(b, uint64(x.Off))
		b = le.AppendUint32(b, uint32(x.Shape.Rows))
		b = le.AppendUint32(b, uint32(x.Shape.Cols))
		present := byte(0)
		if x.Present {
			present = 1
		}
		b = append(b, byte(x.Type), present, 0, 0, 0, 0, 0, 0)
	}
	return finish(b, at)
}

// record is a decoded record. Data points into the buffer it came from.
type record struct {
	kind kind
	id   uint64
	off  int64
	n    int64
	data []byte
	task *device.Task              // without memory
	mems [device.MaxTensors]uint64 // the memory of each of its tensors, 0 for none
}

func malformed(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrProtocol, fmt.Sprintf(format, args...))
}

// decode reads the first record of b and returns how many bytes it takes. A
// task is decoded into t, if there is one.
func decode(b []byte, t *task) (record, int, error) {
	if len(b) < headerSize {
		return record{}, 0, malformed("%d bytes of header", len(b))
	}
	size := le.Uint32(b)
	if size < headerSize || uint64(size) > uint64(len(b)) {
		return record{}, 0, malformed("size %d of %d", size, len(b))
	}
	padded := (int(size) + 7) &^ 7
	if padded > len(b) {
		return record{}, 0, malformed("padding of size %d is missing", size)
	}
	r := record{kind: kind(le.Uint32(b[4:]))}
	body := b[headerSize:size]
	fixed := func(n int) error {
		if len(body) != n {
			return malformed("kind %d with %d bytes, want %d", r.kind, len(body), n)
		}
		return nil
	}
	var err error
	switch r.kind {
	case recAlloc:
		if err = fixed(16); err == nil {
			r.id, r.n = le.Uint64(body), int64(le.Uint64(body[8:]))
		}
	case recFree:
		if err = fixed(8); err == nil {
			r.id = le.Uint64(body)
		}
	case recWrite:
		if len(body) < 16 {
			err = malformed("write with %d bytes", len(body))
			break
		}
		r.id, r.off, r.data = le.Uint64(body), int64(le.Uint64(body[8:])), body[16:]
		r.n = int64(len(r.data))
	case recRead:
		if err = fixed(24); err == nil {
			r.id, r.off, r.n = le.Uint64(body), int64(le.Uint64(body[8:])), int64(le.Uint64(body[16:]))
		}
	case recSync:
		err = fixed(0)
	case recRun:
		if t == nil {
			t = &task{}
		}
		r.task, err = t.decode(body, &r.mems)
	default:
		err = malformed("kind %d", r.kind)
	}
	return r, padded, err
}

// counts are how many operands an op has.
type counts struct{ tensors, imms int }

var operandCounts = func() []counts {
	out := make([]counts, len(device.Ops)+1)
	for i := range device.Ops {
		s := &device.Ops[i]
		out[s.Op] = counts{len(s.Tensors()), len(s.Imms())}
	}
	return out
}()

func operands(op device.Op) (c counts, ok bool) {
	if op.Spec() == nil {
		return c, false
	}
	return operandCounts[op], true
}

// task is a device.Task with room for its slices, in one allocation.
type task struct {
	device.Task
	tensors [device.MaxTensors]device.Tensor
	imms    [maxImms]int64
}

func (t *task) decode(b []byte, mems *[device.MaxTensors]uint64) (*device.Task, error) {
	if len(b) < runFixed {
		return nil, malformed("run with %d bytes", len(b))
	}
	t.Op = device.Op(le.Uint16(b))
	tensors, imms := int(b[2]), int(b[3])
	if tensors > device.MaxTensors || imms > maxImms || len(b) != runFixed+8*imms+tensorSize*tensors {
		return nil, malformed("run with %d tensors, %d immediates, %d bytes", tensors, imms, len(b))
	}
	if c, ok := operands(t.Op); !ok || c.tensors != tensors || c.imms != imms {
		return nil, malformed("op %d with %d tensors, %d immediates", t.Op, tensors, imms)
	}
	for i := range t.Dims {
		t.Dims[i] = int(int32(le.Uint32(b[8+4*i:])))
		if t.Dims[i] < -1 || t.Dims[i] > device.MaxDim {
			return nil, malformed("dimension %d", t.Dims[i])
		}
	}
	b = b[runFixed:]
	t.Imms = t.imms[:imms:imms]
	for i := range t.Imms {
		t.Imms[i] = int64(le.Uint64(b[8*i:]))
	}
	b = b[8*imms:]
	t.Tensors = t.tensors[:tensors:tensors]
	for i := range t.Tensors {
		x := b[tensorSize*i:]
		rows, cols := le.Uint32(x[16:]), le.Uint32(x[20:])
		if rows > device.MaxDim || cols > device.MaxDim {
			return nil, malformed("shape [%d,%d]", rows, cols)
		}
		mems[i] = le.Uint64(x)
		t.Tensors[i] = device.Tensor{
			Off:     int64(le.Uint64(x[8:])),
			Type:    device.DType(x[24]),
			Shape:   device.Shape{Rows: int(rows), Cols: int(cols)},
			Present: x[25] == 1,
		}
	}
	return &t.Task, nil
}
