// Command prices measures what a unit of gas costs: the nanoseconds a unit of
// every instruction, of ways to use them that processors find hard, of bulk
// operations and of host calls, on the engine's compiler with metering in
// place. A price is honest if no row stands out.
//
//	go run ./testdata/bench/prices [-only REGEXP] [-write FILE]
package main

import (
	"flag"
	"fmt"
	"os"
	"regexp"
	"runtime"

	"github.com/assaynet/assay/runtime/sandbox"
)

func main() {
	only := flag.String("only", "", "measure only rows whose group, name and shape match")
	write := flag.String("write", "", "write the table to this file instead of to standard output")
	reps := flag.Int("reps", 5, "runs of each row, of which the fastest counts")
	flag.Parse()
	if err := run(*only, *write, *reps); err != nil {
		fmt.Fprintln(os.Stderr, "prices:", err)
		os.Exit(1)
	}
}

func run(only, write string, reps int) error {
	runtime.LockOSThread()
	pattern, err := regexp.Compile(only)
	if err != nil {
		return err
	}
	rt, err := sandbox.New(sandbox.Config{})
	if err != nil {
		return err
	}
	defer rt.Close()
	job, err := open(rt)
	if err != nil {
		return err
	}
	b := &bench{rt: rt, reps: reps, job: job}
	var results []result
	for _, r := range rows() {
		if !pattern.MatchString(r.group + " " + r.name + " " + r.shape) {
			continue
		}
		f, err := b.run(r)
		if err != nil {
			if r.mayFail {
				continue
			}
			return fmt.Errorf("%s %s: %w", r.name, r.shape, err)
		}
		results = append(results, result{r, f})
	}
	t := summarize(results)
	if write == "" {
		t.print(os.Stdout)
		return nil
	}
	f, err := os.Create(write)
	if err != nil {
		return err
	}
	t.print(f)
	return f.Close()
}

func rows() []row {
	var all []row
	for _, group := range []func() []row{numeric, fixed, scattered, bulk, branches, calls, tables, host} {
		all = append(all, group()...)
	}
	return all
}
