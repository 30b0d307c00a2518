package devicetest

import (
	"errors"
	"testing"

	"github.com/assaynet/assay/hostgpu/device"
)

var errBroken = errors.New("broken wire")

// faulty is the reference with a wire that breaks after some tasks.
type faulty struct {
	refBackend
	left *int
}

type faultyQueue struct {
	refQueue
	left *int
}

func (f faulty) Open() (device.Queue, error) { return faultyQueue{left: f.left}, nil }

func (q faultyQueue) Run(t *device.Task) error {
	if *q.left--; *q.left < 0 {
		return errBroken
	}
	return q.refQueue.Run(t)
}

// TestFailureIsInternal: a device that breaks is never the fault of the job,
// and a space that saw it stays dead.
func TestFailureIsInternal(t *testing.T) {
	left := 1
	dev := device.New(faulty{left: &left})
	defer dev.Close()
	x := newEnv(t, dev, 1<<10)
	a, b := x.alloc(s32, 2, 2), x.alloc(s32, 2, 2)
	call := device.Call{Op: device.OpCopy, Tensors: []device.Handle{a, b}}
	x.must(x.sp.Run(call))
	err := x.sp.Run(call)
	var internal *device.InternalError
	if !errors.As(err, &internal) || !errors.Is(err, errBroken) || internal.Device != "reference" {
		t.Fatalf("got %v", err)
	}
	left = 10
	for what, err := range map[string]error{
		"run":  x.sp.Run(call),
		"sync": x.sp.Sync(),
		"read": x.sp.Read(a, 0, make([]byte, 4)),
	} {
		if !errors.Is(err, errBroken) {
			t.Errorf("%s after a failure: %v", what, err)
		}
	}
	y := newEnv(t, dev, 1<<10)
	y.alloc(s32, 1, 1)
	y.must(y.sp.Sync())
}

// TestShareOutlivesFree: shared memory stays while anyone holds it, and the
// owner's accounting is its own.
func TestShareOutlivesFree(t *testing.T) {
	dev := Reference()
	owner, user := newEnv(t, dev, 64), newEnv(t, dev, 0)
	w := owner.put(s8, 1, 64, top)
	h, err := user.sp.Share(owner.sp, w)
	user.must(err)
	owner.must(owner.sp.Free(w))
	owner.put(s8, 1, 64, bottom) // the limit is free again
	if got := user.bytes(h); got[0] != 127 {
		t.Errorf("shared memory was reused: %d", int8(got[0]))
	}
	user.must(user.sp.Free(h))
	dev.Close()
	if _, err := dev.NewSpace(1); !errors.Is(err, device.ErrClosed) {
		t.Errorf("space of a closed device: %v", err)
	}
}
