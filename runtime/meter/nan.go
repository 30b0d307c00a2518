package meter

import "github.com/assaynet/assay/runtime/wasmbin"

// nanFlow decides which instructions must have their result canonicalized.
type nanFlow struct{}

func (f *nanFlow) begin(locals []wasmbin.ValType, params int) {}

func (f *nanFlow) visit(a *analyzer, in *wasmbin.Instr, n int32) {
	if w, _ := in.Op.FloatShape(); w != 0 && n != none {
		a.p.steps[n].canon = true
	}
}

func (f *nanFlow) solve(steps []step) {}
