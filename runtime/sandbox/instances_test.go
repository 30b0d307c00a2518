package sandbox

import (
	"context"
	"os"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
	"time"
)

// cGuest is testdata/guests/c, whose build.sh makes it.
func cGuest(t testing.TB) []byte {
	t.Helper()
	b, err := os.ReadFile("testdata/guests/c/guest.wasm")
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// BenchmarkStart prints the median time of starting an instance, and of all of
// its life with one request, for a guest in C and one in stock Go, from a
// snapshot; and of a start without one.
func BenchmarkStart(b *testing.B) {
	rt := cachedEngines(b)[0].rt
	for _, g := range []struct {
		name string
		wasm []byte
	}{{"c", cGuest(b)}, {"go", guest(b, "wasi")}} {
		m := admit(b, rt, g.wasm)
		job := Job{Gas: MaxGas, Request: []byte("env")}
		if _, err := m.Start(context.Background(), job); err != nil { // leaves the snapshot
			b.Fatal(err)
		}
		life := func(b *testing.B) (start, whole time.Duration) {
			begin := time.Now()
			in, err := m.Start(context.Background(), job)
			start = time.Since(begin)
			if err != nil {
				b.Fatal(err)
			}
			if out, err := in.Infer(context.Background()); err != nil || !out.Trap.OK() {
				b.Fatal(out, err)
			}
			in.Close()
			return start, time.Since(begin)
		}
		for _, fresh := range []bool{false, true} {
			name := g.name
			if fresh {
				name += "-without-snapshot"
			}
			b.Run(name, func(b *testing.B) {
				var starts, wholes []time.Duration
				for b.Loop() {
					if fresh {
						kept := m.snap.Swap(nil)
						start, whole := life(b)
						m.snap.Store(kept)
						starts, wholes = append(starts, start), append(wholes, whole)
						continue
					}
					start, whole := life(b)
					starts, wholes = append(starts, start), append(wholes, whole)
				}
				slices.Sort(starts)
				slices.Sort(wholes)
				b.ReportMetric(float64(starts[len(starts)/2])/1000, "µs-start-median")
				b.ReportMetric(float64(starts[len(starts)*99/100])/1000, "µs-start-p99")
				b.ReportMetric(float64(wholes[len(wholes)/2])/1000, "µs-life-median")
			})
		}
	}
}

// TestCGuest: the guest in C answers alike on both engines, from a snapshot too.
func TestCGuest(t *testing.T) {
	var first Outcome
	for i, e := range engines(t) {
		m := admit(t, e.rt, cGuest(t))
		for j := range 2 {
			in, err := m.Start(context.Background(), Job{Gas: testGas, Request: []byte("a request of some bytes")})
			if err != nil {
				t.Fatal(err)
			}
			out, err := in.Infer(context.Background())
			if err != nil || !out.Trap.OK() || string(out.Text) != "a request of som" {
				t.Fatalf("%+v %v", out, err)
			}
			in.Close()
			if i+j == 0 {
				first = out
			} else if out.GasUsed != first.GasUsed || !slices.Equal(out.Tokens, first.Tokens) {
				t.Fatalf("%+v and %+v", out, first)
			}
		}
	}
}

// TestTenThousandStarts: the process does not grow from the 1,000th start of a
// stock-Go guest to the 11,000th.
func TestTenThousandStarts(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	m := admit(t, cachedEngines(t)[0].rt, guest(t, "wasi"))
	start := func(n int) {
		for range n {
			in, err := m.Start(context.Background(), Job{Gas: testGas})
			if err != nil {
				t.Fatal(err)
			}
			in.Close()
		}
		debug.FreeOSMemory()
	}
	start(1000)
	before, files, maps := resident(t), openFiles(t), mappings(t)
	start(10_000)
	after := resident(t)
	t.Logf("resident: %d bytes, then %d", before, after)
	if after > before+before/4+(8<<20) {
		t.Errorf("the process grew from %d to %d bytes", before, after)
	}
	if n := openFiles(t); n > files+5 {
		t.Errorf("%d open files, were %d", n, files)
	}
	if n := mappings(t); n > maps+100 {
		t.Errorf("%d mappings, were %d", n, maps)
	}
}

func openFiles(t testing.TB) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skip("needs /proc")
	}
	return len(entries)
}

func mappings(t testing.TB) int {
	t.Helper()
	b, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		t.Skip("needs /proc")
	}
	return strings.Count(string(b), "\n")
}
