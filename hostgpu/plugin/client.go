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
	// MaxCrashes within CrashWindow is how often the process may die before it
	// is not started again; 0 is 3 within a minute.
	MaxCrashes  int
	CrashWindow time.Duration
	// NoSharedMemory sends operations through gRPC.
	NoSharedMemory bool
}

// Device is a device.Device in another process.
type Device struct {
	device.Device
	client *client
}

// New starts the process. Its errors are *LaunchError.
func New(cfg Config) (*Device, error) {
	if cfg.StartTimeout == 0 {
		cfg.StartTimeout = 30 * time.Second
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
			return nil, &LaunchError{Path: cfg.Path, Err: err}
		}
		cfg.SHA256 = &sum
	}
	c := &client{cfg: cfg}
	p, err := launch(&c.cfg)
	if err != nil {
		return nil, err
	}
	c.proc, c.name = p, p.name
	return &Device{Device: device.New(c), client: c}, nil
}

// Telemetry is the process's report of its hardware as JSON; empty if it has none.
func (d *Device) Telemetry(ctx context.Context) ([]byte, error) {
	p, err := d.client.live()
	if err != nil {
		return nil, err
	}
	r, err := p.rpc.Telemetry(ctx, &pb.TelemetryRequest{})
	if err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, p.callError(err)
	}
	return r.Report, nil
}

// Pid is the id of the process that serves now.
func (d *Device) Pid() string {
	d.client.mu.Lock()
	defer d.client.mu.Unlock()
	return d.client.proc.pid
}

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

// client implements device.Backend over the process that lives now.
type client struct {
	cfg  Config
	name string
	ids  atomic.Uint64 // names of memory, never reused in any life

	mu       sync.Mutex
	proc     *process
	reserved int64 // by all spaces; a new life starts with it
	crashes  []time.Time
	closed   bool
}

var _ device.Backend = (*client)(nil)

func (c *client) Name() string { return c.name }

// live returns the process, started again if it has died.
func (c *client) live() (*process, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil, device.ErrClosed
	}
	if !c.proc.exited() {
		return c.proc, nil
	}
	if err := c.crashed(time.Now()); err != nil {
		return nil, err
	}
	c.proc.stop()
	p, err := launch(&c.cfg)
	if err != nil {
		return nil, err
	}
	if p.name != c.name {
		p.stop()
		return nil, &LaunchError{Path: c.cfg.Path, Err: fmt.Errorf("%w: it was %s and is %s now", ErrVersion, c.name, p.name)}
	}
	if err := p.reserve(c.reserved); err != nil {
		p.stop()
		return nil, &LaunchError{Path: c.cfg.Path, Err: err}
	}
	c.proc = p
	return p, nil
}

// crashed counts a crash, once for each life, and refuses one too many.
func (c *client) crashed(now time.Time) error {
	recent := c.crashes[:0]
	for _, t := range c.crashes {
		if now.Sub(t) < c.cfg.CrashWindow {
			recent = append(recent, t)
		}
	}
	c.crashes = recent
	if len(recent) >= c.cfg.MaxCrashes {
		return &LaunchError{Path: c.cfg.Path, Err: fmt.Errorf("%w: %d times in %v", ErrCrashLoop, len(recent), c.cfg.CrashWindow)}
	}
	c.crashes = append(c.crashes, now)
	return nil
}

func (p *process) reserve(n int64) error {
	if n == 0 {
		return nil
	}
	r, err := p.rpc.Reserve(p.rpc.ctx, &pb.ReserveRequest{Bytes: n})
	if err != nil {
		return p.callError(err)
	}
	return reported(r.Failure)
}

// Reserve implements device.Backend. If the process turns out to be dead, it
// asks its successor.
func (c *client) Reserve(limit int64) error {
	for {
		p, err := c.live()
		if err != nil {
			return err
		}
		err = p.reserve(limit)
		if errors.Is(err, ErrExited) {
			continue // live counts the crash and gives up in time
		}
		if err == nil {
			c.mu.Lock()
			c.reserved += limit
			c.mu.Unlock()
		}
		return err
	}
}

// Release implements device.Backend.
func (c *client) Release(limit int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.reserved -= limit
	if !c.proc.exited() {
		// A process that dies now takes its reservations with it.
		_ = c.proc.reserve(-limit)
	}
}

// Open implements device.Backend.
func (c *client) Open() (device.Queue, error) {
	for {
		p, err := c.live()
		if err != nil {
			return nil, err
		}
		q, err := c.openOn(p)
		if !errors.Is(err, ErrExited) {
			return q, err
		}
	}
}

func (c *client) openOn(p *process) (device.Queue, error) {
	ch := p.takeChannel()
	r, err := p.rpc.OpenQueue(p.rpc.ctx, &pb.OpenQueueRequest{Channel: uint32(ch)})
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
	q := &queue{client: c, proc: p, id: r.Queue, channel: ch}
	if ch != 0 {
		q.stream = &ringStream{channel: channelAt(p.shared, ch-1), proc: p}
	} else {
		q.stream = &execStream{proc: p, queue: r.Queue}
	}
	return q, nil
}

// Close implements device.Backend.
func (c *client) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil
	}
	c.closed = true
	c.proc.stop()
	return nil
}
