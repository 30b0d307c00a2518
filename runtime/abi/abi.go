package abi

// Version of the host calls, exports and trap codes. A module states the
// version it was built for by returning it from the export ExportABI.
const Version = 1

// GasPerNanosecond defines the unit of gas: one unit is a quarter of a
// nanosecond of one core of the reference machine (AMD EPYC of the Zen 4
// generation, 3.7 GHz; about one cycle) in the slowest way that a stranger can
// make the priced thing run. Instructions, host calls and device operations
// (reference device) are all priced in it. docs/bench/prices.md has the
// measurements.
const GasPerNanosecond = 4

// Import module names. A guest may import nothing outside these three.
const (
	ModuleAssay  = "assay"                  // job data, transcript, tokens: table Calls below
	ModuleTensor = "tensor"                 // device memory and ops: hostgpu/device.Ops
	ModuleWASI   = "wasi_snapshot_preview1" // deterministic subset for stock Go
)

// Export names. All take and return scalars only; bytes move through host calls.
const (
	ExportABI        = "assay_abi"     // () -> i32, must return Version
	ExportPowSetup   = "pow_setup"     // () : once a sprint, expands weights from the seed
	ExportPowUnits   = "pow_units"     // (n i32) : computes units assay.unit_index(0..n-1)
	ExportInfer      = "infer"         // () : reads the request, emits tokens
	ExportCheck      = "check"         // () : the same with known tokens, as one prefill
	ExportInitialize = "_initialize"   // WASI reactor initialisation (stock Go, C)
	ExportMemory     = "memory"        // linear memory 0
	ReservedPrefix   = "assay:"        // names the rewriter adds; a module that uses it is refused
	ExportStart      = "assay:start"   // the module's start function, exported by the rewriter
	GlobalGas        = "assay:gas"     // mutable i64: gas left of the slice that is running
	GlobalReserve    = "assay:reserve" // mutable i64: gas left beyond it; the two together are what is left
	GlobalStack      = "assay:stack"   // mutable i32: stack units left
	GlobalTrap       = "assay:status"  // mutable i32: Trap code set by rewritten code before unreachable
)

// Sizes of the fixed-width values that cross the boundary, in bytes.
const (
	SeedSize   = 32 // the epoch seed
	DigestSize = 32 // BLAKE3 output
)

// ValType is the Wasm type of a host-call operand.
type ValType byte

// Wasm binary encoding of the two integer types; host calls use no floats.
const (
	I32 ValType = 0x7F
	I64 ValType = 0x7E
)

// Call describes one assay.* host call. Gas is Base + PerByte × (bytes moved),
// charged before the call acts.
type Call struct {
	Name    string
	Params  []Param
	Result  ValType // 0 for none
	Base    int64
	PerByte int64
	Doc     string
}

// Param is a named operand of a host call.
type Param struct {
	Name string
	Type ValType
}

// Calls is the whole assay.* table. Every pointer is an address in the guest's
// memory 0; an out-of-range pointer traps with TrapHostMemory. "copy-out"
// calls write min(cap, len) bytes from the start and return len, so a guest
// can ask for the size with cap 0.
var Calls = []Call{
	{"seed", []Param{{"ptr", I32}}, 0, 300, 1,
		"writes the 32-byte job seed: the epoch seed in a sprint, the request's sampling seed in inference"},
	{"identity", []Param{{"ptr", I32}, {"cap", I32}}, I32, 300, 1,
		"copy-out of the claimant's address bytes (at most 32); traps in pow_setup, which serves all claimants; empty in inference"},
	{"params", []Param{{"ptr", I32}, {"cap", I32}}, I32, 300, 1,
		"copy-out of the module's parameter bytes as registered on chain"},
	{"unit_index", []Param{{"i", I32}}, I64, 200, 0,
		"index of the i-th unit of the current pow_units call; i out of range traps"},
	{"record", []Param{{"unit", I32}, {"tensor", I32}}, 0, 1000, 0,
		"appends a tensor to the transcript of the unit-th unit of the call (device priced as op digest)"},
	{"record_bytes", []Param{{"unit", I32}, {"ptr", I32}, {"len", I32}}, 0, 2400, 10,
		"appends guest bytes to the transcript of the unit-th unit of the call"},
	{"request", []Param{{"ptr", I32}, {"cap", I32}}, I32, 300, 1,
		"copy-out of the inference request (canonical bytes of verifier/commit.Request)"},
	{"emit", []Param{{"token", I32}, {"ptr", I32}, {"len", I32}}, I32, 600, 2,
		"emits one token with its text; returns 1 when the host wants no more tokens, else 0"},
	{"known", []Param{{"ptr", I32}, {"cap", I32}}, I32, 300, 1,
		"copy-out of the known token ids (little-endian u32 each) for check(); empty in infer()"},
	{"model_config", []Param{{"ptr", I32}, {"cap", I32}}, I32, 300, 1,
		"copy-out of the model manifest's config bytes"},
	{"model_tensor", []Param{{"ptr", I32}, {"len", I32}}, I32, 2000, 1,
		"handle of the named read-only tensor of the model; 0 if the model has none of that name"},
	{"abort", []Param{{"code", I32}}, 0, 0, 0,
		"stops the job with TrapAbort and the module's own code; does not return"},
	{"log", []Param{{"ptr", I32}, {"len", I32}}, 0, 400, 2,
		"appends bytes to the bounded job log; never part of a result"},
}
