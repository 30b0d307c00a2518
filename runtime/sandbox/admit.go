package sandbox

import (
	"errors"
	"fmt"
	"strconv"

	"github.com/assaynet/assay/runtime/abi"
	"github.com/assaynet/assay/runtime/meter"
	"github.com/assaynet/assay/runtime/wasmbin"
	"github.com/tetratelabs/wazero/api"
)

// exportTypes are the exports that the host calls, with their types.
var exportTypes = []struct {
	name string
	typ  wasmbin.FuncType
}{
	{abi.ExportABI, wasmbin.FuncType{Results: []wasmbin.ValType{wasmbin.I32}}},
	{abi.ExportPowSetup, wasmbin.FuncType{}},
	{abi.ExportPowUnits, wasmbin.FuncType{Params: []wasmbin.ValType{wasmbin.I32}}},
	{abi.ExportInfer, wasmbin.FuncType{}},
	{abi.ExportCheck, wasmbin.FuncType{}},
	{abi.ExportInitialize, wasmbin.FuncType{}},
}

// rewrite checks a module against the profile and the tables of host calls,
// injects metering and takes the data segments out.
func (r *Runtime) rewrite(wasm []byte) (*prepared, error) {
	res, err := meter.Rewrite(wasm, r.meter)
	if err != nil {
		return nil, err
	}
	for _, want := range exportTypes {
		got, ok := res.Exports[want.name]
		if !ok && want.name == abi.ExportABI {
			return nil, &meter.InvalidModuleError{Rule: "export missing", Err: fmt.Errorf("%w: %s", ErrNoExport, want.name)}
		}
		if ok && !got.Equal(want.typ) {
			return nil, &meter.InvalidModuleError{Rule: "export of another type", Err: fmt.Errorf("export %s", want.name)}
		}
	}
	m, err := wasmbin.Decode(wasm, r.meter.Limits.Limits)
	if err != nil {
		return nil, err
	}
	if err := checkSegments(m); err != nil {
		return nil, err
	}
	return prepare(res, m)
}

// checkImport admits the host calls of the three tables, with their types.
func checkImport(module, name string, t wasmbin.FuncType) error {
	f, ok := hostFuncs[[2]string{module, name}]
	if !ok {
		return errors.New("no such host call")
	}
	if !t.Equal(wasmbin.FuncType{Params: valTypes(f.params), Results: valTypes(f.results)}) {
		return errors.New("the host call has another type")
	}
	return nil
}

func valTypes(ts []api.ValueType) []wasmbin.ValType {
	var out []wasmbin.ValType
	for _, t := range ts {
		out = append(out, wasmbin.ValType(t))
	}
	return out
}

// artifactKey covers everything that the rewritten and compiled module
// depends on. The host-call tables are covered by abi.Version.
func (r *Runtime) artifactKey(hash [32]byte) [32]byte {
	costs := r.meter.Costs
	if costs == nil {
		costs = meter.DefaultSchedule()
	}
	limits := fmt.Sprintf("%+v %d %t", r.meter.Limits, r.meter.MemoryPages, r.meter.ExportGlobals)
	return cacheKey(hash, "module", strconv.Itoa(abi.Version), strconv.Itoa(meter.RewriterVersion),
		fmt.Sprint(costs.Version()), limits, strconv.FormatBool(r.cfg.Interpreter))
}

// admitErr keeps a module's faults apart from the host's.
func admitErr(err error) error {
	var invalid *meter.InvalidModuleError
	var limit *meter.LimitError
	if errors.As(err, &invalid) || errors.As(err, &limit) {
		return err
	}
	return hostErr("admit", err)
}
