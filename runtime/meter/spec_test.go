package meter_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"github.com/assaynet/assay/runtime/abi"
	"github.com/assaynet/assay/runtime/meter"
	"github.com/assaynet/assay/runtime/wasmbin"
)

// The Core 2.0 specification tests, as wazero ships them: every module that
// the profile admits must pass them after rewriting, with NaNs canonical.

type specCommand struct {
	Type       string
	Line       int
	Name       string
	Filename   string
	As         string
	ModuleType string `json:"module_type"`
	Text       string
	Action     specAction
	Expected   []specValue
}

type specAction struct {
	Type, Field, Module string
	Args                []specValue
}

type specValue struct {
	Type     string
	LaneType string `json:"lane_type"`
	Value    json.RawMessage
}

// bits returns the value as wazero passes it, and whether it is comparable.
func (v specValue) bits(t *testing.T) (words []uint64, comparable bool) {
	t.Helper()
	if v.Type == "v128" {
		var lanes []string
		if err := json.Unmarshal(v.Value, &lanes); err != nil {
			t.Fatal(err)
		}
		words = make([]uint64, 2)
		width := 128 / len(lanes)
		for i, s := range lanes {
			at := i * width
			words[at/64] |= number(t, s, width) << (at % 64)
		}
		return words, true
	}
	var s string
	if v.Value == nil || string(v.Value) == "null" || json.Unmarshal(v.Value, &s) != nil {
		return []uint64{0}, false
	}
	switch {
	case s == "null":
		return []uint64{0}, true
	case v.Type == "externref":
		n, err := strconv.ParseUint(s, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		return []uint64{n + 1}, true // wazero reads 0 as null
	case strings.HasSuffix(v.Type, "32"):
		return []uint64{number(t, s, 32)}, true
	}
	return []uint64{number(t, s, 64)}, true
}

func number(t *testing.T, s string, width int) uint64 {
	t.Helper()
	if strings.HasPrefix(s, "nan:") { // canonical or arithmetic: ours is always canonical
		if width == 32 {
			return 0x7FC00000
		}
		return 0x7FF8 << 48
	}
	if n, err := strconv.ParseInt(s, 10, 64); err == nil {
		return uint64(n) & (math.MaxUint64 >> (64 - width))
	}
	n, err := strconv.ParseUint(s, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func admitAll(module, name string, t wasmbin.FuncType) error { return nil }

// specRun is the state of one script.
type specRun struct {
	t       *testing.T
	dir     string
	rt      wazero.Runtime
	cur     api.Module // nil: the module was not admitted
	named   map[string]api.Module
	all     []api.Module
	refused map[string]int
	returns int

	registered map[string]api.Module // by the name others import it under
}

func (s *specRun) file(name string) []byte {
	b, err := os.ReadFile(filepath.Join(s.dir, name))
	if err != nil {
		s.t.Fatal(err)
	}
	return b
}

// fuel gives every module plenty of gas and stack.
func (s *specRun) fuel() {
	for _, m := range s.all {
		m.ExportedGlobal(abi.GlobalGas).(api.MutableGlobal).Set(1 << 40)
		m.ExportedGlobal(abi.GlobalStack).(api.MutableGlobal).Set(uint64(meter.DefaultStack))
		m.ExportedGlobal(abi.GlobalTrap).(api.MutableGlobal).Set(0)
	}
}

func (s *specRun) status() abi.Trap {
	for _, m := range s.all {
		if v := m.ExportedGlobal(abi.GlobalTrap).Get(); v != 0 {
			return abi.Trap(v)
		}
	}
	return 0
}

func (s *specRun) module(c *specCommand, as string) {
	ctx := context.Background()
	s.cur = nil
	if c.Name != "" {
		delete(s.named, c.Name)
	}
	b := s.file(c.Filename)
	m, err := wasmbin.Decode(b, wide)
	if err == nil {
		err = m.Check(1 << 20)
	}
	if err != nil {
		s.t.Fatalf("line %d: valid module refused: %v", c.Line, err)
	}
	if string(m.Encode()) != string(b) {
		s.t.Fatalf("line %d: encoding lost something", c.Line)
	}
	res, err := meter.Rewrite(b, meter.Config{Limits: meter.DefaultLimits(), Import: admitAll})
	if err != nil {
		s.refused[reason(err)]++
		s.taint(m)
		return
	}
	out, err := wasmbin.Decode(res.Wasm, wide)
	if err == nil {
		err = out.Check(1 << 20)
	}
	if err != nil {
		s.t.Fatalf("line %d: rewritten module is invalid: %v", c.Line, err)
	}
	mod, err := s.rt.InstantiateWithConfig(ctx, res.Wasm, wazero.NewModuleConfig().WithName(as).WithStartFunctions())
	if err != nil {
		if strings.Contains(err.Error(), "not instantiated") || strings.Contains(err.Error(), "not exported") {
			s.refused["imports a module that was refused"]++
			return
		}
		s.t.Fatalf("line %d: %v", c.Line, err)
	}
	s.all = append(s.all, mod)
	if res.HasStart {
		s.fuel()
		if _, err := mod.ExportedFunction(abi.ExportStart).Call(ctx); err != nil {
			s.t.Fatalf("line %d: start: %v", c.Line, err)
		}
	}
	s.cur = mod
	if as != "" {
		s.registered[as] = mod
	}
	if c.Name != "" {
		s.named[c.Name] = mod
	}
}

// taint forgets the modules that m imports from: m would have changed their
// state, so what the script says about them no longer holds.
func (s *specRun) taint(m *wasmbin.Module) {
	for _, im := range m.Imports {
		for name, mod := range s.named {
			if mod == s.registered[im.Module] {
				delete(s.named, name)
			}
		}
	}
}

// reason names why a module was refused, without numbers.
func reason(err error) string {
	var inv *meter.InvalidModuleError
	var lim *meter.LimitError
	switch {
	case errors.As(err, &inv):
		return inv.Rule
	case errors.As(err, &lim):
		return lim.Limit
	}
	return err.Error()
}

func (s *specRun) call(c *specCommand) ([]uint64, error, bool) {
	m := s.cur
	if c.Action.Module != "" {
		m = s.named[c.Action.Module]
	}
	if m == nil || c.Action.Type != "invoke" {
		return nil, nil, false
	}
	fn := m.ExportedFunction(c.Action.Field)
	if fn == nil {
		s.t.Fatalf("line %d: no function %q", c.Line, c.Action.Field)
	}
	var args []uint64
	for _, v := range c.Action.Args {
		words, _ := v.bits(s.t)
		args = append(args, words...)
	}
	s.fuel()
	res, err := fn.Call(context.Background(), args...)
	return res, err, true
}

// traps maps the script's texts to parts of wazero's.
var traps = map[string]string{
	"out of bounds memory access":   "out of bounds memory access",
	"indirect call type mismatch":   "indirect call type mismatch",
	"indirect call":                 "indirect call type mismatch",
	"undefined element":             "invalid table access",
	"undefined":                     "invalid table access",
	"out of bounds table access":    "invalid table access",
	"integer overflow":              "integer overflow",
	"invalid conversion to integer": "invalid conversion to integer",
	"integer divide by zero":        "integer divide by zero",
	"unreachable":                   "unreachable",
}

func (s *specRun) command(c *specCommand) {
	t := s.t
	switch c.Type {
	case "assert_return", "action":
		got, err, ran := s.call(c)
		if !ran {
			return
		}
		if err != nil {
			t.Errorf("line %d: %v (status %v)", c.Line, err, s.status())
			return
		}
		s.returns++
		at := 0
		for i, v := range c.Expected {
			want, comparable := v.bits(t)
			if strings.HasSuffix(v.Type, "32") {
				got[at] &= math.MaxUint32 // wazero leaves the upper half undefined
			}
			for j := range want {
				if c.Action.Field == "f64x2_neg_canon" && j == 0 {
					got[at] &^= 1 << 63 // neg flips the sign of a NaN, the script allows both
				}
				if comparable && got[at+j] != want[j] {
					t.Errorf("line %d: result %d: got %#x, want %#x", c.Line, i, got[at+j], want[j])
				}
			}
			at += len(want)
		}
	case "assert_trap":
		_, err, ran := s.call(c)
		if !ran {
			return
		}
		want := traps[c.Text]
		if strings.HasPrefix(c.Text, "uninitialized") {
			want = "invalid table access"
		}
		if want == "" {
			t.Fatalf("line %d: unknown trap %q", c.Line, c.Text)
		}
		if err == nil || !strings.Contains(err.Error(), want) || s.status() != 0 {
			t.Errorf("line %d: got %v (status %v), want %s", c.Line, err, s.status(), want)
		}
	case "assert_exhaustion":
		_, err, ran := s.call(c)
		if ran && (err == nil || s.status() != abi.TrapStackOverflow) {
			t.Errorf("line %d: got %v (status %v), want a stack overflow", c.Line, err, s.status())
		}
	case "assert_uninstantiable":
		if m, err := wasmbin.Decode(s.file(c.Filename), wide); err == nil {
			s.taint(m)
		}
	case "assert_invalid", "assert_malformed":
		if c.ModuleType != "binary" {
			return
		}
		m, err := wasmbin.Decode(s.file(c.Filename), wide)
		if err == nil {
			err = m.Check(1 << 20)
		}
		var format *wasmbin.FormatError
		var limit *wasmbin.LimitError // some scripts have more locals than any decoder takes
		if !errors.As(err, &format) && !errors.As(err, &limit) {
			t.Errorf("line %d: %s: got %v, want it refused: %s", c.Line, c.Filename, err, c.Text)
		}
	}
}

func TestSpec(t *testing.T) {
	dir := filepath.Join(wazeroDir(t), "internal/integration_test/spectest/v2/testdata")
	scripts, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil || len(scripts) < 100 {
		t.Fatalf("no scripts in %s: %v", dir, err)
	}
	refused, returns := map[string]int{}, 0
	for _, script := range scripts {
		t.Run(strings.TrimSuffix(filepath.Base(script), ".json"), func(t *testing.T) {
			b, err := os.ReadFile(script)
			if err != nil {
				t.Fatal(err)
			}
			var file struct{ Commands []specCommand }
			if err := json.Unmarshal(b, &file); err != nil {
				t.Fatal(err)
			}
			ctx := context.Background()
			rt := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfig().WithCoreFeatures(api.CoreFeaturesV2))
			defer rt.Close(ctx)
			s := &specRun{t: t, dir: dir, rt: rt, named: map[string]api.Module{}, registered: map[string]api.Module{}, refused: refused}
			spectestHost(t, rt)
			for i := range file.Commands {
				c := &file.Commands[i]
				if c.Type == "module" {
					as := ""
					if i+1 < len(file.Commands) && file.Commands[i+1].Type == "register" {
						as = file.Commands[i+1].As
					}
					s.module(c, as)
					continue
				}
				s.command(c)
			}
			returns += s.returns
		})
	}
	var lines []string
	for r, n := range refused {
		lines = append(lines, fmt.Sprintf("%5d %s", n, r))
	}
	sort.Strings(lines)
	t.Logf("%d assert_return passed; modules outside the profile:\n%s", returns, strings.Join(lines, "\n"))
	if returns < 40_000 {
		t.Errorf("only %d assert_return ran", returns)
	}
}

// spectestHost provides the functions of the scripts' host module.
func spectestHost(t *testing.T, rt wazero.Runtime) {
	b := rt.NewHostModuleBuilder("spectest")
	nop := api.GoFunc(func(context.Context, []uint64) {})
	for name, params := range map[string][]api.ValueType{
		"print":         nil,
		"print_i32":     {api.ValueTypeI32},
		"print_i64":     {api.ValueTypeI64},
		"print_f32":     {api.ValueTypeF32},
		"print_f64":     {api.ValueTypeF64},
		"print_i32_f32": {api.ValueTypeI32, api.ValueTypeF32},
		"print_f64_f64": {api.ValueTypeF64, api.ValueTypeF64},
	} {
		b.NewFunctionBuilder().WithGoFunction(nop, params, nil).Export(name)
	}
	if _, err := b.Instantiate(context.Background()); err != nil {
		t.Fatal(err)
	}
}
