package device

// Device owns memory and runs ops. Implementations: wasmdev (the definition),
// cpudev, cudadev, and the go-plugin client; all give the same bits.
// A Device is safe for concurrent use.
type Device interface {
	// Name is the short name of the implementation: "wasmdev", "cpudev", ...
	Name() string
	// NewSpace opens an address space that may hold at most limit bytes of
	// tensors, counted by rule (see Bytes), not by what the device happens
	// to use. It fails with ErrDeviceMemory when the device cannot hold that
	// much: a host refuses a job before it starts, never in the middle.
	NewSpace(limit int64) (Space, error)
	// Close frees everything. Spaces still open fail with ErrClosed.
	Close() error
}

// Space is the tensors of one job. It is not safe for concurrent use. Calls
// are checked at once against the table, in call order, so that a guest traps
// at the same call on every device; the work itself may be queued, and only
// Read and Sync wait. A device failure (crash, memory) surfaces there as an
// *InternalError; it is never the fault of the job.
type Space interface {
	// Alloc makes a zeroed tensor. ErrShape, ErrType or ErrMemory.
	Alloc(dt DType, s Shape) (Handle, error)
	// View makes a handle over rows [row0, ...) of h's memory, reshaped to s:
	// the view starts at element row0 × cols(h) and must lie inside h. It
	// shares h's memory, costs none, and keeps it alive until freed.
	View(h Handle, row0 int, s Shape) (Handle, error)
	// Free releases a handle; memory goes when the last view of it does.
	Free(h Handle) error
	// Write copies little-endian elements to byte offset off of h. Both off
	// and len(p) must be multiples of the element size. p is copied before
	// Write returns.
	Write(h Handle, off int64, p []byte) error
	// Read waits for what is queued and copies bytes out.
	Read(h Handle, off int64, p []byte) error
	// Run checks a call against the table and queues it.
	Run(c Call) error
	// Stat returns type and shape of a live handle.
	Stat(h Handle) (DType, Shape, error)
	// Share makes a read-only handle for a tensor of another Space of the
	// same device, which should outlive this one. It costs no memory here: the
	// other space pays until the last handle of any space is freed.
	Share(from Space, h Handle) (Handle, error)
	// Sync waits for everything queued.
	Sync() error
	// Close frees the space's memory. Idempotent.
	Close() error
}

// Call is one op with its operands in table order: tensors (0 for an absent
// optional one) and immediates, each in the order of the op's Operands.
type Call struct {
	Op      Op
	Tensors []Handle
	Imms    []int64
}
