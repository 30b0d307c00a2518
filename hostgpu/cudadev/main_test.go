package cudadev

import (
	"os"
	"strconv"
	"testing"

	"github.com/assaynet/assay/hostgpu/cudadev/driver/emulated"
	"github.com/assaynet/assay/hostgpu/plugin"
)

// The test binary is its own device process, on the emulated driver. roleEnv is
// the fault of its first life, "KIND LAUNCH"; lifeEnv is a file that says that
// there was one.
const (
	roleEnv = "ASSAY_CUDADEV_TEST_FAULT"
	lifeEnv = "ASSAY_CUDADEV_TEST_LIFE"
)

func TestMain(m *testing.M) {
	role := os.Getenv(roleEnv)
	if role == "" {
		os.Exit(m.Run())
	}
	cfg := emulated.Config{SMs: 4, Memory: processMemory}
	if f, err := os.OpenFile(os.Getenv(lifeEnv), os.O_CREATE|os.O_EXCL, 0o600); err == nil {
		f.Close()
		n, err := strconv.ParseInt(role[1:], 10, 64)
		if err != nil {
			panic(err)
		}
		switch role[0] {
		case 'i':
			cfg.Faults.IllegalAddress = n
		case 'h':
			cfg.Faults.Hang = n
		}
	}
	b, err := NewBackend(Config{Driver: emulated.New(cfg), ScratchBytes: 1 << 20})
	if err != nil {
		panic(err)
	}
	plugin.Serve(plugin.ServeConfig{Backend: b})
}

// processMemory is what the GPU of the device process has.
const processMemory = 64 << 20
