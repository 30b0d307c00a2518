package sandbox

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/assaynet/assay/hostgpu/cpudev"
	"github.com/assaynet/assay/hostgpu/device"
	"github.com/assaynet/assay/hostgpu/devicetest"
	"github.com/assaynet/assay/runtime/abi"
	"github.com/assaynet/assay/runtime/meter"
)

var guests struct {
	sync.Mutex
	dir   string
	built map[string][]byte
}

// children are what this binary does in the processes that tests start, by
// the environment variable that says so.
var children = map[string]func() int{childEnv: cacheChild}

func TestMain(m *testing.M) {
	for env, child := range children {
		if os.Getenv(env) != "" {
			os.Exit(child())
		}
	}
	code := m.Run()
	if guests.dir != "" {
		os.RemoveAll(guests.dir)
	}
	os.Exit(code)
}

// guest builds testdata/guests/name with the Go toolchain, once.
func guest(t testing.TB, name string) []byte {
	t.Helper()
	guests.Lock()
	defer guests.Unlock()
	if b := guests.built[name]; b != nil {
		return b
	}
	if guests.dir == "" {
		dir, err := os.MkdirTemp("", "assay-guests-*")
		if err != nil {
			t.Fatal(err)
		}
		guests.dir, guests.built = dir, map[string][]byte{}
	}
	out := filepath.Join(guests.dir, name+".wasm")
	cmd := exec.Command("go", "build", "-buildmode=c-shared", "-trimpath", "-buildvcs=false",
		"-ldflags=-s -w -buildid=", "-o", out, ".")
	cmd.Dir = filepath.Join("testdata", "guests", name)
	cmd.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm")
	if msg, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build guest %s: %v\n%s", name, err, msg)
	}
	b, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	guests.built[name] = b
	return b
}

// cachedEngines keeps the compiled form of stock-Go guests for one test run.
func cachedEngines(t testing.TB) []engine {
	t.Helper()
	guest(t, "pow") // makes guests.dir
	var out []engine
	for _, interp := range []bool{false, true} {
		rt, err := New(Config{Interpreter: interp, CacheDir: filepath.Join(guests.dir, "cache")})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { rt.Close() })
		out = append(out, engine{map[bool]string{false: "compiler", true: "interpreter"}[interp], rt})
	}
	return out
}

// TestGuestSize: rewritten, Go guests are at most a fifth larger.
func TestGuestSize(t *testing.T) {
	for _, name := range []string{"pow", "wasi"} {
		b := guest(t, name)
		res, err := meter.Rewrite(b, meterConfig(nil, nil))
		if err != nil {
			t.Fatal(err)
		}
		if 5*len(res.Wasm) > 6*len(b) {
			t.Errorf("%s: %d bytes became %d", name, len(b), len(res.Wasm))
		}
		t.Logf("%s: %d bytes, rewritten %d (%+.1f %%)", name, len(b), len(res.Wasm), 100*float64(len(res.Wasm))/float64(len(b))-100)
	}
}

func TestWASI(t *testing.T) {
	wasm := guest(t, "wasi")
	type run struct {
		log  string
		out  Outcome
		name string
	}
	runs := map[string]run{}
	for _, e := range cachedEngines(t) {
		m := admit(t, e.rt, wasm)
		for _, c := range []struct {
			request string
			trap    abi.Trap
			code    int32
			log     string // "" is not compared
		}{
			{"sleep", abi.TrapNone, 0, "2024-01-01T00:00:00Z 1h30m0s\n"},
			{"timers", abi.TrapNone, 0, "10\n20\n30\n"},
			{"random", abi.TrapNone, 0, ""},
			{"map", abi.TrapNone, 0, ""},
			{"open", abi.TrapNone, 0, "open /etc/passwd: Not implemented on wasip1\ntrue\ntrue\n"},
			{"env", abi.TrapNone, 0, "0 0\n0 EOF\n"},
			// A Go library crashes on a panic, it does not exit.
			{"panic", abi.TrapUnreachable, 0, ""},
			{"exit", abi.TrapExit, 7, ""},
			{"deep", abi.TrapNone, 0, "1000\n"},
			{"deeper", abi.TrapStackOverflow, 0, ""},
			{"deadlock", abi.TrapUnreachable, 0, ""},
			{"json", abi.TrapNone, 0, "map[a:[1 2.5 x]] <nil>\n"},
		} {
			in, err := m.Start(context.Background(), Job{Gas: 200_000_000_000, Request: []byte(c.request)})
			if err != nil {
				t.Fatalf("%s: %s: %v", e.name, c.request, err)
			}
			out, err := in.Infer(context.Background())
			if err != nil {
				t.Fatalf("%s: %s: %v", e.name, c.request, err)
			}
			in.Close()
			if out.Trap != c.trap || out.Code != c.code || (c.log != "" && string(out.Log) != c.log) {
				t.Errorf("%s: %s: %v code %d, log %q, want %v code %d, log %q", e.name, c.request,
					out.Trap, out.Code, out.Log, c.trap, c.code, c.log)
			}
			first, ok := runs[c.request]
			if !ok {
				runs[c.request] = run{string(out.Log), out, e.name}
				continue
			}
			if first.log != string(out.Log) || first.out.GasUsed != out.GasUsed {
				t.Errorf("%s: %s and %s differ: gas %d, %d; log %q, %q", c.request, first.name, e.name,
					first.out.GasUsed, out.GasUsed, first.log, out.Log)
			}
		}
	}
	if got := runs["panic"].log; !strings.Contains(got, "at the disco") {
		t.Errorf("panic message not in the log: %q", got)
	}
	if got, want := runs["random"].log, "b783a8bd705659a1b6e6ca8c43256ea3 6732983853255128991\n"; got != want {
		t.Errorf("random is %q, want the fixed %q", got, want)
	}
}

func powJob(dev device.Device) Job {
	return Job{Device: dev, TensorBytes: 1 << 16, Seed: [32]byte{1, 2, 3}, Gas: 10_000_000_000}
}

// startPow starts the pow guest and runs its setup.
func startPow(t testing.TB, rt *Runtime, job Job) *Instance {
	t.Helper()
	in, err := admit(t, rt, guest(t, "pow")).Start(context.Background(), job)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { in.Close() })
	out, err := in.PowSetup(context.Background())
	if err != nil || !out.Trap.OK() {
		t.Fatalf("setup: %+v, %v", out, err)
	}
	return in
}

func testDevices(t testing.TB) []device.Device {
	t.Helper()
	cpu, err := cpudev.New(cpudev.Config{Memory: 1 << 30})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cpu.Close() })
	ref := devicetest.Reference()
	t.Cleanup(func() { ref.Close() })
	return []device.Device{cpu, ref}
}

// TestPow: the digest of a unit depends on the job and its index alone: not
// on the batch, the order, the engine, the device or the key.
func TestPow(t *testing.T) {
	ctx := context.Background()
	indexes := []uint64{0, 1, 2, 1 << 40, 99, 7, 1<<64 - 1}
	key := [32]byte{9}
	var want []Unit
	var gas int64
	for _, e := range cachedEngines(t) {
		for _, dev := range testDevices(t) {
			in := startPow(t, e.rt, powJob(dev))
			units, out, err := in.PowUnits(ctx, indexes, &key)
			if err != nil || !out.Trap.OK() {
				t.Fatalf("%s on %s: %+v %v", e.name, dev.Name(), out, err)
			}
			if want == nil {
				want, gas = units, out.GasUsed
			}
			for i, u := range units {
				if u != want[i] || u.Index != indexes[i] {
					t.Fatalf("%s on %s: unit %d differs", e.name, dev.Name(), i)
				}
			}
			if out.GasUsed != gas {
				t.Fatalf("%s on %s: gas %d, want %d", e.name, dev.Name(), out.GasUsed, gas)
			}
			for i := len(indexes) - 1; i >= 0; i-- {
				one, out, err := in.PowUnits(ctx, indexes[i:i+1], nil)
				if err != nil || !out.Trap.OK() {
					t.Fatal(out, err)
				}
				if one[0].Digest != want[i].Digest || one[0].Keyed != [32]byte{} {
					t.Fatalf("unit %d alone differs", i)
				}
			}
			again := startPow(t, e.rt, powJob(dev))
			_, plain, err := again.PowUnits(ctx, indexes, nil)
			if err != nil || plain.GasUsed != gas {
				t.Fatalf("gas %d without a key, %d with one (%v)", plain.GasUsed, gas, err)
			}
			other := powJob(dev)
			other.Seed[31] = 1
			units, _, err = startPow(t, e.rt, other).PowUnits(ctx, indexes, &key)
			if err != nil {
				t.Fatal(err)
			}
			for i := range units {
				if units[i].Digest == want[i].Digest {
					t.Fatal("the seed does not matter")
				}
			}
		}
	}
	seen := map[[32]byte]bool{}
	for _, u := range want {
		if seen[u.Digest] || seen[u.Keyed] || u.Keyed == [32]byte{} {
			t.Fatal("equal digests")
		}
		seen[u.Digest], seen[u.Keyed] = true, true
	}
}

// TestPowManyRecords crosses the number of digests that wait on the device.
func TestPowManyRecords(t *testing.T) {
	e := cachedEngines(t)[0]
	dev := testDevices(t)[0]
	in := startPow(t, e.rt, powJob(dev))
	indexes := make([]uint64, 3*transcriptSlots/2)
	for i := range indexes {
		indexes[i] = uint64(i)
	}
	key := [32]byte{1}
	units, out, err := in.PowUnits(context.Background(), indexes, &key)
	if err != nil || !out.Trap.OK() {
		t.Fatal(out, err)
	}
	for _, i := range []int{0, 1, transcriptSlots / 4, transcriptSlots/4 + 1, transcriptSlots - 1, len(indexes) - 1} {
		one, _, err := in.PowUnits(context.Background(), indexes[i:i+1], &key)
		if err != nil || one[0] != units[i] {
			t.Fatalf("unit %d differs (%v)", i, err)
		}
	}
	if _, _, err := in.PowUnits(context.Background(), make([]uint64, MaxUnits+1), nil); err == nil {
		t.Fatal("too many units accepted")
	}
}

func TestPowLimits(t *testing.T) {
	ctx := context.Background()
	e := cachedEngines(t)[0]
	dev := testDevices(t)[0]
	job := powJob(dev)
	job.TensorBytes = 32 + 32 + 64*64 // the key takes 64; input and output do not fit
	in, err := admit(t, e.rt, guest(t, "pow")).Start(ctx, job)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	out, err := in.PowSetup(ctx)
	if err != nil || out.Trap != abi.TrapTensorMemory {
		t.Fatal(out, err)
	}
	job = powJob(dev)
	job.OutputBytes = 3*32 + 3 // the guest's transcript takes 3·32 + 4
	_, out, err = startPow(t, e.rt, job).PowUnits(ctx, []uint64{1}, nil)
	if err != nil || out.Trap != abi.TrapOutputLimit {
		t.Fatal(out, err)
	}
	job.OutputBytes++
	if _, out, err = startPow(t, e.rt, job).PowUnits(ctx, []uint64{1, 2}, nil); err != nil || !out.Trap.OK() {
		t.Fatal(out, err)
	}
	// A budget a unit that suffices for one suffices for many.
	job = powJob(dev)
	job.GasUnit = 1 + out.GasUsed/2 + 100_000
	if _, out, err = startPow(t, e.rt, job).PowUnits(ctx, []uint64{1, 2, 3, 4}, nil); err != nil || !out.Trap.OK() {
		t.Fatal(out, err)
	}
	job.GasUnit = 1000
	units, out, err := startPow(t, e.rt, job).PowUnits(ctx, []uint64{1, 2, 3, 4}, nil)
	if err != nil || out.Trap != abi.TrapOutOfGas || out.GasUsed != 4000 || units != nil {
		t.Fatal(out, err)
	}
	// A host without the device's memory refuses before the guest runs.
	job.TensorBytes = 1 << 40
	if _, err := admit(t, e.rt, guest(t, "pow")).Start(ctx, job); err == nil {
		t.Fatal("started without memory")
	} else if want := device.ErrDeviceMemory; !strings.Contains(err.Error(), want.Error()) {
		t.Fatal(err)
	}
}

func BenchmarkPowUnits(b *testing.B) {
	e := cachedEngines(b)[0]
	in := startPow(b, e.rt, powJob(testDevices(b)[0]))
	indexes := make([]uint64, 100)
	for b.Loop() {
		if _, out, err := in.PowUnits(context.Background(), indexes, nil); err != nil || !out.Trap.OK() {
			b.Fatal(out, err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/100, "ns/unit")
}

// TestInitGasSuffices: real guests initialise with a tenth of the budget.
func TestInitGasSuffices(t *testing.T) {
	for _, name := range []string{"pow", "wasi"} {
		in, err := admit(t, cachedEngines(t)[0].rt, guest(t, name)).Start(context.Background(), Job{})
		if err != nil {
			t.Fatal(err)
		}
		in.Close()
		t.Logf("%s: %d", name, in.initGas)
		if in.initGas <= 0 || in.initGas > InitGas/10 {
			t.Errorf("guest %s initialises with %d of %d units", name, in.initGas, InitGas)
		}
	}
}

func BenchmarkCheck(b *testing.B) {
	wasm := guest(b, "wasi")
	b.SetBytes(int64(len(wasm)))
	for b.Loop() {
		if _, err := Check(wasm, nil, nil); err != nil {
			b.Fatal(err)
		}
	}
}
