package sandbox

import (
	"crypto/sha256"
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

// Info is what admission knows about a module.
type Info struct {
	Hash        [32]byte // SHA-256 of the original bytes
	MemoryPages uint32   // most memory of an instance, in pages of 64 KiB
	Pow         bool     // exports pow_setup and pow_units
	Inference   bool     // exports infer and check
	GasInstance int64    // price of making an instance, by the schedule
}

// Check says whether Admit would take a module, without an engine: it is a
// pure function of its arguments, linear in len(wasm), and so may be part of
// consensus. Errors are *meter.InvalidModuleError or *meter.LimitError.
// Limits and costs may be nil for the defaults.
func Check(wasm []byte, limits *meter.Limits, costs *meter.Schedule) (Info, error) {
	if limits == nil {
		l := meter.DefaultLimits()
		limits = &l
	}
	_, info, err := admission(wasm, meterConfig(limits, costs))
	return info, err
}

// ExecutionLimits are the limits under which a module is executed once it is
// admitted. Whatever meter.DefaultLimits bounds to keep compilation cheap is
// doubled, so that a release which admits less still executes what others
// admitted; what a guest could tell apart is the same.
func ExecutionLimits() meter.Limits {
	l := meter.DefaultLimits()
	for _, n := range []*int{
		&l.Functions, &l.Exports, &l.Globals, &l.DataSegments, &l.Elements, &l.ElementItems,
		&l.Nesting, &l.Labels, &l.Blocks, &l.Loops, &l.LoopNesting, &l.NestingLocals, &l.LoopsLocals,
		&l.BlockSquares, &l.TotalLocals, &l.Squares, &l.TotalNestingLocals, &l.TotalLoopsLocals, &l.BlocksLocals, &l.TotalBlocksLocals,
	} {
		*n *= 2
	}
	return l
}

// CheckUpload is what a node or an author asks before a module goes to
// everybody: Check with the default limits, and a compilation under
// UploadCompile, a fraction of what execution is given. Unlike Check it
// depends on this machine's speed, so it can advise against an upload but is
// no part of consensus. Errors are those of Admit; a compilation beyond its
// bounds is a *meter.LimitError. The result stays in the cache on disk.
func (r *Runtime) CheckUpload(wasm []byte) (Info, CompileCost, error) {
	if err := r.gate.enter(); err != nil {
		return Info{}, CompileCost{}, hostErr("check", err)
	}
	defer r.gate.leave()
	info, err := Check(wasm, nil, r.cfg.Costs)
	if err != nil || r.comp.direct {
		return info, CompileCost{}, err
	}
	p, _, err := admission(wasm, r.meter)
	if err != nil {
		return info, CompileCost{}, admitErr(err)
	}
	_, cost, err := r.comp.apart(r.ctx, request{key: r.artifactKey(info.Hash), limits: UploadCompile}, p)
	return info, cost, admitErr(uploadRefusal(err, UploadCompile))
}

func meterConfig(limits *meter.Limits, costs *meter.Schedule) meter.Config {
	c := meter.Config{Limits: ExecutionLimits(), Costs: costs, Import: checkImport, ExportGlobals: true}
	if limits != nil {
		c.Limits = *limits
	}
	return c
}

// admission checks a module against the profile and the tables of host calls,
// injects metering and takes the data segments out.
func admission(wasm []byte, cfg meter.Config) (*prepared, Info, error) {
	res, err := meter.Rewrite(wasm, cfg)
	if err != nil {
		return nil, Info{}, err
	}
	for _, want := range exportTypes {
		got, ok := res.Exports[want.name]
		if !ok && want.name == abi.ExportABI {
			return nil, Info{}, &meter.InvalidModuleError{Rule: "export missing", Err: fmt.Errorf("%w: %s", ErrNoExport, want.name)}
		}
		if ok && !got.Equal(want.typ) {
			return nil, Info{}, &meter.InvalidModuleError{Rule: "export of another type", Err: fmt.Errorf("export %s", want.name)}
		}
	}
	if err := checkSegments(res.Module); err != nil {
		return nil, Info{}, err
	}
	p, err := prepare(res)
	has := func(name string) bool { _, ok := res.Exports[name]; return ok }
	return p, Info{
		Hash:        sha256.Sum256(wasm),
		MemoryPages: res.MemoryMaxPages,
		Pow:         has(abi.ExportPowSetup) && has(abi.ExportPowUnits),
		Inference:   has(abi.ExportInfer) && has(abi.ExportCheck),
		GasInstance: res.InstanceGas,
	}, err
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
// depends on. The host-call tables are covered by abi.Version, which is part
// of the platform.
func (r *Runtime) artifactKey(hash [32]byte) [32]byte {
	costs := r.meter.Costs
	if costs == nil {
		costs = meter.DefaultSchedule()
	}
	limits := fmt.Sprintf("%+v %d %t", r.meter.Limits, r.meter.MemoryPages, r.meter.ExportGlobals)
	return r.platform.cacheKey(hash, "module", fmt.Sprint(costs.Version()), limits, strconv.FormatBool(r.cfg.Interpreter))
}

// admitErr keeps a module's faults apart from the host's.
func admitErr(err error) error {
	if err == nil {
		return nil
	}
	var invalid *meter.InvalidModuleError
	var limit *meter.LimitError
	if errors.As(err, &invalid) || errors.As(err, &limit) {
		return err
	}
	return hostErr("admit", err)
}
