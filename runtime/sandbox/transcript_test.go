package sandbox

import (
	"context"
	"encoding/binary"
	"errors"
	"testing"

	"github.com/assaynet/assay/hostgpu/device"
	"github.com/assaynet/assay/runtime/abi"
	"lukechampine.com/blake3"
)

// hash is BLAKE3 of the parts, keyed if key is not nil.
func hash(key *[32]byte, parts ...any) []byte {
	h := blake3.New(32, nil)
	if key != nil {
		h = blake3.New(32, key[:])
	}
	h.Write(cat(parts...))
	return h.Sum(nil)
}

// TestTranscriptFormula computes digests as docs/spec/sandbox.md writes them.
func TestTranscriptFormula(t *testing.T) {
	// pow_units(2): unit 1 gets "ta", unit 0 the tensor, unit 1 the tensor
	// after it changed, unit 0 nothing more than an empty string.
	calls := imp("tensor.alloc", "tensor.write", "record", "record_bytes")
	tensor := i32c(1 << 16)
	record := func(unit int64) []byte { return cat(i32c(unit), tensor, call(2)) }
	recordBytes := func(unit, ptr, n int64) []byte { return cat(i32c(unit), i32c(ptr), i32c(n), call(3)) }
	write := func(ptr int64) []byte { return cat(tensor, i64c(0), i32c(ptr), i32c(6), call(1)) }
	wasm := wasmMod{Imports: calls, Min: 1, Max: 1, Data: []byte("data..abcdef"), Funcs: []wasmFunc{
		abiFunc,
		{Export: abi.ExportPowUnits, Params: []byte{i32}, Body: cat(
			i32c(int64(device.S8)), i32c(2), i32c(3), call(0), 0x1A, write(6),
			recordBytes(1, 2, 2), record(0), write(0), record(1), recordBytes(0, 0, 0))},
	}}.encode()
	indexes := []uint64{1 << 33, 7}
	key := [32]byte{1, 2, 31: 3}
	for _, e := range engines(t) {
		for _, dev := range testDevices(t) {
			in, err := admit(t, e.rt, wasm).Start(context.Background(), Job{Device: dev, TensorBytes: 64, GasUnit: testGas})
			if err != nil {
				t.Fatal(err)
			}
			units, out, err := in.PowUnits(context.Background(), indexes, &key)
			if err != nil || !out.Trap.OK() {
				t.Fatal(out, err)
			}
			in.Close()
			for _, k := range []*[32]byte{nil, &key} {
				digest := func(b string) []byte {
					return hash(k, byte(device.S8), binary.LittleEndian.AppendUint32(nil, 2), binary.LittleEndian.AppendUint32(nil, 3), b)
				}
				want := [][]byte{
					hash(k, "assay/unit/1", binary.LittleEndian.AppendUint64(nil, 1<<33), digest("abcdef"), hash(k, 0)),
					hash(k, "assay/unit/1", binary.LittleEndian.AppendUint64(nil, 7), hash(k, 0, "ta"), digest("data..")),
				}
				for i, u := range units {
					got := u.Digest
					if k != nil {
						got = u.Keyed
					}
					if string(got[:]) != string(want[i]) {
						t.Errorf("%s on %s: unit %d, keyed %v: %x, want %x", e.name, dev.Name(), i, k != nil, got, want[i])
					}
				}
			}
		}
	}
}

// TestDeviceFailure: a device that goes away fails the host, not the guest.
func TestDeviceFailure(t *testing.T) {
	for _, e := range cachedEngines(t) {
		for _, dev := range testDevices(t) {
			in := startPow(t, e.rt, powJob(dev))
			if err := dev.Close(); err != nil {
				t.Fatal(err)
			}
			var host *HostError
			units, out, err := in.PowUnits(context.Background(), []uint64{1}, nil)
			if !errors.As(err, &host) || !errors.Is(err, device.ErrClosed) || out.Trap != abi.TrapInvalid || units != nil {
				t.Fatalf("%s: %+v %v", dev.Name(), out, err)
			}
			if _, _, err := in.PowUnits(context.Background(), []uint64{1}, nil); !errors.Is(err, ErrStopped) {
				t.Fatal(err)
			}
		}
	}
}
