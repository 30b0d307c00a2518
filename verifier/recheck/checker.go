package recheck

import (
	"container/list"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"sync"

	"github.com/assaynet/assay/hostgpu/device"
	"github.com/assaynet/assay/runtime/sandbox"
	"github.com/assaynet/assay/verifier/commit"
)

// Config of a Checker.
type Config struct {
	Runtime *sandbox.Runtime
	// Device runs what is re-executed. More are further ones of the same
	// kind: an instance is set up on the one that has the fewest. A reference
	// device runs on one core, so a checker that uses several has one a core.
	Device device.Device
	More   []device.Device
	// Reserved is a part of the runtime's memory budget that Unit, and nothing
	// else, takes its instances from: at least what one instance of any module
	// may need, so that a decision waits for another at most. nil: the rest of
	// the budget. It stays the caller's.
	Reserved *sandbox.Share
	// Idle bounds the set-up instances kept between calls; each holds its
	// weights on the device. 0: 4.
	Idle int
	// Modules bounds the compiled modules kept between calls: compiling one
	// takes seconds. 0: 4.
	Modules int
}

// Checker re-executes. It is safe for concurrent use; each call in progress
// has an instance of its own.
type Checker struct {
	cfg Config

	mu     sync.Mutex
	idle   map[[32]byte][]*list.Element
	recent *list.List        // of *slot, the most recently used in front
	busy   []int             // instances set up on each device, idle ones too
	held   []*sandbox.Module // the most recently used last
	closed bool
}

type slot struct {
	key     [32]byte
	session *Session
	device  int // index into devices
}

// New makes a Checker. Runtime and devices stay the caller's.
func New(cfg Config) *Checker {
	if cfg.Idle <= 0 {
		cfg.Idle = 4
	}
	if cfg.Modules <= 0 {
		cfg.Modules = 4
	}
	return &Checker{cfg: cfg, idle: map[[32]byte][]*list.Element{}, recent: list.New(), busy: make([]int, 1+len(cfg.More))}
}

// Unit is the definition: the digest of one unit from a fresh instance. It
// depends on the work and the index alone, whatever else this process ran, so
// it is what an accusation is decided by. Errors: *TrapError (alike on every
// host), ErrModule or an invalid module, or *sandbox.HostError, which is never
// a verdict.
func (c *Checker) Unit(ctx context.Context, w Work, index uint64) (commit.Digest, error) {
	u, err := c.fresh(ctx, w, index, nil)
	return u.Digest, err
}

// KeyedUnit is the keyed digest of one unit from a fresh instance: what decides
// about a validator that says it computed the unit under its key. Errors as Unit.
func (c *Checker) KeyedUnit(ctx context.Context, w Work, index uint64, key [32]byte) (commit.Digest, error) {
	u, err := c.fresh(ctx, w, index, &key)
	return u.Keyed, err
}

func (c *Checker) fresh(ctx context.Context, w Work, index uint64, key *[32]byte) (sandbox.Unit, error) {
	s, err := c.open(ctx, w, c.cfg.Reserved)
	if err != nil {
		return sandbox.Unit{}, err
	}
	units, err := s.session.Units(ctx, []uint64{index}, key)
	if err = errors.Join(err, c.end(s)); err != nil {
		return sandbox.Unit{}, err
	}
	return units[0], nil
}

// Units computes many units of one claim in an instance that is kept for all
// claims of the same work: fast, and equal to Unit for every module whose results do not depend on its history, which
// no caller may take for granted. Before anyone is accused, Confirm decides.
// With a key, keyed digests come too.
func (c *Checker) Units(ctx context.Context, w Work, indexes []uint64, key *[32]byte) ([]sandbox.Unit, error) {
	s, err := c.take(ctx, w)
	if err != nil {
		return nil, err
	}
	if err := s.session.SetIdentity(w.Identity); err != nil {
		return nil, errors.Join(err, c.end(s))
	}
	units, err := s.session.Units(ctx, indexes, key)
	if err != nil {
		return nil, errors.Join(err, c.end(s))
	}
	return units, c.give(s)
}

// Confirm decides whether a unit is false: it compares the claimed digest
// with a fresh instance's. If that agrees with the claim although a kept
// instance did not, the module is impure and the error is ErrImpure.
func (c *Checker) Confirm(ctx context.Context, w Work, index uint64, claimed commit.Digest) error {
	got, err := c.Unit(ctx, w, index)
	if err != nil {
		return err
	}
	if got == claimed {
		return fmt.Errorf("%w: unit %d", ErrImpure, index)
	}
	return nil
}

// take returns an idle instance of the work, or sets one up.
func (c *Checker) take(ctx context.Context, w Work) (*slot, error) {
	key := w.key()
	c.mu.Lock()
	if free := c.idle[key]; len(free) > 0 {
		e := free[len(free)-1]
		s := c.remove(e)
		c.mu.Unlock()
		return s, nil
	}
	c.mu.Unlock()
	s, err := c.open(ctx, w, nil)
	if !errors.Is(err, sandbox.ErrMemory) {
		return s, err
	}
	// What idles makes room for what is asked for.
	if dropped, cerr := c.dropIdle(); dropped == 0 || cerr != nil {
		return nil, errors.Join(err, cerr)
	}
	return c.open(ctx, w, nil)
}

// open sets up an instance on the least busy device and keeps its module
// compiled.
func (c *Checker) open(ctx context.Context, w Work, memory *sandbox.Share) (*slot, error) {
	if err := c.hold(w.ModuleHash, w.Wasm); err != nil {
		return nil, err
	}
	c.mu.Lock()
	least := 0
	for i, n := range c.busy {
		if n < c.busy[least] {
			least = i
		}
	}
	c.busy[least]++
	c.mu.Unlock()
	dev := c.cfg.Device
	if least > 0 {
		dev = c.cfg.More[least-1]
	}
	session, err := open(ctx, c.cfg.Runtime, dev, w, memory)
	if err != nil {
		c.leave(least)
		return nil, err
	}
	return &slot{w.key(), session, least}, nil
}

// end closes an instance.
func (c *Checker) end(s *slot) error {
	c.leave(s.device)
	return s.session.Close()
}

func (c *Checker) leave(i int) {
	c.mu.Lock()
	c.busy[i]--
	c.mu.Unlock()
}

// hold admits a module, or marks it as used again, and lets go of the least
// recently used one above the bound.
func (c *Checker) hold(hash [32]byte, wasm []byte) error {
	c.mu.Lock()
	for i, m := range c.held {
		if m.Hash() == hash {
			c.held = append(append(c.held[:i:i], c.held[i+1:]...), m)
			c.mu.Unlock()
			return nil
		}
	}
	c.mu.Unlock()
	if sha256.Sum256(wasm) != hash {
		return fmt.Errorf("%w: %x", ErrModule, hash)
	}
	m, err := c.cfg.Runtime.Admit(wasm)
	if err != nil {
		return err
	}
	c.mu.Lock()
	var drop *sandbox.Module
	switch {
	case c.closed:
		drop = m
	default:
		c.held = append(c.held, m) // twice at worst, if two came at once: each is closed once
		if len(c.held) > c.cfg.Modules {
			drop, c.held = c.held[0], c.held[1:]
		}
	}
	c.mu.Unlock()
	if drop != nil {
		drop.Close()
	}
	return nil
}

// remove takes an element out of both structures. The caller holds the lock.
func (c *Checker) remove(e *list.Element) *slot {
	s := c.recent.Remove(e).(*slot)
	free := c.idle[s.key]
	for i, other := range free {
		if other == e {
			free = append(free[:i], free[i+1:]...)
			break
		}
	}
	if len(free) == 0 {
		delete(c.idle, s.key)
	} else {
		c.idle[s.key] = free
	}
	return s
}

// give keeps an instance for later and closes the least recently used one
// above the bound.
func (c *Checker) give(s *slot) error {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return c.end(s)
	}
	c.idle[s.key] = append(c.idle[s.key], c.recent.PushFront(s))
	var old *slot
	if c.recent.Len() > c.cfg.Idle {
		old = c.remove(c.recent.Back())
	}
	c.mu.Unlock()
	if old != nil {
		return c.end(old)
	}
	return nil
}

// Close frees all idle instances and modules; those in use are freed when their calls end.
func (c *Checker) Close() error {
	c.mu.Lock()
	c.closed = true
	held := c.held
	c.held = nil
	c.mu.Unlock()
	for _, m := range held {
		m.Close()
	}
	_, err := c.dropIdle()
	return err
}

// dropIdle closes all idle instances and returns how many there were.
func (c *Checker) dropIdle() (int, error) {
	c.mu.Lock()
	var all []*slot
	for c.recent.Len() > 0 {
		all = append(all, c.remove(c.recent.Back()))
	}
	c.mu.Unlock()
	var errs []error
	for _, s := range all {
		errs = append(errs, c.end(s))
	}
	return len(all), errors.Join(errs...)
}
