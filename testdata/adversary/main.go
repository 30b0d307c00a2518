// Command adversary simulates every strategy of chain/adversary and prints what each gains on
// average against honesty.
//
//	go run ./testdata/adversary [-replicates 67] [-epochs 15] [-cost 0.5] [-seed 1] [-output table|json] [-only name] [-partial file]
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"time"

	"github.com/assaynet/assay/chain/adversary"
)

func main() {
	var plan adversary.Plan
	flag.Uint64Var(&plan.Seed, "seed", 1, "of the first replicate")
	flag.IntVar(&plan.Replicates, "replicates", 67, "independent networks for each strategy")
	flag.IntVar(&plan.Epochs, "epochs", 15, "of each network")
	flag.Float64Var(&plan.Cost, "cost", 0.5, "of computing or checking a unit, as a part of what it earns")
	flag.IntVar(&plan.Workers, "workers", 0, "networks at once; 0: one for each processor")
	output := flag.String("output", "table", "table or json")
	only := flag.String("only", "", "strategies whose name holds this")
	partial := flag.String("partial", "", "file for the table so far, replaced as networks are done")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, plan, *output, *only, *partial); err != nil {
		fmt.Fprintln(os.Stderr, "adversary:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, plan adversary.Plan, output, only, partial string) error {
	var saved error
	if plan.Replicates < 1 || plan.Epochs < 1 || (output != "table" && output != "json") {
		return fmt.Errorf("replicates and epochs are at least 1, output is table or json")
	}
	var scenarios []adversary.Scenario
	for _, s := range adversary.Scenarios() {
		if strings.Contains(s.Name, only) {
			scenarios = append(scenarios, s)
		}
	}
	if len(scenarios) == 0 {
		return fmt.Errorf("no strategy's name holds %q", only)
	}
	lab, err := adversary.NewLab("")
	if err != nil {
		return err
	}
	defer lab.Close()
	start := time.Now()
	plan.Partial = func(replicates int, rows []adversary.Row) {
		fmt.Fprintf(os.Stderr, "%d of %d networks of each, %s\n", replicates, plan.Replicates, time.Since(start).Round(time.Second))
		if partial != "" {
			saved = save(partial, plan, rows)
		}
	}
	rows, err := adversary.Run(ctx, lab, plan, scenarios)
	if err = errors.Join(err, saved); err != nil {
		return err
	}
	if output == "json" {
		return adversary.JSON(os.Stdout, plan, rows)
	}
	return table(os.Stdout, plan, rows)
}

func table(w io.Writer, plan adversary.Plan, rows []adversary.Row) error {
	if _, err := fmt.Fprintf(w, "seed %d, networks of %d epochs, a unit costs %.2f of what it earns\n\n", plan.Seed, plan.Epochs, plan.Cost); err != nil {
		return err
	}
	return adversary.Table(w, rows)
}

// save replaces a file by the table so far.
func save(name string, plan adversary.Plan, rows []adversary.Row) error {
	var b bytes.Buffer
	if err := table(&b, plan, rows); err != nil {
		return err
	}
	return os.WriteFile(name, b.Bytes(), 0o644)
}
