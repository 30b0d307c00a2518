package kernels_test

import (
	"maps"
	"regexp"
	"slices"
	"strconv"
	"testing"

	"github.com/assaynet/assay/hostgpu/cudadev/kernels"
	"github.com/assaynet/assay/hostgpu/device"
)

// entry is what an image says of a kernel.
type entry struct{ params, threads int }

var entryPattern = regexp.MustCompile(`\.visible \.entry (\w+)\(\s*\.param \.align 8 \.b8 \w+\[(\d+)\]\s*\)\s*\.maxntid (\d+)`)

func entries(t *testing.T, p kernels.Props) map[string]entry {
	t.Helper()
	text, err := kernels.Image(p)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]entry{}
	for _, m := range entryPattern.FindAllStringSubmatch(string(text), -1) {
		params, _ := strconv.Atoi(m[2])
		threads, _ := strconv.Atoi(m[3])
		all[m[1]] = entry{params, threads}
	}
	if n := len(regexp.MustCompile(`\.visible \.entry`).FindAllString(string(text), -1)); n != len(all) || n == 0 {
		t.Fatalf("%d kernels, of which %d take one struct and bound their threads", n, len(all))
	}
	return all
}

// plans is a device that plans every task and checks the launches against the
// image; it has addresses and no memory.
type plans struct {
	t       *testing.T
	p       kernels.Props
	entries map[string]entry
	next    uint64
	used    map[string]bool
}

func (d *plans) Name() string                               { return "plans" }
func (d *plans) Reserve(int64) error                        { return nil }
func (d *plans) Release(int64)                              {}
func (d *plans) Open() (device.Queue, error)                { return d, nil }
func (d *plans) Free(device.Mem)                            {}
func (d *plans) Write(device.Mem, int64, []byte) error      { return nil }
func (d *plans) Read(_ device.Mem, _ int64, _ []byte) error { return nil }
func (d *plans) Sync() error                                { return nil }
func (d *plans) Close() error                               { return nil }

func (d *plans) Alloc(n int64) (device.Mem, error) {
	d.next += 1 << 32
	return d.next, nil
}

func (d *plans) Run(t *device.Task) error {
	addr := func(x device.Tensor) uint64 {
		if x.Mem == nil {
			d.t.Errorf("%v: address of a tensor without memory", t.Op)
			return 0
		}
		return x.Mem.(uint64) + uint64(x.Off)
	}
	scratch := kernels.Scratch(t, d.p)
	if scratch < 0 {
		d.t.Errorf("%v: %d bytes of scratch", t.Op, scratch)
	}
	d.check(t, kernels.Plan(nil, t, addr, 1<<50, d.p))
	if t.Tensors[0].Mem == nil {
		return nil
	}
	// The same again with another result.
	other := *t
	other.Tensors = slices.Clone(t.Tensors)
	other.Tensors[0].Mem = t.Tensors[0].Mem.(uint64) + 1<<31
	two := []*device.Task{t, &other}
	want := 1
	if t.Op == device.OpDigest || t.Op == device.OpExpand {
		want = 2
	}
	if n := kernels.Batch(two, addr); n != want {
		d.t.Errorf("%v: batch of %d, want %d", t.Op, n, want)
	} else if n == 2 {
		d.check(t, kernels.PlanBatch(nil, two, addr, 1<<50, d.p))
	}
	return nil
}

func (d *plans) check(t *device.Task, launches []kernels.Launch) {
	if len(launches) == 0 {
		d.t.Errorf("%v %v: no launch", t.Op, t.Dims)
	}
	for _, l := range launches {
		e, ok := d.entries[l.Kernel]
		if !ok {
			d.t.Errorf("%v: no kernel %s", t.Op, l.Kernel)
			continue
		}
		d.used[l.Kernel] = true
		if len(l.Args) != e.params {
			d.t.Errorf("%s: %d bytes of arguments where the kernel takes %d", l.Kernel, len(l.Args), e.params)
		}
		threads := l.Block[0] * l.Block[1] * l.Block[2]
		if threads == 0 || threads%32 != 0 || int(threads) > e.threads {
			d.t.Errorf("%s: block %v, the kernel's bound is %d", l.Kernel, l.Block, e.threads)
		}
		if l.Grid[0] == 0 || l.Grid[0] > 1<<31-1 || l.Grid[1] != 1 || l.Grid[2] != 1 {
			d.t.Errorf("%v %v: %s: grid %v", t.Op, t.Dims, l.Kernel, l.Grid)
		}
		if int(l.Shared) > d.p.SharedPerBlock {
			d.t.Errorf("%s: %d bytes of shared memory of %d", l.Kernel, l.Shared, d.p.SharedPerBlock)
		}
	}
}

// call is a task by its shapes alone.
type call struct {
	op    device.Op
	dims  map[string]int
	imms  []int64
	skew  int // s8 operands begin that many bytes into their memory
	types device.DType
	opt   bool
}

func (c call) run(t *testing.T, sp device.Space) {
	t.Helper()
	spec := c.op.Spec()
	var handles, all []device.Handle
	size := func(s string) int {
		if n, err := strconv.Atoi(s); err == nil {
			return n
		}
		return c.dims[s]
	}
	for _, o := range spec.Tensors() {
		if o.Kind == device.Opt && !c.opt {
			handles = append(handles, 0)
			continue
		}
		dt := o.Type
		if dt == device.TypeAny {
			dt = c.types
		}
		s := device.Shape{Rows: size(o.Rows), Cols: size(o.Cols)}
		var h device.Handle
		var err error
		if c.skew > 0 && dt == device.S8 && s.Elems() > 0 && s.Elems()+int64(c.skew) <= device.MaxDim {
			var base device.Handle
			if base, err = sp.Alloc(dt, device.Shape{Rows: int(s.Elems()) + c.skew, Cols: 1}); err == nil {
				all = append(all, base)
				h, err = sp.View(base, c.skew, s)
			}
		} else {
			h, err = sp.Alloc(dt, s)
		}
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, h)
		handles = append(handles, h)
	}
	if err := sp.Run(device.Call{Op: c.op, Tensors: handles, Imms: c.imms}); err != nil {
		t.Errorf("%v %v: %v", c.op, c.dims, err)
	}
	for _, h := range all {
		if err := sp.Free(h); err != nil {
			t.Fatal(err)
		}
	}
}

type dims = map[string]int

// calls are the ends of what the table allows, and the shapes of models.
func calls() []call {
	var all []call
	for _, op := range []device.Op{device.OpGemm, device.OpLinear} {
		imms := []int64{}
		if op == device.OpLinear {
			imms = []int64{47}
		}
		for _, s := range [][3]int{
			{4096, 4096, 4096}, {1, 4096, 14336}, {8, 14336, 4096}, {3, 1024, 4096}, {2, 7, 131072}, {64, 4096, 4096}, {16, 14336, 4096},
			{1 << 24, 1, 16}, {1, 1 << 24, 16}, {1 << 14, 1 << 15, 64}, {129, 257, 100}, {1, 1, 1}, {512, 1024, 4096}, {1024, 1536, 4096}, {512, 896, 512},
			{128256, 64, 0}, {64, 128256, 4096}, {300, 300, 131072}, {16, 64, 131072},
		} {
			for _, skew := range []int{0, 1} {
				for _, opt := range []bool{false, true} {
					all = append(all, call{op: op, dims: dims{"M": s[0], "N": s[1], "K": s[2]}, imms: imms, skew: skew, opt: opt})
				}
			}
		}
	}
	for _, s := range []struct{ n, seg, t, h, g, d int }{
		{1, 1, 65536, 32, 8, 128}, {64, 1, 4096, 32, 8, 128}, {1, 4096, 4096, 32, 8, 128}, {1, 1, 100, 32, 32, 64}, {1, 2000, 2000, 14, 2, 64},
		{1, 512, 512, 8, 8, 96}, {2, 5, 9, 3, 1, 1024}, {1 << 10, 1, 64, 4, 4, 64}, {1, 1, 65536, 1, 1, 1},
	} {
		for _, skew := range []int{0, 3} {
			all = append(all, call{op: device.OpAttention, skew: skew, imms: []int64{int64(s.seg), 1 << 30, 0, 47},
				dims: dims{"M": s.n * s.seg, "S": s.n * s.t, "C": s.h * s.d, "E": s.g * s.d, "H": s.h, "G": s.g}})
		}
	}
	for _, mk := range [][2]int{{1, 1}, {1, 1 << 17}, {1 << 12, 1 << 17}, {1 << 24, 32}, {1, 4096}, {7, 33}, {3, 0}} {
		d := dims{"M": mk[0], "K": mk[1], "N": mk[1], "C": mk[1] &^ 1, "D": 2, "P": 1, "V": 3, "S": 5}
		for _, op := range []struct {
			op   device.Op
			imms []int64
		}{
			{device.OpRescale, []int64{0}}, {device.OpQuant, []int64{16}}, {device.OpNorm, []int64{0}}, {device.OpNormQuant, []int64{9}},
			{device.OpRope, nil}, {device.OpSiluMul, nil}, {device.OpAdd, nil}, {device.OpAddRow, nil}, {device.OpEmbed, []int64{16}},
		} {
			if mk[1] == 0 && op.op != device.OpQuant && op.op != device.OpNormQuant {
				continue // nothing to do
			}
			all = append(all, call{op: op.op, dims: d, imms: op.imms})
		}
	}
	for _, dt := range []device.DType{device.U8, device.S8, device.S32, device.ScaleT} {
		for _, mk := range [][2]int{{1, 1}, {128, 1 << 20}, {100, 48}, {1 << 20, 3}, {1000, 1001}} {
			d := dims{"M": mk[0], "K": mk[1], "N": mk[1] - mk[1]/3, "S": 7}
			all = append(all, call{op: device.OpCopy, dims: d, types: dt}, call{op: device.OpGather, dims: d, types: dt},
				call{op: device.OpSlice, dims: d, types: dt, imms: []int64{int64(mk[1] / 3)}},
				call{op: device.OpDigest, dims: d, types: dt}, call{op: device.OpDigest, dims: d, types: dt, opt: true})
		}
	}
	for _, v := range []int{1, 100, 128256, 1 << 22} {
		for _, imms := range [][]int64{{0, 0, 0, 65536, 65536}, {1, 65536, 40, 60000, 70000}, {1 << 62, 1, 0, 65536, 65536}, {0, 9, 0, 0, 65536}} {
			all = append(all, call{op: device.OpSample, dims: dims{"V": v, "L": 30}, imms: imms, opt: true},
				call{op: device.OpSample, dims: dims{"V": v, "L": 0}, imms: imms, opt: true}, call{op: device.OpSample, dims: dims{"V": v}, imms: imms})
		}
	}
	return append(all, call{op: device.OpExpand, dims: dims{"M": 1 << 10, "K": 1 << 21}, imms: []int64{-1}},
		call{op: device.OpExpand, dims: dims{"M": 1, "K": 1}, imms: []int64{7}},
		call{op: device.OpDigest, dims: dims{"M": 1 << 10, "K": 1 << 21}, types: device.U8})
}

// TestPlan: every call has launches that the image of its GPU can run, and
// every kernel of an image is what some call runs.
func TestPlan(t *testing.T) {
	for name, p := range map[string]kernels.Props{"8.0": a100, "8.6": rtx, "9.0": h100, "10.0": b200, "one": {Major: 8, SMs: 1, SharedPerBlock: 48 << 10}} {
		t.Run(name, func(t *testing.T) {
			d := &plans{t: t, p: p, entries: entries(t, p), used: map[string]bool{}}
			sp, err := device.New(d).NewSpace(1 << 40)
			if err != nil {
				t.Fatal(err)
			}
			defer sp.Close()
			ops := map[device.Op]bool{}
			for _, c := range calls() {
				c.run(t, sp)
				ops[c.op] = true
			}
			for _, o := range device.Ops {
				if !ops[o.Op] {
					t.Errorf("no call of %s", o.Name)
				}
			}
			if t.Failed() || p.SMs == 1 {
				return
			}
			for _, k := range slices.Sorted(maps.Keys(d.entries)) {
				if !d.used[k] && !(p.Major == 9 && (k == "assay_gemm_128x256" || k == "assay_gemm_128x128")) {
					t.Errorf("no call runs %s", k)
				}
			}
		})
	}
}

// TestSame: the same task gives the same launches.
func TestSame(t *testing.T) {
	task := &device.Task{Op: device.OpAdd, Tensors: make([]device.Tensor, 3)}
	for i := range task.Tensors {
		task.Tensors[i] = device.Tensor{Mem: uint64(i+1) << 20, Type: device.S32, Shape: device.Shape{Rows: 3, Cols: 5}, Present: true}
	}
	addr := func(x device.Tensor) uint64 { return x.Mem.(uint64) }
	first := kernels.Plan(nil, task, addr, 0, a100)
	again := kernels.Plan(first[:1:1], task, addr, 0, a100)
	if len(again) != 2 || !slices.Equal(again[0].Args, again[1].Args) || again[1].Kernel != "assay_add" {
		t.Errorf("%+v", again)
	}
}
