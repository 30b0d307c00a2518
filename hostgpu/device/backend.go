package device

// Backend is what an implementer of a device writes; New wraps it into a
// Device that does all checking, so that errors are the same everywhere. It is
// called only with operands that passed every check of the spec. Safe for
// concurrent use; each Queue is used by one goroutine at a time.
type Backend interface {
	Name() string
	// Reserve sets limit bytes (by the rule of Bytes) aside for one space, or
	// fails with an error that wraps ErrDeviceMemory.
	Reserve(limit int64) error
	// Release gives a reservation back.
	Release(limit int64)
	// Open makes the queue of a space.
	Open() (Queue, error)
	// Close frees everything; no queue is open any more.
	Close() error
}

// Mem is one allocation of a backend. It may be used with every queue of the
// backend that made it.
type Mem any

// Queue runs the work of one space in order. Any error is a failure of the
// device, never of the job; after one, the space is dead.
type Queue interface {
	// Alloc returns n > 0 zeroed bytes.
	Alloc(n int64) (Mem, error)
	// Free releases memory once what is queued here is done. The memory may
	// come from another queue of the backend.
	Free(m Mem)
	// Write copies p, which must not be kept, to byte off.
	Write(m Mem, off int64, p []byte) error
	// Read waits for what is queued and copies bytes out.
	Read(m Mem, off int64, p []byte) error
	// Run queues a checked task. The task and its slices may be kept, unless
	// the queue is a TransientQueue.
	Run(t *Task) error
	// Sync waits for what is queued.
	Sync() error
	// Close waits and releases the queue; its memory was freed before.
	Close() error
}

// TransientQueue is a Queue that has done with a task, though maybe not with
// its work, when Run returns: its caller uses the same memory for the next one.
// Run may change the Mem of the task's tensors.
type TransientQueue interface {
	Queue
	TransientTasks()
}

// Task is a call that passed every check. Its outputs are not all empty.
type Task struct {
	Op      Op
	Tensors []Tensor // table order; an absent or empty tensor has a nil Mem
	Imms    []int64  // table order
	Dims    Dims     // values of the op's symbols
}

// Tensor is one operand of a task: Bytes() bytes at byte Off of Mem.
type Tensor struct {
	Mem     Mem
	Off     int64
	Type    DType
	Shape   Shape
	Present bool // false for an absent optional operand
}

// Bytes is the exact size of the tensor's elements.
func (t Tensor) Bytes() int64 { return t.Shape.Elems() * int64(t.Type.Size()) }

// Bytes is what a tensor counts against its space's limit: its size rounded up
// to 64 bytes, the alignment that every device gives an allocation.
func Bytes(dt DType, s Shape) int64 {
	return (s.Elems()*int64(dt.Size()) + 63) &^ 63
}

// MaxHandles is the number of live handles a space may hold, views and shares
// included: they cost no tensor memory, but they cost the host.
const MaxHandles = 1 << 16
