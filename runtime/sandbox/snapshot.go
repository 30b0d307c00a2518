package sandbox

import (
	"io"
	"strconv"

	"github.com/assaynet/assay/runtime/meter"
	"github.com/tetratelabs/wazero/api"
)

// maxSnapshot bounds the memory of a snapshot, in bytes; a module that
// initialises to more starts afresh each time. It is real memory for as long
// as the module is admitted.
const maxSnapshot = 64 << 20

// snapshot is an initialised instance: further instances map its memory copy
// on write and take over the rest, instead of running the initialisation.
// Since that is a function of the module alone, nobody can tell.
type snapshot struct {
	image image  // memory
	size  uint64 // bytes, a multiple of wasmPage
	// maxPages of the instance that initialised: what growing was measured by.
	maxPages uint32
	globals  []uint64
	elapsed  uint64
	random   int64 // position in the random stream
	log      []byte
	initGas  int64
}

// takeSnapshot keeps the instance's state for later ones. It returns nil
// where that is not possible or not worth it.
func (in *Instance) takeSnapshot() *snapshot {
	p := in.mod.prepared
	if !p.poolable || in.res == nil || in.res.size == 0 || in.res.size > maxSnapshot {
		return nil
	}
	s := &snapshot{size: in.res.size, maxPages: uint32(len(in.res.space.addr) / wasmPage), elapsed: in.wasi.elapsed, log: append([]byte(nil), in.log.buf...), initGas: in.initGas}
	globals, ok := in.ownGlobals()
	if !ok {
		return nil
	}
	for _, g := range globals {
		s.globals = append(s.globals, g.Get())
	}
	var err error
	if s.random, err = in.wasi.random.Seek(0, io.SeekCurrent); err != nil {
		return nil
	}
	if s.image, err = newImage(in.res.space.addr[:in.res.size]); err != nil {
		return nil
	}
	return s
}

// ownGlobals are the module's own mutable globals.
func (in *Instance) ownGlobals() ([]api.MutableGlobal, bool) {
	var out []api.MutableGlobal
	for _, i := range in.mod.prepared.globals {
		g, ok := in.inst.ExportedGlobal(meter.GlobalPrefix + strconv.FormatUint(uint64(i), 10)).(api.MutableGlobal)
		if !ok {
			return nil, false
		}
		out = append(out, g)
	}
	return out, true
}

// restore makes a fresh instance, whose memory already maps the image, the
// one that the snapshot was taken of.
func (in *Instance) restore(s *snapshot) error {
	if have := in.res.size; have < s.size {
		if _, ok := in.mem.Grow(uint32((s.size - have) / wasmPage)); !ok {
			return ErrMemory
		}
	}
	globals, ok := in.ownGlobals()
	if !ok {
		return errSections
	}
	for i, g := range globals {
		g.Set(s.globals[i])
	}
	if _, err := in.wasi.random.Seek(s.random, io.SeekStart); err != nil {
		return err
	}
	in.wasi.elapsed, in.initGas = s.elapsed, s.initGas
	in.log.write(s.log)
	return nil
}
