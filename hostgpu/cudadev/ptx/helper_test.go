package ptx

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

const (
	head80 = ".version 7.0\n.target sm_80\n.address_size 64\n"
	head90 = ".version 8.0\n.target sm_90a\n.address_size 64\n"
)

func machine(t testing.TB) *Machine {
	t.Helper()
	return NewMachine(Config{Major: 9, Minor: 0, SMs: 132, SharedPerBlock: 227 << 10, Memory: 1 << 30})
}

func parse(t testing.TB, text string) *Module {
	t.Helper()
	assemble(t, text)
	mod, err := Parse([]byte(text))
	if err != nil {
		t.Fatalf("%v\n%s", err, numbered(text))
	}
	return mod
}

// assemble lets NVIDIA's assembler judge the text, if $PTXAS names one: what
// the tests run is then known to be PTX.
func assemble(t testing.TB, text string) {
	t.Helper()
	ptxas := os.Getenv("PTXAS")
	if ptxas == "" {
		return
	}
	file := filepath.Join(t.TempDir(), "a.ptx")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	target := strings.Fields(text[strings.Index(text, ".target"):])[1]
	if out, err := exec.Command(ptxas, "-arch="+target, "-o", os.DevNull, file).CombinedOutput(); err != nil {
		t.Fatalf("ptxas: %v\n%s\n%s", err, out, numbered(text))
	}
}

func numbered(text string) string {
	var s strings.Builder
	for i, line := range strings.Split(text, "\n") {
		fmt.Fprintf(&s, "%3d %s\n", i+1, line)
	}
	return s.String()
}

// args packs kernel parameters: uint64 and uint32 at their alignment.
func pack(values ...any) []byte {
	var out []byte
	for _, v := range values {
		switch v := v.(type) {
		case uint64:
			for len(out)%8 != 0 {
				out = append(out, 0)
			}
			out = binary.LittleEndian.AppendUint64(out, v)
		case uint32:
			out = binary.LittleEndian.AppendUint32(out, v)
		default:
			panic("pack")
		}
	}
	return out
}

// buffer allocates device memory that holds p.
func buffer(t testing.TB, m *Machine, p []byte) uint64 {
	t.Helper()
	a, err := m.Alloc(int64(max(len(p), 1)))
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Write(a, p); err != nil {
		t.Fatal(err)
	}
	return a
}

func download(t testing.TB, m *Machine, a uint64, n int) []byte {
	t.Helper()
	p := make([]byte, n)
	if err := m.Read(a, p); err != nil {
		t.Fatal(err)
	}
	return p
}

func words64(p []byte) []uint64 {
	out := make([]uint64, len(p)/8)
	for i := range out {
		out[i] = binary.LittleEndian.Uint64(p[8*i:])
	}
	return out
}

func words32(p []byte) []uint32 {
	out := make([]uint32, len(p)/4)
	for i := range out {
		out[i] = binary.LittleEndian.Uint32(p[4*i:])
	}
	return out
}

func bytes64(v []uint64) []byte {
	var out []byte
	for _, x := range v {
		out = binary.LittleEndian.AppendUint64(out, x)
	}
	return out
}

func mustLaunch(t testing.TB, m *Machine, mod *Module, kernel string, grid, block int, args []byte) {
	t.Helper()
	if err := tryLaunch(m, mod, kernel, grid, block, 0, args, AllChecks()); err != nil {
		t.Fatal(err)
	}
}

func tryLaunch(m *Machine, mod *Module, kernel string, grid, block, shared int, args []byte, checks Checks) error {
	return m.Launch(context.Background(), mod, kernel, [3]uint32{uint32(grid), 1, 1}, [3]uint32{uint32(block), 1, 1}, uint32(shared), args, checks)
}

// wantFault runs a kernel that must end with a fault of the given kind.
func wantFault(t *testing.T, err, kind error) *Fault {
	t.Helper()
	var f *Fault
	if !errors.Is(err, kind) || !errors.As(err, &f) {
		t.Fatalf("got %v, want %v", err, kind)
	}
	if f.Line == 0 || f.Kernel == "" {
		t.Fatalf("fault without a place: %+v", f)
	}
	return f
}

// A lane snippet finds its operands in %rd1 to %rd4, %r1 to %r4 and %rs1 to
// %rs4 (the low bits of the same values) and leaves its result in %rd10.
const snippetHead = `.visible .entry k(.param .u64 in, .param .u64 out)
{
	.reg .pred %p<10>;
	.reg .b16 %rs<20>;
	.reg .b32 %r<20>;
	.reg .b64 %rd<20>;
	.reg .b64 %a<4>;
	.reg .b32 %i<4>;
	mov.u32 %i0, %tid.x;
	mov.u32 %i1, %ctaid.x;
	mov.u32 %i2, %ntid.x;
	mad.lo.u32 %i3, %i1, %i2, %i0;
	ld.param.u64 %a0, [in];
	ld.param.u64 %a1, [out];
	mad.wide.u32 %a2, %i3, 32, %a0;
	mad.wide.u32 %a3, %i3, 8, %a1;
	ld.global.v2.u64 {%rd1, %rd2}, [%a2];
	ld.global.v2.u64 {%rd3, %rd4}, [%a2+16];
	cvt.u32.u64 %r1, %rd1;
	cvt.u32.u64 %r2, %rd2;
	cvt.u32.u64 %r3, %rd3;
	cvt.u32.u64 %r4, %rd4;
	cvt.u16.u64 %rs1, %rd1;
	cvt.u16.u64 %rs2, %rd2;
	cvt.u16.u64 %rs3, %rd3;
	cvt.u16.u64 %rs4, %rd4;
	mov.u64 %rd10, 0;
`
const snippetTail = `
	st.global.u64 [%a3], %rd10;
	ret;
}
`

// snippet runs body once for each set of four operands.
func snippet(t testing.TB, head, body string, in [][4]uint64) []uint64 {
	t.Helper()
	mod := parse(t, head+snippetHead+body+snippetTail)
	m := machine(t)
	const block = 128
	grid := (len(in) + block - 1) / block
	flat := make([]uint64, grid*block*4)
	for i, v := range in {
		copy(flat[4*i:], v[:])
	}
	a, out := buffer(t, m, bytes64(flat)), buffer(t, m, make([]byte, 8*grid*block))
	mustLaunch(t, m, mod, "k", grid, block, pack(a, out))
	return words64(download(t, m, out, 8*len(in)))
}

// operands are extreme and random values.
func operands(seed uint64, n int) [][4]uint64 {
	special := []uint64{0, 1, 2, 3, 7, 8, 15, 16, 31, 32, 33, 63, 64, 65, 127, 128, 129, 255, 256, 0x7fff, 0x8000, 0xffff, 0x10000,
		0x7fffffff, 0x80000000, 0x80000001, 0xfffffffe, 0xffffffff, 1 << 32, 1<<63 - 1, 1 << 63, 1<<63 + 1, ^uint64(1), ^uint64(0), 0x80, 0xff80, 0x7f7f7f7f, 0x80808080}
	r := rand.New(rand.NewPCG(seed, 1))
	out := make([][4]uint64, n)
	for i := range out {
		for j := range out[i] {
			switch r.IntN(4) {
			case 0, 1:
				out[i][j] = special[r.IntN(len(special))]
			case 2:
				out[i][j] = r.Uint64()
			case 3:
				out[i][j] = uint64(int64(r.Uint64()) >> r.IntN(64))
			}
		}
	}
	return out
}
