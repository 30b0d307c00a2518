package ptx

import (
	"errors"
	"strings"
	"testing"
)

// wgmmaSteps is a product of 64×32 by 32×8 without a swizzle, in steps that the
// tests leave out or change places with others. All of A is 2, all of B is 3:
// 32 products add 192 each time.
var wgmmaSteps = []string{
	"zero", "mov.b32 %d0, 0;\nmov.b32 %d1, 0;\nmov.b32 %d2, 0;\nmov.b32 %d3, 0;\nmov.b32 %a0, 0x02020202;\nmov.b32 %a1, %a0;\nmov.b32 %a2, %a0;\nmov.b32 %a3, %a0;",
	// 2048 bytes of A, 256 of B: 16 bytes a thread, and 16 for the first 16.
	"store", "st.shared.v4.b32 [%r8], {%a0, %a1, %a2, %a3};\nmov.b32 %r10, 0x03030303;\nsetp.lt.u32 %p2, %r0, 16;\n@%p2 st.shared.v4.b32 [%r8+2048], {%r10, %r10, %r10, %r10};",
	"proxy", "fence.proxy.async.shared::cta;",
	"barrier", "bar.sync 0;",
	"fence", "wgmma.fence.sync.aligned;",
	"mma", "wgmma.mma_async.sync.aligned.m64n8k32.s32.s8.s8 {%d0, %d1, %d2, %d3}, %rd7, %rd8, %p1;",
	"mma2", "wgmma.mma_async.sync.aligned.m64n8k32.s32.s8.s8 {%d0, %d1, %d2, %d3}, {%a0, %a1, %a2, %a3}, %rd8, %p1;",
	"commit", "wgmma.commit_group.sync.aligned;",
	"wait", "wgmma.wait_group.sync.aligned 0;",
	"last", "bar.sync 0;\nst.shared.u32 [%r8], %d0;",
	"out", "st.global.u32 [%rd3], %d0;",
}

func wgmmaText(change func(name, text string) string) string {
	var b strings.Builder
	b.WriteString(`	.shared .align 1024 .b8 s[4096];
	.reg .b32 %a<4>, %d<4>;
	mov.u32 %r4, s;
	mad.lo.u32 %r8, %r0, 16, %r4;
	setp.eq.u32 %p1, %r0, %r0;
	shr.u32 %r5, %r4, 4;
	cvt.u64.u32 %rd7, %r5;
	// LBO is 1024 of A and 128 of B, SBO 128 of both.
	add.u64 %rd8, %rd7, 0x0000000800080080;
	add.u64 %rd7, %rd7, 0x0000000800400000;
`)
	for i := 0; i < len(wgmmaSteps); i += 2 {
		text := wgmmaSteps[i+1]
		if change != nil {
			text = change(wgmmaSteps[i], text)
		}
		b.WriteString("\t// " + wgmmaSteps[i] + "\n" + text + "\n")
	}
	return entry(head90, "", b.String())
}

// without leaves steps out; before puts text in front of one.
func without(names ...string) func(name, text string) string {
	return func(name, text string) string {
		for _, n := range names {
			if n == name {
				return ""
			}
		}
		return text
	}
}

func before(step, more string) func(name, text string) string {
	return func(name, text string) string {
		if name == step {
			return more + "\n" + text
		}
		return text
	}
}

func replace(old, with string) func(name, text string) string {
	return func(_, text string) string { return strings.ReplaceAll(text, old, with) }
}

func TestWgmmaChecks(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(name, text string) string
		err    error
		always bool
		block  int
	}{
		{"whole", nil, nil, false, 128},
		{"fence behind the barrier", func(name, text string) string {
			return map[string]string{"proxy": "bar.sync 0;", "barrier": "fence.proxy.async;"}[name] + map[bool]string{true: text}[name != "proxy" && name != "barrier"]
		}, nil, false, 128},
		{"no proxy fence", without("proxy"), ErrRace, false, 128},
		{"proxy fence of global memory alone", replace("async.shared::cta", "async.global"), ErrRace, false, 128},
		{"proxy fence before the stores", before("zero", "fence.proxy.async;"), nil, false, 128},
		{"proxy fence only before the stores", func(name, text string) string {
			return without("proxy")(name, before("store", "fence.proxy.async;")(name, text))
		}, ErrRace, false, 128},
		{"no barrier", without("barrier"), ErrRace, false, 128},
		{"no wgmma.fence", without("fence"), ErrAsync, false, 128},
		{"accumulator written behind the fence", before("mma", "mov.b32 %d1, 5;"), ErrAsync, false, 128},
		{"accumulator read before the wait", before("wait", "mov.b32 %r20, %d3;"), ErrAsync, false, 128},
		{"accumulator written before the wait", before("wait", "mov.b32 %d3, 1;"), ErrAsync, false, 128},
		{"A read before the wait", before("wait", "mov.b32 %r20, %a3;"), nil, false, 128},
		{"A written before the wait", before("wait", "mov.b32 %a3, 0;"), ErrAsync, false, 128},
		{"no wait", without("wait"), ErrAsync, false, 128},
		{"wait for all but one", replace("aligned 0", "aligned 1"), ErrAsync, false, 128},
		{"no commit", without("commit"), ErrAsync, false, 128},
		{"operand overwritten before the wait", before("commit", "bar.sync 0;\nst.shared.u32 [%r8], %r0;"), ErrRace, false, 128},
		{"another shape in flight", before("mma2", "wgmma.mma_async.sync.aligned.m64n16k32.s32.s8.s8 {%d0, %d1, %d2, %d3, %r20, %r21, %r22, %r23}, %rd7, %rd7, %p1;"), ErrAsync, false, 128},
		{"B not written", replace("%r0, 16", "%r0, 15"), ErrUninitialised, false, 128},
		{"outside shared memory", before("mma", "or.b64 %rd7, %rd7, 0x3fff;"), ErrBounds, true, 128},
		{"half a warpgroup", nil, ErrSync, true, 64},
		{"base offset", before("mma", "or.b64 %rd7, %rd7, 0x0002000000000000;"), ErrOperand, true, 128},
		{"reserved bits", before("mma", "or.b64 %rd8, %rd8, 0x0010000000000000;"), ErrOperand, true, 128},
		{"within the pattern", before("mma", "add.u64 %rd7, %rd7, 0x4000000000000008;"), ErrOperand, true, 128},
		{"descriptors differ", before("mma", "cvt.u64.u32 %rd9, %r0;\nadd.u64 %rd7, %rd7, %rd9;"), ErrOperand, true, 128},
		{"scale-d differs", before("mma", "setp.lt.u32 %p1, %r0, 13;"), ErrOperand, true, 128},
	} {
		t.Run(c.name, func(t *testing.T) {
			mod, m := parse(t, wgmmaText(c.change)), machine(t)
			out, err := m.Alloc(4096)
			if err != nil {
				t.Fatal(err)
			}
			args := pack(out, out, uint32(0))
			checks := AllChecks()
			if c.err != nil {
				checks = Checks{Uninitialised: c.err == ErrUninitialised, Race: c.err == ErrRace || c.err == ErrAsync}
			}
			err = tryLaunch(m, mod, "k", 1, c.block, 0, args, checks)
			if c.err == nil {
				if err != nil {
					t.Fatal(err)
				}
				wantWords(t, words32(download(t, m, out, 512)), func(int) uint32 { return 384 })
				return
			}
			wantFault(t, err, c.err)
			if err := tryLaunch(m, mod, "k", 1, c.block, 0, args, Checks{}); errors.Is(err, c.err) != c.always {
				t.Errorf("without checks: %v", err)
			}
		})
	}
}

// TestWgmmaIsLate checks that results appear when they are waited for and not
// before, whatever is checked: a kernel without the wait computes something else.
func TestWgmmaIsLate(t *testing.T) {
	mod, m := parse(t, wgmmaText(without("wait", "last"))), machine(t)
	out, err := m.Alloc(4096)
	if err != nil {
		t.Fatal(err)
	}
	if err := tryLaunch(m, mod, "k", 1, 128, 0, pack(out, out, uint32(0)), Checks{}); err != nil {
		t.Fatal(err)
	}
	wantWords(t, words32(download(t, m, out, 512)), func(int) uint32 { return 0 })
}
