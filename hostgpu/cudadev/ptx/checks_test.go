package ptx

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"
)

// A violation is a kernel that breaks one rule; fixed is what must replace broken
// for it to keep the rule by a hair. Without the check it runs.
type violation struct {
	name          string
	head          string
	decl          string
	body          string
	broken, fixed string
	err           error
	block         int
	always        bool // cannot be switched off
}

const sharedWord = `
	.shared .align 16 .b8 s[2048];
	mov.u32 %r4, s;
	mad.lo.u32 %r4, %r0, 4, %r4;
`

var violations = []violation{
	{name: "global bound", body: "@@\nst.global.u32 [%rd4], %r0;", broken: "add.u64 %rd4, %rd0, 253;\nadd.u64 %rd4, %rd4, 3;", fixed: "add.u64 %rd4, %rd0, 252;", err: ErrBounds, block: 1, always: true},
	{name: "global bound of a vector", body: "ld.global.v4.u32 {%r4, %r5, %r6, %r7}, [%rd0+@@];", broken: "256", fixed: "240", err: ErrBounds, block: 1, always: true},
	{name: "null", body: "mov.u64 %rd4, 0;\n@@ld.global.u32 %r5, [%rd4];", broken: "", fixed: "//", err: ErrBounds, block: 1, always: true},
	{name: "global alignment", body: "ld.global.u32 %r4, [%rd0+@@];", broken: "2", fixed: "4", err: ErrMisaligned, block: 1, always: true},
	{name: "vector alignment", body: "ld.global.v2.u32 {%r4, %r5}, [%rd0+@@];", broken: "4", fixed: "8", err: ErrMisaligned, block: 1, always: true},
	{name: "atomic alignment", body: "red.global.add.u64 [%rd0+@@], %rd1;", broken: "4", fixed: "8", err: ErrMisaligned, block: 1, always: true},
	{name: "shared bound", body: ".shared .align 16 .b8 s[128];\nst.shared.u32 [s+@@], %r0;", broken: "128", fixed: "124", err: ErrBounds, block: 1, always: true},
	{name: "shared below", body: ".shared .align 16 .b8 s[128];\nst.shared.u32 [s@@], %r0;", broken: "+-4", fixed: "+0", err: ErrBounds, block: 1, always: true},
	{name: "generic window", body: ".shared .align 16 .b8 s[128];\nmov.u64 %rd4, s;\ncvta.shared.u64 %rd4, %rd4;\nst.u32 [%rd4+@@], %r0;", broken: "128", fixed: "124", err: ErrBounds, block: 1, always: true},
	{name: "local bound", body: ".local .align 4 .b8 s[16];\nst.local.u32 [s+@@], %r0;", broken: "16", fixed: "12", err: ErrBounds, block: 40, always: true},
	{name: "param bound", body: "mov.u64 %rd4, n;\nld.param.u32 %r5, [%rd4+@@];", broken: "4", fixed: "0", err: ErrBounds, block: 1, always: true},
	{name: "const bound", decl: ".const .align 4 .b8 t[8] = {1, 2, 3};\n", body: "mov.u64 %rd4, t;\nld.const.u32 %r5, [%rd4+@@];", broken: "8", fixed: "4", err: ErrBounds, block: 1, always: true},
	{name: "ldmatrix bound", body: sharedWord + "st.shared.u32 [%r4], %r0;\nbar.sync 0;\nmov.u32 %r4, s;\nadd.u32 %r4, %r4, @@;\nldmatrix.sync.aligned.m8n8.x1.shared.b16 {%r5}, [%r4];", broken: "2048", fixed: "16", err: ErrBounds, block: 32, always: true},
	{name: "cp.async bound", body: sharedWord + "cp.async.cg.shared.global [s], [%rd0+@@], 16;", broken: "256", fixed: "240", err: ErrBounds, block: 1, always: true},
	{name: "cp.async zero fill needs no source", body: sharedWord + "cp.async.cg.shared.global [s], [%rd0+256], 16, @@;", broken: "4", fixed: "0", err: ErrBounds, block: 1, always: true},
	{name: "trap", body: "setp.eq.u32 %p1, %r0, @@;\n@%p1 trap;", broken: "17", fixed: "64", err: ErrTrap, block: 64, always: true},

	{name: "uninitialised shared", body: sharedWord + "@@\nld.shared.u32 %r5, [%r4];", broken: "", fixed: "st.shared.u32 [%r4], 0;", err: ErrUninitialised, block: 32},
	{name: "partly initialised shared", body: sharedWord + "st.shared.u16 [%r4], %h1;\n@@\nld.shared.u32 %r5, [%r4];", broken: "st.shared.u8 [%r4+3], 0;", fixed: "st.shared.u16 [%r4+2], 0;", err: ErrUninitialised, block: 32},
	{name: "uninitialised global", body: "@@\nld.global.u32 %r5, [%rd1+256];", broken: "", fixed: "st.global.u32 [%rd1+256], 0;", err: ErrUninitialised, block: 1},
	{name: "cp.async of uninitialised", body: sharedWord + "@@\ncp.async.ca.shared.global [%r4], [%rd1+256], 4;", broken: "", fixed: "st.global.u32 [%rd1+256], 0;", err: ErrUninitialised, block: 1},

	{name: "no barrier", body: sharedWord + "st.shared.u32 [%r4], %r0;\n@@\nxor.b32 %r5, %r0, 1;\nmov.u32 %r6, s;\nmad.lo.u32 %r5, %r5, 4, %r6;\nld.shared.u32 %r5, [%r5];", broken: "", fixed: "bar.sync 0;", err: ErrRace, block: 64},
	{name: "only the warp synchronised", body: sharedWord + "st.shared.u32 [%r4], %r0;\nbar.warp.sync -1;\nxor.b32 %r5, %r0, @@;\nmov.u32 %r6, s;\nmad.lo.u32 %r5, %r5, 4, %r6;\nld.shared.u32 %r5, [%r5];", broken: "32", fixed: "31", err: ErrRace, block: 64},
	{name: "only a shuffle between", body: sharedWord + "st.shared.u32 [%r4], %r0;\nshfl.sync.bfly.b32 %r7, %r0, 1, 31, -1;\n@@\nxor.b32 %r5, %r0, 1;\nmov.u32 %r6, s;\nmad.lo.u32 %r5, %r5, 4, %r6;\nld.shared.u32 %r5, [%r5];", broken: "", fixed: "bar.warp.sync -1;", err: ErrRace, block: 32},
	{name: "write behind read", body: sharedWord + "st.shared.u32 [%r4], %r0;\nbar.sync 0;\nld.shared.u32 %r5, [s+40];\n@@\nst.shared.u32 [%r4], %r5;", broken: "", fixed: "bar.sync 0;", err: ErrRace, block: 32},
	{name: "two writers", body: sharedWord + "and.b32 %r5, %r0, @@;\nmov.u32 %r6, s;\nmad.lo.u32 %r5, %r5, 4, %r6;\nst.shared.u32 [%r5], %r0;", broken: "31", fixed: "63", err: ErrRace, block: 64},
	{name: "one byte shared", body: sharedWord + "st.shared.u16 [%r4], %h1;\nxor.b32 %r5, %r0, 1;\nmov.u32 %r6, s;\nmad.lo.u32 %r5, %r5, 4, %r6;\nst.shared.u8 [%r5+@@], %h1;", broken: "1", fixed: "2", err: ErrRace, block: 2},
	{name: "atomic against plain", body: sharedWord + "setp.ne.u32 %p1, %r0, 0;\n@!%p1 st.shared.u32 [s], 0;\n@@\nred.shared.add.u32 [s], %r0;\nbar.sync 0;\nld.shared.u32 %r5, [s];", broken: "", fixed: "bar.sync 0;", err: ErrRace, block: 64},
	{name: "plain read behind atomics", body: sharedWord + "setp.ne.u32 %p1, %r0, 0;\n@!%p1 st.shared.u32 [s], 0;\nbar.sync 0;\nred.shared.add.u32 [s], %r0;\n@@\nld.shared.u32 %r5, [s];", broken: "", fixed: "bar.sync 0;", err: ErrRace, block: 64},
	{name: "the wrong named barrier", body: sharedWord + `st.shared.u32 [%r4], %r0;
	shr.u32 %r5, %r0, 6;
	add.u32 %r5, %r5, 1;
	barrier.sync %r5, 64;
	xor.b32 %r5, %r0, @@;
	mov.u32 %r6, s;
	mad.lo.u32 %r5, %r5, 4, %r6;
	ld.shared.u32 %r5, [%r5];`, broken: "64", fixed: "32", err: ErrRace, block: 128},
	{name: "arrive does not wait", body: sharedWord + `setp.ge.u32 %p1, %r0, 32;
	@%p1 bra B;
	st.shared.u32 [%r4], %r0;
	bar.@@ 1, 64;
	ld.shared.u32 %r5, [%r4+128];
	bra END;
B:
	st.shared.u32 [%r4], %r0;
	bar.sync 1, 64;
END:`, broken: "arrive", fixed: "sync", err: ErrRace, block: 64},
	{name: "cp.async not waited for", body: sharedWord + "cp.async.ca.shared.global [%r4], [%rd2], 4;\ncp.async.commit_group;\ncp.async.wait_group @@;\nld.shared.u32 %r5, [%r4];", broken: "1", fixed: "0", err: ErrRace, block: 32},
	{name: "cp.async without barrier", body: sharedWord + "cp.async.ca.shared.global [%r4], [%rd2], 4;\ncp.async.wait_all;\n@@\nmov.u32 %r6, s;\nxor.b32 %r5, %r0, 1;\nmad.lo.u32 %r5, %r5, 4, %r6;\nld.shared.u32 %r5, [%r5];", broken: "", fixed: "bar.sync 0;", err: ErrRace, block: 32},
	{name: "cp.async waits behind the barrier", body: sharedWord + "cp.async.ca.shared.global [%r4], [%rd2], 4;\ncp.async.commit_group;\n@@mov.u32 %r6, s;\nxor.b32 %r5, %r0, 1;\nmad.lo.u32 %r5, %r5, 4, %r6;\nld.shared.u32 %r5, [%r5];",
		broken: "bar.sync 0;\ncp.async.wait_all;\n", fixed: "cp.async.wait_all;\nbar.sync 0;\n", err: ErrRace, block: 32},
	{name: "cp.async over data in use", body: sharedWord + "st.shared.u32 [%r4], 1;\nbar.sync 0;\nld.shared.u32 %r5, [s+20];\n@@\ncp.async.ca.shared.global [%r4], [%rd2], 4;", broken: "", fixed: "bar.sync 0;", err: ErrRace, block: 32},
	{name: "mbarrier used without barrier", head: head90, body: ".shared .align 8 .b8 b[8];\nsetp.ne.u32 %p1, %r0, 0;\n@!%p1 mbarrier.init.shared.b64 [b], 32;\n@@\nmbarrier.arrive.shared.b64 _, [b];", broken: "", fixed: "bar.sync 0;", err: ErrRace, block: 32},

	{name: "barrier with an exited thread", body: "setp.eq.u32 %p1, %r0, @@;\n@%p1 exit;\nbar.sync 0;", broken: "5", fixed: "99", err: ErrSync, block: 32},
	{name: "barrier with an exited warp", body: "setp.ge.u32 %p1, %r0, @@;\n@%p1 exit;\nbar.sync 0;", broken: "32", fixed: "99", err: ErrSync, block: 64},
	{name: "shuffle with an exited lane", body: "setp.eq.u32 %p1, %r0, @@;\n@%p1 exit;\nshfl.sync.bfly.b32 %r5, %r0, 1, 31, -1;", broken: "5", fixed: "99", err: ErrSync, block: 32},
	{name: "shuffle from outside the mask", body: "setp.ge.u32 %p1, %r0, 16;\n@%p1 bra END;\nshfl.sync.bfly.b32 %r5, %r0, @@, 31, 0xffff;\nEND:", broken: "16", fixed: "8", err: ErrSync, block: 32},
	{name: "mask without the lane", body: "vote.sync.ballot.b32 %r5, %p1, @@;", broken: "0xfffffffe", fixed: "0xffffffff", err: ErrSync, block: 32, always: true},
	{name: "divergent barriers", body: "setp.lt.u32 %p1, %r0, @@;\n@%p1 bra A;\nbar.sync 0;\nbra END;\nA:\nbar.sync 0;\nEND:", broken: "7", fixed: "32", err: ErrSync, block: 64, always: true},
	{name: "barrier in a divergent loop", body: "mov.u32 %r5, 0;\nL:\nbar.sync 0;\nadd.u32 %r5, %r5, 1;\nsetp.le.u32 %p1, %r5, @@;\n@%p1 bra L;", broken: "%r0", fixed: "3", err: ErrSync, block: 32},
	{name: "barrier of other counts", body: "setp.lt.u32 %p1, %r0, 32;\n@%p1 bra A;\nbar.sync 1, 64;\nbra END;\nA:\nbar.sync 1, @@;\nEND:", broken: "96", fixed: "64", err: ErrSync, block: 64, always: true},
	{name: "barrier nobody joins", body: "setp.lt.u32 %p1, %r0, 32;\n@%p1 bra END;\nbar.sync 1, @@;\nEND:", broken: "64", fixed: "32", err: ErrSync, block: 64, always: true},
	{name: "barrier number", body: "mov.u32 %r5, @@;\nbarrier.sync %r5;", broken: "16", fixed: "15", err: ErrOperand, block: 32, always: true},
	{name: "division by zero", body: "sub.u32 %r5, %r0, @@;\nrem.s32 %r4, %r1, %r5;", broken: "31", fixed: "32", err: ErrOperand, block: 32, always: true},
	{name: "jump table", body: "T: .branchtargets A, B;\nmov.u32 %r5, @@;\nbrx.idx %r5, T;\nA:\nB:", broken: "2", fixed: "1", err: ErrOperand, block: 32, always: true},
	{name: "mbarrier without init", head: head90, body: ".shared .align 8 .b8 b[8];\n@@\nmbarrier.arrive.shared.b64 _, [b];", broken: "", fixed: "mbarrier.init.shared.b64 [b], 1;", err: ErrOperand, block: 1, always: true},
	{name: "mbarrier overrun", head: head90, body: ".shared .align 8 .b8 b[8];\nmbarrier.init.shared.b64 [b], 2;\nmbarrier.arrive.shared.b64 _, [b], @@;", broken: "3", fixed: "2", err: ErrOperand, block: 1, always: true},
}

// prepare makes a machine with two buffers, the second of which is written only
// where the test's kernels store.
func (v *violation) prepare(t *testing.T, replace string) (*Machine, *Module, []byte) {
	t.Helper()
	head := v.head
	if head == "" {
		head = head80
	}
	mod, m := parse(t, entry(head, v.decl, strings.ReplaceAll(v.body, "@@", replace))), machine(t)
	in := buffer(t, m, make([]byte, 256))
	out, err := m.Alloc(4096)
	if err != nil {
		t.Fatal(err)
	}
	return m, mod, pack(in, out, uint32(0))
}

func TestChecks(t *testing.T) {
	for _, v := range violations {
		t.Run(v.name, func(t *testing.T) {
			m, mod, args := v.prepare(t, v.fixed)
			if err := tryLaunch(m, mod, "k", 2, v.block, 0, args, AllChecks()); err != nil {
				t.Fatalf("a kernel that keeps the rule: %v", err)
			}
			m, mod, args = v.prepare(t, v.broken)
			// One check alone: a race may show as a read of what is not yet written.
			only := Checks{Uninitialised: v.err == ErrUninitialised, Race: v.err == ErrRace, Sync: v.err == ErrSync}
			wantFault(t, tryLaunch(m, mod, "k", 2, v.block, 0, args, only), v.err)
			var off Checks
			switch err := tryLaunch(m, mod, "k", 2, v.block, 0, args, off); {
			case v.always && !errors.Is(err, v.err):
				t.Errorf("without checks: %v, want %v", err, v.err)
			case !v.always && err != nil:
				t.Errorf("the check cannot be switched off: %v", err)
			}
		})
	}
}

// TestFaultNames checks what a fault says about its place.
func TestFaultNames(t *testing.T) {
	text := entry(head80, "", `
	mov.u32 %r4, %tid.y;
	setp.eq.u32 %p1, %r4, 2;
	setp.eq.and.u32 %p1, %r0, 3, %p1;
	mov.u32 %r5, %ctaid.y;
	setp.eq.and.u32 %p1, %r5, 1, %p1;
	@%p1 st.global.u32 [%rd0+256], %r0; // here`)
	line := strings.Count(text[:strings.Index(text, "// here")], "\n") + 1
	mod, m := parse(t, text), machine(t)
	in := buffer(t, m, make([]byte, 256))
	err := m.Launch(context.Background(), mod, "k", [3]uint32{1, 2, 1}, [3]uint32{5, 4, 2}, 0, pack(in, in, uint32(0)), Checks{})
	f := wantFault(t, err, ErrBounds)
	if f.Line != line || f.Kernel != "k" || f.Block != [3]uint32{0, 1, 0} || f.Thread[0] != 3 || f.Thread[1] != 2 || f.Addr != in+256 || f.Space != "global" {
		t.Errorf("%+v, want line %d", f, line)
	}
	for _, part := range []string{"block (0,1,0)", "thread (3,2,", "global address", "line"} {
		if !strings.Contains(f.Error(), part) {
			t.Errorf("%q lacks %q", f.Error(), part)
		}
	}
}

func TestFreedMemory(t *testing.T) {
	mod, m := parse(t, entry(head80, "", "ld.global.u32 %r4, [%rd0+8];")), machine(t)
	a, b := buffer(t, m, make([]byte, 64)), buffer(t, m, make([]byte, 64))
	mustLaunch(t, m, mod, "k", 1, 1, pack(a, b, uint32(0)))
	if err := m.Free(a); err != nil {
		t.Fatal(err)
	}
	f := wantFault(t, tryLaunch(m, mod, "k", 1, 1, 0, pack(a, b, uint32(0)), Checks{}), ErrFreed)
	if f.Addr != a+8 {
		t.Errorf("address %#x, want %#x", f.Addr, a+8)
	}
	for _, err := range []error{m.Free(a), m.Free(b + 1), m.Write(a, make([]byte, 1)), m.Read(b+60, make([]byte, 5)), m.Fill(b, 1, 65), m.Copy(b, a, 1)} {
		if !errors.Is(err, ErrAddress) {
			t.Errorf("got %v, want %v", err, ErrAddress)
		}
	}
}

// TestForget makes memory count as never written, as an allocator does that
// hands it out again.
func TestForget(t *testing.T) {
	mod, m := parse(t, entry(head80, "", "ld.global.u32 %r4, [%rd0+8];")), machine(t)
	a := buffer(t, m, make([]byte, 64))
	if err := m.Forget(a+8, 4); err != nil {
		t.Fatal(err)
	}
	wantFault(t, tryLaunch(m, mod, "k", 1, 1, 0, pack(a, a, uint32(0)), AllChecks()), ErrUninitialised)
	if err := m.Copy(a+8, a+16, 4); err != nil {
		t.Fatal(err)
	}
	mustLaunch(t, m, mod, "k", 1, 1, pack(a, a, uint32(0)))
}

func TestLimits(t *testing.T) {
	endless := parse(t, entry(head80, "", "L:\nadd.u32 %r4, %r4, 1;\nbra L;"))
	m := machine(t)
	a := buffer(t, m, make([]byte, 64))
	args := pack(a, a, uint32(0))
	wantFault(t, tryLaunch(m, endless, "k", 3, 64, 0, args, Checks{Steps: 1e6}), ErrSteps)
	ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
	defer cancel()
	if err := m.Launch(ctx, endless, "k", [3]uint32{2, 1, 1}, [3]uint32{32, 1, 1}, 0, args, Checks{}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("cancelled launch: %v", err)
	}

	mod := parse(t, strings.Replace(entry(head80, "", sharedWord+"st.shared.u32 [%r4], 0;"), "\n{", "\n.maxntid 128, 1, 1\n{", 1))
	limit := 227<<10 - 2048
	for _, c := range []struct {
		name                string
		grid, block, shared int
		args                []byte
		err                 error
	}{
		{"whole", 1, 128, limit, args, nil},
		{"shared", 1, 128, limit + 1, args, ErrLaunch},
		{"maxntid", 1, 129, 0, args, ErrLaunch},
		{"empty grid", 0, 32, 0, args, ErrLaunch},
		{"empty block", 1, 0, 0, args, ErrLaunch},
		{"large block", 1, 1025, 0, args, ErrLaunch},
		{"short arguments", 1, 32, 0, args[:19], ErrLaunch},
		{"long arguments", 1, 32, 0, append(args, 0), ErrLaunch},
	} {
		if err := tryLaunch(m, mod, "k", c.grid, c.block, c.shared, c.args, Checks{}); !errors.Is(err, c.err) {
			t.Errorf("%s: got %v, want %v", c.name, err, c.err)
		}
	}
	if err := tryLaunch(m, mod, "none", 1, 1, 0, args, Checks{}); !errors.Is(err, ErrKernel) {
		t.Errorf("unknown kernel: %v", err)
	}
	small := NewMachine(Config{Major: 8, Minor: 6, SharedPerBlock: 100 << 10, Memory: 1000})
	if err := small.Load(parse(t, entry(head90, "", ""))); !errors.Is(err, ErrTarget) {
		t.Errorf("sm_90a on sm_86: %v", err)
	}
	if _, err := small.Alloc(1001); !errors.Is(err, ErrMemory) {
		t.Errorf("more memory than there is: %v", err)
	}
	if err := small.Load(parse(t, head80+".global .b8 g[1001];\n")); !errors.Is(err, ErrMemory) {
		t.Errorf("more variables than memory: %v", err)
	}
	if _, err := small.Alloc(1000); err != nil {
		t.Error(err)
	}
}
