package devices

import (
	"bytes"
	"context"
	"encoding/json"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/assaynet/assay/hostgpu/cpudev"
	"github.com/assaynet/assay/hostgpu/device"
	"github.com/assaynet/assay/hostgpu/failover"
	"github.com/assaynet/assay/hostgpu/plugin"
	"github.com/assaynet/assay/hostgpu/telemetry"
	"github.com/assaynet/assay/runtime/sandbox"
)

// timedEnv makes the device process of this binary serve a timed device.
const timedEnv = "ASSAY_DEVICES_TEST_TIMED"

// timed adds up how long a device works on ops.
type timed struct {
	device.Backend
	busy *atomic.Int64 // nanoseconds
}

type timedQueue struct {
	device.TransientQueue
	busy *atomic.Int64
}

func newTimed() (timed, error) {
	b, err := cpudev.NewBackend(cpudev.Config{Threads: 1})
	return timed{b, &atomic.Int64{}}, err
}

func (b timed) Open() (device.Queue, error) {
	q, err := b.Backend.Open()
	if err != nil {
		return nil, err
	}
	return timedQueue{q.(device.TransientQueue), b.busy}, nil
}

func (q timedQueue) Run(t *device.Task) error {
	begin := time.Now()
	err := q.TransientQueue.Run(t)
	q.busy.Add(int64(time.Since(begin)))
	return err
}

// serveTimed serves a timed device, which says in its telemetry how long it
// has worked.
func serveTimed() error {
	b, err := newTimed()
	if err != nil {
		return err
	}
	plugin.Serve(plugin.ServeConfig{Backend: b, Telemetry: func(context.Context) ([]byte, error) {
		return json.Marshal(telemetry.Report{Note: strconv.FormatInt(b.busy.Load(), 10)})
	}})
	return nil
}

// BenchmarkKill is how long after a kill -9 in the middle of a batch of the
// production shape the device serves again, with its weights restored, and how
// much later the batch is done than without. Twenty kills.
func BenchmarkKill(b *testing.B) {
	rt, err := sandbox.New(sandbox.Config{})
	if err != nil {
		b.Fatal(err)
	}
	defer rt.Close()
	restored := make(chan time.Time, 1)
	cfg := inProcess(func(e failover.Event) {
		if e.Kind == failover.Restarted {
			restored <- time.Now()
		}
	})
	d, err := Open("cpudev", cfg)
	if err != nil {
		b.Fatal(err)
	}
	defer d.Close()
	in := begin(b, rt, d, u32s(2, 2048, 16, 16, 5504, 16))
	defer in.Close()
	const kills, batch = 20, 8
	want := units(b, in, 0, batch)
	r := rand.New(rand.NewPCG(1, 2))
	var serves, late []float64
	for b.Loop() {
		start := time.Now()
		units(b, in, 0, batch)
		usual := time.Since(start)
		for range kills {
			killed := make(chan time.Time, 1)
			begin := time.Now()
			time.AfterFunc(time.Duration(r.Int64N(int64(usual*3/4))), func() {
				killed <- time.Now()
				kill(b, d)
			})
			got := units(b, in, 0, batch)
			took := time.Since(begin)
			at := <-killed
			if len(restored) == 0 { // it came after the batch
				units(b, in, 0, 1)
			}
			if !bytes.Equal(got, want) {
				b.Fatal("digests differ")
			}
			serves = append(serves, (<-restored).Sub(at).Seconds())
			late = append(late, (took - usual).Seconds())
		}
	}
	for unit, x := range map[string][]float64{"serves-ms": serves, "late-ms": late} {
		slices.Sort(x)
		b.ReportMetric(1000*x[len(x)/2], unit+"-p50")
		b.ReportMetric(1000*x[len(x)*99/100], unit+"-p99")
	}
}

// side is a device in this process or in another, with an instance on it.
type side struct {
	in   *sandbox.Instance
	busy func() int64
	done []func() error

	waits, took []float64 // seconds of each batch: all but the device's work, all
}

// BenchmarkProcess compares a batch of the production shape of transformerpow
// in this process with one on the same device in a process of its own, journal
// and all. What the process costs is the time of a batch in which the device
// does not work: waiting, waking, encoding and what of the guest is not hidden
// behind the device's work. How long that work takes depends more on where the
// weights come to lie in memory than on the process, so each round opens both
// anew, in turn first, and takes the medians of batches that alternate.
// ±95% is half a confidence interval, over rounds.
func BenchmarkProcess(b *testing.B) {
	b.Setenv(timedEnv, "1")
	rt, err := sandbox.New(sandbox.Config{})
	if err != nil {
		b.Fatal(err)
	}
	defer rt.Close()
	var waits [2][]float64
	var path, whole []float64
	for b.Loop() {
		s := processRound(b, rt, len(path)%2)
		in, out := s[0], s[1]
		for i := range s {
			waits[i] = append(waits[i], median(s[i].waits))
		}
		path = append(path, (median(out.waits)-median(in.waits))/median(in.took))
		whole = append(whole, median(out.took)/median(in.took)-1)
	}
	report := func(unit string, scale float64, x []float64) {
		mean, half := interval(x)
		b.ReportMetric(scale*mean, unit)
		b.ReportMetric(scale*half, unit+"±95%")
	}
	report("idle-ms-in-process", 1000, waits[0])
	report("idle-ms-own-process", 1000, waits[1])
	report("process-%", 100, path)
	report("batch-%", 100, whole)
}

func processRound(b *testing.B, rt *sandbox.Runtime, first int) (sides [2]*side) {
	const batch, batches = 8, 5
	for k := range sides {
		i := (k + first) % 2
		sides[i] = openSide(b, rt, i == 1)
		units(b, sides[i].in, 0, batch)
	}
	for n := range batches {
		for k := range sides {
			s := sides[(k+n+first)%2]
			before, start := s.busy(), time.Now()
			units(b, s.in, n*batch, batch)
			took := time.Since(start)
			s.took = append(s.took, took.Seconds())
			s.waits = append(s.waits, (took - time.Duration(s.busy()-before)).Seconds())
		}
	}
	for _, s := range sides {
		for _, f := range slices.Backward(s.done) {
			if err := f(); err != nil {
				b.Fatal(err)
			}
		}
	}
	return sides
}

func openSide(b *testing.B, rt *sandbox.Runtime, process bool) *side {
	s := &side{}
	var d device.Device
	if process {
		own, err := Open("cpudev", inProcess(nil))
		if err != nil {
			b.Fatal(err)
		}
		d, s.busy = own, func() int64 {
			r, err := own.Telemetry(b.Context())
			if err != nil {
				b.Fatal(err)
			}
			n, err := strconv.ParseInt(r.Note, 10, 64)
			if err != nil {
				b.Fatal(err)
			}
			return n
		}
	} else {
		t, err := newTimed()
		if err != nil {
			b.Fatal(err)
		}
		d, s.busy = device.New(t), t.busy.Load
	}
	s.in = begin(b, rt, d, u32s(2, 2048, 16, 16, 5504, 16))
	s.done = []func() error{d.Close, s.in.Close}
	return s
}

func median(x []float64) float64 {
	s := slices.Sorted(slices.Values(x))
	return s[len(s)/2]
}

// interval is the mean and half the width of its 95 % confidence interval,
// infinite for less than two values.
func interval(x []float64) (mean, half float64) {
	for _, v := range x {
		mean += v / float64(len(x))
	}
	if len(x) < 2 {
		return mean, math.Inf(1)
	}
	var sum float64
	for _, v := range x {
		sum += (v - mean) * (v - mean)
	}
	n := float64(len(x))
	// Student's t: this is within 3 % of it from n = 4 on.
	t := 1.96 * (1 + 1.2/(n-1) + 1.8/(n-1)/(n-1))
	return mean, t * math.Sqrt(sum/(n-1)/n)
}
