package ptx

import (
	"errors"
	"strings"
	"testing"
)

// TestParseErrors checks that what is not known is refused with its line.
func TestParseErrors(t *testing.T) {
	body := func(s string) string { return entry(head80, "", s) }
	at := strings.Count(body("\x00")[:strings.Index(body("\x00"), "\x00")], "\n") + 1
	for _, c := range []struct {
		name, text string
		err        error
		line       int
	}{
		{"empty", "", ErrSyntax, 1},
		{"no target", ".version 7.0\n.address_size 64\n", ErrSyntax, 2},
		{"32-bit addresses", ".version 7.0\n.target sm_80\n.address_size 32\n", ErrUnsupported, 3},
		{"target options", ".version 7.0\n.target sm_80, debug\n.address_size 64\n", ErrUnsupported, 2},
		{"old version", ".version 5.0\n.target sm_80\n.address_size 64\n", ErrUnsupported, 1},
		{"unknown directive", head80 + ".alias a, b;\n", ErrUnsupported, 4},
		{"texture", head80 + ".global .texref t;\n", ErrUnsupported, 4},
		{"float variable", head80 + ".global .f32 x;\n", ErrUnsupported, 4},
		{"address as a value", head80 + ".global .u64 a;\n.global .u64 x = a;\n", ErrUnsupported, 5},
		{"too many values", head80 + ".global .u16 x[2] = {1, 2, 3};\n", ErrSyntax, 4},
		{"twice", head80 + ".global .u16 x;\n.global .u32 x;\n", ErrSyntax, 5},
		{"huge variable", head80 + ".global .b8 x[1000000000];\n", ErrUnsupported, 4},
		{"external", head80 + ".extern .global .b8 x[4];\n", ErrUnsupported, 4},
		{"open comment", head80 + "/* \n\n", ErrSyntax, 4},
		{"open string", head80 + ".pragma \"nounroll;\n", ErrSyntax, 4},
		{"stray brace", head80 + "}\n", ErrSyntax, 4},
		{"open body", body("")[:len(body(""))-3], ErrSyntax, at + 1},
		{"instruction", body("frob.u32 %r4, %r5;"), ErrUnsupported, at},
		{"float", body("add.f32 %r4, %r5, %r6;"), ErrUnsupported, at},
		{"modifier", body("add.sat.u32 %r4, %r5, %r6;"), ErrUnsupported, at},
		{"modifier too many", body("mul.lo.u32.cc %r4, %r5, %r6;"), ErrUnsupported, at},
		{"modifier missing", body("mul.u32 %r4, %r5, %r6;"), ErrUnsupported, at},
		{"mul.wide.u64", body("mul.wide.u64 %rd4, %rd5, %rd6;"), ErrUnsupported, at},
		{"operands", body("add.u32 %r4, %r5;"), ErrUnsupported, at},
		{"width", body("add.u32 %r4, %r5, %rd6;"), ErrUnsupported, at},
		{"narrow destination", body("ld.global.u64 %r4, [%rd0];"), ErrUnsupported, at},
		{"predicate as a value", body("add.u32 %r4, %r5, %p1;"), ErrUnsupported, at},
		{"guard", body("@%r4 add.u32 %r4, %r5, %r6;"), ErrSyntax, at},
		{"register", body("add.u32 %r4, %r40, %r6;"), ErrUnsupported, at},
		{"special register", body("mov.u32 %r4, %pm0;"), ErrUnsupported, at},
		{"width of a special register", body("mov.u64 %rd4, %tid.x;"), ErrUnsupported, at},
		{"label", body("bra NOWHERE;"), ErrSyntax, at},
		{"label of another scope", body("{\nL:\n}\nbra L;"), ErrSyntax, at + 3},
		{"label twice", body("L:\nL:"), ErrSyntax, at + 1},
		{"register twice", body(".reg .b32 %r4;\n.reg .b32 %r4;"), ErrSyntax, at + 1},
		{"immediate destination", body("mov.u32 5, %r4;"), ErrUnsupported, at},
		{"offset on a register", body("mov.u32 %r4, %r5+4;"), ErrSyntax, at},
		{"offset in a vector", body("st.global.v2.u32 [%rd0], {%r4+4, %r5};"), ErrUnsupported, at},
		{"wrong space", body(".shared .b8 s[4];\nld.global.u8 %r4, [s];"), ErrUnsupported, at + 1},
		{"vector of three", body("ld.global.v2.u32 {%r4, %r5, %r6}, [%rd0];"), ErrUnsupported, at},
		{"vector of 32 bytes", body("ld.global.v4.u64 {%rd4, %rd5, %rd6, %rd7}, [%rd0];"), ErrUnsupported, at},
		{"cp.async.cg of 8", body("cp.async.cg.shared.global [%r4], [%rd0], 8;"), ErrUnsupported, at},
		{"bulk copy", body("cp.async.bulk.commit_group;"), ErrUnsupported, at},
		{"wgmma on sm_80", body("wgmma.fence.sync.aligned;"), ErrUnsupported, at},
		{"mma of floats", body("mma.sync.aligned.m16n8k16.row.col.f16.f16.f16.f16 {%r4, %r5}, {%r6, %r7, %r8, %r9}, {%r10, %r11}, {%r12, %r13};"), ErrUnsupported, at},
		{"try_wait on sm_80", body("mbarrier.try_wait.shared.b64 %p1, [%rd0], %rd1;"), ErrUnsupported, at},
		{"prefetch size before 7.4", body("ld.global.L2::128B.u32 %r4, [%rd0];"), ErrUnsupported, at},
		{"vote without sync", body("vote.all.pred %p1, %p2;"), ErrUnsupported, at},
		{"indirect call", body("call %rd4, ();"), ErrUnsupported, at},
		{"unknown function", body("call f;"), ErrUnsupported, at},
		{"recursion", head80 + ".func f()\n{\n\tcall f;\n\tret;\n}\n", ErrUnsupported, 6},
		{"float constant", body("mov.u32 %r4, 0f00000000;"), ErrUnsupported, at},
		{"constant", body("mov.u32 %r4, 0xg;"), ErrSyntax, at},
		{"large constant", body("mov.u64 %rd4, 0x10000000000000000;"), ErrSyntax, at},
		{"lop3 table", body("lop3.b32 %r4, %r5, %r6, %r7, 256;"), ErrUnsupported, at},
		{"sat that cannot", body("cvt.sat.u32.u16 %r4, %h1;"), ErrUnsupported, at},
		{"static shared memory", body(".shared .b8 s[49153];\nst.shared.u8 [s], %h1;"), ErrUnsupported, 4},
		{"directive in a body", body(".callprototype x;"), ErrUnsupported, at},
	} {
		_, err := Parse([]byte(c.text))
		var p *ParseError
		if !errors.As(err, &p) || !errors.Is(err, c.err) || p.Line != c.line {
			t.Errorf("%s: got %v, want %v in line %d", c.name, err, c.err, c.line)
		}
	}
}

// TestParseForms checks forms that clang and people write.
func TestParseForms(t *testing.T) {
	mod := parse(t, `//
// Generated
//
.version 7.0
.target sm_80
.address_size 64

	// .globl	f
.visible .const .align 4 .b8 tab[16] = {1, 0, 0, 0, 0xff};
.visible .global .align 8 .u64 word = 5;
.global .align 2 .s16 signed[2] = {-1, -32768};
.extern .shared .align 128 .b8 dynamic[];
.shared .align 1024 .b8 fixed[100];
.shared .align 4 .b8 unused[50000];
.visible .func  (.param .b32 func_retval0) f(
	.param .b32 f_param_0,
	.param .b32 f_param_1
)
;
.visible .entry k(
	.param .align 8 .b8 k_param_0[32],
	.param .u16 more,
	.param .u64 last
)                                       // @k
.maxntid 256, 1, 1
.minnctapersm 2
{
	.local .align 4 .b8 	__local_depot1[32];
	.reg .b64 	%SP;
	.reg .pred 	%p<2>;
	.reg .b32 	%r<6>, %single;
	.reg .b64 	%rd<4>;
	.loc	1 2 3
// %bb.0:
	mov.b64 	%rd1, k_param_0;
	ld.param.v2.u32 	{%r1, %r2}, [%rd1+8];
	ld.shared.u32 	%r3, [fixed+4];
	mov.u32 	%r4, dynamic;
	{ // callseq 0, 0
	.param .b32 param0;
	st.param.b32 	[param0+0], %r1;
	.param .b32 param1;
	st.param.b32 	[param1+0], %r2;
	.param .b32 retval0;
	call.uni (retval0), 
	f, 
	(
	param0, 
	param1
	);
	ld.param.b32 	%r5, [retval0+0];
	} // callseq 0
	/* a comment
	over lines */
	ret;
                                        // -- End function
}
.visible .func  (.param .b32 func_retval0) f(
	.param .b32 f_param_0,
	.param .b32 f_param_1
)
{
	.reg .b32 %r<2>;
	.pragma "nounroll";
	ld.param.u32 %r1, [f_param_1];
	st.param.b32 [func_retval0+0], %r1;
	ret;
}
`+"\x00")
	if len(mod.Kernels()) != 1 {
		t.Fatalf("%d kernels", len(mod.Kernels()))
	}
	// The shared variable that no instruction names takes no room.
	if k := mod.Kernels()[0]; *k != (Kernel{Name: "k", ParamBytes: 48, Shared: 100, MaxThreads: 256}) {
		t.Errorf("%+v", *k)
	}
	if mod.Target != "sm_80" || mod.Version != [2]int{7, 0} {
		t.Errorf("%+v", mod)
	}
	p := mod.programs["k"]
	if p.dynamic != sharedBase+128 {
		t.Errorf("dynamic shared memory at %d", p.dynamic)
	}
}
