package main

import (
	"bufio"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

//go:embed peer.js
var peerScript []byte

// peer is onnxruntime in a process of its own. It is asked for one burst at a
// time, so that its bursts alternate with ours.
type peer struct {
	dir     string // the script and the models, removed by close
	cmd     *exec.Cmd
	in      io.WriteCloser
	out     *bufio.Reader
	version string
}

// startPeer runs node with the onnxruntime-node that is installed under modules.
func startPeer(modules string) (*peer, error) {
	dir, err := os.MkdirTemp("", "assay-bench-gemm-")
	if err != nil {
		return nil, err
	}
	p := &peer{dir: dir}
	if err := p.start(modules); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	return p, nil
}

func (p *peer) start(modules string) error {
	script := filepath.Join(p.dir, "peer.js")
	if err := os.WriteFile(script, peerScript, 0o600); err != nil {
		return err
	}
	modules, err := filepath.Abs(modules)
	if err != nil {
		return err
	}
	p.cmd = exec.Command("node", script)
	p.cmd.Env = append(os.Environ(), "NODE_PATH="+modules)
	p.cmd.Stderr = os.Stderr
	if p.in, err = p.cmd.StdinPipe(); err != nil {
		return err
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return err
	}
	p.out = bufio.NewReader(out)
	return p.cmd.Start()
}

func (p *peer) close() error {
	err := p.in.Close() // ends its loop
	return errors.Join(err, p.cmd.Wait(), os.RemoveAll(p.dir))
}

type peerAnswer struct {
	ID      int    `json:"id"`
	Version string `json:"version"`
	NS      int64  `json:"ns"`
	Error   string `json:"error"`
}

func (p *peer) ask(question map[string]any) (peerAnswer, error) {
	var a peerAnswer
	line, err := json.Marshal(question)
	if err != nil {
		return a, err
	}
	if _, err := p.in.Write(append(line, '\n')); err != nil {
		return a, fmt.Errorf("onnxruntime: %w", err)
	}
	reply, err := p.out.ReadBytes('\n')
	if err != nil {
		return a, fmt.Errorf("onnxruntime: %w", err)
	}
	if err := json.Unmarshal(reply, &a); err != nil {
		return a, fmt.Errorf("onnxruntime: %q: %w", reply, err)
	}
	if a.Error != "" {
		return a, errors.New("onnxruntime: " + a.Error)
	}
	return a, nil
}

// load makes a session for a shape; the function runs it a number of times.
func (p *peer) load(s shape, threads int) (func(calls int) (time.Duration, error), error) {
	path := filepath.Join(p.dir, fmt.Sprintf("%s-%d.onnx", s, threads))
	if err := os.WriteFile(path, matMulInteger(s.M, s.N, s.K), 0o600); err != nil {
		return nil, err
	}
	a, err := p.ask(map[string]any{"load": path, "m": s.M, "n": s.N, "k": s.K, "threads": threads})
	if err != nil {
		return nil, err
	}
	p.version = a.Version
	return func(calls int) (time.Duration, error) {
		b, err := p.ask(map[string]any{"run": a.ID, "calls": calls})
		return time.Duration(b.NS), err
	}, nil
}
