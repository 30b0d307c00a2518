package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"sync"
	"time"

	"github.com/cosmos/cosmos-sdk/crypto"
	"github.com/cosmos/cosmos-sdk/crypto/keyring"
	cryptotypes "github.com/cosmos/cosmos-sdk/crypto/types"

	"github.com/assaynet/assay/chain/network"
	"github.com/assaynet/assay/hostgpu/devices"
	"github.com/assaynet/assay/runtime/gateway"
	"github.com/assaynet/assay/runtime/miner"
	"github.com/assaynet/assay/runtime/till"
	"github.com/assaynet/assay/sdk/client"
	"github.com/assaynet/assay/verifier/auditor"
)

// participantConfig says what runs beside a node.
type participantConfig struct {
	Home   string
	GRPC   string // of the node
	Listen string // address of openings, inference and the page
	Keys   *network.Keys
	Engine *engine
	Models gateway.Engine

	Worker  miner.Worker // nil: the sandbox on the native device
	Mining  func(miner.Event)
	Audit   func(auditor.Event)
	Answers func(gateway.Answer)
	Commits int // commitments a sprint; 0: the miner's default

	// Price in ngnk of a prompt byte and of a token; 0 serves for free.
	Price int64

	// Node says how to wait for the node, at the start and whenever it is gone.
	Node nodeWatch
	// Register makes the chain know the participant, when it has its folder and
	// its address to itself and before it works; nil: the chain does. It returns
	// what of the node must hold after each wait for it; nil: nothing.
	Register func(context.Context, *link) (func(context.Context) error, error)
}

// participant is a miner, an auditor and a gateway that talk to one node over
// its gRPC server. Start makes it run; Close ends it.
type participant struct {
	cfg     participantConfig
	link    *link
	miner   *miner.Miner
	auditor *auditor.Auditor
	till    *till.Till // nil: free
	gateway *gateway.Server
	servers []*http.Server
	listens net.Listener                // until run
	stays   func(context.Context) error // see participantConfig.Register

	stop   context.CancelFunc
	wg     sync.WaitGroup
	failed chan struct{} // closed when a part of it ended by itself; Close says why
	mu     sync.Mutex
	errs   []error
}

// namedKey takes a private key out of a keyring: services sign without asking.
func namedKey(kr keyring.Keyring, name string) (cryptotypes.PrivKey, error) {
	const passphrase = "in memory only"
	armor, err := kr.ExportPrivKeyArmor(name, passphrase)
	if err != nil {
		return nil, fmt.Errorf("key %s: %w", name, err)
	}
	key, _, err := crypto.UnarmorDecryptPrivKey(armor, passphrase)
	if err != nil {
		return nil, fmt.Errorf("key %s: %w", name, err)
	}
	return key, nil
}

// gpuBatch is the units of one call on a GPU: with 16 tokens each they are the
// 4,096 rows that the shipped proof of work takes through its weights at most.
const gpuBatch = 256

func startParticipant(ctx context.Context, cfg participantConfig) (_ *participant, err error) {
	key, err := namedKey(cfg.Keys.Keyring, network.OperatorKey)
	if err != nil {
		return nil, err
	}
	p := &participant{cfg: cfg, link: &link{}, failed: make(chan struct{})}
	defer func() {
		if err != nil {
			err = errors.Join(err, p.Close())
		}
	}()
	if cfg.Worker == nil {
		cfg.Worker = miner.SandboxWorker{Runtime: cfg.Engine.rt, Device: cfg.Engine.native}
	}
	mining := miner.Config{
		Chain: minerLink{p.link}, Worker: cfg.Worker, Dir: filepath.Join(cfg.Home, "miner"),
		Address: key.PubKey().Address(), Commits: cfg.Commits,
	}
	if d, ok := cfg.Engine.native.(*devices.Device); ok {
		mining.Instances = d.Parts() // each computes on one of the GPUs
		if d.GPU() {
			mining.BatchUnits = gpuBatch
		}
	}
	if cfg.Mining != nil {
		mining.Observer = miner.ObserverFunc(cfg.Mining)
	}
	// The folder and the address come first: who cannot have them must not
	// wait for a node, nor draw to itself the validators of who has them.
	if p.miner, err = miner.New(mining); err != nil {
		return nil, err
	}
	if p.listens, err = net.Listen("tcp", cfg.Listen); err != nil {
		return nil, fmt.Errorf("serve openings and inference: %w", err)
	}
	if p.link.c, err = cfg.Node.dial(ctx, cfg.GRPC); err != nil {
		return nil, err
	}
	p.link.acct = p.link.c.Account(key)
	if cfg.Register != nil {
		err = cfg.Node.again(ctx, cfg.GRPC, p.link.c, func() (err error) {
			p.stays, err = cfg.Register(ctx, p.link)
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	auditing := auditor.Config{
		Chain: auditorLink{p.link}, Key: cfg.Keys.VRF, Address: p.link.acct.Bytes(),
		Checker: cfg.Engine.auditing, Confirm: cfg.Engine.checker, Checkers: auditCores(), Dir: filepath.Join(cfg.Home, "auditor"),
	}
	if cfg.Audit != nil {
		auditing.Observer = auditor.ObserverFunc(cfg.Audit)
	}
	if p.auditor, err = auditor.New(auditing); err != nil {
		return nil, err
	}
	view := newNodeView(p.link, cfg.Engine.native.Name())
	serving := gateway.Config{
		Engine: cfg.Models, Signer: accountSigner{p.link.acct}, Network: view, Openings: p.miner.Handler(), Answered: cfg.Answers,
	}
	if cfg.Price != 0 {
		err = cfg.Node.again(ctx, cfg.GRPC, p.link.c, func() (err error) {
			p.till, err = newTill(ctx, p.link, cfg.Home, cfg.Price)
			return err
		})
		if err != nil {
			return nil, err
		}
		serving.Till = p.till
	}
	p.gateway, err = gateway.New(serving, nil)
	if err != nil {
		return nil, err
	}
	p.run(view)
	return p, nil
}

// run starts everything in the background.
func (p *participant) run(view *nodeView) {
	p.serveOn(p.listens, p.gateway)
	p.listens = nil
	ctx, cancel := context.WithCancel(context.Background())
	p.stop = cancel
	p.background(func() error { return p.miner.Run(ctx) }, context.Canceled)
	p.background(func() error { return p.auditor.Run(ctx) }, context.Canceled)
	p.background(func() error { return view.follow(ctx) }, context.Canceled)
	p.background(func() error { return p.cfg.Node.follow(ctx, p.cfg.GRPC, p.link.c, p.stays) }, context.Canceled)
	if p.till != nil {
		p.background(func() error { return p.till.Run(ctx) }, context.Canceled)
	}
}

// serve answers HTTP at addr until Close.
func (p *participant) serve(addr string, h http.Handler) error {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	p.serveOn(l, h)
	return nil
}

func (p *participant) serveOn(l net.Listener, h http.Handler) {
	s := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute}
	p.servers = append(p.servers, s)
	p.background(func() error { return s.Serve(l) }, http.ErrServerClosed)
}

func (p *participant) background(f func() error, normal error) {
	p.wg.Add(1)
	go func() {
		defer p.wg.Done()
		if err := f(); err != nil && !errors.Is(err, normal) {
			p.mu.Lock()
			defer p.mu.Unlock()
			if p.errs = append(p.errs, err); len(p.errs) == 1 {
				close(p.failed)
			}
		}
	}()
}

// Close ends everything and returns what went wrong on the way.
func (p *participant) Close() error {
	if p.stop != nil {
		p.stop()
	}
	var errs []error
	if p.gateway != nil {
		errs = append(errs, p.gateway.Close())
	}
	for _, s := range p.servers {
		ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
		if s.Shutdown(ctx) != nil {
			s.Close()
		}
		cancel()
	}
	p.wg.Wait()
	if p.miner != nil {
		errs = append(errs, p.miner.Close())
	}
	if p.listens != nil {
		errs = append(errs, p.listens.Close())
	}
	if p.link.c != nil {
		errs = append(errs, p.link.c.Close())
	}
	return errors.Join(append(p.errs, errs...)...)
}

// accountSigner signs receipts with the miner's account key.
type accountSigner struct{ a *client.Account }

func (s accountSigner) Address() []byte                 { return s.a.Bytes() }
func (s accountSigner) PublicKey() []byte               { return s.a.Key().PubKey().Bytes() }
func (s accountSigner) Sign(msg []byte) ([]byte, error) { return s.a.Key().Sign(msg) }
