package sandbox

import (
	"github.com/assaynet/assay/runtime/meter"
	"github.com/assaynet/assay/runtime/wasmbin"
)

// checkSegments refuses a module whose active segments do not fit its initial
// memory and tables. Core 2.0 lets such a module trap while it is
// instantiated; here instantiation cannot fail, so that a failure of it is
// always the host's.
func checkSegments(m *wasmbin.Module) error {
	invalid := func(at int, rule string) error { return &meter.InvalidModuleError{Offset: at, Rule: rule} }
	for i := range m.Datas {
		d := &m.Datas[i]
		if d.Mode != wasmbin.Active {
			continue
		}
		at, ok := offsetOf(d.At)
		if !ok || int(d.Memory) >= len(m.Memories) {
			return invalid(d.Offset, "data segment without a constant offset")
		}
		if at+uint64(len(d.Init)) > uint64(m.Memories[d.Memory].Min)*wasmPage {
			return invalid(d.Offset, "data segment outside the initial memory")
		}
	}
	for i := range m.Elems {
		e := &m.Elems[i]
		if e.Mode != wasmbin.Active {
			continue
		}
		at, ok := offsetOf(e.At)
		if !ok || int(e.Table) >= len(m.Tables) {
			return invalid(e.Offset, "element segment without a constant offset")
		}
		if at+uint64(e.Len()) > uint64(m.Tables[e.Table].Range.Min) {
			return invalid(e.Offset, "element segment outside the initial table")
		}
	}
	return nil
}

// offsetOf evaluates an i32.const; imported globals do not exist here.
func offsetOf(e wasmbin.Expr) (uint64, bool) {
	if e.Op != wasmbin.OpI32Const || len(e.Bytes) < 3 {
		return 0, false
	}
	var v int64
	shift := uint(0)
	for _, b := range e.Bytes[1 : len(e.Bytes)-1] {
		v |= int64(b&0x7F) << shift
		shift += 7
		if b&0x80 == 0 {
			if b&0x40 != 0 {
				v |= -1 << shift
			}
			break
		}
	}
	return uint64(uint32(v)), true
}
