package telemetry

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"time"
)

// HelperName is the program that a build without NVML asks: it is looked for
// beside this program's own file, then in PATH.
const HelperName = "assay-nvml"

// helperTimeout bounds one answer: a GPU that was idle may take seconds to wake.
const helperTimeout = time.Minute

// findHelper is the helper's path.
func findHelper() (string, error) {
	if exe, err := os.Executable(); err == nil {
		if real, err := filepath.EvalSymlinks(exe); err == nil {
			exe = real
		}
		path := filepath.Join(filepath.Dir(exe), HelperName)
		if i, err := os.Stat(path); err == nil && i.Mode().IsRegular() {
			return path, nil
		}
	}
	path, err := exec.LookPath(HelperName)
	if err != nil {
		return "", fmt.Errorf("%w; %s beside this program would tell", ErrNotBuilt, HelperName)
	}
	return path, nil
}

// helper is a running assay-nvml. It ends when its standard input does, and so
// with this process.
type helper struct {
	path string

	mu     sync.Mutex
	cmd    *exec.Cmd
	in     io.WriteCloser
	lines  chan []byte // closed at its end
	closed bool
}

// start runs the program; h.mu is held.
func (h *helper) start() error {
	cmd := exec.Command(h.path)
	in, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	h.cmd, h.in, h.lines = cmd, in, make(chan []byte, 1)
	go func(lines chan<- []byte) {
		defer close(lines)
		s := bufio.NewScanner(out)
		s.Buffer(nil, MaxReport)
		for s.Scan() {
			lines <- append([]byte(nil), s.Bytes()...)
		}
	}(h.lines)
	return nil
}

// stop ends the program; h.mu is held.
func (h *helper) stop() {
	if h.cmd == nil {
		return
	}
	_ = h.in.Close()
	_ = h.cmd.Process.Kill() // it may be gone
	for range h.lines {      // Wait closes the pipe that is read there
	}
	_ = h.cmd.Wait() // killed
	h.cmd = nil
}

var errHelper = errors.New("telemetry: " + HelperName + " failed")

// read asks for a report. A helper that fails is started again by the next
// call.
func (h *helper) read() (Report, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	var r Report
	if h.closed {
		return r, nil
	}
	if h.cmd == nil {
		if err := h.start(); err != nil {
			return r, fmt.Errorf("%w: %w", errHelper, err)
		}
	}
	if _, err := io.WriteString(h.in, "\n"); err != nil {
		h.stop()
		return r, fmt.Errorf("%w: %w", errHelper, err)
	}
	timer := time.NewTimer(helperTimeout)
	defer timer.Stop()
	select {
	case line, ok := <-h.lines:
		if !ok {
			h.stop()
			return r, fmt.Errorf("%w: it ended without an answer", errHelper)
		}
		if err := json.Unmarshal(line, &r); err != nil {
			h.stop()
			return Report{}, fmt.Errorf("%w: %w", errHelper, err)
		}
		return r, nil
	case <-timer.C:
		h.stop()
		return r, fmt.Errorf("%w: no answer within %v", errHelper, helperTimeout)
	}
}

func (h *helper) close() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed = true
	h.stop()
	return nil
}

// Helper reads reports through another program.
type Helper struct{ h helper }

// OpenHelper starts the program at path and asks it once: what it says then is
// the error, ErrNoDriver where the machine has none.
func OpenHelper(path string) (*Helper, error) {
	x := &Helper{h: helper{path: path}}
	r, err := x.h.read()
	if err == nil && r.Note != "" {
		err = errors.New(r.Note)
		if r.Note == ErrNoDriver.Error() {
			err = ErrNoDriver
		}
	}
	if err != nil {
		return nil, errors.Join(err, x.h.close())
	}
	return x, nil
}

// Read asks for a report; one that does not come is a note.
func (x *Helper) Read() Report {
	r, err := x.h.read()
	if err != nil {
		return Report{Note: err.Error()}
	}
	return r
}

// Close ends the program. Idempotent.
func (x *Helper) Close() error { return x.h.close() }
