package plugin

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/hashicorp/go-hclog"
	goplugin "github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"

	"github.com/assaynet/assay/hostgpu/device"
	pb "github.com/assaynet/assay/hostgpu/plugin/devicepb"
)

// protocolVersion is go-plugin's: raised when the gRPC service changes.
const protocolVersion = 1

// pluginName is the only plugin that a process serves.
const pluginName = "device"

// handshake is not a secret: it keeps a user from starting a device process by
// hand and waiting for output.
func handshake(version int) goplugin.HandshakeConfig {
	return goplugin.HandshakeConfig{
		ProtocolVersion:  uint(version),
		MagicCookieKey:   "ASSAY_DEVICE_PROCESS",
		MagicCookieValue: "c1a7b0be-device",
	}
}

// lifelineFD is the end of a pipe whose other end the host holds: when the host
// is gone, however it went, the device process ends too. sharedFD is the shared
// memory. Both are there if the environment says so.
const (
	lifelineFD  = 3
	sharedFD    = 4
	lifelineEnv = "ASSAY_DEVICE_LIFELINE"
	sharedEnv   = "ASSAY_DEVICE_SHARED"
)

// execLimit bounds an Exec message: a batch, one write and some framing.
const execLimit = 16 << 20

// ServeConfig says what a device process serves.
type ServeConfig struct {
	Backend device.Backend
	// Telemetry returns a report of the hardware; nil: none.
	Telemetry func(context.Context) ([]byte, error)
}

// Serve serves a device to the host that started this process, and returns
// when that host asks for the end.
func Serve(cfg ServeConfig) { serve(cfg, protocolVersion, recordVersion) }

func serve(cfg ServeConfig, protocol int, records uint32) {
	if os.Getenv(lifelineEnv) != "" {
		go func() {
			_, _ = io.Copy(io.Discard, os.NewFile(lifelineFD, "lifeline"))
			removeSockets()
			os.Exit(0)
		}()
	}
	s := &server{cfg: cfg, records: records, queues: map[uint64]*serverQueue{}}
	s.mems.all = map[uint64]memory{}
	goplugin.Serve(&goplugin.ServeConfig{
		HandshakeConfig: handshake(protocol),
		Plugins:         goplugin.PluginSet{pluginName: &grpcPlugin{server: s}},
		GRPCServer: func(opts []grpc.ServerOption) *grpc.Server {
			return grpc.NewServer(append(opts, grpc.MaxRecvMsgSize(execLimit), grpc.MaxSendMsgSize(execLimit))...)
		},
		Logger: hclog.NewNullLogger(),
	})
}

// removeSockets does what the host cannot do any more: it removes the directory
// that the host made.
func removeSockets() {
	if dir := os.Getenv(goplugin.EnvUnixSocketDir); strings.HasPrefix(filepath.Base(dir), socketDirPrefix) {
		_ = os.RemoveAll(dir)
	}
}

// socketDirPrefix begins the name of the directory that a host makes for a
// process's sockets.
const socketDirPrefix = "assay-device-"

// grpcPlugin is both sides' entry in go-plugin's tables.
type grpcPlugin struct {
	goplugin.NetRPCUnsupportedPlugin
	server *server
}

func (p *grpcPlugin) GRPCServer(_ *goplugin.GRPCBroker, s *grpc.Server) error {
	pb.RegisterDeviceServiceServer(s, p.server)
	return nil
}

// remote is what the host's side dispenses. ctx ends when the process does.
type remote struct {
	ctx context.Context
	pb.DeviceServiceClient
}

func (p *grpcPlugin) GRPCClient(ctx context.Context, _ *goplugin.GRPCBroker, c *grpc.ClientConn) (any, error) {
	return remote{ctx, pb.NewDeviceServiceClient(c)}, nil
}

// tableHash identifies the op table: both sides must number and check alike.
func tableHash() []byte {
	h := sha256.Sum256([]byte(device.Markdown()))
	return h[:]
}

type server struct {
	pb.UnimplementedDeviceServiceServer
	cfg     ServeConfig
	records uint32
	mems    memories

	mu     sync.Mutex
	queues map[uint64]*serverQueue
	last   uint64
}

// serverQueue is used by one call at a time; the lock holds a host to that.
type serverQueue struct {
	mu   sync.Mutex
	exec executor
	ring *ringServer // nil: records come through Exec
}

func failure(err error) *pb.Failure {
	if err == nil {
		return nil
	}
	k := pb.Failure_KIND_INTERNAL
	switch {
	case isMemory(err):
		k = pb.Failure_KIND_MEMORY
	case isProtocol(err):
		k = pb.Failure_KIND_PROTOCOL
	}
	return &pb.Failure{Kind: k, Message: err.Error()}
}

func (s *server) Describe(context.Context, *pb.DescribeRequest) (*pb.DescribeResponse, error) {
	return &pb.DescribeResponse{Name: s.cfg.Backend.Name(), TableHash: tableHash(), RecordVersion: s.records}, nil
}

func (s *server) Reserve(_ context.Context, r *pb.ReserveRequest) (*pb.ReserveResponse, error) {
	if r.Bytes < 0 {
		s.cfg.Backend.Release(-r.Bytes)
		return &pb.ReserveResponse{}, nil
	}
	return &pb.ReserveResponse{Failure: failure(s.cfg.Backend.Reserve(r.Bytes))}, nil
}

func (s *server) OpenQueue(_ context.Context, r *pb.OpenQueueRequest) (*pb.OpenQueueResponse, error) {
	q, err := s.cfg.Backend.Open()
	if err != nil {
		return &pb.OpenQueueResponse{Failure: failure(err)}, nil
	}
	sq := &serverQueue{exec: newExecutor(&s.mems, q)}
	if r.Channel != 0 {
		if sq.ring, err = s.openRing(r.Channel, &sq.exec); err != nil {
			_ = q.Close()
			return &pb.OpenQueueResponse{Failure: failure(err)}, nil
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last++
	s.queues[s.last] = sq
	return &pb.OpenQueueResponse{Queue: s.last}, nil
}

func (s *server) queue(id uint64) (*serverQueue, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	q := s.queues[id]
	if q == nil {
		return nil, malformed("unknown queue %d", id)
	}
	return q, nil
}

func (s *server) Exec(_ context.Context, r *pb.ExecRequest) (*pb.ExecResponse, error) {
	q, err := s.queue(r.Queue)
	if err != nil {
		return &pb.ExecResponse{Failure: failure(err)}, nil
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	var data []byte
	sink := func(n int64, read func([]byte) error) error {
		if n > readChunk || int64(len(data))+n > execLimit/2 {
			return malformed("read of %d bytes", n)
		}
		at := len(data)
		data = append(data, make([]byte, n)...)
		return read(data[at:])
	}
	for b := r.Records; len(b) > 0; {
		rec, n, err := decode(b, q.exec.task)
		if err != nil {
			if q.exec.failed == nil {
				q.exec.failed = err
			}
			break
		}
		b = b[n:]
		// The first failure is kept; what follows is only freed.
		_ = q.exec.apply(rec, sink)
	}
	if q.exec.failed == nil {
		q.exec.failed = q.exec.queue.Sync()
	}
	if q.exec.failed != nil {
		return &pb.ExecResponse{Failure: failure(q.exec.failed)}, nil
	}
	return &pb.ExecResponse{Data: data}, nil
}

func (s *server) CloseQueue(_ context.Context, r *pb.CloseQueueRequest) (*pb.CloseQueueResponse, error) {
	q, err := s.queue(r.Queue)
	if err != nil {
		return &pb.CloseQueueResponse{Failure: failure(err)}, nil
	}
	s.mu.Lock()
	delete(s.queues, r.Queue)
	s.mu.Unlock()
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.ring != nil {
		q.ring.stop()
	}
	return &pb.CloseQueueResponse{Failure: failure(q.exec.queue.Close())}, nil
}

func (s *server) Telemetry(ctx context.Context, _ *pb.TelemetryRequest) (*pb.TelemetryResponse, error) {
	if s.cfg.Telemetry == nil {
		return &pb.TelemetryResponse{}, nil
	}
	p, err := s.cfg.Telemetry(ctx)
	if err != nil {
		return nil, fmt.Errorf("telemetry: %w", err)
	}
	return &pb.TelemetryResponse{Report: p}, nil
}
