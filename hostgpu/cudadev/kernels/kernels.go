package kernels

import (
	_ "embed"
	"errors"
	"fmt"
	"strings"

	"github.com/assaynet/assay/hostgpu/device"
)

// ErrArch says that the kernels do not run on a GPU.
var ErrArch = errors.New("kernels: compute capability below 8.0")

// Props is what launches depend on.
type Props struct {
	Major, Minor   int // compute capability
	SMs            int // multiprocessors, at least 1
	SharedPerBlock int // bytes of shared memory that a block may opt in to
}

// wgmma says whether the sm_90a image runs: its instructions exist in compute
// capability 9.0 alone.
func (p Props) wgmma() bool { return p.Major == 9 && p.Minor == 0 }

// Launch is one kernel launch. Launches of a task run one after another in one
// stream.
type Launch struct {
	Kernel      string
	Grid, Block [3]uint32
	Shared      uint32 // bytes of dynamic shared memory, beside the kernel's static
	Args        []byte // the kernel's one parameter
}

//go:embed ptx/assay_sm80.ptx
var imageSM80 []byte

//go:embed ptx/assay_sm90a.ptx
var imageSM90a []byte

//go:embed ptx/sources.sha256
var sources string

// Sources is the SHA-256, in hexadecimal, of the sources that the images were
// compiled from.
func Sources() string { return strings.TrimSpace(sources) }

// Image returns the PTX text for a GPU, which callers must not change. The
// error wraps ErrArch where no image runs there.
func Image(p Props) ([]byte, error) {
	switch {
	case p.wgmma():
		return imageSM90a, nil
	case p.Major >= 8:
		return imageSM80, nil
	}
	return nil, fmt.Errorf("%w: %d.%d", ErrArch, p.Major, p.Minor)
}

// planner builds the launches of one task.
type planner struct {
	*device.Task
	out     []Launch
	addr    func(device.Tensor) uint64
	scratch uint64
	props   Props
}

// Plan appends the launches of a task to dst. addr gives the device address of
// a tensor's first byte and is called only for tensors with memory; scratch is
// the address, a multiple of 256, of at least Scratch(t, p) bytes that are the
// task's alone and may hold anything.
func Plan(dst []Launch, t *device.Task, addr func(device.Tensor) uint64, scratch uint64, p Props) []Launch {
	c := planner{Task: t, out: dst, addr: addr, scratch: scratch, props: p}
	switch t.Op {
	case device.OpExpand:
		c.expand([]*device.Task{t})
	case device.OpGemm:
		c.gemm(matmul{dst: t.Tensors[0], a: t.Tensors[1], w: t.Tensors[2]})
	case device.OpLinear:
		x := t.Tensors
		c.gemm(matmul{dst: x[0], a: x[1], arow: x[2], w: x[3], wchan: x[4], bias: x[5], residual: x[6], eout: t.Imms[0]})
	case device.OpRescale:
		c.rescale()
	case device.OpQuant:
		c.quant()
	case device.OpNorm:
		c.norm()
	case device.OpNormQuant:
		c.normQuant()
	case device.OpRope:
		c.rope()
	case device.OpAttention:
		c.attention()
	case device.OpSiluMul:
		c.siluMul()
	case device.OpAdd:
		c.add()
	case device.OpAddRow:
		c.addRow()
	case device.OpEmbed:
		c.embed()
	case device.OpCopy, device.OpSlice, device.OpGather:
		c.move()
	case device.OpSample:
		c.sample()
	case device.OpDigest:
		c.digest([]*device.Task{t})
	default:
		panic("kernels: no kernel for " + t.Op.String())
	}
	return c.out
}

// Scratch is the bytes of device memory that the launches of a task need
// beside its operands.
func Scratch(t *device.Task, p Props) int64 {
	c := planner{Task: t, props: p}
	switch t.Op {
	case device.OpGemm, device.OpLinear:
		return c.gemmScratch()
	case device.OpAttention:
		return c.attentionScratch()
	case device.OpSample:
		return c.sampleScratch()
	case device.OpDigest:
		return c.digestScratch()
	}
	return 0
}

// ptr is the address of a tensor, 0 for an absent or empty one.
func (c *planner) ptr(t device.Tensor) uint64 {
	if t.Mem == nil {
		return 0
	}
	return c.addr(t)
}

func (c *planner) dim(symbol byte) uint32 { return uint32(c.Dims.Get(symbol)) }

// launch appends a launch with one-dimensional grid and block. args is padded to
// the eight bytes that the struct's alignment asks for.
func (c *planner) launch(kernel string, grid, block, shared uint32, a *args) {
	for len(a.b)%8 != 0 {
		a.b = append(a.b, 0)
	}
	c.out = append(c.out, Launch{Kernel: kernel, Grid: [3]uint32{grid, 1, 1}, Block: [3]uint32{block, 1, 1}, Shared: shared, Args: a.b})
}
