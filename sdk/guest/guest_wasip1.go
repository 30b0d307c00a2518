package guest

import (
	"unsafe"

	"github.com/assaynet/assay/runtime/abi"
)

// Version is what the export assay_abi returns.
const Version = abi.Version

// Tensor is a handle; 0 is no tensor, and stands for an absent operand.
type Tensor int32

// Factor is one element of type Scale: the value M·2^-E with M in
// [2^30, 2^31), or zero.
type Factor struct {
	M uint32
	E int32
}

// Alloc makes a zeroed tensor of the job's own memory.
func Alloc(dt DType, rows, cols int) Tensor {
	return Tensor(tensorAlloc(int32(dt), int32(rows), int32(cols)))
}

// View is rows × cols elements of t's memory from the start of row on.
func (t Tensor) View(row, rows, cols int) Tensor {
	return Tensor(tensorView(t, int32(row), int32(rows), int32(cols)))
}

// Free releases the handle; memory goes with its last view. Freeing 0 is allowed.
func (t Tensor) Free() {
	if t != 0 {
		tensorFree(t)
	}
}

// Write copies little-endian elements to byte offset off.
func (t Tensor) Write(off int64, p []byte) {
	tensorWrite(t, off, unsafe.Pointer(unsafe.SliceData(p)), int32(len(p)))
}

// WriteS32 copies elements to byte offset off.
func (t Tensor) WriteS32(off int64, p []int32) {
	tensorWrite(t, off, unsafe.Pointer(unsafe.SliceData(p)), int32(4*len(p)))
}

// WriteScales copies elements to byte offset off.
func (t Tensor) WriteScales(off int64, p []Factor) {
	tensorWrite(t, off, unsafe.Pointer(unsafe.SliceData(p)), int32(8*len(p)))
}

// Read waits for the device and copies bytes out from byte offset off.
func (t Tensor) Read(off int64, p []byte) {
	tensorRead(t, off, unsafe.Pointer(unsafe.SliceData(p)), int32(len(p)))
}

// ReadS32 waits for the device and copies elements out from byte offset off.
func (t Tensor) ReadS32(off int64, p []int32) {
	tensorRead(t, off, unsafe.Pointer(unsafe.SliceData(p)), int32(4*len(p)))
}

// Seed writes the job seed to the 32 bytes of p.
func Seed(p *[abi.SeedSize]byte) { assaySeed(unsafe.Pointer(p)) }

// Identity copies the claimant's address to p and returns its whole length. In pow_units only: it traps in pow_setup.
func Identity(p []byte) int {
	return int(assayIdentity(unsafe.Pointer(unsafe.SliceData(p)), int32(len(p))))
}

// Params copies the module's parameters to p and returns their whole length.
func Params(p []byte) int {
	return int(assayParams(unsafe.Pointer(unsafe.SliceData(p)), int32(len(p))))
}

// UnitIndex is the index of the i-th unit of the current pow_units call.
func UnitIndex(i int) uint64 { return uint64(assayUnitIndex(int32(i))) }

// Record appends a tensor to the transcript of the unit-th unit of the call.
func Record(unit int, t Tensor) { assayRecord(int32(unit), t) }

// RecordBytes appends bytes to the transcript of the unit-th unit of the call.
func RecordBytes(unit int, p []byte) {
	assayRecordBytes(int32(unit), unsafe.Pointer(unsafe.SliceData(p)), int32(len(p)))
}

// Request copies the inference request to p and returns its whole length.
func Request(p []byte) int {
	return int(assayRequest(unsafe.Pointer(unsafe.SliceData(p)), int32(len(p))))
}

// Emit hands out one token with its text; true means that no more are wanted.
func Emit(token uint32, text []byte) (stop bool) {
	return assayEmit(int32(token), unsafe.Pointer(unsafe.SliceData(text)), int32(len(text))) != 0
}

// Known copies the known tokens of a check to p and returns how many there are
// in all.
func Known(p []int32) int {
	return int(assayKnown(unsafe.Pointer(unsafe.SliceData(p)), int32(4*len(p)))) / 4
}

// ModelConfig copies the model's config to p and returns its whole length.
func ModelConfig(p []byte) int {
	return int(assayModelConfig(unsafe.Pointer(unsafe.SliceData(p)), int32(len(p))))
}

// ModelTensor is the read-only tensor of that name, or 0.
func ModelTensor(name string) Tensor {
	return Tensor(assayModelTensor(unsafe.Pointer(unsafe.StringData(name)), int32(len(name))))
}

// ModelTensorBytes is ModelTensor for a name built in a buffer.
func ModelTensorBytes(name []byte) Tensor {
	return Tensor(assayModelTensor(unsafe.Pointer(unsafe.SliceData(name)), int32(len(name))))
}

// Abort stops the job with the module's own code. It does not return.
func Abort(code int32) {
	assayAbort(code)
	panic("assay.abort returned") // unreachable: tells the compiler's reader, not the host
}

// Log appends to the bounded job log, which is never part of a result.
func Log(s string) {
	assayLog(unsafe.Pointer(unsafe.StringData(s)), int32(len(s)))
}
