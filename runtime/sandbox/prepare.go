package sandbox

import (
	"encoding/binary"
	"errors"
	"slices"

	"github.com/assaynet/assay/runtime/meter"
	"github.com/assaynet/assay/runtime/wasmbin"
)

// prepared is a module ready for the engine, with what the sandbox does in
// the engine's place: it writes the active data segments, so that an instance
// made from a snapshot does not have to write them again. For the engine they
// are empty passive ones, which code cannot tell from active ones that were
// applied and dropped; or there are none, where no code can name one.
type prepared struct {
	wasm    []byte
	data    []segment
	globals []uint32 // mutable globals that a snapshot holds
	refill  uint32   // function that asks for gas
	// minPages and maxPages are the memory's range; zeros without a memory.
	minPages, maxPages uint32
	// poolable says that memory, those globals and the WASI state are all
	// that initialisation can change.
	poolable bool
}

type segment struct {
	at    uint32
	bytes []byte
}

// prepare takes the data segments out of a rewritten module.
func prepare(res *meter.Result) (*prepared, error) {
	original := res.Module
	p := &prepared{globals: res.MutableGlobals, refill: res.Refill, poolable: !res.MutatesTables && !res.DropsSegments}
	if res.HasMemory {
		p.minPages, p.maxPages = res.MemoryMinPages, res.MemoryMaxPages
	}
	for _, g := range res.MutableGlobals {
		switch original.AllGlobals[g].Type {
		case wasmbin.I32, wasmbin.I64, wasmbin.F32, wasmbin.F64:
		default:
			p.poolable = false // the engine's API cannot set it
		}
	}
	// memory.init and data.drop are valid only with a data count section.
	named := slices.ContainsFunc(original.Sections, func(s wasmbin.Section) bool { return s.ID == wasmbin.SecDataCount })
	var section []byte
	for i := range original.Datas {
		d := &original.Datas[i]
		const passive = 1
		section = wasmbin.AppendU32(section, passive)
		if d.Mode == wasmbin.Active {
			at, ok := offsetOf(d.At)
			if !ok {
				return nil, errors.New("data segment without a constant offset passed the check")
			}
			if len(d.Init) > 0 {
				p.data = append(p.data, segment{uint32(at), slices.Clone(d.Init)})
			}
			section = wasmbin.AppendU32(section, 0)
			continue
		}
		section = wasmbin.AppendU32(section, uint32(len(d.Init)))
		section = append(section, d.Init...)
	}
	section = append(wasmbin.AppendU32(nil, uint32(len(original.Datas))), section...)
	if !named {
		section = nil
	}
	var err error
	p.wasm, err = replaceSection(res.Wasm, wasmbin.SecData, section)
	return p, err
}

var errSections = errors.New("malformed rewritten module")

// replaceSection returns a copy of a valid module with one section's payload
// replaced, or without the section if payload is nil.
func replaceSection(wasm []byte, id byte, payload []byte) ([]byte, error) {
	const header = 8
	if len(wasm) < header {
		return nil, errSections
	}
	out := append(make([]byte, 0, len(wasm)), wasm[:header]...)
	for rest := wasm[header:]; len(rest) > 0; {
		size, n := binary.Uvarint(rest[1:])
		if n <= 0 || size > uint64(len(rest)-1-n) {
			return nil, errSections
		}
		whole := rest[:1+n+int(size)]
		switch {
		case rest[0] == id && payload == nil:
		case rest[0] == id:
			out = append(out, id)
			out = wasmbin.AppendU32(out, uint32(len(payload)))
			out = append(out, payload...)
		default:
			out = append(out, whole...)
		}
		rest = rest[len(whole):]
	}
	return out, nil
}

// writeData applies the data segments to fresh memory; admission has checked
// that they fit.
func (p *prepared) writeData(mem []byte) {
	for _, s := range p.data {
		copy(mem[s.at:], s.bytes)
	}
}

// meta is everything but the module, for the artifact on disk: flags, the
// refill function, the memory's range, globals, segments; all numbers little-endian u32.
func (p *prepared) meta() []byte {
	u32 := binary.LittleEndian.AppendUint32
	flag := uint32(0)
	if p.poolable {
		flag = 1
	}
	b := u32(u32(u32(u32(u32(nil, flag), p.refill), p.minPages), p.maxPages), uint32(len(p.globals)))
	for _, g := range p.globals {
		b = u32(b, g)
	}
	for _, s := range p.data {
		b = append(u32(u32(b, s.at), uint32(len(s.bytes))), s.bytes...)
	}
	return b
}

// parsePrepared undoes meta. Its input has a valid MAC; the checks are for a
// bug of ours.
func parsePrepared(wasm, b []byte) (*prepared, bool) {
	p := &prepared{wasm: wasm}
	u32 := func() (v uint32, ok bool) {
		if len(b) < 4 {
			return 0, false
		}
		v, b = binary.LittleEndian.Uint32(b), b[4:]
		return v, true
	}
	const head = 5 * 4
	if len(b) < head {
		return nil, false
	}
	flag, _ := u32()
	p.refill, _ = u32()
	p.minPages, _ = u32()
	p.maxPages, _ = u32()
	n, _ := u32()
	if uint64(n) > uint64(len(b)/4) {
		return nil, false
	}
	p.poolable = flag == 1
	for range n {
		g, _ := u32()
		p.globals = append(p.globals, g)
	}
	for len(b) > 0 {
		at, ok := u32()
		size, ok2 := u32()
		if !ok || !ok2 || uint64(size) > uint64(len(b)) {
			return nil, false
		}
		p.data = append(p.data, segment{at, b[:size:size]})
		b = b[size:]
	}
	return p, true
}
