package miner

import (
	"context"
	"errors"
	"fmt"

	"github.com/assaynet/assay/hostgpu/device"
	"github.com/assaynet/assay/runtime/sandbox"
	"github.com/assaynet/assay/verifier/commit"
	"github.com/assaynet/assay/verifier/recheck"
)

// SandboxWorker computes units as they are defined: the epoch's module in the
// sandbox on a device. Runtime and Device stay the caller's.
type SandboxWorker struct {
	Runtime *sandbox.Runtime
	Device  device.Device
}

// Open starts an instance and runs its setup.
func (w SandboxWorker) Open(ctx context.Context, work recheck.Work) (Session, error) {
	s, err := recheck.Open(ctx, w.Runtime, w.Device, work)
	if err != nil {
		return nil, workError(err)
	}
	return sandboxSession{s}, nil
}

type sandboxSession struct{ s *recheck.Session }

func (s sandboxSession) Units(ctx context.Context, indexes []uint64) ([]commit.Digest, error) {
	units, err := s.s.Units(ctx, indexes, nil)
	if err != nil {
		return nil, workError(err)
	}
	return recheck.Digests(units), nil
}

func (s sandboxSession) Close() error { return s.s.Close() }

// workError marks what trying again cannot help: the module's own faults.
func workError(err error) error {
	var host *sandbox.HostError
	if errors.As(err, &host) {
		return err
	}
	return fmt.Errorf("%w: %w", ErrWork, err)
}
