package plugin

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/assaynet/assay/hostgpu/device"
	pb "github.com/assaynet/assay/hostgpu/plugin/devicepb"
)

// Config of a device in another process.
type Config struct {
	// Path is the executable, which must call Serve when started with Args.
	Path string
	Args []string
	// Env is added to this process's own environment.
	Env []string
	// SHA256 is the executable's expected hash. Nil: the hash that it has when
	// New is called, which still keeps a restart from running something else.
	SHA256 *[32]byte
	// Stderr receives the process's standard error; nil discards it.
	Stderr io.Writer
	// StartTimeout is how long the process may take to shake hands; 0 is 30 s
	// (a GPU driver compiles its kernels first).
	StartTimeout time.Duration
	// HangTimeout is how long the process may work on one record, or on one call
	// of the control plane, before it counts as crashed and is killed; 0 is 2
	// minutes.
	HangTimeout time.Duration
	// The process is not started again once it has ended MaxCrashes times
	// within CrashWindow; 0 is 3 times within a minute.
	MaxCrashes  int
	CrashWindow time.Duration
	// NoSharedMemory sends operations through gRPC.
	NoSharedMemory bool
}

func (cfg *Config) complete() error {
	if cfg.StartTimeout == 0 {
		cfg.StartTimeout = 30 * time.Second
	}
	if cfg.HangTimeout == 0 {
		cfg.HangTimeout = 2 * time.Minute
	}
	if cfg.MaxCrashes == 0 {
		cfg.MaxCrashes = 3
	}
	if cfg.CrashWindow == 0 {
		cfg.CrashWindow = time.Minute
	}
	if cfg.SHA256 == nil {
		sum, err := hashFile(cfg.Path)
		if err != nil {
			return &LaunchError{Path: cfg.Path, Err: err}
		}
		cfg.SHA256 = &sum
	}
	return nil
}

// Device is a device.Device in another process.
type Device struct {
	device.Device
	backend *Backend
}

// New starts the process. Its errors are *LaunchError. When the process ends,
// the spaces on it fail, and the next NewSpace starts it again.
func New(cfg Config) (*Device, error) {
	b, err := NewBackend(cfg)
	if err != nil {
		return nil, err
	}
	b.auto = true
	return &Device{Device: device.New(b), backend: b}, nil
}

// Pid is the id of the process that serves now.
func (d *Device) Pid() string { return d.backend.Pid() }

// Telemetry is Backend.Telemetry.
func (d *Device) Telemetry(ctx context.Context) ([]byte, error) { return d.backend.Telemetry(ctx) }

func hashFile(path string) ([32]byte, error) {
	var sum [32]byte
	f, err := os.Open(path)
	if err != nil {
		return sum, err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return sum, err
	}
	h.Sum(sum[:0])
	return sum, nil
}

// Backend is a device.Backend in another process. Once that has ended, every
// call fails with ErrExited until Restart begins a new life.
type Backend struct {
	cfg  Config
	name string
	auto bool          // a call that finds the process dead starts it again
	ids  atomic.Uint64 // names of memory, never reused in any life

	mu       sync.Mutex
	proc     *process
	reserved int64 // by all spaces; a life that begins by itself starts with it
	crashes  []time.Time
	counted  bool // the end of proc is among them
	closed   bool
}

var _ device.Backend = (*Backend)(nil)

// NewBackend starts the process. Its errors are *LaunchError.
func NewBackend(cfg Config) (*Backend, error) {
	if err := cfg.complete(); err != nil {
		return nil, err
	}
	b := &Backend{cfg: cfg}
	p, err := launch(&b.cfg)
	if err != nil {
		return nil, err
	}
	b.proc, b.name = p, p.name
	return b, nil
}

// Name implements device.Backend.
func (b *Backend) Name() string { return b.name }

// Pid is the id of the process that serves now.
func (b *Backend) Pid() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.proc.pid
}

// Telemetry is the process's report of its hardware as JSON; empty if it has none.
func (b *Backend) Telemetry(ctx context.Context) ([]byte, error) {
	p, err := b.live()
	if err != nil {
		return nil, err
	}
	limited, cancel := context.WithTimeout(ctx, b.cfg.HangTimeout)
	defer cancel()
	r, err := p.rpc.Telemetry(limited, &pb.TelemetryRequest{})
	if err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, p.callError(err)
	}
	return r.Report, nil
}

// live returns the process, if need be started again.
func (b *Backend) live() (*process, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.closed:
		return nil, device.ErrClosed
	case !b.proc.exited():
		return b.proc, nil
	case !b.auto:
		return nil, b.proc.exitError()
	}
	if err := b.relaunch(); err != nil {
		return nil, err
	}
	if err := b.proc.reserve(b.reserved); err != nil {
		return nil, &LaunchError{Path: b.cfg.Path, Err: err}
	}
	return b.proc, nil
}

// Restart ends the process, if cause is not that it has ended, and starts
// another: nothing that the first one held or had reserved is there any more.
// The queues of the first fail and can only be closed. Its errors are
// *LaunchError; one that wraps ErrCrashLoop says that this has happened too
// often.
func (b *Backend) Restart(cause error) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return device.ErrClosed
	}
	if !b.proc.exited() {
		_ = b.proc.condemn(cause)
	}
	b.reserved = 0
	return b.relaunch()
}

// relaunch replaces a dead process; b.mu is held.
func (b *Backend) relaunch() error {
	if err := b.crashed(time.Now()); err != nil {
		return err
	}
	b.proc.stop()
	p, err := launch(&b.cfg)
	if err != nil {
		return err
	}
	if p.name != b.name {
		p.stop()
		return &LaunchError{Path: b.cfg.Path, Err: fmt.Errorf("%w: it was %s and is %s now", ErrVersion, b.name, p.name)}
	}
	b.proc, b.counted = p, false
	return nil
}

// crashed counts the end of a life, once, and refuses one too many.
func (b *Backend) crashed(now time.Time) error {
	recent := b.crashes[:0]
	for _, t := range b.crashes {
		if now.Sub(t) < b.cfg.CrashWindow {
			recent = append(recent, t)
		}
	}
	if !b.counted {
		recent = append(recent, now)
		b.counted = true
	}
	b.crashes = recent
	if len(recent) >= b.cfg.MaxCrashes {
		return &LaunchError{Path: b.cfg.Path, Err: fmt.Errorf("%w: %d times in %v: %w", ErrCrashLoop, len(recent), b.cfg.CrashWindow, b.proc.exitError())}
	}
	return nil
}

func (p *process) reserve(n int64) error {
	if n == 0 {
		return nil
	}
	ctx, cancel := p.deadline()
	defer cancel()
	r, err := p.rpc.Reserve(ctx, &pb.ReserveRequest{Bytes: n})
	if err != nil {
		return p.callError(err)
	}
	return reported(r.Failure)
}

// Reserve implements device.Backend. If the process turns out to be dead, it
// asks its successor.
func (b *Backend) Reserve(limit int64) error {
	for {
		p, err := b.live()
		if err != nil {
			return err
		}
		err = p.reserve(limit)
		if errors.Is(err, ErrExited) {
			continue // live counts the crash and gives up in time
		}
		if err == nil {
			b.mu.Lock()
			b.reserved += limit
			b.mu.Unlock()
		}
		return err
	}
}

// Release implements device.Backend.
func (b *Backend) Release(limit int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.reserved -= limit
	if !b.proc.exited() {
		// A process that dies now takes its reservations with it.
		_ = b.proc.reserve(-limit)
	}
}

// Open implements device.Backend.
func (b *Backend) Open() (device.Queue, error) {
	for {
		p, err := b.live()
		if err != nil {
			return nil, err
		}
		q, err := b.openOn(p)
		if !errors.Is(err, ErrExited) {
			return q, err
		}
	}
}

func (b *Backend) openOn(p *process) (device.Queue, error) {
	ch := p.takeChannel()
	ctx, cancel := p.deadline()
	defer cancel()
	r, err := p.rpc.OpenQueue(ctx, &pb.OpenQueueRequest{Channel: uint32(ch)})
	if err != nil {
		err = p.callError(err)
	} else {
		err = reported(r.Failure)
	}
	if err != nil {
		if ch != 0 {
			p.giveChannel(ch)
		}
		return nil, err
	}
	q := &queue{client: b, proc: p, id: r.Queue, channel: ch}
	if ch != 0 {
		q.stream = &ringStream{channel: channelAt(p.shared, ch-1), proc: p}
	} else {
		q.stream = &execStream{proc: p, queue: r.Queue}
	}
	return q, nil
}

// Close implements device.Backend.
func (b *Backend) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return nil
	}
	b.closed = true
	b.proc.stop()
	return nil
}
