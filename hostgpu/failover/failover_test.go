package failover

import (
	"bytes"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/assaynet/assay/hostgpu/cpudev"
	"github.com/assaynet/assay/hostgpu/device"
	"github.com/assaynet/assay/hostgpu/devicetest"
	"github.com/assaynet/assay/hostgpu/wasmdev"
)

// events collects what a Backend tells.
type events struct {
	mu  sync.Mutex
	all []Event
}

func (e *events) add(ev Event) {
	e.mu.Lock()
	e.all = append(e.all, ev)
	e.mu.Unlock()
}

func (e *events) count(k EventKind) int {
	e.mu.Lock()
	defer e.mu.Unlock()
	n := 0
	for _, ev := range e.all {
		if ev.Kind == k {
			n++
		}
	}
	return n
}

func candidate(name string, b device.Backend, err error) Candidate {
	return Candidate{name, func() (device.Backend, error) { return b, err }}
}

func wasm(t testing.TB) Candidate {
	return Candidate{"wasmdev", func() (device.Backend, error) { return wasmdev.NewBackend(wasmdev.Config{}) }}
}

func open(t testing.TB, cfg Config) (device.Device, *events) {
	t.Helper()
	ev := &events{}
	cfg.Notify = ev.add
	b, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	d := device.New(b)
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return d, ev
}

// TestConformance: a device that keeps dying under the list is as good as one
// that does not.
func TestConformance(t *testing.T) {
	m, err := newMortal(7, 10000, 1<<30)
	d, ev := open(t, Config{Candidates: []Candidate{candidate("mortal", m, err)}})
	devicetest.Run(t, d)
	if n := ev.count(Restarted); n < 3 {
		t.Errorf("restarted %d times: that tests nothing", n)
	} else {
		t.Logf("restarted %d times", n)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed != m.opened {
		t.Errorf("%d of %d queues closed", m.closed, m.opened)
	}
}

// program is a job that uses everything a journal must get right: uploads in
// parts, ops in place, partial writes, freed intermediates, shared weights.
type program struct {
	sp    device.Space
	x     device.Handle
	w     device.Handle
	cache device.Handle
	log   device.Handle
	width int
}

const programRows = 16

func (p *program) must(err error) {
	if err != nil {
		panic(err)
	}
}

func (p *program) alloc(dt device.DType, rows, cols int) device.Handle {
	h, err := p.sp.Alloc(dt, device.Shape{Rows: rows, Cols: cols})
	p.must(err)
	return h
}

func (p *program) run(op device.Op, tensors []device.Handle, imms ...int64) {
	p.must(p.sp.Run(device.Call{Op: op, Tensors: tensors, Imms: imms}))
}

// model uploads a seed and expands weights from it.
func model(sp device.Space, width int) (w device.Handle, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = r.(error)
		}
	}()
	p := &program{sp: sp}
	seed := p.alloc(device.U8, 1, 32)
	p.must(sp.Write(seed, 0, bytes.Repeat([]byte{3}, 16)))
	p.must(sp.Write(seed, 16, bytes.Repeat([]byte{4}, 16)))
	w = p.alloc(device.S8, width, width)
	p.run(device.OpExpand, []device.Handle{w, seed}, 5)
	p.must(sp.Free(seed))
	return w, sp.Sync()
}

// job runs steps and returns a digest of all it saw.
func job(dev device.Device, from device.Space, weights device.Handle, id, width, steps int) (out []byte, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = r.(error)
		}
	}()
	sp, err := dev.NewSpace(8 << 20)
	if err != nil {
		return nil, err
	}
	defer sp.Close()
	p := &program{sp: sp, width: width}
	p.w, err = sp.Share(from, weights)
	p.must(err)
	p.x = p.alloc(device.S32, 1, width)
	p.cache = p.alloc(device.S32, programRows, width)
	p.log = p.alloc(device.U8, programRows, 32)
	start := make([]byte, 4*width)
	for i := range start {
		start[i] = byte(i*7+id) & 0x3F
	}
	for i := 3; i < len(start); i += 4 {
		start[i] = 0
	}
	p.must(sp.Write(p.x, 0, start))
	for s := range steps {
		p.step(s)
		if s%5 == 4 {
			got := make([]byte, programRows*32)
			p.must(sp.Read(p.log, 0, got))
			out = append(out, got...)
		}
	}
	got := make([]byte, programRows*width*4)
	p.must(sp.Read(p.cache, 0, got))
	return append(out, got...), nil
}

// step makes the state depend on all of the cache, so that nothing of it may be
// forgotten.
func (p *program) step(s int) {
	q, scale, acc := p.alloc(device.S8, 1, p.width), p.alloc(device.ScaleT, 1, 1), p.alloc(device.S32, 1, p.width)
	row, err := p.sp.View(p.cache, s%programRows, device.Shape{Rows: 1, Cols: p.width})
	p.must(err)
	prev, err := p.sp.View(p.cache, (s+5)%programRows, device.Shape{Rows: 1, Cols: p.width})
	p.must(err)
	slot, err := p.sp.View(p.log, s%programRows, device.Shape{Rows: 1, Cols: 32})
	p.must(err)
	p.run(device.OpQuant, []device.Handle{q, scale, p.x}, 20)
	p.run(device.OpGemm, []device.Handle{acc, q, p.w})
	p.run(device.OpAdd, []device.Handle{p.x, p.x, acc})
	p.run(device.OpAdd, []device.Handle{p.x, p.x, prev})
	p.run(device.OpCopy, []device.Handle{row, p.x})
	p.run(device.OpDigest, []device.Handle{slot, p.x, 0})
	for _, h := range []device.Handle{q, scale, acc, row, prev, slot} {
		p.must(p.sp.Free(h))
	}
}

// play runs jobs beside each other on one model.
func play(dev device.Device, jobs, width, steps int) ([][]byte, error) {
	sp, err := dev.NewSpace(8 << 20)
	if err != nil {
		return nil, err
	}
	defer sp.Close()
	w, err := model(sp, width)
	if err != nil {
		return nil, err
	}
	out, errs := make([][]byte, jobs), make([]error, jobs)
	var wg sync.WaitGroup
	for i := range jobs {
		wg.Go(func() { out[i], errs[i] = job(dev, sp, w, i, width, steps) })
	}
	wg.Wait()
	return out, errors.Join(errs...)
}

// undisturbed is what play gives on a device that does not fail.
func undisturbed(t testing.TB, jobs, width, steps int) [][]byte {
	t.Helper()
	d, err := cpudev.New(cpudev.Config{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	want, err := play(d, jobs, width, steps)
	if err != nil {
		t.Fatal(err)
	}
	return want
}

func equal(a, b [][]byte) bool {
	for i := range a {
		if !bytes.Equal(a[i], b[i]) {
			return false
		}
	}
	return len(a) == len(b)
}

// TestJobs: several spaces that share weights live through ends at random
// calls, with and without checkpoints.
func TestJobs(t *testing.T) {
	const jobs, width, steps = 3, 48, 200
	want := undisturbed(t, jobs, width, steps)
	for _, gas := range []int64{0, 1} {
		for seed := range uint64(4) {
			t.Run(fmt.Sprintf("gas %d seed %d", gas, seed), func(t *testing.T) {
				m, err := newMortal(seed, 1500, 1<<30)
				d, ev := open(t, Config{Candidates: []Candidate{candidate("mortal", m, err)}, CheckpointGas: gas})
				got, err := play(d, jobs, width, steps)
				if err != nil {
					t.Fatal(err)
				}
				if !equal(got, want) {
					t.Error("results differ from those of a device that never failed")
				}
				if ev.count(Restarted) == 0 {
					t.Error("never failed")
				}
			})
		}
	}
}

// TestFallback: a device that is given up hands everything to the next of the
// list, in the middle of the jobs.
func TestFallback(t *testing.T) {
	const jobs, width, steps = 3, 48, 60
	want := undisturbed(t, jobs, width, steps)
	m, err := newMortal(1, 400, 2)
	d, ev := open(t, Config{Candidates: []Candidate{
		candidate("absent", nil, errors.New("no such device")), candidate("mortal", m, err), wasm(t)}})
	if d.Name() != "mortal" {
		t.Errorf("starts on %s", d.Name())
	}
	got, err := play(d, jobs, width, steps)
	if err != nil {
		t.Fatal(err)
	}
	if !equal(got, want) {
		t.Error("results differ")
	}
	if d.Name() != "wasmdev" || ev.count(Skipped) != 1 || ev.count(FellBack) != 1 {
		t.Errorf("on %s after %v", d.Name(), ev.all)
	}
}

// TestReturn: after a while work goes back to the better device, with all that
// open spaces hold; a device that does not start, or fails while it takes over,
// changes nothing.
func TestReturn(t *testing.T) {
	opens := 0
	better := Candidate{"better", func() (device.Backend, error) {
		switch opens++; opens {
		case 2:
			return nil, errors.New("not yet")
		case 3: // starts, and fails in the middle of taking over
			m, err := newMortal(1, 0, 0)
			m.dead = true
			return m, err
		}
		return newMortal(1, 0, 0)
	}}
	ev := &events{}
	b, err := New(Config{Candidates: []Candidate{better, wasm(t)}, ReturnAfter: 1, Notify: ev.add})
	if err != nil {
		t.Fatal(err)
	}
	d := device.New(b)
	defer d.Close()
	sp, err := d.NewSpace(1 << 20)
	if err != nil {
		t.Fatal(err)
	}
	w, err := model(sp, 48)
	if err != nil {
		t.Fatal(err)
	}
	want := make([]byte, 48*48)
	if err := sp.Read(w, 0, want); err != nil {
		t.Fatal(err)
	}
	m := b.inner.(*mortal)
	m.mu.Lock()
	m.dead = true
	m.mu.Unlock()
	got := make([]byte, len(want))
	for step, name := range []string{"wasmdev", "wasmdev", "wasmdev", "better"} {
		if step > 0 {
			other, err := d.NewSpace(1)
			if err != nil {
				t.Fatal(err)
			}
			defer other.Close()
		}
		if err := sp.Read(w, 0, got); err != nil || !bytes.Equal(got, want) {
			t.Fatalf("step %d: content changed: %v", step, err)
		}
		if d.Name() != name {
			t.Fatalf("step %d: on %s, want %s, after %v", step, d.Name(), name, ev.all)
		}
	}
	if opens != 4 || ev.count(Returned) != 1 || ev.count(FellBack) != 2 || ev.count(Skipped) != 1 {
		t.Errorf("%d starts, events %v", opens, ev.all)
	}
}

// TestReturnNever: a space that the journal does not hold is not given up for a
// better device.
func TestReturnNever(t *testing.T) {
	opens := 0
	better := Candidate{"better", func() (device.Backend, error) {
		if opens++; opens <= 2 {
			return nil, errors.New("not yet")
		}
		return newMortal(1, 0, 0)
	}}
	d, ev := open(t, Config{Candidates: []Candidate{better, wasm(t)}, ReturnAfter: 1, JournalBytes: 1 << 20})
	big, err := d.NewSpace(8 << 20)
	if err != nil {
		t.Fatal(err)
	}
	h, err := big.Alloc(device.U8, device.Shape{Rows: 1, Cols: 4 << 20})
	if err != nil {
		t.Fatal(err)
	}
	in := bytes.Repeat([]byte("assay!"), 4<<20/6)
	if err := big.Write(h, 0, in); err != nil {
		t.Fatal(err)
	}
	expect := func(name string, starts int) {
		t.Helper()
		sp, err := d.NewSpace(1)
		if err != nil {
			t.Fatal(err)
		}
		defer sp.Close()
		if d.Name() != name || opens != starts {
			t.Errorf("on %s after %d starts, want %s after %d; events %v", d.Name(), opens, name, starts, ev.all)
		}
	}
	expect("wasmdev", 2)
	got := make([]byte, len(in))
	if err := big.Read(h, 0, got); err != nil || !bytes.Equal(got, in) {
		t.Errorf("content changed: %v", err)
	}
	if err := big.Close(); err != nil {
		t.Fatal(err)
	}
	expect("better", 3)
}

// TestExhausted: with no device left, jobs and new spaces fail with typed errors.
func TestExhausted(t *testing.T) {
	m, err := newMortal(1, 300, 2)
	d, ev := open(t, Config{Candidates: []Candidate{candidate("mortal", m, err)}})
	_, err = play(d, 2, 48, 500)
	var internal *device.InternalError
	if !errors.Is(err, ErrExhausted) || !errors.As(err, &internal) {
		t.Fatalf("got %v", err)
	}
	if _, err := d.NewSpace(1); !errors.Is(err, ErrExhausted) {
		t.Errorf("new space: %v", err)
	}
	if ev.count(Exhausted) != 1 {
		t.Errorf("events %v", ev.all)
	}
	_, err = New(Config{Candidates: []Candidate{candidate("a", nil, errDied), candidate("b", nil, errDied)}})
	if !errors.Is(err, ErrExhausted) || !errors.Is(err, errDied) {
		t.Errorf("none starts: %v", err)
	}
}
