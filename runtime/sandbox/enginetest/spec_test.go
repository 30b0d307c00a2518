package enginetest_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/assaynet/assay/runtime/abi"
	"github.com/assaynet/assay/runtime/meter"
	"github.com/assaynet/assay/runtime/sandbox/enginetest"
	"github.com/assaynet/assay/runtime/wasmbin"
)

// The Core 2.0 specification tests that come with wazero's module, rewritten,
// with metering on, on every engine.

type specCommand struct {
	Type, Name, Filename, As, Text string
	Line                           int
	Action                         struct {
		Type, Field, Module string
		Args                []specValue
	}
	Expected []specValue
}

type specValue struct {
	Type  string
	Value json.RawMessage
}

// words are the raw bits; known is false where the script only names a type.
func (v specValue) words(t *testing.T) (words []uint64, known bool) {
	t.Helper()
	if v.Type == "v128" {
		var lanes []string
		if err := json.Unmarshal(v.Value, &lanes); err != nil {
			t.Fatal(err)
		}
		words = make([]uint64, 2)
		width := 128 / len(lanes)
		for i, s := range lanes {
			words[i*width/64] |= specNumber(t, s, width) << (i * width % 64)
		}
		return words, true
	}
	var s string
	if json.Unmarshal(v.Value, &s) != nil || s == "" {
		return []uint64{0}, false
	}
	switch {
	case s == "null":
		return []uint64{0}, true
	case v.Type == "externref":
		return []uint64{specNumber(t, s, 64) + 1}, true // 0 is null
	case strings.HasSuffix(v.Type, "32"):
		return []uint64{specNumber(t, s, 32)}, true
	}
	return []uint64{specNumber(t, s, 64)}, true
}

// specNumber reads a decimal number; either kind of NaN is the canonical one here.
func specNumber(t *testing.T, s string, width int) uint64 {
	t.Helper()
	if strings.HasPrefix(s, "nan:") {
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

// specRefused says why the profile takes no part in some of the scripts'
// modules, by the rule that refuses them, and how many there are.
var specRefused = map[string]struct {
	modules int
	why     string
}{
	"only functions may be imported":           {86, "a memory, table or global shared with another module would escape metering"},
	"an imported function may not be exported": {5, "a host call must have a guest frame below it"},
	"the start function may not be imported":   {1, "a host call must have a guest frame below it"},
	"links another module":                     {32, "guests import host calls only, never each other; TestSpec of runtime/meter runs these on wazero"},
	"br_table labels":                          {1, "a br_table of 16,150 labels is a compiler bomb"},
	"parameters":                               {1, "so are signatures of 100 parameters"},
	"name bytes":                               {1, "no host call has a name of 257 bytes"},
}

// What takes part: a script that is skipped must not go unnoticed.
const (
	specModules = 1472
	specCalls   = 46_133
)

// specModule is a module of a script with the commands about it.
type specModule struct {
	c        *enginetest.Case
	commands []*specCommand
}

type specScript struct {
	t        *testing.T
	dir      string
	modules  []*specModule
	cur      *specModule
	named    map[string]*specModule
	exported map[string]*specModule // by the name that others import it under
	refused  map[string]int
}

func (s *specScript) file(name string) []byte {
	b, err := os.ReadFile(filepath.Join(s.dir, name))
	if err != nil {
		s.t.Fatal(err)
	}
	return b
}

func specProfile() meter.Config {
	cfg := enginetest.Profile()
	cfg.MemoryPages = 0
	return cfg
}

// module begins a module; one that is refused takes those down whose state it
// would have changed.
func (s *specScript) module(c *specCommand) {
	s.cur = nil
	if c.Name != "" {
		delete(s.named, c.Name)
	}
	b := s.file(c.Filename)
	m, err := wasmbin.Decode(b, specLimits)
	if err != nil {
		s.t.Fatalf("line %d: %v", c.Line, err)
	}
	cas, err := enginetest.New(fmt.Sprintf("%s:%d", filepath.Base(s.dir), c.Line), b, specProfile())
	var invalid *meter.InvalidModuleError
	var limit *meter.LimitError
	switch {
	case errors.As(err, &invalid):
		s.refused[invalid.Rule]++
	case errors.As(err, &limit):
		s.refused[limit.Limit]++
	case err != nil:
		s.t.Fatalf("line %d: %v", c.Line, err)
	case slices.ContainsFunc(m.Imports, func(im wasmbin.Import) bool { return im.Module != "spectest" }):
		s.refused["links another module"]++
		err = errors.New("linked")
	}
	if err != nil {
		for _, im := range m.Imports {
			if gone := s.exported[im.Module]; gone != nil {
				maps.DeleteFunc(s.named, func(_ string, n *specModule) bool { return n == gone })
			}
		}
		return
	}
	s.cur = &specModule{c: cas}
	if m.HasStart {
		cas.Add(abi.ExportStart, 1<<40, meter.DefaultStack)
		s.cur.commands = append(s.cur.commands, &specCommand{Type: "assert_return", Line: c.Line})
	}
	cas.Sparse = true
	s.modules = append(s.modules, s.cur)
	if c.Name != "" {
		s.named[c.Name] = s.cur
	}
}

func (s *specScript) command(c *specCommand) {
	switch c.Type {
	case "module":
		s.module(c)
	case "register":
		m := s.cur
		if c.Name != "" {
			m = s.named[c.Name]
		}
		s.exported[c.As] = m
	case "assert_return", "action", "assert_trap", "assert_exhaustion":
		m := s.cur
		if c.Action.Module != "" {
			m = s.named[c.Action.Module]
		}
		if m == nil || c.Action.Type != "invoke" {
			return
		}
		var args []uint64
		for _, v := range c.Action.Args {
			w, _ := v.words(s.t)
			args = append(args, w...)
		}
		m.c.Add(c.Action.Field, 1<<40, meter.DefaultStack, args...)
		m.commands = append(m.commands, c)
	case "assert_uninstantiable":
		if m, err := wasmbin.Decode(s.file(c.Filename), specLimits); err == nil {
			for _, im := range m.Imports {
				if gone := s.exported[im.Module]; gone != nil {
					maps.DeleteFunc(s.named, func(_ string, n *specModule) bool { return n == gone })
				}
			}
		}
	}
}

var specTraps = map[string]abi.Trap{
	"out of bounds memory access": abi.TrapMemoryOutOfBounds, "indirect call type mismatch": abi.TrapIndirectCall,
	"indirect call": abi.TrapIndirectCall, "undefined element": abi.TrapTableOutOfBounds, "undefined": abi.TrapTableOutOfBounds,
	"out of bounds table access": abi.TrapTableOutOfBounds, "integer overflow": abi.TrapIntegerOverflow,
	"invalid conversion to integer": abi.TrapInvalidConversion, "integer divide by zero": abi.TrapDivideByZero,
	"unreachable": abi.TrapUnreachable, "call stack exhausted": abi.TrapStackOverflow,
}

// check holds an outcome to what the script wants.
func (c *specCommand) check(t *testing.T, types string, o enginetest.Outcome) {
	t.Helper()
	want := abi.TrapNone
	if c.Type == "assert_trap" || c.Type == "assert_exhaustion" {
		var ok bool
		if want, ok = specTraps[c.Text]; strings.HasPrefix(c.Text, "uninitialized") {
			want, ok = abi.TrapTableOutOfBounds, true
		}
		if !ok {
			t.Fatalf("line %d: unknown trap %q", c.Line, c.Text)
		}
	}
	if o.Trap != int(want) {
		t.Errorf("line %d: trap %d, want %v", c.Line, o.Trap, want)
	}
	if want != abi.TrapNone {
		return
	}
	for i, v := range c.Expected {
		words, known := v.words(t)
		if !known {
			continue
		}
		got, want := o.Results[32*i:32*i+32], enginetest.Encode(types[i:i+1], words)
		if c.Action.Field == "f64x2_neg_canon" { // neg flips the sign of a NaN; the script allows both
			got = got[:14] + "7" + got[15:]
		}
		if got != want {
			t.Errorf("line %d: result %d is %s, want %s", c.Line, i, got, want)
		}
	}
}

// specLimits take every module of the scripts.
var specLimits = func() wasmbin.Limits {
	l := meter.DefaultLimits().Limits
	l.MemoryPages, l.TableElements, l.Params, l.NameBytes = 65536, math.MaxUint32, 1000, 1000
	return l
}()

func specDir(t *testing.T) string {
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/tetratelabs/wazero").Output()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(strings.TrimSpace(string(out)), "internal/integration_test/spectest/v2/testdata")
}

func TestSpec(t *testing.T) {
	dir := specDir(t)
	scripts, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil || len(scripts) < 100 {
		t.Fatalf("%d scripts in %s: %v", len(scripts), dir, err)
	}
	set := engines(t, specProfile())
	refused, modules, calls := map[string]int{}, 0, 0
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
			s := &specScript{t: t, dir: dir, named: map[string]*specModule{}, exported: map[string]*specModule{}, refused: refused}
			for i := range file.Commands {
				s.command(&file.Commands[i])
			}
			for _, m := range s.modules {
				r, err := set.Run(m.c)
				if err != nil {
					t.Error(err)
					continue
				}
				modules++
				for i, c := range m.commands {
					calls++
					c.check(t, m.c.Exports[m.c.Calls[i].Export].Results, r.Outcomes[i])
				}
			}
		})
	}
	t.Logf("%d modules, %d calls on each of %d engines", modules, calls, len(set.Engines))
	for rule := range specRefused {
		refused[rule] += 0
	}
	for rule, n := range refused {
		if n != specRefused[rule].modules {
			t.Errorf("%d modules are refused by %q, not %d", n, rule, specRefused[rule].modules)
		}
	}
	if modules != specModules || calls != specCalls {
		t.Errorf("%d modules and %d calls took part, not %d and %d", modules, calls, specModules, specCalls)
	}
}
