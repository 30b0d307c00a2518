package main

import (
	"errors"
	"fmt"

	"github.com/assaynet/assay/hostgpu/device"
)

// productShapes are M, N, K: cubes, those of the production pass at a batch of
// 256 units, and those of decoding.
var productShapes = [][3]int{
	{1024, 1024, 1024}, {2048, 2048, 2048}, {4096, 4096, 4096}, {8192, 8192, 8192},
	{4096, 2048, 2048}, {4096, 5504, 2048}, {4096, 2048, 5504}, {16, 2048, 2048},
	{1, 14336, 4096}, {64, 14336, 4096},
}

// products measures gemm and linear against cuBLASLt.
func products(dev device.Device, o options, r *report) error {
	shapes := productShapes
	if o.small {
		shapes = [][3]int{{64, 64, 64}, {1, 128, 128}}
	}
	peer, perr := openBLAS(o.gpu)
	if perr != nil {
		r.add("cuBLASLt", "not measured", perr.Error())
	} else {
		defer peer.close()
	}
	for _, s := range shapes {
		if err := product(dev, o, peer, s[0], s[1], s[2], r); err != nil {
			return fmt.Errorf("%d×%d×%d: %w", s[0], s[1], s[2], err)
		}
	}
	return nil
}

func product(dev device.Device, o options, peer *blas, m, n, k int, r *report) (err error) {
	ops := 2 * float64(m) * float64(n) * float64(k)
	var theirs float64
	against := "no peer"
	if peer != nil {
		took, err := peer.measure(o.each, m, n, k)
		if err != nil {
			against = err.Error()
		} else {
			theirs = ops / took.Seconds()
		}
	}
	b, err := newBuilder(dev, int64(m)*int64(k)+int64(n)*int64(k)+2*4*int64(m)*int64(n)+64*int64(m+n)+16<<20)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.sp.Close()) }()
	a, w, dst := b.s8(m, k), b.s8(n, k), b.alloc(device.S32, m, n)
	as, ws := b.scales(m), b.scales(n)
	if err := b.sync(); err != nil {
		return err
	}
	for _, x := range []struct {
		op      device.Op
		tensors []device.Handle
		imms    []int64
	}{
		{device.OpGemm, []device.Handle{dst, a, w}, nil},
		{device.OpLinear, []device.Handle{dst, a, as, w, ws, 0, 0}, []int64{47}},
	} {
		took, err := repeat(o.each, func() error {
			return b.sp.Run(device.Call{Op: x.op, Tensors: x.tensors, Imms: x.imms})
		}, b.sp.Sync)
		if err != nil {
			return err
		}
		rate := ops / took.Seconds()
		if theirs > 0 {
			against = fmt.Sprintf("%s of cuBLASLt's %.1f", percent(rate, theirs), theirs/1e12)
		}
		r.add(fmt.Sprintf("%v %d×%d×%d", x.op, m, n, k), fmt.Sprintf("%.1f TOPS", rate/1e12), against)
	}
	return nil
}
