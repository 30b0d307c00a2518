package recheck

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"

	"lukechampine.com/blake3"

	"github.com/assaynet/assay/hostgpu/device"
	"github.com/assaynet/assay/runtime/abi"
	"github.com/assaynet/assay/runtime/sandbox"
	"github.com/assaynet/assay/verifier/commit"
)

var (
	// ErrModule: the bytes are not those of the module named.
	ErrModule = errors.New("recheck: module bytes do not match their hash")
	// ErrImpure: a unit's digest depends on what its instance computed
	// before. The module is at fault, not who computed the unit.
	ErrImpure = errors.New("recheck: module's results depend on its history")
)

// TrapError: the module itself stopped. For a fresh instance it happens on
// every host alike; it says nothing about who computed the unit.
type TrapError struct {
	Call   string // the export, or "init"
	Trap   abi.Trap
	Code   int32  // of an abort or exit
	Detail string // for people
}

func (e *TrapError) Error() string {
	return fmt.Sprintf("recheck: %s stopped: %v (code %d)", e.Call, e.Trap, e.Code)
}

// Work is everything that determines a claimant's units in an epoch.
type Work struct {
	ModuleHash  [32]byte // SHA-256 of Wasm
	Wasm        []byte
	Params      []byte
	Seed        [32]byte
	Identity    []byte // the claimant's address bytes
	TensorBytes int64  // device memory the module may allocate
	MemoryPages uint32 // most memory of an instance, of 64 KiB; 0: what the module says
	GasSetup    int64
	GasUnit     int64
}

// key names what a set-up instance depends on: not the claimant, so that one
// expansion of the weights serves the claims of all.
func (w Work) key() [32]byte {
	b := append([]byte("assay/work/2"), w.ModuleHash[:]...)
	b = append(b, w.Seed[:]...)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(w.Params)))
	b = append(b, w.Params...)
	for _, v := range []int64{w.TensorBytes, int64(w.MemoryPages), w.GasSetup, w.GasUnit} {
		b = binary.LittleEndian.AppendUint64(b, uint64(v))
	}
	return blake3.Sum256(b)
}

// Session is an instance that has run its setup. It is used by one goroutine
// at a time.
type Session struct {
	module   *sandbox.Module
	instance *sandbox.Instance
}

// Open admits the module, starts an instance on the device and runs
// pow_setup. Errors: ErrModule, *TrapError, the sandbox's refusal of an
// invalid module, or *sandbox.HostError.
func Open(ctx context.Context, rt *sandbox.Runtime, dev device.Device, w Work) (*Session, error) {
	return open(ctx, rt, dev, w, nil)
}

// open takes the instance's memory from a reserved share, once it is free, or
// from what is left of the runtime's budget.
func open(ctx context.Context, rt *sandbox.Runtime, dev device.Device, w Work, reserved *sandbox.Share) (*Session, error) {
	if sha256.Sum256(w.Wasm) != w.ModuleHash {
		return nil, fmt.Errorf("%w: %x", ErrModule, w.ModuleHash)
	}
	module, err := rt.Admit(w.Wasm)
	if err != nil {
		return nil, err
	}
	s := &Session{module: module}
	s.instance, err = module.Start(ctx, sandbox.Job{Device: dev, TensorBytes: w.TensorBytes, Seed: w.Seed,
		Identity: w.Identity, Params: w.Params, Gas: w.GasSetup, GasUnit: w.GasUnit,
		MemoryPages: w.MemoryPages, Memory: reserved, Wait: reserved != nil})
	if err != nil {
		module.Close()
		return nil, initError(err)
	}
	out, err := s.instance.PowSetup(ctx)
	if err == nil && !out.Trap.OK() {
		err = trapError(abi.ExportPowSetup, out)
	}
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func trapError(call string, out sandbox.Outcome) *TrapError {
	return &TrapError{Call: call, Trap: out.Trap, Code: out.Code, Detail: out.Detail}
}

// initError turns a trap during initialisation into a TrapError.
func initError(err error) error {
	var t *sandbox.TrapError
	if errors.As(err, &t) {
		return trapError("init", t.Outcome)
	}
	return err
}

// SetIdentity makes the units that follow those of another claimant, at most
// 32 bytes.
func (s *Session) SetIdentity(identity []byte) error { return s.instance.SetIdentity(identity) }

// Units computes units; with a key also their keyed digests. Errors:
// *TrapError, after which the session is of no more use, or *sandbox.HostError.
func (s *Session) Units(ctx context.Context, indexes []uint64, key *[32]byte) ([]sandbox.Unit, error) {
	out := make([]sandbox.Unit, 0, len(indexes))
	for len(indexes) > 0 {
		n := min(len(indexes), sandbox.MaxUnits)
		units, o, err := s.instance.PowUnits(ctx, indexes[:n], key)
		if err != nil {
			return nil, err
		}
		if !o.Trap.OK() {
			return nil, trapError(abi.ExportPowUnits, o)
		}
		out = append(out, units...)
		indexes = indexes[n:]
	}
	return out, nil
}

// Close frees the instance.
func (s *Session) Close() error {
	err := s.instance.Close()
	s.module.Close()
	return err
}

// Digests are the unkeyed digests of units.
func Digests(units []sandbox.Unit) []commit.Digest {
	out := make([]commit.Digest, len(units))
	for i, u := range units {
		out[i] = u.Digest
	}
	return out
}
