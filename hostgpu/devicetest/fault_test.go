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

// frugal is the reference with as much memory as is reserved, and no more.
type frugal struct {
	refBackend
	reserved, held *int64
}

type frugalQueue struct {
	refQueue
	frugal
}

func (f frugal) Reserve(n int64) error       { *f.reserved += n; return nil }
func (f frugal) Release(n int64)             { *f.reserved -= n }
func (f frugal) Open() (device.Queue, error) { return frugalQueue{frugal: f}, nil }

func (q frugalQueue) Alloc(n int64) (device.Mem, error) {
	if *q.held+n > *q.reserved {
		return nil, device.ErrDeviceMemory
	}
	*q.held += n
	return q.refQueue.Alloc(n)
}

func (q frugalQueue) Free(m device.Mem) { *q.held -= int64(len(m.([]byte))) }
func (q frugalQueue) Close() error      { return nil }

// TestShareStaysReserved: whatever order owners and users of shared memory go
// in, a device never holds more than was reserved, and in the end holds nothing.
func TestShareStaysReserved(t *testing.T) {
	for _, order := range []string{"owner frees", "owner closes", "user frees", "user closes"} {
		var reserved, held int64
		dev := device.New(frugal{reserved: &reserved, held: &held})
		owner, user := newEnv(t, dev, 128), newEnv(t, dev, 64)
		w := owner.put(s8, 1, 64, top)
		h, err := user.sp.Share(owner.sp, w)
		user.must(err)
		v := user.view(h, 0, 1, 32)
		switch order {
		case "owner frees":
			owner.must(owner.sp.Free(w))
			owner.alloc(s8, 1, 64)
			_, err := owner.sp.Alloc(s8, device.Shape{Rows: 1, Cols: 1})
			owner.refused("what a user holds and one byte more", err, device.ErrMemory)
			user.must(user.sp.Free(h))
			_, err = owner.sp.Alloc(s8, device.Shape{Rows: 1, Cols: 1})
			owner.refused("while a view of the share lives", err, device.ErrMemory)
			user.must(user.sp.Free(v))
			owner.alloc(s8, 1, 64)
		case "owner closes":
			owner.must(owner.sp.Close())
			user.alloc(s8, 1, 64)
			if got := user.bytes(v); got[0] != 127 {
				t.Errorf("shared memory was reused: %d", int8(got[0]))
			}
		case "user frees":
			user.must(user.sp.Free(h))
			user.must(user.sp.Free(v))
			owner.alloc(s8, 1, 64)
		case "user closes":
			user.must(user.sp.Close())
			owner.alloc(s8, 1, 64)
		}
		if err := dev.Close(); err != nil {
			t.Errorf("%s: %v", order, err)
		}
		if reserved != 0 || held != 0 {
			t.Errorf("%s: %d bytes reserved and %d held at the end", order, reserved, held)
		}
	}
}

// TestShareOutlivesFree: shared memory stays while anyone holds it, on its
// owner's account.
func TestShareOutlivesFree(t *testing.T) {
	dev := Reference()
	owner, user := newEnv(t, dev, 64), newEnv(t, dev, 0)
	w := owner.put(s8, 1, 64, top)
	h, err := user.sp.Share(owner.sp, w)
	user.must(err)
	owner.must(owner.sp.Free(w))
	_, err = owner.sp.Alloc(s8, device.Shape{Rows: 1, Cols: 64})
	owner.refused("memory that a user holds", err, device.ErrMemory)
	if got := user.bytes(h); got[0] != 127 {
		t.Errorf("shared memory was reused: %d", int8(got[0]))
	}
	user.must(user.sp.Free(h))
	owner.put(s8, 1, 64, bottom) // the limit is free again
	dev.Close()
	if _, err := dev.NewSpace(1); !errors.Is(err, device.ErrClosed) {
		t.Errorf("space of a closed device: %v", err)
	}
}
