package main

import (
	"bytes"
	"context"
	"encoding/json"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	powertypes "github.com/assaynet/assay/chain/power/types"
	"github.com/assaynet/assay/sdk/client"
)

// TestMinerOutlivesItsNode runs a miner before its node, through its node's
// sudden end, and beyond it.
func TestMinerOutlivesItsNode(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a node three times")
	}
	dir := t.TempDir()
	t.Setenv("XDG_CACHE_HOME", filepath.Join(dir, "cache"))
	nodeHome, home := filepath.Join(dir, "node"), filepath.Join(dir, "miner")
	grpc, listen := freePort(t), freePort(t)
	program(t, "init", "me", "--home", nodeHome, "--chain-id", "wait-1", "--preset", "development", "--private",
		"--p2p", freePort(t), "--rpc", freePort(t), "--rest", freePort(t), "--grpc", grpc).ends(0)
	mine := func(more ...string) *running {
		return program(t, append([]string{"miner", "--home", home, "--grpc", grpc, "--device", "cpudev", "--rate", "200",
			"--serve=false", "--output", "json"}, more...)...)
	}

	m := mine("--listen", listen)
	m.stderr.wait("waiting for the node at " + grpc)
	// The folder and the address are taken already, and who cannot have them does not wait.
	r := mine("--listen", freePort(t))
	r.ends(1)
	r.stderr.wait("directory is in use by another process")
	r = program(t, "miner", "--home", filepath.Join(dir, "other"), "--grpc", grpc, "--listen", listen)
	r.ends(1)
	r.stderr.wait("address already in use")

	start := func() *running { return program(t, "start", "--home", nodeHome, "--log_level", "error") }
	n := start()
	m.stderr.wait("the node answers: wait-1")
	m.stdout.wait(`"event":"ready"`)
	m.stdout.wait(`"event":"block"`)

	// A second one on the same folder leaves the registration alone.
	other := "http://192.0.2.1:80"
	r = mine("--listen", freePort(t), "--endpoint", other)
	r.ends(1)
	if got := endpointOf(t, grpc, m.registered()); got != "http://"+listen {
		t.Errorf("endpoint on chain %q, want %q", got, "http://"+listen)
	}
	r = program(t, "miner", "--home", filepath.Join(dir, "third"), "--grpc", grpc, "--listen", freePort(t), "--chain-id", "else-1")
	r.ends(1)
	r.stderr.wait("wrong chain: the node follows wait-1, this miner belongs to else-1")

	for range 2 {
		m.stderr.forget()
		n.signal(syscall.SIGKILL)
		m.stderr.wait("waiting for the node at " + grpc)
		m.stdout.forget()
		n = start()
		m.stderr.wait("the node answers: wait-1")
		m.stdout.wait(`"event":"block"`)
	}
	m.signal(syscall.SIGTERM)
	m.ends(0)
	m.stdout.wait(`"event":"stopped"`)
	n.signal(syscall.SIGINT)
	n.ends(0)
}

// TestMinerStopsWhileItWaits ends a miner whose node never comes.
func TestMinerStopsWhileItWaits(t *testing.T) {
	m := program(t, "miner", "--home", t.TempDir(), "--grpc", "127.0.0.1:1", "--listen", "127.0.0.1:0",
		"--endpoint", "http://192.0.2.1:80", "--device", "cpudev", "--serve=false")
	m.stderr.wait("start it (`assay start`) or name another with --grpc")
	m.signal(syscall.SIGINT)
	m.ends(0)
	if n := strings.Count(m.stderr.text(), "waiting"); n != 1 {
		t.Errorf("told %d times that it waits", n)
	}
}

// TestMinerRefusesWhatIsNoNode ends a miner that waiting would not help.
func TestMinerRefusesWhatIsNoNode(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer l.Close()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = c.Write([]byte("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"))
			defer c.Close()
		}
	}()
	m := program(t, "miner", "--home", t.TempDir(), "--grpc", l.Addr().String(), "--listen", "127.0.0.1:0",
		"--endpoint", "http://192.0.2.1:80", "--device", "cpudev", "--serve=false")
	m.ends(1)
	m.stderr.wait("answers HTTP, not gRPC")
}

func endpointOf(t *testing.T, grpc, operator string) string {
	t.Helper()
	c, err := client.Dial(t.Context(), client.Config{GRPC: grpc})
	must(t, err)
	defer c.Close()
	r, err := powertypes.NewQueryClient(c.Conn()).Miner(t.Context(), &powertypes.QueryMinerRequest{Operator: operator})
	must(t, err)
	return r.Miner.Endpoint
}

// running is the assay command in a process of its own.
type running struct {
	t              *testing.T
	cmd            *exec.Cmd
	stdout, stderr *transcript
	wait           func() error
}

func program(t *testing.T, args ...string) *running {
	t.Helper()
	r := &running{t: t, stdout: newTranscript(t), stderr: newTranscript(t)}
	r.cmd = exec.Command("assay", args...)
	r.cmd.Env = os.Environ()
	r.cmd.Stdout, r.cmd.Stderr = r.stdout, r.stderr
	must(t, r.cmd.Start())
	r.wait = sync.OnceValue(func() error {
		defer r.stdout.end()
		defer r.stderr.end()
		return r.cmd.Wait()
	})
	go r.wait()
	t.Cleanup(func() {
		_ = r.cmd.Process.Kill()
		_ = r.wait()
	})
	return r
}

func (r *running) signal(s os.Signal) {
	r.t.Helper()
	must(r.t, r.cmd.Process.Signal(s))
	if s == syscall.SIGKILL {
		_ = r.wait()
	}
}

func (r *running) ends(status int) {
	r.t.Helper()
	_ = r.wait()
	if got := r.cmd.ProcessState.ExitCode(); got != status {
		r.t.Fatalf("%v: exit status %d, want %d\n%s%s", r.cmd.Args, got, status, r.stdout.text(), r.stderr.text())
	}
}

// registered is the operator that the miner told of.
func (r *running) registered() string {
	r.t.Helper()
	for line := range strings.Lines(r.stdout.text()) {
		var e event
		if json.Unmarshal([]byte(line), &e) == nil && e.Event == evRegistered {
			return e.Peer
		}
	}
	r.t.Fatalf("no registration told:\n%s", r.stdout.text())
	return ""
}

// transcript is what a program has written; it is safe for concurrent use.
type transcript struct {
	t      *testing.T
	mu     sync.Mutex
	more   sync.Cond
	b      bytes.Buffer
	from   int // where wait looks on
	closed bool
}

func newTranscript(t *testing.T) *transcript {
	tr := &transcript{t: t}
	tr.more.L = &tr.mu
	return tr
}

func (tr *transcript) Write(b []byte) (int, error) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	defer tr.more.Broadcast()
	return tr.b.Write(b)
}

func (tr *transcript) end() {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	tr.closed = true
	tr.more.Broadcast()
}

func (tr *transcript) text() string {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	return tr.b.String()
}

// forget makes wait look only at what is written from now on.
func (tr *transcript) forget() {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	tr.from = tr.b.Len()
}

// wait returns once want is written, and fails when the program ends without.
func (tr *transcript) wait(want string) {
	tr.t.Helper()
	stop := context.AfterFunc(tr.t.Context(), tr.end)
	defer stop()
	tr.mu.Lock()
	defer tr.mu.Unlock()
	for {
		if i := strings.Index(tr.b.String()[tr.from:], want); i >= 0 {
			tr.from += i + len(want)
			return
		}
		if tr.closed {
			tr.t.Fatalf("no %q in\n%s", want, tr.b.String())
		}
		tr.more.Wait()
	}
}
