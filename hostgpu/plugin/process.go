package plugin

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode"

	"github.com/hashicorp/go-hclog"
	goplugin "github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/assaynet/assay/hostgpu/device"
	pb "github.com/assaynet/assay/hostgpu/plugin/devicepb"
)

// process is one life of the device process.
type process struct {
	client *goplugin.Client
	rpc    remote
	name   string // of the device
	pid    string
	gone   atomic.Bool           // an answer that can only mean the end has been seen
	cause  atomic.Pointer[error] // why the host ended it; nil if it ended by itself
	hang   time.Duration

	handle   *os.Process
	lifeline *os.File // closing it ends the process
	dir      string   // of its sockets
	dirLock  *os.File // says that this host lives; nil where there are no locks
	memfile  *os.File
	shared   []byte // nil: no shared memory

	mu   sync.Mutex
	free []int // channels
	refs int   // of queues; shared is unmapped when the last one goes
	dead bool
}

// launch starts a process and shakes hands with it.
func launch(cfg *Config) (*process, error) {
	p := &process{}
	if err := p.start(cfg); err != nil {
		p.stop()
		switch {
		case errors.Is(err, goplugin.ErrChecksumsDoNotMatch):
			err = ErrChecksum
		case strings.Contains(err.Error(), "ncompatible API version"):
			// go-plugin has no error value for it.
			err = fmt.Errorf("%w: %w", ErrVersion, err)
		}
		return nil, &LaunchError{Path: cfg.Path, Err: err}
	}
	return p, nil
}

func (p *process) start(cfg *Config) error {
	p.hang = cfg.HangTimeout
	cmd := exec.Command(cfg.Path, cfg.Args...)
	cmd.Env = append(os.Environ(), cfg.Env...)
	var err error
	// A process that is killed cannot remove its socket, so it gets a place
	// that this side removes.
	sweepSocketDirs()
	if p.dir, p.dirLock, err = newSocketDir(); err != nil {
		return err
	}
	cmd.Env = append(cmd.Env, goplugin.EnvUnixSocketDir+"="+p.dir)
	read, write, err := os.Pipe()
	if err != nil {
		return err
	}
	defer read.Close()
	p.lifeline = write
	cmd.ExtraFiles = []*os.File{read}
	cmd.Env = append(cmd.Env, lifelineEnv+"=1")
	if sharedSupported && !cfg.NoSharedMemory {
		if p.memfile, p.shared, err = newShared(); err != nil {
			return err
		}
		cmd.ExtraFiles = append(cmd.ExtraFiles, p.memfile)
		cmd.Env = append(cmd.Env, sharedEnv+"=1")
		for i := channels; i > 0; i-- {
			p.free = append(p.free, i)
		}
	}
	p.client = goplugin.NewClient(&goplugin.ClientConfig{
		HandshakeConfig:  handshake(protocolVersion),
		Plugins:          goplugin.PluginSet{pluginName: &grpcPlugin{}},
		Cmd:              cmd,
		AllowedProtocols: []goplugin.Protocol{goplugin.ProtocolGRPC},
		AutoMTLS:         true,
		SecureConfig:     &goplugin.SecureConfig{Checksum: cfg.SHA256[:], Hash: sha256.New()},
		StartTimeout:     cfg.StartTimeout,
		Stderr:           cfg.Stderr,
		Logger:           hclog.NewNullLogger(),
		SkipHostEnv:      true, // it is there already, before what overrides it
		GRPCDialOptions: []grpc.DialOption{grpc.WithDefaultCallOptions(
			grpc.MaxCallRecvMsgSize(execLimit), grpc.MaxCallSendMsgSize(execLimit))},
	})
	proto, err := p.client.Client()
	if err != nil {
		return err
	}
	raw, err := proto.Dispense(pluginName)
	if err != nil {
		return err
	}
	p.rpc = raw.(remote)
	p.pid = p.client.ID()
	pid, err := strconv.Atoi(p.pid)
	if err != nil {
		return err
	}
	if p.handle, err = os.FindProcess(pid); err != nil {
		return err
	}
	ctx, cancel := p.deadline()
	defer cancel()
	d, err := p.rpc.Describe(ctx, &pb.DescribeRequest{})
	if err != nil {
		return p.callError(err)
	}
	if d.RecordVersion != recordVersion {
		return fmt.Errorf("%w: records of version %d, this host has %d", ErrVersion, d.RecordVersion, recordVersion)
	}
	if !bytes.Equal(d.TableHash, tableHash()) {
		return fmt.Errorf("%w: op table %x, this host has %x", ErrVersion, d.TableHash, tableHash())
	}
	if d.Name == "" || len(d.Name) > maxName || printable(d.Name) != d.Name {
		return fmt.Errorf("%w: device name %q", ErrProtocol, printable(d.Name))
	}
	p.name = d.Name
	go func() {
		<-p.rpc.ctx.Done()
		p.ended()
	}()
	return nil
}

// ended wakes everybody who waits for a process that has ended.
func (p *process) ended() {
	p.gone.Store(true)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.shared == nil {
		return
	}
	for i := range channels {
		h := channelAt(p.shared, i).h
		h.progress.Add(1)
		futexWake(&h.progress)
	}
}

// maxName and maxMessage bound what the process says of itself and of its
// failures, in bytes.
const (
	maxName    = 64
	maxMessage = 2048
)

// printable is text of the process as a log may show it.
func printable(s string) string {
	if len(s) > maxMessage {
		s = s[:maxMessage]
	}
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return '?'
	}, s)
}

// exited reports whether the process has ended.
func (p *process) exited() bool { return p.gone.Load() || p.rpc.ctx.Err() != nil }

func (p *process) exitError() error {
	err := fmt.Errorf("%w (pid %s)", ErrExited, p.pid)
	if c := p.cause.Load(); c != nil {
		err = fmt.Errorf("%w: %w", err, *c)
	}
	return err
}

// condemn kills a process that cannot be trusted to end by itself, and returns
// the error that says so.
func (p *process) condemn(cause error) error {
	p.cause.CompareAndSwap(nil, &cause)
	p.ended()
	// If it has ended already, so much the better.
	_ = p.handle.Kill()
	return p.exitError()
}

func (p *process) hung() error {
	return p.condemn(fmt.Errorf("%w for %v", ErrHung, p.hang))
}

// deadline is the context of one call of the control plane.
func (p *process) deadline() (context.Context, context.CancelFunc) {
	return context.WithTimeout(p.rpc.ctx, p.hang)
}

// callError is the error of a gRPC call. Only a process that ends makes a call
// unavailable or cancels it.
func (p *process) callError(err error) error {
	switch status.Code(err) {
	case codes.OK:
		return nil
	case codes.Unavailable, codes.Canceled:
		p.ended()
		return fmt.Errorf("%w: %s", p.exitError(), printable(err.Error()))
	case codes.DeadlineExceeded:
		return p.hung()
	}
	return fmt.Errorf("%w: %s", ErrProtocol, printable(err.Error()))
}

// stop ends the process, politely first, and releases what belongs to it.
func (p *process) stop() {
	if p.dir != "" {
		defer func() {
			os.RemoveAll(p.dir)
			if p.dirLock != nil {
				p.dirLock.Close()
			}
		}()
	}
	if p.client != nil {
		p.client.Kill()
	}
	p.ended()
	if p.lifeline != nil {
		p.lifeline.Close()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.dead = true
	p.unmap()
}

// unmap gives the shared memory back once no queue can touch it.
func (p *process) unmap() {
	if p.dead && p.refs == 0 && p.shared != nil {
		unmapShared(p.shared)
		p.memfile.Close()
		p.shared = nil
	}
}

// takeChannel returns the number of a free channel, 0 if there is none.
func (p *process) takeChannel() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.dead || len(p.free) == 0 {
		return 0
	}
	i := p.free[len(p.free)-1]
	p.free = p.free[:len(p.free)-1]
	p.refs++
	channelAt(p.shared, i-1).reset()
	return i
}

func (p *process) giveChannel(i int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.free = append(p.free, i)
	p.refs--
	p.unmap()
}

// failureError turns what the device reported into an error.
func failureError(k pb.Failure_Kind, message string) error {
	switch k {
	case pb.Failure_KIND_INTERNAL:
		return errors.New(printable(message))
	case pb.Failure_KIND_MEMORY:
		return fmt.Errorf("%w: %s", device.ErrDeviceMemory, printable(message))
	case pb.Failure_KIND_PROTOCOL:
		return fmt.Errorf("%w: %s", ErrProtocol, printable(message))
	}
	return malformed("failure of kind %d: %s", k, printable(message))
}

func reported(f *pb.Failure) error {
	if f == nil {
		return nil
	}
	return failureError(f.Kind, f.Message)
}
