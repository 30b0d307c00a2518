package devices

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/assaynet/assay/hostgpu/cudadev"
	"github.com/assaynet/assay/hostgpu/device"
)

// maxGPUs bounds what is looked for, and the number in a name.
const maxGPUs = 64

// gpuCount is how many GPUs this machine's NVIDIA driver has, as its files say:
// loading the driver to ask would cost a process its memory and, at worst,
// itself. What CUDA shows may be fewer; opening one tells.
func gpuCount() int { return countGPUs("/", os.LookupEnv) }

func countGPUs(root string, env func(string) (string, bool)) int {
	n := 0
	for ; n < maxGPUs; n++ {
		if _, err := os.Stat(filepath.Join(root, "dev", "nvidia"+strconv.Itoa(n))); err != nil {
			break
		}
	}
	if n == 0 {
		// In a container a GPU's file has the number it has outside.
		files, _ := filepath.Glob(filepath.Join(root, "dev", "nvidia[0-9]*")) // the pattern is well-formed
		n = min(len(files), maxGPUs)
	}
	if n == 0 {
		// WSL has one device file for all GPUs.
		if _, err := os.Stat(filepath.Join(root, "usr/lib/wsl/lib/libcuda.so.1")); err == nil {
			n = 1
		}
	}
	if v, ok := env("CUDA_VISIBLE_DEVICES"); ok {
		shown := 0
		for _, id := range strings.Split(v, ",") {
			if id = strings.TrimSpace(id); id == "" || id == "-1" {
				break // CUDA ends the list at the first that is none
			}
			shown++
		}
		if strings.Contains(v, "MIG-") {
			shown = min(shown, 1) // one instance a process
		}
		n = min(n, shown)
	}
	return n
}

// gpuName are the names of cudadev.Name.
var gpuName = regexp.MustCompile(`^cudadev([1-9][0-9]?)?$`)

// gpuMaker makes the device of a name, whether this machine has that GPU or
// not: opening it says what is missing.
func gpuMaker(name string) (maker, bool) {
	m := gpuName.FindStringSubmatch(name)
	if m == nil {
		return maker{}, false
	}
	n, _ := strconv.Atoi(m[1]) // "" is 0
	if n >= maxGPUs {
		return maker{}, false
	}
	return maker{name, true, func() string { return "GPU " + strconv.Itoa(n) }, func(c Config) (device.Backend, error) {
		return cudadev.NewBackend(cudadev.Config{GPU: n, Memory: c.MemoryBytes})
	}}, true
}

// gpuMakers are those of this machine.
func gpuMakers() []maker {
	var out []maker
	for n := range gpuCount() {
		m, _ := gpuMaker(cudadev.Name(n))
		out = append(out, m)
	}
	return out
}

// NeedsProcess says whether a list of names holds a device that should run in
// a process of its own, because what fails in it takes the process along.
func NeedsProcess(names string) bool {
	first, rest, err := resolve(names)
	if err != nil {
		return false
	}
	for _, m := range slices.Concat(first, rest) {
		if m.gpu {
			return true
		}
	}
	return false
}
