package ptx

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// TestClang writes random C functions, lets gcc compile them for this processor
// and clang for a GPU, and compares what they compute. It takes a clang that
// knows NVPTX; $PTX_PROGRAMS sets how many files of functions, $PTX_SEED where
// to begin.
func TestClang(t *testing.T) {
	clang, err := exec.LookPath("clang-19")
	if err != nil {
		t.Skip("no clang-19")
	}
	gcc, err := exec.LookPath("gcc")
	if err != nil {
		t.Skip("no gcc")
	}
	programs, seed := 1, uint64(1)
	if s := os.Getenv("PTX_PROGRAMS"); s != "" {
		if programs, err = strconv.Atoi(s); err != nil {
			t.Fatal(err)
		}
	}
	if s := os.Getenv("PTX_SEED"); s != "" {
		if seed, err = strconv.ParseUint(s, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	for i := range programs {
		compareC(t, clang, gcc, seed+uint64(i))
	}
}

const functionsPerFile = 25

func compareC(t *testing.T, clang, gcc string, seed uint64) {
	dir := t.TempDir()
	g := &generator{r: rand.New(rand.NewPCG(seed, 9))}
	var common, host, device strings.Builder
	for i := range functionsPerFile {
		common.WriteString(g.function(i))
		fmt.Fprintf(&host, "\tr[%d] = f%d(v[0], v[1], v[2], v[3]);\n", i, i)
		fmt.Fprintf(&device, `extern "C" __attribute__((global)) void k%d(u64 in, u64 out) {
	u32 i = __nvvm_read_ptx_sreg_ctaid_x() * __nvvm_read_ptx_sreg_ntid_x() + __nvvm_read_ptx_sreg_tid_x();
	const u64 *v = (const u64 *)in + 4 * i;
	((u64 *)out)[i] = f%d(v[0], v[1], v[2], v[3]);
}
`, i, i)
	}
	head := `typedef signed char i8; typedef unsigned char u8; typedef short i16; typedef unsigned short u16;
typedef int i32; typedef unsigned u32; typedef long long i64; typedef unsigned long long u64;
`
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	run := func(stdin []byte, name string, args ...string) []byte {
		cmd := exec.Command(name, args...)
		cmd.Stdin = bytes.NewReader(stdin)
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("seed %d: %s: %v\n%s", seed, name, err, stderr.Bytes())
		}
		return out
	}
	in := operands(seed, 256)
	var flat []uint64
	for _, v := range in {
		flat = append(flat, v[:]...)
	}
	c := write("host.c", "#include <stdio.h>\n#define FN static\n"+head+common.String()+fmt.Sprintf(`int main(void) {
	u64 v[4], r[%d];
	while (fread(v, 8, 4, stdin) == 4) {
%s	fwrite(r, 8, %d, stdout);
	}
	return 0;
}
`, functionsPerFile, host.String(), functionsPerFile))
	program := filepath.Join(dir, "host")
	run(nil, gcc, "-O0", "-fwrapv", "-w", "-o", program, c)
	want := words64(run(bytes64(flat), program))

	cu := write("device.cu", "#define FN __attribute__((device))\n"+head+common.String()+device.String())
	text := string(run(nil, clang, "-x", "cuda", "--cuda-device-only", "-nocudainc", "-nocudalib", "--cuda-gpu-arch=sm_80",
		"-fwrapv", "-w", []string{"-O3", "-O1", "-Os"}[seed%3], "-S", "-o", "-", cu))
	mod, m := parse(t, text), machine(t)
	a := buffer(t, m, bytes64(flat))
	for i := range functionsPerFile {
		out := buffer(t, m, make([]byte, 8*len(in)))
		mustLaunch(t, m, mod, fmt.Sprintf("k%d", i), 2, len(in)/2, pack(a, out))
		for j, got := range words64(download(t, m, out, 8*len(in))) {
			if w := want[j*functionsPerFile+i]; got != w {
				t.Fatalf("seed %d: f%d(%#x): got %#x, want %#x\n%s", seed, i, in[j], got, w, common.String())
			}
		}
		if err := m.Free(out); err != nil {
			t.Fatal(err)
		}
	}
	if len(want) != functionsPerFile*len(in) || binary.Size(want) == 0 {
		t.Fatalf("%d results of the host", len(want))
	}
}

// A generator writes C without undefined behaviour (but for what -fwrapv
// defines), whose loops end.
type generator struct {
	r     *rand.Rand
	vars  []string
	loops int
}

var cTypes = []string{"i8", "u8", "i16", "u16", "i32", "u32", "i64", "u64", "i32", "u32", "i64", "u64"}

func (g *generator) pick(list ...string) string { return list[g.r.IntN(len(list))] }

func (g *generator) expr(depth int) string {
	if depth == 0 || g.r.IntN(6) == 0 {
		switch g.r.IntN(5) {
		case 0:
			return fmt.Sprintf("((%s)%dLL)", g.pick(cTypes...), int64(g.r.Uint64())>>g.r.IntN(64)|1)
		case 1:
			return fmt.Sprintf("mem[%s & 7]", g.pick(g.vars...))
		}
		return g.pick(g.vars...)
	}
	x, y, ty := g.expr(depth-1), g.expr(depth-1), g.pick(cTypes...)
	switch g.r.IntN(16) {
	case 0, 1, 2:
		return fmt.Sprintf("((%s)(%s) %s (%s)(%s))", ty, x, g.pick("+", "-", "*"), ty, y)
	case 3:
		return fmt.Sprintf("(%s %s %s)", x, g.pick("&", "|", "^"), y)
	case 4:
		return fmt.Sprintf("((%s)(%s) %s (%s & 7))", ty, x, g.pick("<<", ">>"), y)
	case 5:
		return fmt.Sprintf("((u%s)(%s) %s (%s & %s))", map[bool]string{true: "32", false: "64"}[g.r.IntN(2) == 0], x, g.pick("<<", ">>"), y, "31")
	case 6:
		return fmt.Sprintf("((%s)(%s) %s ((%s)(%s) | 1))", g.pick("u32", "u64", "u16"), x, g.pick("/", "%"), g.pick("u32", "u64", "u16"), y)
	case 7: // i32 by a divisor that is positive
		return fmt.Sprintf("((%s)(%s) %s (((%s) & 0x3fff) | 1))", g.pick("i32", "i64", "i16"), x, g.pick("/", "%"), y)
	case 8:
		return fmt.Sprintf("((%s)(%s) %s (%s)(%s))", ty, x, g.pick("<", "<=", ">", ">=", "==", "!="), ty, y)
	case 9:
		return fmt.Sprintf("((%s)(%s) < (%s)(%s) ? (%s) : (%s))", ty, x, ty, y, y, x)
	case 10:
		return fmt.Sprintf("(%s ? %s : %s)", g.expr(depth-1), x, y)
	case 11:
		return fmt.Sprintf("((%s)%s(%s))", ty, g.pick("-", "~", "!"), x)
	case 12:
		return g.pick(fmt.Sprintf("__builtin_popcountll(%s)", x), fmt.Sprintf("__builtin_clz((u32)(%s) | 1)", x), fmt.Sprintf("__builtin_ctzll((%s) | 256)", x),
			fmt.Sprintf("__builtin_bswap32(%s)", x), fmt.Sprintf("__builtin_bswap64(%s)", x))
	case 13:
		return fmt.Sprintf("(u64)(((unsigned __int128)(u64)(%s) * (u64)(%s)) >> 64)", x, y)
	case 14:
		return fmt.Sprintf("(i64)(((__int128)(i64)(%s) + (i64)(%s)) >> %d)", x, y, g.r.IntN(70))
	}
	return fmt.Sprintf("(((u32)(%s) << (%s & 31)) | ((u32)(%s) >> (-(%s) & 31)))", x, y, x, y)
}

func (g *generator) block(b *strings.Builder, depth, n int) {
	for range n {
		switch k := g.r.IntN(10); {
		case k < 5 || depth == 0:
			fmt.Fprintf(b, "\t%s = %s;\n", g.pick(g.vars...), g.expr(3))
		case k == 5:
			fmt.Fprintf(b, "\tmem[%s & 7] %s %s;\n", g.pick(g.vars...), g.pick("=", "+=", "^="), g.expr(2))
		case k == 6:
			fmt.Fprintf(b, "\tif (%s) {\n", g.expr(2))
			g.block(b, depth-1, 2)
			b.WriteString("\t} else {\n")
			g.block(b, depth-1, 1)
			b.WriteString("\t}\n")
		case k == 7:
			g.loops++
			n := g.loops
			fmt.Fprintf(b, "\tfor (u32 i%d = 0, n%d = %s & 15; i%d < n%d; i%d++) {\n", n, n, g.pick(g.vars...), n, n, n)
			g.block(b, depth-1, 2)
			if g.r.IntN(2) == 0 {
				fmt.Fprintf(b, "\tif (%s) %s;\n", g.expr(1), g.pick("break", "continue"))
			}
			fmt.Fprintf(b, "\t%s += i%d;\n\t}\n", g.pick(g.vars...), n)
		case k == 8:
			fmt.Fprintf(b, "\tswitch (%s & 7) {\n", g.pick(g.vars...))
			for i := range 6 {
				fmt.Fprintf(b, "\tcase %d:\n", i)
				g.block(b, 0, 1)
				if g.r.IntN(3) > 0 {
					b.WriteString("\tbreak;\n")
				}
			}
			b.WriteString("\tdefault:\n")
			g.block(b, 0, 1)
			b.WriteString("\t}\n")
		default:
			fmt.Fprintf(b, "\t%s = help(%s, %s);\n", g.pick(g.vars...), g.expr(1), g.expr(1))
		}
	}
}

// function writes one function; the first file gets a helper that is called.
func (g *generator) function(i int) string {
	var b strings.Builder
	if i == 0 {
		b.WriteString(`FN __attribute__((noinline)) i64 help(i64 a, u32 b) {
	i64 r = a;
	while (b & 31) { r = r * 3 + (a >> (b & 31)); b--; if (r < 0 && (b & 1)) return r ^ b; }
	return r;
}
`)
	}
	g.vars, g.loops = nil, 0
	fmt.Fprintf(&b, "FN u64 f%d(u64 a, u64 b, u64 c, u64 d) {\n\ti64 mem[8] = {(i64)a, 1, 2, 3, (i64)b, 5, 6, 7};\n", i)
	for j, src := range []string{"a", "b", "c", "d", "a ^ c", "b + d", "a * 3", "c - b"} {
		name := fmt.Sprintf("v%d", j)
		fmt.Fprintf(&b, "\t%s %s = (%s)(%s);\n", cTypes[(j+i)%8], name, cTypes[(j+i)%8], src)
		g.vars = append(g.vars, name)
	}
	g.block(&b, 2, 5)
	b.WriteString("\tu64 sum = 0;\n")
	for _, v := range g.vars {
		fmt.Fprintf(&b, "\tsum = sum * 31 + (u64)%s;\n", v)
	}
	b.WriteString("\tfor (int i = 0; i < 8; i++) sum = sum * 33 ^ (u64)mem[i];\n\treturn sum;\n}\n")
	return b.String()
}
