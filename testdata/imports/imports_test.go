// Package imports holds the tests that keep the direction of imports, the layout of docs/rationale.md as a
// table, each ban with its reason, and that keep true what documents name.
package imports

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const root = "github.com/assaynet/assay"

// ban forbids packages under From to depend, directly or through others, on
// packages under To. From and To are paths below the module root; a To that
// holds a dot in its first element is a path outside the module. Except lists
// packages under From that the ban does not bind.
type ban struct {
	From, To string
	Except   []string
	Direct   bool // only direct imports are banned
	Why      string
}

var bans = []ban{
	{From: "runtime/abi", To: "*", Why: "leaf: guests compile it for wasip1, hosts for everything else"},
	{From: "runtime/wasmbin", To: "*", Why: "leaf: a codec knows nothing of what its bytes are for"},
	{From: "hostgpu/device", To: "*", Why: "leaf: guests compile it for wasip1"},
	{From: "hostgpu/cudadev/ptx", To: "*", Why: "leaf: the judge of the kernels knows nothing of them or of who launches them"},
	{From: "modules/manifest", To: "*", Why: "leaf: read by the chain, the tools and the miner alike"},
	{From: "verifier/commit", To: "*", Why: "leaf: third parties re-check evidence with it alone"},

	{From: "runtime/sandbox", To: "hostgpu/cpudev", Why: "the sandbox takes a device.Device, never a concrete one"},
	{From: "runtime/sandbox", To: "hostgpu/wasmdev", Why: "the sandbox takes a device.Device, never a concrete one"},
	{From: "runtime/sandbox", To: "hostgpu/plugin", Why: "the sandbox takes a device.Device, never a concrete one"},
	{From: "runtime/sandbox", To: "hostgpu/cudadev", Why: "the sandbox takes a device.Device, never a concrete one"},
	{From: "hostgpu/cudadev", To: "runtime/sandbox", Why: "a device computes; it does not know who asks"},
	{From: "hostgpu/cudadev", To: "hostgpu/plugin", Why: "a device does not know in which process it is"},
	{From: "hostgpu/cudadev", To: "hostgpu/cpudev", Why: "a device knows no other"},
	{From: "hostgpu/cudadev/driver", To: "hostgpu/device", Why: "the driver knows memory and launches, not tensors"},
	{From: "hostgpu/cudadev/kernels", To: "hostgpu/cudadev/driver", Why: "plans are pure: they do not know how a launch reaches a GPU"},
	{From: "hostgpu/cudadev/ptx", To: "*", Why: "leaf: the emulator must not share a mistake with what it runs"},
	{From: "*", To: "hostgpu/cudadev/driver/emulated", Except: []string{"hostgpu/cudadev/driver/emulated"}, Why: "a driver without a GPU is for tests"},
	{From: "*", To: "hostgpu/cudadev/ptx", Except: []string{"hostgpu/cudadev/driver/emulated", "hostgpu/cudadev/ptx"}, Why: "the emulator is for tests"},
	{From: "*", To: "github.com/ebitengine/purego", Except: []string{"hostgpu/cudadev/driver"}, Direct: true, Why: "one place calls C without cgo"},
	{From: "*", To: "github.com/NVIDIA/go-nvml", Except: []string{"hostgpu/telemetry"}, Direct: true, Why: "NVML may end the process that calls it: one place gates it"},
	{From: "*", To: "github.com/tetratelabs/wazero", Except: []string{"runtime/sandbox", "runtime/internal/frames"}, Direct: true,
		Why: "one importer of wazero: one place where engine behaviour reaches consensus (enginetest below it compares engines for its tests, frames lifts a bound)"},
	{From: "*", To: "runtime/sandbox/enginetest", Except: []string{"runtime/sandbox/enginetest"}, Why: "engines of the tests, with a host that makes things up"},
	{From: "*", To: "runtime/internal/reference", Except: []string{"runtime/sandbox/enginetest", "runtime/internal/reference"},
		Why: "the oracle of the tests is slow, and panics where a module is not valid"},
	{From: "runtime/internal/reference", To: "runtime/wasmbin", Why: "the oracle must not share a mistake with what it judges"},
	{From: "runtime/internal/reference", To: "runtime/meter", Why: "the oracle must not share a mistake with what it judges"},

	{From: "chain/registry", To: "runtime/sandbox", Why: "x-modules get an Admitter from chain/app; consensus state must not link an engine"},
	{From: "chain/power", To: "runtime/sandbox", Why: "x-modules never import the sandbox"},
	{From: "chain/sprint", To: "runtime/sandbox", Why: "x-modules never import the sandbox"},
	{From: "chain/audit", To: "runtime/sandbox", Why: "x-modules get a Rechecker from chain/app"},
	{From: "chain/work", To: "runtime/sandbox", Why: "x-modules never import the sandbox"},
	{From: "chain/app", To: "runtime/sandbox", Why: "the app takes interfaces; wiring supplies them"},
	{From: "chain/registry", To: "hostgpu", Why: "x-modules never import devices"},
	{From: "chain/power", To: "hostgpu", Why: "x-modules never import devices"},
	{From: "chain/sprint", To: "hostgpu", Why: "x-modules never import devices"},
	{From: "chain/audit", To: "hostgpu", Why: "x-modules never import devices"},
	{From: "chain/work", To: "hostgpu", Why: "x-modules never import devices"},

	{From: "runtime", To: "sdk", Why: "the runtime serves clients; it does not use their library"},
	{From: "runtime", To: "chain", Why: "miner and gateway declare the narrow Chain interface they need"},
	{From: "verifier", To: "sdk", Why: "verification must stand without the client library"},
	{From: "verifier", To: "chain", Why: "evidence is checked without the chain's code"},
	{From: "*", To: "chain/adversary", Except: []string{"chain/adversary"},
		Why: "a simulation that knows the sandbox, the devices and the keepers at once; only its own command in testdata runs it"},
	{From: "hostgpu", To: "chain", Why: "what runs on a GPU machine builds without the chain"},
	{From: "hostgpu", To: "github.com/cosmos/cosmos-sdk", Why: "what runs on a GPU machine builds without the chain"},
	{From: "runtime", To: "github.com/cosmos/cosmos-sdk", Why: "the sandbox and the miner build without the chain"},
	{From: "verifier", To: "github.com/cosmos/cosmos-sdk", Why: "the verifier builds without the chain"},
	{From: "sdk/client", To: "chain/app", Why: "a client links message types, never the application"},
	{From: "*", To: root, Direct: true, Why: "the command is imported by nobody"},
}

// xmodules see each other only through interfaces that the consumer declares;
// types packages may be shared.
var xmodules = []string{"registry", "power", "sprint", "audit", "work"}

type pkg struct {
	ImportPath string
	Imports    []string
	Deps       []string
	Standard   bool
	GoFiles    []string
	Dir        string
}

func list(t *testing.T) []pkg {
	t.Helper()
	cmd := exec.Command("go", "list", "-json=ImportPath,Imports,Deps,GoFiles,Dir", root+"/...")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, stderr.String())
	}
	var pkgs []pkg
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p pkg
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		pkgs = append(pkgs, p)
	}
	if len(pkgs) < 10 {
		t.Fatalf("go list found only %d packages", len(pkgs))
	}
	return pkgs
}

func under(path, dir string) bool { return path == dir || strings.HasPrefix(path, dir+"/") }

func (b ban) binds(path string) bool {
	rel, ok := strings.CutPrefix(path, root+"/")
	if !ok {
		return false
	}
	for _, e := range b.Except {
		if under(rel, e) {
			return false
		}
	}
	return b.From == "*" || under(rel, b.From)
}

// hit reports whether dep is banned for the package at path.
func (b ban) hit(path, dep string) bool {
	switch {
	case b.To == root:
		return dep == root
	case b.To == "*": // anything of ours outside the package itself
		return under(dep, root) && !under(dep, root+"/"+b.From)
	case strings.Contains(strings.SplitN(b.To, "/", 2)[0], "."):
		return under(dep, b.To)
	default:
		return under(dep, root+"/"+b.To)
	}
}

func TestImportDirection(t *testing.T) {
	for _, p := range list(t) {
		for _, b := range bans {
			if !b.binds(p.ImportPath) {
				continue
			}
			deps := p.Deps
			if b.Direct {
				deps = p.Imports
			}
			for _, d := range deps {
				if b.hit(p.ImportPath, d) {
					t.Errorf("%s must not depend on %s: %s", p.ImportPath, d, b.Why)
				}
			}
		}
		for _, m := range xmodules {
			if !under(p.ImportPath, root+"/chain/"+m) {
				continue
			}
			for _, d := range p.Imports {
				for _, other := range xmodules {
					dir := root + "/chain/" + other
					if other != m && under(d, dir) && !under(d, dir+"/types") {
						t.Errorf("%s imports %s: x-modules see each other through small interfaces", p.ImportPath, d)
					}
				}
			}
		}
	}
}

func TestNoGoFileInTopLevelFolders(t *testing.T) {
	tops := []string{"runtime", "modules", "hostgpu", "chain", "verifier", "sdk", "docs"}
	for _, p := range list(t) {
		if rel, ok := strings.CutPrefix(p.ImportPath, root+"/"); ok && slices.Contains(tops, rel) {
			t.Errorf("%s holds Go files directly: %v", rel, p.GoFiles)
		}
	}
}
