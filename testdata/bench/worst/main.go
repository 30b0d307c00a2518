// Command worst looks for the admissible module that takes the compiler the
// most time or memory: it climbs from random shapes at the limits of the
// profile, one change at a time, and compiles each module that is admitted in
// a process of its own, which measures itself.
//
//	go run ./testdata/bench/worst [-seed 1] [-tries 200] [-memory]
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"syscall"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"github.com/assaynet/assay/runtime/meter"
)

// cost is what compiling a module took.
type cost struct {
	Seconds float64 // of processor time
	MiB     float64 // most resident memory of the process
}

func main() {
	seed := flag.Uint64("seed", 1, "of the search")
	tries := flag.Int("tries", 200, "modules to compile")
	memory := flag.Bool("memory", false, "look for the most memory instead of the most time")
	given := flag.String("shape", "", "measure only this shape, as JSON")
	child := flag.Bool("compile", false, "compile the module on standard input and print what it cost")
	flag.Parse()
	if *child {
		if err := compile(); err != nil {
			fmt.Fprintln(os.Stderr, "worst:", err)
			os.Exit(1)
		}
		return
	}
	if *given != "" {
		if err := one(*given); err != nil {
			fmt.Fprintln(os.Stderr, "worst:", err)
			os.Exit(1)
		}
		return
	}
	if err := search(*seed, *tries, *memory); err != nil {
		fmt.Fprintln(os.Stderr, "worst:", err)
		os.Exit(1)
	}
}

// compile is the child.
func compile() error {
	b, err := io.ReadAll(os.Stdin)
	if err != nil {
		return err
	}
	ctx := context.Background()
	rt := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfigCompiler().WithCoreFeatures(api.CoreFeaturesV2).WithDebugInfoEnabled(false))
	if _, err := rt.CompileModule(ctx, b); err != nil {
		return err
	}
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(cost{
		Seconds: float64(u.Utime.Nano()+u.Stime.Nano()) / 1e9, MiB: float64(u.Maxrss) / 1024,
	})
}

// measure compiles a shape in a child; admitted is false if the profile
// refuses it.
func measure(self string, s shape) (c cost, size int, admitted bool, err error) {
	res, err := meter.Rewrite(s.module(), meter.Config{Limits: meter.DefaultLimits()})
	if err != nil {
		return cost{}, 0, false, nil
	}
	cmd := exec.Command(self, "-compile")
	cmd.Stdin = bytes.NewReader(res.Wasm)
	var out, msg bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &msg
	if err := cmd.Run(); err != nil {
		return cost{}, 0, true, fmt.Errorf("%w: %s", err, msg.String())
	}
	return c, len(res.Wasm), true, json.Unmarshal(out.Bytes(), &c)
}

// one measures a shape that is given.
func one(text string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	var s shape
	if err := json.Unmarshal([]byte(text), &s); err != nil {
		return err
	}
	c, size, admitted, err := measure(self, s)
	if err != nil {
		return err
	}
	if !admitted {
		_, err = meter.Rewrite(s.module(), meter.Config{Limits: meter.DefaultLimits()})
		return err
	}
	fmt.Printf("%6.2f s %6.0f MiB, %8d bytes rewritten: %+v\n", c.Seconds, c.MiB, size, s)
	return nil
}

// search climbs and prints each module that is worse than all before it. It
// starts anew from a random shape when it has not climbed for a while.
func search(seed uint64, tries int, memory bool) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	score := func(c cost) float64 {
		if memory {
			return c.MiB
		}
		return c.Seconds
	}
	rng := rand.New(rand.NewPCG(seed, 3))
	var best, here float64
	var at shape
	stuck, refused := 0, 0
	for n := 0; n < tries; {
		s := at.changed(rng)
		if here == 0 || stuck > 25 {
			s, here, stuck = random(rng), 0, 0
		}
		c, size, admitted, err := measure(self, s)
		if err != nil {
			return err
		}
		if !admitted {
			if refused++; refused > 1000*tries {
				return fmt.Errorf("%d shapes refused", refused)
			}
			if here > 0 {
				stuck++
			}
			continue
		}
		n++
		if v := score(c); v > here {
			at, here, stuck = s, v, 0
		} else {
			stuck++
		}
		if here > best {
			best = here
			fmt.Printf("try %4d: %6.2f s %6.0f MiB, %8d bytes rewritten: %+v\n", n, c.Seconds, c.MiB, size, s)
		}
	}
	fmt.Printf("seed %d: %d modules compiled, %d refused\n", seed, tries, refused)
	return nil
}
