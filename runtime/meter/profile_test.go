package meter_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/assaynet/assay/runtime/abi"
	"github.com/assaynet/assay/runtime/meter"
	"github.com/assaynet/assay/runtime/wasmbin"
)

// section encodes a section with n entries.
func section(id byte, n uint32, items ...byte) []byte {
	b := append(wasmbin.AppendU32(nil, n), items...)
	return append(wasmbin.AppendU32([]byte{id}, uint32(len(b))), b...)
}

func raw(sections ...[]byte) []byte {
	return append([]byte("\x00asm\x01\x00\x00\x00"), join(sections...)...)
}

func name(s string) []byte { return wasmbin.AppendName(nil, s) }

var (
	voidType = section(wasmbin.SecType, 1, 0x60, 0, 0)
	oneFunc  = section(wasmbin.SecFunction, 1, 0)
	oneBody  = section(wasmbin.SecCode, 1, 2, 0, 0x0B)
)

func imported(module, field string, kind ...byte) []byte {
	return section(wasmbin.SecImport, 1, join(name(module), name(field), kind)...)
}

func exported(field string, kind byte, index byte) []byte {
	return section(wasmbin.SecExport, 1, append(name(field), kind, index)...)
}

func TestProfile(t *testing.T) {
	errDenied := errors.New("denied")
	for _, c := range []struct {
		name string
		b    []byte
		rule string // of the InvalidModuleError; "" if admitted
	}{
		{"function import", raw(voidType, imported("env", "f", 0, 0)), ""},
		{"import that the host denies", raw(voidType, imported("env", "denied", 0, 0)), "import is not allowed"},
		{"memory import", raw(imported("env", "m", 2, 0, 1)), "only functions may be imported"},
		{"global import", raw(imported("env", "g", 3, 0x7F, 0)), "only functions may be imported"},
		{"table import", raw(imported("env", "t", 1, 0x70, 0, 1)), "only functions may be imported"},
		{"reserved import module", raw(voidType, imported("assay:x", "f", 0, 0)), "import uses the reserved prefix"},
		{"reserved import name", raw(voidType, imported("env", "assay:gas", 0, 0)), "import uses the reserved prefix"},
		{"reserved export", raw(voidType, oneFunc, exported("assay:gas", 0, 0), oneBody), "export uses the reserved prefix"},
		{"prefix without colon", raw(voidType, oneFunc, exported("assay_abi", 0, 0), oneBody), ""},
		{"export of an import", raw(voidType, imported("env", "f", 0, 0), exported("f", 0, 0)), "an imported function may not be exported"},
		{"imported start", raw(voidType, imported("env", "f", 0, 0), []byte{wasmbin.SecStart, 1, 0}), "the start function may not be imported"},
		{"relaxed SIMD", module(0, []byte{0xFD, 0x80, 0x02}), "unknown instruction"},
		{"atomic fence", module(0, []byte{0xFE, 0x03, 0x00}), "unknown instruction"},
	} {
		cfg := config()
		cfg.Import = func(_, field string, _ wasmbin.FuncType) error {
			if field == "denied" {
				return errDenied
			}
			return nil
		}
		_, err := meter.Rewrite(c.b, cfg)
		var invalid *meter.InvalidModuleError
		switch {
		case c.rule == "" && err != nil:
			t.Errorf("%s: %v", c.name, err)
		case c.rule != "" && (!errors.As(err, &invalid) || invalid.Rule != c.rule):
			t.Errorf("%s: %v", c.name, err)
		}
		if c.name == "import that the host denies" && !errors.Is(err, errDenied) {
			t.Errorf("cause is lost: %v", err)
		}
		if c.name == "import that the host denies" && !strings.Contains(err.Error(), `import "env" "denied": denied`) {
			t.Errorf("the message does not name the import: %v", err)
		}
	}
	if _, err := meter.Rewrite(raw(voidType, imported("env", "f", 0, 0)), meter.Config{Limits: meter.DefaultLimits()}); err == nil {
		t.Error("import without an Import function")
	}
	if _, err := meter.Rewrite(raw(), meter.Config{}); err == nil {
		t.Error("the zero configuration admits a module")
	}
}

func TestMemoryMaximum(t *testing.T) {
	for _, c := range []struct {
		memory    []byte
		limit     uint32
		max       uint32
		oversized bool
	}{
		{[]byte{0, 2}, 0, 8192, false},
		{[]byte{0, 2}, 16, 16, false},
		{[]byte{1, 2, 9}, 16, 9, false},
		{[]byte{1, 2, 40}, 16, 16, false},
		{[]byte{0, 17}, 16, 0, true},
	} {
		cfg := config()
		cfg.MemoryPages = c.limit
		res, err := meter.Rewrite(raw(section(wasmbin.SecMemory, 1, c.memory...)), cfg)
		var limit *meter.LimitError
		if c.oversized {
			if !errors.As(err, &limit) {
				t.Errorf("% x: %v", c.memory, err)
			}
			continue
		}
		if err != nil || res.MemoryMaxPages != c.max {
			t.Errorf("% x: %v, %v", c.memory, res, err)
			continue
		}
		m, err := wasmbin.Decode(res.Wasm, wide)
		if err != nil || !m.Memories[0].HasMax || m.Memories[0].Max != c.max {
			t.Errorf("% x: rewritten %+v, %v", c.memory, m, err)
		}
	}
}

func TestStartIsExported(t *testing.T) {
	b := raw(voidType, oneFunc, []byte{wasmbin.SecStart, 1, 0}, oneBody)
	res := rewrite(t, b)
	m, err := wasmbin.Decode(res.Wasm, wide)
	if err != nil || m.HasStart || !res.HasStart {
		t.Fatalf("%+v, %v", res, err)
	}
	found := false
	for _, e := range m.Exports {
		found = found || e.Name == abi.ExportStart && e.Index == 0
	}
	if !found {
		t.Errorf("exports %+v", m.Exports)
	}
}

// TestScheduleVersion: every price is part of the version.
func TestScheduleVersion(t *testing.T) {
	seen := map[[32]byte]string{meter.DefaultSchedule().Version(): "default"}
	for name, change := range map[string]func(*meter.Schedule){
		"core":     func(s *meter.Schedule) { s.Core[0x6A]++ },
		"misc":     func(s *meter.Schedule) { s.Misc[17]++ },
		"simd":     func(s *meter.Schedule) { s.SIMD[255]++ },
		"function": func(s *meter.Schedule) { s.Function++ },
		"slots":    func(s *meter.Schedule) { s.PerSlots++ },
		"byte":     func(s *meter.Schedule) { s.MemoryByte++ },
		"page":     func(s *meter.Schedule) { s.MemoryPage++ },
		"item":     func(s *meter.Schedule) { s.TableItem++ },
		"data":     func(s *meter.Schedule) { s.DataByte++ },
		"element":  func(s *meter.Schedule) { s.ElementItem++ },
		"initial":  func(s *meter.Schedule) { s.InitialPage++ },
		"frame":    func(s *meter.Schedule) { s.FrameBase++ },
		"leaf":     func(s *meter.Schedule) { s.LeafSlots++ },
	} {
		s := meter.DefaultSchedule()
		change(s)
		if other, ok := seen[s.Version()]; ok {
			t.Errorf("%s has the version of %s", name, other)
		}
		seen[s.Version()] = name
	}
	if _, err := meter.Rewrite(raw(), meter.Config{Limits: meter.DefaultLimits(), Costs: &meter.Schedule{}}); !errors.Is(err, meter.ErrSchedule) {
		t.Errorf("empty schedule: %v", err)
	}
}
