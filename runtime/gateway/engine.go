package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"

	"github.com/assaynet/assay/hostgpu/device"
	"github.com/assaynet/assay/modules/manifest"
	"github.com/assaynet/assay/runtime/sandbox"
	"github.com/assaynet/assay/verifier/commit"
)

// Sandbox is an Engine: each request runs in an instance of its own, on
// weights that all instances of a model share. It is safe for concurrent use.
type Sandbox struct {
	dev device.Device

	mu     sync.RWMutex
	offers []served
	spaces []device.Space
}

type served struct {
	Offer
	module *sandbox.Module
	model  *sandbox.Model
	info   *manifest.Module
}

// NewSandbox makes an engine on a device, which must outlive it.
func NewSandbox(dev device.Device) *Sandbox { return &Sandbox{dev: dev} }

// Served is a model to serve with the module that runs it.
type Served struct {
	Name      string
	Module    *sandbox.Module
	Info      *manifest.Module // bounds of a request's gas and tensor memory
	ModelHash [32]byte
	Model     *manifest.ModelFile
}

// Serve loads the weights on the device and offers the model from then on.
func (e *Sandbox) Serve(s Served) error {
	var cfg struct {
		Context uint32 `json:"context"`
	}
	if err := json.Unmarshal(s.Model.Config, &cfg); err != nil {
		return fmt.Errorf("gateway: config of model %s: %w", s.Name, err)
	}
	if cfg.Context < 2 {
		return fmt.Errorf("gateway: model %s: its config names no context size", s.Name)
	}
	model, err := LoadModel(e.dev, s.Model)
	if err != nil {
		return fmt.Errorf("gateway: load model %s: %w", s.Name, err)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.spaces = append(e.spaces, model.Space)
	e.offers = append(e.offers, served{
		Offer: Offer{Name: s.Name, Module: s.Module.Hash(), Model: s.ModelHash, ContextSize: cfg.Context,
			MaxPrompt: min(cfg.Context-1, commit.MaxPrompt), MaxTokens: min(cfg.Context-1, commit.MaxTokens)},
		module: s.Module, model: model, info: s.Info,
	})
	return nil
}

// LoadModel copies a model's tensors to a device. The caller closes the
// model's Space once no instance uses it.
func LoadModel(dev device.Device, f *manifest.ModelFile) (*sandbox.Model, error) {
	space, err := dev.NewSpace(f.Bytes())
	if err != nil {
		return nil, err
	}
	m := &sandbox.Model{Config: f.Config, Space: space, Tensors: make(map[string]device.Handle, len(f.Tensors))}
	for _, t := range f.Tensors {
		h, err := space.Alloc(device.DType(t.DType), device.Shape{Rows: t.Rows, Cols: t.Cols})
		if err == nil {
			err = space.Write(h, 0, t.Data)
		}
		if err != nil {
			return nil, errors.Join(fmt.Errorf("tensor %s: %w", t.Name, err), space.Close())
		}
		m.Tensors[t.Name] = h
	}
	return m, space.Sync()
}

// Offers lists what is served.
func (e *Sandbox) Offers() []Offer {
	e.mu.RLock()
	defer e.mu.RUnlock()
	out := make([]Offer, len(e.offers))
	for i, s := range e.offers {
		out[i] = s.Offer
	}
	return out
}

// Run answers one request in an instance of its own.
func (e *Sandbox) Run(ctx context.Context, req commit.Request, emit func(uint32, []byte) bool) (Result, error) {
	s, err := e.find(req)
	if err != nil {
		return Result{}, err
	}
	var n uint32
	inst, err := s.module.Start(ctx, RequestJob(e.dev, s.model, s.info, req, func(token uint32, text []byte) bool {
		n++
		return emit(token, text)
	}))
	if err != nil {
		return Result{}, fmt.Errorf("gateway: start %s: %w", s.Name, err)
	}
	defer inst.Close()
	out, err := inst.Infer(ctx)
	if err != nil {
		return Result{}, fmt.Errorf("gateway: run %s: %w", s.Name, err)
	}
	return Result{Trap: out.Trap, Gas: uint64(out.GasUsed), PromptTokens: uint32(len(req.Prompt)), Tokens: n}, nil
}

// RequestJob is the sandbox job of a request: what a miner runs and what a
// checker runs again must be the same.
func RequestJob(dev device.Device, model *sandbox.Model, info *manifest.Module, req commit.Request, emit func(uint32, []byte) bool) sandbox.Job {
	return sandbox.Job{
		Device: dev, TensorBytes: info.TensorBytes, MemoryPages: info.MemoryPages, Wait: true, Model: model,
		Seed: req.Seed, Request: req.Bytes(), Emit: emit,
		Gas: info.GasSetup + info.GasUnit*(int64(len(req.Prompt))+int64(req.MaxTokens)),
	}
}

func (e *Sandbox) find(req commit.Request) (served, error) {
	e.mu.RLock()
	defer e.mu.RUnlock()
	for _, s := range e.offers {
		if s.Offer.Module == req.Module && s.Offer.Model == req.Model {
			return s, nil
		}
	}
	return served{}, Refuse(CodeUnknownModel, "no model served here has module %x and model %x", req.Module[:4], req.Model[:4])
}

// Close frees the weights; no run may be under way.
func (e *Sandbox) Close() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	var errs []error
	for _, s := range e.spaces {
		errs = append(errs, s.Close())
	}
	e.offers, e.spaces = nil, nil
	return errors.Join(errs...)
}
