package plugin

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"

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
	gone   atomic.Bool // an answer that can only mean the end has been seen

	lifeline *os.File // closing it ends the process
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
	cmd := exec.Command(cfg.Path, cfg.Args...)
	cmd.Env = append(cmd.Env, cfg.Env...)
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
	d, err := p.rpc.Describe(p.rpc.ctx, &pb.DescribeRequest{})
	if err != nil {
		return p.callError(err)
	}
	if d.RecordVersion != recordVersion {
		return fmt.Errorf("%w: records of version %d, this host has %d", ErrVersion, d.RecordVersion, recordVersion)
	}
	if !bytes.Equal(d.TableHash, tableHash()) {
		return fmt.Errorf("%w: op table %x, this host has %x", ErrVersion, d.TableHash, tableHash())
	}
	p.name = d.Name
	return nil
}

// exited reports whether the process has ended.
func (p *process) exited() bool { return p.gone.Load() || p.rpc.ctx.Err() != nil }

func (p *process) exitError() error { return fmt.Errorf("%w (pid %s)", ErrExited, p.pid) }

// callError is the error of a gRPC call. Only a process that ends makes a call
// unavailable or cancels it.
func (p *process) callError(err error) error {
	if err == nil {
		return nil
	}
	switch status.Code(err) {
	case codes.Unavailable, codes.Canceled:
		p.gone.Store(true)
		return fmt.Errorf("%w: %v", p.exitError(), err)
	}
	return err
}

// stop ends the process, politely first, and releases what belongs to it.
func (p *process) stop() {
	if p.client != nil {
		p.client.Kill()
	}
	p.gone.Store(true)
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
	case pb.Failure_KIND_MEMORY:
		return fmt.Errorf("%w: %s", device.ErrDeviceMemory, message)
	case pb.Failure_KIND_PROTOCOL:
		return fmt.Errorf("%w: %s", ErrProtocol, message)
	}
	return errors.New(message)
}

func reported(f *pb.Failure) error {
	if f == nil {
		return nil
	}
	return failureError(f.Kind, f.Message)
}
