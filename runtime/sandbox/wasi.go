package sandbox

import (
	"encoding/binary"
	"math"

	"github.com/assaynet/assay/runtime/abi"
	"github.com/tetratelabs/wazero/api"
	"lukechampine.com/blake3"
)

// WASI preview 1 errno values that guests can meet here.
// https://github.com/WebAssembly/WASI/blob/main/legacy/preview1/docs.md#-errno-variant
const (
	errnoSuccess = 0
	errnoBadf    = 8
	errnoFault   = 21
	errnoInval   = 28
	errnoNosys   = 52
	errnoSpipe   = 70
)

// Prices in gas, and bounds, of the WASI calls that do something.
const (
	wasiBase      = 400
	wasiPerByte   = 2    // bytes logged
	wasiPerRandom = 8    // bytes made at random
	wasiPerItem   = 70   // one iovec or subscription
	maxIovecs     = 1024 // of one fd_read or fd_write
	maxSubscribed = 1024 // of one poll_oneoff
)

// Virtual time, in nanoseconds. The wall clock starts at 2024-01-01T00:00:00Z,
// so that guests which refuse dates before their build do not; the monotonic
// clock starts at 1, because Go takes 0 for "never".
const (
	wallStart  = 1704067200 * 1_000_000_000
	monoStart  = 1
	clockWall  = 0
	clockMono  = 1
	clockTick  = 1 // resolution reported by clock_res_get
	subClock   = 0
	subFdRead  = 1
	subFdWrite = 2
)

// wasiState is what WASI calls change: the virtual time that has passed and
// the position in the random stream.
type wasiState struct {
	elapsed uint64 // ns since the start, same for both clocks
	random  *blake3.OutputReader
}

// randomDomain is the input of the BLAKE3 output stream that random_get reads
// from its beginning, without a key. It is no secret and no source of
// randomness; job randomness is assay.seed.
const randomDomain = "assay/wasi/random/1"

func newWASI() wasiState {
	h := blake3.New(abi.DigestSize, nil)
	h.Write([]byte(randomDomain))
	return wasiState{random: h.XOF()}
}

// wasiSigs is every function of preview 1 with its parameters, i for i32 and
// I for i64; all but proc_exit return an errno.
var wasiSigs = []struct{ name, params string }{
	{"args_get", "ii"}, {"args_sizes_get", "ii"}, {"environ_get", "ii"}, {"environ_sizes_get", "ii"},
	{"clock_res_get", "ii"}, {"clock_time_get", "iIi"},
	{"fd_advise", "iIIi"}, {"fd_allocate", "iII"}, {"fd_close", "i"}, {"fd_datasync", "i"},
	{"fd_fdstat_get", "ii"}, {"fd_fdstat_set_flags", "ii"}, {"fd_fdstat_set_rights", "iII"},
	{"fd_filestat_get", "ii"}, {"fd_filestat_set_size", "iI"}, {"fd_filestat_set_times", "iIIi"},
	{"fd_pread", "iiiIi"}, {"fd_prestat_get", "ii"}, {"fd_prestat_dir_name", "iii"},
	{"fd_pwrite", "iiiIi"}, {"fd_read", "iiii"}, {"fd_readdir", "iiiIi"}, {"fd_renumber", "ii"},
	{"fd_seek", "iIii"}, {"fd_sync", "i"}, {"fd_tell", "ii"}, {"fd_write", "iiii"},
	{"path_create_directory", "iii"}, {"path_filestat_get", "iiiii"}, {"path_filestat_set_times", "iiiiIIi"},
	{"path_link", "iiiiiii"}, {"path_open", "iiiiiIIii"}, {"path_readlink", "iiiiii"},
	{"path_remove_directory", "iii"}, {"path_rename", "iiiiii"}, {"path_symlink", "iiiii"}, {"path_unlink_file", "iii"},
	{"poll_oneoff", "iiii"}, {"proc_exit", "i"}, {"proc_raise", "i"}, {"sched_yield", ""}, {"random_get", "ii"},
	{"sock_accept", "iii"}, {"sock_recv", "iiiiii"}, {"sock_send", "iiiii"}, {"sock_shutdown", "ii"},
}

// wasiBodies are the functions that do something; the rest return ENOSYS.
// A body returns an errno.
var wasiBodies = map[string]func(in *Instance, s []uint64) uint32{
	"args_get":            func(*Instance, []uint64) uint32 { return errnoSuccess },
	"args_sizes_get":      zeroSizes,
	"environ_get":         func(*Instance, []uint64) uint32 { return errnoSuccess },
	"environ_sizes_get":   zeroSizes,
	"clock_res_get":       clockRes,
	"clock_time_get":      clockTime,
	"fd_close":            stdioOnly,
	"fd_fdstat_get":       fdstatGet,
	"fd_fdstat_set_flags": stdioOnly,
	"fd_prestat_get":      func(*Instance, []uint64) uint32 { return errnoBadf }, // ends the search for directories
	"fd_read":             fdRead,
	"fd_seek":             fdSeek,
	"fd_write":            fdWrite,
	"poll_oneoff":         pollOneoff,
	"sched_yield":         func(*Instance, []uint64) uint32 { return errnoSuccess },
	"random_get":          randomGet,
}

func wasiFuncs() []hostFunc {
	var out []hostFunc
	for _, sig := range wasiSigs {
		f := hostFunc{module: abi.ModuleWASI, name: sig.name, base: wasiBase}
		for _, p := range sig.params {
			t := api.ValueTypeI32
			if p == 'I' {
				t = api.ValueTypeI64
			}
			f.params = append(f.params, t)
		}
		body := wasiBodies[sig.name]
		switch {
		case sig.name == "proc_exit":
			f.fn = func(_ *Instance, s []uint64) { panic(&stop{trap: abi.TrapExit, code: int32(uint32(s[0]))}) }
			out = append(out, f)
			continue
		case body != nil:
			f.fn = func(in *Instance, s []uint64) { s[0] = uint64(body(in, s)) }
		default:
			f.fn = func(_ *Instance, s []uint64) { s[0] = errnoNosys }
		}
		f.results = []api.ValueType{api.ValueTypeI32}
		out = append(out, f)
	}
	return out
}

// wasiMemory is guest memory for a WASI call: EFAULT instead of a trap.
func (in *Instance) wasiMemory(ptr, n uint32) ([]byte, bool) {
	if in.mem == nil {
		return nil, false
	}
	return in.mem.Read(ptr, n)
}

func (in *Instance) put32(ptr, v uint32) bool { return in.mem != nil && in.mem.WriteUint32Le(ptr, v) }

func (in *Instance) put64(ptr uint32, v uint64) bool {
	return in.mem != nil && in.mem.WriteUint64Le(ptr, v)
}

func errno(ok bool) uint32 {
	if ok {
		return errnoSuccess
	}
	return errnoFault
}

func zeroSizes(in *Instance, s []uint64) uint32 {
	return errno(in.put32(uint32(s[0]), 0) && in.put32(uint32(s[1]), 0))
}

func (w *wasiState) now(clock uint32) (uint64, bool) {
	switch clock {
	case clockWall:
		return satAddU(wallStart, w.elapsed), true
	case clockMono:
		return satAddU(monoStart, w.elapsed), true
	}
	return 0, false
}

func satAddU(a, b uint64) uint64 {
	if a > math.MaxUint64-b {
		return math.MaxUint64
	}
	return a + b
}

func clockRes(in *Instance, s []uint64) uint32 {
	if uint32(s[0]) > clockMono {
		return errnoInval
	}
	return errno(in.put64(uint32(s[1]), clockTick))
}

// clockTime (id, precision, ptr) reads a clock. Reading does not advance it.
func clockTime(in *Instance, s []uint64) uint32 {
	now, ok := in.wasi.now(uint32(s[0]))
	if !ok {
		return errnoInval
	}
	return errno(in.put64(uint32(s[2]), now))
}

func isStdio(fd uint32) bool { return fd <= 2 }

func stdioOnly(_ *Instance, s []uint64) uint32 {
	if isStdio(uint32(s[0])) {
		return errnoSuccess
	}
	return errnoBadf
}

// fdstatGet (fd, ptr) describes 0, 1 and 2 as character devices without rights.
func fdstatGet(in *Instance, s []uint64) uint32 {
	if !isStdio(uint32(s[0])) {
		return errnoBadf
	}
	b, ok := in.wasiMemory(uint32(s[1]), 24)
	if !ok {
		return errnoFault
	}
	clear(b)
	b[0] = 2 // filetype character_device
	return errnoSuccess
}

func fdSeek(_ *Instance, s []uint64) uint32 {
	if isStdio(uint32(s[0])) {
		return errnoSpipe
	}
	return errnoBadf
}

// fdRead (fd, iovs, n, ptr): standard input is at its end.
func fdRead(in *Instance, s []uint64) uint32 {
	if uint32(s[0]) != 0 {
		return errnoBadf
	}
	return errno(in.put32(uint32(s[3]), 0))
}

// fdWrite (fd, iovs, n, ptr) appends to the job log. What the log has no room
// for is dropped and counted as written, so that the log's bound is not
// observable.
func fdWrite(in *Instance, s []uint64) uint32 {
	fd, n := uint32(s[0]), uint32(s[2])
	if fd != 1 && fd != 2 {
		return errnoBadf
	}
	if n > maxIovecs {
		return errnoInval
	}
	in.charge(wasiPerItem * int64(n))
	iovs, ok := in.wasiMemory(uint32(s[1]), 8*n)
	if !ok {
		return errnoFault
	}
	var total uint64
	for i := uint32(0); i < n; i++ {
		total += uint64(binary.LittleEndian.Uint32(iovs[8*i+4:]))
	}
	if total > math.MaxInt32 {
		return errnoInval
	}
	in.charge(wasiPerByte * int64(total))
	for i := uint32(0); i < n; i++ {
		p, ok := in.wasiMemory(binary.LittleEndian.Uint32(iovs[8*i:]), binary.LittleEndian.Uint32(iovs[8*i+4:]))
		if !ok {
			return errnoFault
		}
		in.log.write(p)
	}
	return errno(in.put32(uint32(s[3]), uint32(total)))
}

func randomGet(in *Instance, s []uint64) uint32 {
	n := uint32(s[1])
	in.charge(wasiPerRandom * int64(n))
	b, ok := in.wasiMemory(uint32(s[0]), n)
	if !ok {
		return errnoFault
	}
	in.wasi.random.Read(b) // 2^64 bytes; gas ends first
	return errnoSuccess
}

// pollOneoff (in, out, n, ptr) never waits. If a file is among the
// subscriptions it is ready at once; else the clock moves to the earliest
// deadline, and every subscription whose time has come is reported.
func pollOneoff(in *Instance, s []uint64) uint32 {
	n := uint32(s[2])
	if n == 0 || n > maxSubscribed {
		return errnoInval
	}
	in.charge(wasiPerItem * int64(n))
	subs, ok := in.wasiMemory(uint32(s[0]), 48*n)
	if !ok {
		return errnoFault
	}
	subs = append([]byte(nil), subs...) // the events may overlap them
	out, ok := in.wasiMemory(uint32(s[1]), 32*n)
	if !ok {
		return errnoFault
	}
	wait, files := uint64(math.MaxUint64), false
	for i := uint32(0); i < n; i++ {
		sub := subs[48*i : 48*i+48]
		switch sub[8] {
		case subClock:
			left, ok := in.wasi.left(sub)
			if !ok {
				return errnoInval
			}
			wait = min(wait, left)
		case subFdRead, subFdWrite:
			files = true
		default:
			return errnoInval
		}
	}
	if files {
		wait = 0
	}
	var events uint32
	for i := uint32(0); i < n; i++ {
		sub := subs[48*i : 48*i+48]
		if sub[8] == subClock {
			if left, _ := in.wasi.left(sub); left > wait {
				continue
			}
		}
		ev := out[32*events : 32*events+32]
		clear(ev)
		copy(ev[:8], sub[:8]) // userdata
		ev[10] = sub[8]
		if sub[8] != subClock && !isStdio(binary.LittleEndian.Uint32(sub[16:])) {
			binary.LittleEndian.PutUint16(ev[8:], errnoBadf)
		}
		events++
	}
	in.wasi.elapsed = satAddU(in.wasi.elapsed, wait)
	return errno(in.put32(uint32(s[3]), events))
}

// left is the time until a clock subscription is due, in nanoseconds.
func (w *wasiState) left(sub []byte) (uint64, bool) {
	now, ok := w.now(binary.LittleEndian.Uint32(sub[16:]))
	if !ok {
		return 0, false
	}
	timeout := binary.LittleEndian.Uint64(sub[24:])
	if binary.LittleEndian.Uint16(sub[40:])&1 == 0 { // relative
		return timeout, true
	}
	if timeout <= now {
		return 0, true
	}
	return timeout - now, true
}
