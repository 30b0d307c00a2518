package plugin

import (
	"errors"
	"reflect"
	"testing"

	"github.com/assaynet/assay/hostgpu/device"
)

func sampleTask() *device.Task {
	t := &device.Task{
		Op:   device.OpQuant,
		Imms: []int64{16},
		Tensors: []device.Tensor{
			{Mem: uint64(7), Off: 64, Type: device.S8, Shape: device.Shape{Rows: 2, Cols: 3}, Present: true},
			{Mem: uint64(8), Type: device.ScaleT, Shape: device.Shape{Rows: 2, Cols: 1}, Present: true},
			{Type: device.S32, Shape: device.Shape{Rows: 2, Cols: 3}},
		},
	}
	for i := range t.Dims {
		t.Dims[i] = -1
	}
	t.Dims['M'-'A'], t.Dims['K'-'A'] = 2, 3
	return t
}

func withoutMemory(t *device.Task) *device.Task {
	for i := range t.Tensors {
		t.Tensors[i].Mem = nil
	}
	return t
}

func sampleRecords() []byte {
	b := appendAlloc(nil, 7, 64)
	b = appendWrite(b, 7, 8, []byte("hello"))
	b = appendRun(b, sampleTask(), func(m device.Mem) uint64 { return m.(uint64) })
	b = appendRead(b, 7, 0, 64)
	b = appendSync(b)
	return appendFree(b, 7)
}

func TestRecords(t *testing.T) {
	want := []record{
		{kind: recAlloc, id: 7, n: 64},
		{kind: recWrite, id: 7, off: 8, n: 5, data: []byte("hello")},
		{kind: recRun, task: withoutMemory(sampleTask()), mems: [device.MaxTensors]uint64{7, 8}},
		{kind: recRead, id: 7, n: 64},
		{kind: recSync},
		{kind: recFree, id: 7},
	}
	used := &task{}
	other := appendRun(nil, &device.Task{Op: device.OpAttention, Imms: []int64{1, 1 << 30, 3, 4}, Tensors: make([]device.Tensor, 7)}, nil)
	if _, _, err := decode(other, used); err != nil {
		t.Fatal(err)
	}
	for name, into := range map[string]*task{"new": nil, "used": used} {
		b := sampleRecords()
		for i, w := range want {
			if len(b)%8 != 0 {
				t.Fatalf("record %d is not aligned", i)
			}
			got, n, err := decode(b, into)
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(got, w) {
				t.Errorf("record %d into a %s task: %+v, want %+v", i, name, got, w)
			}
			b = b[n:]
		}
		if len(b) != 0 {
			t.Errorf("%d bytes left", len(b))
		}
	}
}

// TestRecordBounds: what is reserved for a record is enough for the largest.
func TestRecordBounds(t *testing.T) {
	for i := range device.Ops {
		spec := &device.Ops[i]
		if len(spec.Imms()) > maxImms || len(spec.Tensors()) > device.MaxTensors {
			t.Errorf("%s does not fit a record", spec.Name)
		}
		task := &device.Task{Op: spec.Op, Imms: make([]int64, len(spec.Imms())), Tensors: make([]device.Tensor, len(spec.Tensors()))}
		if n := len(appendRun(nil, task, nil)); n > maxRun {
			t.Errorf("%s takes %d bytes of %d", spec.Name, n, maxRun)
		}
	}
	if n := len(appendRead(nil, 1, 2, 3)); n > maxSmall {
		t.Errorf("read takes %d bytes of %d", n, maxSmall)
	}
	if n := len(appendWrite(nil, 1, 2, make([]byte, 13))); n > (writeFixed+13+7)&^7 {
		t.Errorf("write takes %d bytes", n)
	}
}

// FuzzRecords: no bytes make the decoder read outside them or the executor
// touch memory outside what was allocated.
func FuzzRecords(f *testing.F) {
	f.Add(sampleRecords())
	f.Add(appendWrite(appendAlloc(nil, 1, 8), 1, 1, make([]byte, 8)))
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 1, 0, 0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		e := newExecutor(&memories{all: map[uint64]memory{}}, &checkedQueue{t: t})
		for len(b) > 0 {
			r, n, err := decode(b, e.task)
			if err != nil {
				if !errors.Is(err, ErrProtocol) {
					t.Fatalf("untyped error %v", err)
				}
				return
			}
			if n <= 0 || n > len(b) {
				t.Fatalf("record of %d bytes in %d", n, len(b))
			}
			if r.kind == recAlloc && r.n > 1<<20 {
				return
			}
			b = b[n:]
			_ = e.apply(r, func(n int64, read func([]byte) error) error {
				if n > 1<<20 {
					return nil
				}
				return read(make([]byte, n))
			})
		}
	})
}

// checkedQueue holds bytes and fails the test on any access outside them.
type checkedQueue struct{ t *testing.T }

func (q *checkedQueue) TransientTasks() {}

func (q *checkedQueue) Alloc(n int64) (device.Mem, error) { return make([]byte, n), nil }
func (q *checkedQueue) Free(device.Mem)                   {}
func (q *checkedQueue) Sync() error                       { return nil }
func (q *checkedQueue) Close() error                      { return nil }

func (q *checkedQueue) Write(m device.Mem, off int64, p []byte) error {
	if n := copy(m.([]byte)[off:], p); n != len(p) {
		q.t.Fatal("write outside its memory")
	}
	return nil
}

func (q *checkedQueue) Read(m device.Mem, off int64, p []byte) error {
	if n := copy(p, m.([]byte)[off:]); n != len(p) {
		q.t.Fatal("read outside its memory")
	}
	return nil
}

func (q *checkedQueue) Run(task *device.Task) error {
	for _, x := range task.Tensors {
		if x.Mem != nil && x.Off+x.Bytes() > int64(len(x.Mem.([]byte))) {
			q.t.Fatal("operand outside its memory")
		}
	}
	return nil
}
