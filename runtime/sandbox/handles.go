package sandbox

import (
	"github.com/assaynet/assay/hostgpu/device"
	"github.com/assaynet/assay/runtime/abi"
)

// MaxTensors is the most tensors and views that a job may hold at once; more
// trap with TrapTensorMemory. It leaves half of device.MaxHandles to the
// host's own handles, so that a guest meets this limit and never that one.
const MaxTensors = 1 << 15

// handleTable gives guests handles of its own making: a device's numbers may
// differ between devices, and a guest can see the number. A handle is
// generation<<16 | slot; slots are reused last in, first out, and the
// generation makes a stale handle invalid until it wraps after 65,535 reuses
// of one slot. All of that is the same on every host.
type handleTable struct {
	slots []tensor
	free  []uint16
}

type tensor struct {
	h     device.Handle
	dt    device.DType
	shape device.Shape
	gen   uint16 // of the live handle, or of the last one
	live  bool
}

// hasRoom reports whether another handle fits.
func (t *handleTable) hasRoom() bool { return len(t.free) > 0 || len(t.slots) < MaxTensors }

func (t *handleTable) add(h device.Handle, dt device.DType, s device.Shape) uint32 {
	var i int
	if n := len(t.free); n > 0 {
		i = int(t.free[n-1])
		t.free = t.free[:n-1]
	} else {
		i = len(t.slots)
		t.slots = append(t.slots, tensor{})
	}
	e := &t.slots[i]
	gen := e.gen + 1
	if gen == 0 {
		gen = 1 // so that no handle is 0
	}
	*e = tensor{h: h, dt: dt, shape: s, gen: gen, live: true}
	return uint32(gen)<<16 | uint32(i)
}

// get returns the tensor of a guest's handle; an unknown or freed one traps.
func (t *handleTable) get(g uint32) *tensor {
	i := int(g & 0xFFFF)
	if i >= len(t.slots) || !t.slots[i].live || t.slots[i].gen != uint16(g>>16) {
		panic(&stop{trap: abi.TrapTensorHandle})
	}
	return &t.slots[i]
}

func (t *handleTable) drop(g uint32) {
	t.slots[g&0xFFFF].live = false
	t.free = append(t.free, uint16(g))
}
