package devices

import (
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/assaynet/assay/hostgpu/device"
	"github.com/assaynet/assay/hostgpu/failover"
)

// group is several devices at once: each new space goes to the one that has
// the fewest. A device that is given up gets none any more, and what it held is
// computed again elsewhere; when none is left, the next of the list takes over.
type group struct {
	parts []*Device
	next  func() (*Device, error) // opens what comes after them; nil: nothing does

	mu     sync.Mutex
	open   []int   // spaces of each part
	spare  *Device // what next opened
	closed bool
}

var _ device.Cluster = (*group)(nil)

// openGroup opens those of a list that start.
func openGroup(list, rest []maker, cfg Config) (*Device, error) {
	g := &group{}
	var errs []error
	for _, m := range list {
		d, err := openList([]maker{m}, cfg)
		if err != nil {
			if cfg.Notify != nil {
				cfg.Notify(failover.Event{Kind: failover.Skipped, From: m.name, Err: err})
			}
			errs = append(errs, err)
			continue
		}
		g.parts = append(g.parts, d)
	}
	if len(rest) > 0 {
		g.next = func() (*Device, error) { return openList(rest, cfg) }
	}
	switch {
	case len(g.parts) == 0 && g.next != nil:
		return g.next()
	case len(g.parts) == 0:
		return nil, errors.Join(errs...)
	}
	g.open = make([]int, len(g.parts))
	return &Device{Device: g, parts: g.parts}, nil
}

func (g *group) Name() string {
	name := ""
	for i, d := range g.parts {
		if i > 0 {
			name += "+"
		}
		name += d.Name()
	}
	return name
}

// byLoad are the parts, the one with the fewest spaces first.
func (g *group) byLoad() []int {
	g.mu.Lock()
	defer g.mu.Unlock()
	order := make([]int, len(g.parts))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return g.open[a] - g.open[b] })
	return order
}

// NewSpace implements device.Device. A part that has too little memory is no
// reason to leave the GPUs.
func (g *group) NewSpace(limit int64) (device.Space, error) {
	var errs []error
	memory := false
	for _, i := range g.byLoad() {
		s, err := g.newSpace(i, limit)
		if err == nil {
			return s, nil
		}
		memory = memory || errors.Is(err, device.ErrDeviceMemory)
		errs = append(errs, err)
	}
	if memory {
		return nil, errors.Join(errs...)
	}
	d, err := g.after()
	if err != nil {
		return nil, errors.Join(append(errs, err)...)
	}
	s, err := d.NewSpace(limit)
	if err != nil {
		return nil, errors.Join(append(errs, err)...)
	}
	return &placed{Space: s, g: g, at: -1}, nil
}

// after is the device that comes after the group's.
func (g *group) after() (*Device, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case g.closed:
		return nil, device.ErrClosed
	case g.spare == nil && g.next == nil:
		return nil, failover.ErrExhausted
	case g.spare == nil:
		d, err := g.next()
		if err != nil {
			return nil, err
		}
		g.spare = d
	}
	return g.spare, nil
}

func (g *group) newSpace(i int, limit int64) (device.Space, error) {
	s, err := g.parts[i].NewSpace(limit)
	if err != nil {
		return nil, err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.open[i]++
	return &placed{Space: s, g: g, at: i}, nil
}

// NewSpaceNear implements device.Cluster.
func (g *group) NewSpaceNear(from device.Space, limit int64) (device.Space, error) {
	p, ok := from.(*placed)
	if !ok || p.g != g {
		return nil, fmt.Errorf("%w: not a space of this device", device.ErrHandle)
	}
	if p.at >= 0 {
		return g.newSpace(p.at, limit)
	}
	d, err := g.after()
	if err != nil {
		return nil, err
	}
	s, err := d.NewSpace(limit)
	if err != nil {
		return nil, err
	}
	return &placed{Space: s, g: g, at: -1}, nil
}

// Close implements device.Device.
func (g *group) Close() error {
	g.mu.Lock()
	g.closed = true
	spare := g.spare
	g.mu.Unlock()
	var errs []error
	for _, d := range g.parts {
		errs = append(errs, d.Close())
	}
	if spare != nil {
		errs = append(errs, spare.Close())
	}
	return errors.Join(errs...)
}

// placed is a space of one part.
type placed struct {
	device.Space
	g    *group
	at   int // part, -1: the spare
	once sync.Once
}

func (p *placed) Share(from device.Space, h device.Handle) (device.Handle, error) {
	f, ok := from.(*placed)
	if !ok || f.g != p.g || f.at != p.at {
		return 0, fmt.Errorf("%w: not a space of this device", device.ErrHandle)
	}
	return p.Space.Share(f.Space, h)
}

func (p *placed) Close() error {
	p.once.Do(func() {
		if p.at < 0 {
			return
		}
		p.g.mu.Lock()
		p.g.open[p.at]--
		p.g.mu.Unlock()
	})
	return p.Space.Close()
}
