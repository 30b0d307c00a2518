package main_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/assaynet/assay/hostgpu/device"
	"github.com/assaynet/assay/modules/catalog"
	"github.com/assaynet/assay/modules/internal/guesttest"
	"github.com/assaynet/assay/runtime/abi"
	"github.com/assaynet/assay/runtime/sandbox"
	"github.com/assaynet/assay/verifier/commit"
)

func request(prompt string, n uint32, s commit.Sampling) commit.Request {
	return commit.Request{Seed: [32]byte{42}, Sampling: s, MaxTokens: n, Prompt: []byte(prompt)}
}

var warm = commit.Sampling{Temperature: commit.Q16 * 6 / 10, TopK: 40, TopP: commit.Q16 * 95 / 100, Penalty: commit.Q16}

func job(dev device.Device, model *sandbox.Model, q commit.Request) sandbox.Job {
	return sandbox.Job{Device: dev, TensorBytes: 16 << 20, Model: model, Seed: q.Seed, Request: q.Bytes(), Gas: guesttest.Gas}
}

func infer(t testing.TB, m *sandbox.Module, j sandbox.Job) sandbox.Outcome {
	t.Helper()
	out, err := guesttest.Start(t, m, j).Infer(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func check(t testing.TB, m *sandbox.Module, j sandbox.Job, known []uint32) sandbox.Outcome {
	t.Helper()
	j.Known = known
	out, err := guesttest.Start(t, m, j).Check(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func ok(t testing.TB, out sandbox.Outcome) sandbox.Outcome {
	t.Helper()
	if !out.Trap.OK() {
		t.Fatalf("%v, code %d, log %q", out.Trap, out.Code, out.Log)
	}
	return out
}

// words that the training text uses often, of four letters and more.
var words = strings.Fields(`light rays colours glass prism refraction reflexion water which that this from have
	those these bodies other through upon white blue yellow green violet paper distance rings with were made
	reflected refracted thickness experiment angle part parts same thin appear between third first second
	motion bigness window room image lines being more than some when same figure into their before very them`)

func TestSampleContainsWords(t *testing.T) {
	_, m := guesttest.Admit(t, catalog.Llama, false)
	dev := guesttest.CPU(t)
	model := guesttest.Model(t, dev)
	var streamed []byte
	j := job(dev, model, request("The Rays of Light", 200, warm))
	j.Emit = func(token uint32, text []byte) bool {
		if len(text) != 1 || uint32(text[0]) != token {
			t.Errorf("token %d has text %q", token, text)
		}
		streamed = append(streamed, text...)
		return false
	}
	start := time.Now()
	out := ok(t, infer(t, m, j))
	took := time.Since(start)
	if string(out.Text) != string(streamed) || len(out.Tokens) != 200 {
		t.Fatalf("%d tokens, text %q, streamed %q", len(out.Tokens), out.Text, streamed)
	}
	found := map[string]bool{}
	all := strings.FieldsFunc(strings.ToLower(string(out.Text)), func(r rune) bool { return r < 'a' || r > 'z' })
	known := 0
	for _, w := range all {
		if slices.Contains(words, w) {
			known++
			found[w] = true
		}
	}
	t.Logf("%d tokens in %v with setup (%.0f a second), %d gas: %q", len(out.Tokens), took, float64(len(out.Tokens))/took.Seconds(), out.GasUsed, out.Text)
	if known < 5 || len(found) < 4 {
		t.Errorf("%d of %d words are common ones, %d different", known, len(all), len(found))
	}
}

// Prompts that end inside, at and beyond one prefill pass.
var prompts = []string{"", "A", "The Rays of Light", strings.Repeat("In the third Experiment ", 6)[:128], strings.Repeat("Of the Colours made by Light ", 10)}

func TestCheckAcceptsHonestAnswers(t *testing.T) {
	rt, m := guesttest.Admit(t, catalog.Llama, false)
	_, slow := guesttest.Admit(t, catalog.Llama, true)
	cpu, ref := guesttest.CPU(t), guesttest.Reference(t, rt)
	onCPU, onRef := guesttest.Model(t, cpu), guesttest.Model(t, ref)
	penalized := warm
	penalized.Penalty = commit.Q16 * 13 / 10
	for i, prompt := range prompts {
		for _, s := range []commit.Sampling{commit.Greedy(), warm, penalized} {
			q := request(prompt, 40, s)
			out := ok(t, infer(t, m, job(cpu, onCPU, q)))
			if other := ok(t, infer(t, m, job(ref, onRef, q))); !slices.Equal(other.Tokens, out.Tokens) || other.GasUsed != out.GasUsed {
				t.Fatalf("prompt %d: devices differ: %v %v", i, out.Tokens, other.Tokens)
			}
			verified := ok(t, check(t, m, job(ref, onRef, q), out.Tokens))
			if !slices.Equal(verified.Tokens, out.Tokens) || string(verified.Text) != string(out.Text) {
				t.Errorf("prompt %d: check emits %v, infer %v", i, verified.Tokens, out.Tokens)
			}
			// An answer cut short by the client is checked as far as it goes.
			ok(t, check(t, m, job(cpu, onCPU, q), out.Tokens[:7]))
			if i == 2 {
				again := ok(t, infer(t, slow, job(cpu, onCPU, q)))
				if !slices.Equal(again.Tokens, out.Tokens) || again.GasUsed != out.GasUsed {
					t.Errorf("the interpreter gives other tokens or gas")
				}
			}
		}
	}
}

func TestCheckRefusesAlteredAnswers(t *testing.T) {
	_, m := guesttest.Admit(t, catalog.Llama, false)
	dev := guesttest.CPU(t)
	model := guesttest.Model(t, dev)
	q := request("The Rays of Light", 150, warm) // more than one pass of answer
	honest := ok(t, infer(t, m, job(dev, model, q))).Tokens
	for _, at := range []int{0, 1, 127, 128, 149} {
		known := slices.Clone(honest)
		known[at] ^= 1
		if out := check(t, m, job(dev, model, q), known); out.Trap != abi.TrapAbort || out.Code != 4 || len(out.Tokens) != 0 {
			t.Errorf("token %d altered: %v, code %d, %d tokens emitted", at, out.Trap, out.Code, len(out.Tokens))
		}
	}
	other := q
	other.Seed[0] ^= 1
	if out := check(t, m, job(dev, model, other), honest); out.Code != 4 {
		t.Errorf("another seed: %v, code %d", out.Trap, out.Code)
	}
	for name, known := range map[string][]uint32{"none": nil, "too many": append(slices.Clone(honest), 1)} {
		if out := check(t, m, job(dev, model, q), known); out.Trap != abi.TrapAbort || out.Code != 5 {
			t.Errorf("%s: %v, code %d", name, out.Trap, out.Code)
		}
	}
}

func TestStopsWhenAskedAndAtTheContext(t *testing.T) {
	_, m := guesttest.Admit(t, catalog.Llama, false)
	dev := guesttest.CPU(t)
	model := guesttest.Model(t, dev)
	j := job(dev, model, request("Light", 100, warm))
	n := 0
	j.Emit = func(uint32, []byte) bool { n++; return n == 5 }
	if out := ok(t, infer(t, m, j)); len(out.Tokens) != 5 {
		t.Errorf("%d tokens after the host stopped at 5", len(out.Tokens))
	}
	// The model's context is 512, one of them the start marker.
	out := ok(t, infer(t, m, job(dev, model, request(strings.Repeat("x", 500), 100, warm))))
	if len(out.Tokens) != 11 {
		t.Errorf("%d tokens, the context has room for 11", len(out.Tokens))
	}
}

func TestRefusesBadRequests(t *testing.T) {
	_, m := guesttest.Admit(t, catalog.Llama, false)
	dev := guesttest.CPU(t)
	model := guesttest.Model(t, dev)
	good := request("Light", 10, warm).Bytes()
	edit := func(f func(p []byte) []byte) []byte { return f(slices.Clone(good)) }
	for _, c := range []struct {
		name string
		req  []byte
		trap abi.Trap
		code int32
	}{
		{"empty", nil, abi.TrapAbort, 1},
		{"cut", good[:len(good)-1], abi.TrapAbort, 1},
		{"longer", edit(func(p []byte) []byte { return append(p, 0) }), abi.TrapAbort, 1},
		{"tag", edit(func(p []byte) []byte { p[3] ^= 1; return p }), abi.TrapAbort, 1},
		{"no tokens", request("Light", 0, warm).Bytes(), abi.TrapAbort, 1},
		{"many tokens", request("Light", 1<<15+1, warm).Bytes(), abi.TrapAbort, 1},
		{"huge", request(strings.Repeat("x", 1<<16+1), 1, warm).Bytes(), abi.TrapAbort, 1},
		{"over-long prompt", request(strings.Repeat("x", 511), 1, warm).Bytes(), abi.TrapAbort, 3},
		{"temperature", request("Light", 10, commit.Sampling{Temperature: 17 * commit.Q16, TopP: 1, Penalty: commit.Q16}).Bytes(), abi.TrapTensorShape, 0},
	} {
		j := job(dev, model, commit.Request{})
		j.Request = c.req
		out := infer(t, m, j)
		if out.Trap != c.trap || out.Code != c.code || len(out.Tokens) != 0 {
			t.Errorf("%s: %v, code %d, log %q", c.name, out.Trap, out.Code, out.Log)
		}
	}
}

// Gas of an answer stays within what the manifest declares.
func TestGasAndMemoryOfAnAnswer(t *testing.T) {
	e, err := catalog.Get(catalog.Llama)
	if err != nil {
		t.Fatal(err)
	}
	_, m := guesttest.Admit(t, catalog.Llama, false)
	dev := guesttest.CPU(t)
	model := guesttest.Model(t, dev)
	gas := func(prompt string, n uint32) int64 {
		j := job(dev, model, request(prompt, n, warm))
		j.TensorBytes = e.Manifest.TensorBytes
		return ok(t, infer(t, m, j)).GasUsed
	}
	one, last := gas("a", 1), gas("a", 510)
	full := gas(strings.Repeat("The Sun ", 63), 7)
	t.Logf("gas: one token %d, 510 tokens %d (%d each), prompt of 504 and 7 tokens %d", one, last, (last-one)/509, full)
	if one > e.Manifest.GasSetup || (last-one)/509 > e.Manifest.GasUnit {
		t.Errorf("declared: %d and %d a token", e.Manifest.GasSetup, e.Manifest.GasUnit)
	}
	if full > e.Manifest.GasSetup+511*e.Manifest.GasUnit {
		t.Errorf("a full prompt costs %d", full)
	}
}

func BenchmarkTokens(b *testing.B) {
	rt, m := guesttest.Admit(b, catalog.Llama, false)
	for _, dev := range []device.Device{guesttest.CPU(b), guesttest.Reference(b, rt)} {
		model := guesttest.Model(b, dev)
		j := job(dev, model, request("The Rays of Light", 200, warm))
		known := ok(b, infer(b, m, j)).Tokens
		rate := func(b *testing.B, f func()) {
			start := time.Now()
			n := 0
			for b.Loop() {
				f()
				n += len(known)
			}
			b.ReportMetric(float64(n)/time.Since(start).Seconds(), "tokens/s")
		}
		b.Run(dev.Name()+"/infer", func(b *testing.B) { rate(b, func() { infer(b, m, j) }) })
		b.Run(dev.Name()+"/check", func(b *testing.B) { rate(b, func() { check(b, m, j, known) }) })
	}
}
