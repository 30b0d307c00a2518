package devices

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"time"

	"github.com/assaynet/assay/hostgpu/cudadev/driver"
)

// CUDA is what NVIDIA's driver shows.
type CUDA struct {
	Version string        `json:"version,omitempty"` // newest CUDA that it speaks, "12.4"
	GPUs    []driver.Info `json:"gpus,omitempty"`
	Missing string        `json:"missing,omitempty"` // why there is none, and what to do
}

// ReadCUDA loads the driver into this process, which keeps it.
func ReadCUDA() CUDA {
	d, err := driver.Open()
	if err != nil {
		return CUDA{Missing: err.Error()}
	}
	c := CUDA{Version: driver.VersionString(d.Version())}
	for i := range d.Count() {
		info, err := d.Info(i)
		if err != nil {
			return CUDA{Missing: err.Error()}
		}
		c.GPUs = append(c.GPUs, info)
	}
	return c
}

// probeTimeout is above what a driver takes to start on a machine with many
// GPUs; maxProbe above what it then says.
const (
	probeTimeout = time.Minute
	maxProbe     = 1 << 16
)

// ProbeCUDA has another process load the driver: Args is the command that
// prints ReadCUDA as JSON. What goes wrong is why there is none.
func ProbeCUDA(ctx context.Context, p Process) CUDA {
	path := p.Path
	if path == "" {
		exe, err := os.Executable()
		if err != nil {
			return CUDA{Missing: err.Error()}
		}
		path = exe
	}
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, p.Args...)
	cmd.Env = append(os.Environ(), p.Env...)
	out := &limited{left: maxProbe}
	cmd.Stdout = out
	if err := cmd.Run(); err != nil {
		return CUDA{Missing: fmt.Sprintf("the process that loads the driver failed: %v", err)}
	}
	var c CUDA
	if err := json.Unmarshal(out.Bytes(), &c); err != nil {
		return CUDA{Missing: fmt.Sprintf("the process that loads the driver said: %v", err)}
	}
	return c
}

// limited keeps the first bytes of what is written.
type limited struct {
	bytes.Buffer
	left int
}

func (l *limited) Write(p []byte) (int, error) {
	n := min(len(p), l.left)
	l.left -= n
	l.Buffer.Write(p[:n]) // never fails
	return len(p), nil
}
