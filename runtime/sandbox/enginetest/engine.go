package enginetest

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
)

// Engine runs cases. A Reply with Err set is a failure of the engine.
type Engine interface {
	Name() string
	Run(c *Case) Reply
	Close() error
}

// Process is an engine in a process of its own: it gets cases and returns
// replies, one JSON line each.
type Process struct {
	name string
	cmd  *exec.Cmd
	in   io.WriteCloser
	out  *bufio.Reader
}

// Start runs an engine's process.
func Start(name string, command ...string) (*Process, error) {
	p := &Process{name: name, cmd: exec.Command(command[0], command[1:]...)}
	p.cmd.Stderr = os.Stderr
	in, err := p.cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	p.in, p.out = in, bufio.NewReaderSize(out, 1<<20)
	return p, p.cmd.Start()
}

// Name implements Engine.
func (p *Process) Name() string { return p.name }

// Run implements Engine.
func (p *Process) Run(c *Case) Reply {
	if err := p.Send(c); err != nil {
		return Reply{ID: c.ID, Err: err.Error()}
	}
	return p.Receive(c)
}

// Send hands over a case; its reply is received later, in order.
func (p *Process) Send(c *Case) error {
	b, err := json.Marshal(c)
	if err != nil {
		return err
	}
	_, err = p.in.Write(append(b, '\n'))
	return err
}

// Receive waits for the reply to c.
func (p *Process) Receive(c *Case) Reply {
	var r Reply
	line, err := p.out.ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(line, &r)
	}
	if err == nil && r.ID != c.ID {
		err = fmt.Errorf("reply to %s", r.ID)
	}
	if err != nil {
		return Reply{ID: c.ID, Err: fmt.Sprintf("%s: %v", p.name, err)}
	}
	return r
}

// Close ends the process.
func (p *Process) Close() error {
	p.in.Close()
	return p.cmd.Wait()
}

// Serve runs the cases that come in on e until the end.
func Serve(e Engine, in io.Reader, out io.Writer) error {
	dec := json.NewDecoder(bufio.NewReaderSize(in, 1<<20))
	for {
		var c Case
		if err := dec.Decode(&c); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		b, err := json.Marshal(e.Run(&c))
		if err != nil {
			return err
		}
		if _, err := out.Write(append(b, '\n')); err != nil {
			return err
		}
	}
}
