package main

import (
	"errors"
	"fmt"
	"runtime"
	"time"
	"unsafe"

	"github.com/ebitengine/purego"
)

// blas is cuBLASLt, NVIDIA's library of matrix products, as the peer: s8·s8ᵀ to
// s32, its own choice of algorithm with 32 MiB of workspace. It is loaded where
// it is installed, on the primary context that the device uses too. All calls
// come from one thread, which is locked.
type blas struct {
	driver, lib uintptr
	handle      uintptr
	workspace   uint64
	dev         int32
}

// workspaceBytes is what cuBLAS recommends for Hopper.
const workspaceBytes = 32 << 20

var blasNames = []string{"libcublasLt.so.13", "libcublasLt.so.12", "libcublasLt.so.11", "libcublasLt.so"}

var errNoBLAS = errors.New("libcublasLt.so is not installed")

func openBLAS(gpu int) (*blas, error) {
	b := &blas{}
	for _, n := range blasNames {
		if h, err := purego.Dlopen(n, purego.RTLD_NOW|purego.RTLD_GLOBAL); err == nil {
			b.lib = h
			break
		}
	}
	if b.lib == 0 {
		return nil, errNoBLAS
	}
	var err error
	if b.driver, err = purego.Dlopen("libcuda.so.1", purego.RTLD_NOW); err != nil {
		return nil, err
	}
	runtime.LockOSThread()
	var ctx uintptr
	err = errors.Join(
		b.cu("cuDeviceGet", uintptr(unsafe.Pointer(&b.dev)), uintptr(gpu)),
		b.cu("cuDevicePrimaryCtxRetain", uintptr(unsafe.Pointer(&ctx)), uintptr(b.dev)),
	)
	if err == nil {
		err = errors.Join(b.cu("cuCtxSetCurrent", ctx),
			b.cu("cuMemAlloc_v2", uintptr(unsafe.Pointer(&b.workspace)), workspaceBytes),
			b.lt("cublasLtCreate", uintptr(unsafe.Pointer(&b.handle))))
	}
	if err != nil {
		runtime.UnlockOSThread()
		return nil, err
	}
	return b, nil
}

//go:uintptrescapes
func call(lib uintptr, name string, args ...uintptr) error {
	fn, err := purego.Dlsym(lib, name)
	if err != nil {
		return err
	}
	if r, _, _ := purego.SyscallN(fn, args...); int32(uint32(r)) != 0 {
		return fmt.Errorf("%s: status %d", name, int32(uint32(r)))
	}
	return nil
}

//go:uintptrescapes
func (b *blas) cu(name string, args ...uintptr) error { return call(b.driver, name, args...) }

//go:uintptrescapes
func (b *blas) lt(name string, args ...uintptr) error { return call(b.lib, name, args...) }

func (b *blas) close() {
	// The process ends soon; what is left goes with it.
	_ = b.lt("cublasLtDestroy", b.handle)
	_ = b.cu("cuMemFree_v2", uintptr(b.workspace))
	_ = b.cu("cuDevicePrimaryCtxRelease_v2", uintptr(b.dev))
	runtime.UnlockOSThread()
}

// Numbers of cublasLt.h, library_types.h and cublas_api.h.
const (
	compute32I     = 72 // CUBLAS_COMPUTE_32I
	typeR32I       = 10 // CUDA_R_32I
	typeR8I        = 3  // CUDA_R_8I
	descTransA     = 3  // CUBLASLT_MATMUL_DESC_TRANSA
	opT            = 1  // CUBLAS_OP_T
	prefWorkspace  = 1  // CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES
	heuristicBytes = 96 // sizeof(cublasLtMatmulHeuristicResult_t): the algorithm's 64 come first
)

// measure is the time of one product of [m,k] and [n,k]. cuBLAS counts columns
// first: our row-major w is its k×n, to be transposed, our a its k×m, our result
// its n×m.
func (b *blas) measure(each time.Duration, m, n, k int) (took time.Duration, err error) {
	var mem [3]uint64 // w, a, result
	for i, bytes := range []int{n * k, m * k, 4 * m * n} {
		if err := b.cu("cuMemAlloc_v2", uintptr(unsafe.Pointer(&mem[i])), uintptr(bytes)); err != nil {
			return 0, err
		}
		defer func() { err = errors.Join(err, b.cu("cuMemFree_v2", uintptr(mem[i]))) }()
		// Zeros would draw less power and clock higher.
		if err := b.cu("cuMemsetD8_v2", uintptr(mem[i]), 0x5b, uintptr(bytes)); err != nil {
			return 0, err
		}
	}
	var desc, lw, la, lc, pref uintptr
	trans, limit := int32(opT), uint64(workspaceBytes)
	if err := errors.Join(
		b.lt("cublasLtMatmulDescCreate", uintptr(unsafe.Pointer(&desc)), compute32I, typeR32I),
		b.lt("cublasLtMatrixLayoutCreate", uintptr(unsafe.Pointer(&lw)), typeR8I, uintptr(k), uintptr(n), uintptr(k)),
		b.lt("cublasLtMatrixLayoutCreate", uintptr(unsafe.Pointer(&la)), typeR8I, uintptr(k), uintptr(m), uintptr(k)),
		b.lt("cublasLtMatrixLayoutCreate", uintptr(unsafe.Pointer(&lc)), typeR32I, uintptr(n), uintptr(m), uintptr(n)),
		b.lt("cublasLtMatmulPreferenceCreate", uintptr(unsafe.Pointer(&pref))),
	); err != nil {
		return 0, err
	}
	defer func() {
		for _, l := range []uintptr{lw, la, lc} {
			err = errors.Join(err, b.lt("cublasLtMatrixLayoutDestroy", l))
		}
		err = errors.Join(err, b.lt("cublasLtMatmulDescDestroy", desc), b.lt("cublasLtMatmulPreferenceDestroy", pref))
	}()
	var found int32
	best := make([]byte, heuristicBytes)
	if err := errors.Join(
		b.lt("cublasLtMatmulDescSetAttribute", desc, descTransA, uintptr(unsafe.Pointer(&trans)), 4),
		b.lt("cublasLtMatmulPreferenceSetAttribute", pref, prefWorkspace, uintptr(unsafe.Pointer(&limit)), 8),
		b.lt("cublasLtMatmulAlgoGetHeuristic", b.handle, desc, lw, la, lc, lc, pref, 1,
			uintptr(unsafe.Pointer(&best[0])), uintptr(unsafe.Pointer(&found))),
	); err != nil {
		return 0, err
	}
	if found < 1 {
		return 0, errors.New("cuBLASLt has no algorithm for this shape")
	}
	one, zero := int32(1), int32(0)
	return repeat(each, func() error {
		return b.lt("cublasLtMatmul", b.handle, desc, uintptr(unsafe.Pointer(&one)), uintptr(mem[0]), lw, uintptr(mem[1]), la,
			uintptr(unsafe.Pointer(&zero)), uintptr(mem[2]), lc, uintptr(mem[2]), lc,
			uintptr(unsafe.Pointer(&best[0])), uintptr(b.workspace), workspaceBytes, 0)
	}, func() error { return b.cu("cuCtxSynchronize") })
}
