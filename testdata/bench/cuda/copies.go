package main

import (
	"errors"
	"fmt"

	"github.com/assaynet/assay/hostgpu/cudadev/driver"
)

// copies measures the bus and the GPU's memory, and returns what the latter
// moves in bytes a second, reads and writes together.
func copies(d driver.Driver, o options, r *report) (bandwidth float64, err error) {
	n := 512 << 20
	if o.small {
		n = 1 << 20
	}
	c, err := d.Context(o.gpu, driver.WaitAuto)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	host, err := c.AllocHost(min(n, 64<<20))
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, c.FreeHost(host)) }()
	var p [2]driver.Ptr
	for i := range p {
		if p[i], err = c.Alloc(int64(n)); err != nil {
			return 0, err
		}
		defer func() { err = errors.Join(err, c.Free(p[i])) }()
	}
	s, err := c.NewStream()
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	for _, x := range []struct {
		what  string
		bytes int
		f     func() error
	}{
		{"copy to the GPU, pinned", len(host), func() error { return s.CopyIn(p[0], host) }},
		{"copy from the GPU, pinned", len(host), func() error { return s.CopyOut(host, p[0]) }},
		{"fill of the GPU's memory", n, func() error { return s.Fill(p[0], 1, int64(n)) }},
		{"copy within the GPU's memory, read and written", 2 * n, func() error { return s.Copy(p[1], p[0], int64(n)) }},
	} {
		took, err := repeat(o.each, x.f, s.Sync)
		if err != nil {
			return 0, err
		}
		bandwidth = float64(x.bytes) / took.Seconds()
		r.add(x.what, fmt.Sprintf("%.0f GB/s", bandwidth/1e9), "")
	}
	if peak := float64(c.Info().MemoryPeak); peak > 0 {
		r.rows[len(r.rows)-1].of = percent(bandwidth, peak) + fmt.Sprintf(" of the memory's %.0f GB/s", peak/1e9)
	}
	return bandwidth, nil
}
