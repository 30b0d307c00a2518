// Command adversary simulates every strategy of chain/adversary and prints what each gains on
// average against honesty.
//
//	go run ./testdata/adversary [-replicates 67] [-epochs 15] [-cost 0.5] [-seed 1] [-output table|json] [-only name]
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"sync/atomic"
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
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, plan, *output, *only); err != nil {
		fmt.Fprintln(os.Stderr, "adversary:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, plan adversary.Plan, output, only string) error {
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
	var done atomic.Int64
	total := len(scenarios) * plan.Replicates
	plan.Done = func(_ adversary.Scenario, replicate int) {
		if replicate < 0 {
			return
		}
		if n := done.Add(1); n%10 == 0 {
			fmt.Fprintf(os.Stderr, "%d of %d networks, %s\n", n, total, time.Since(start).Round(time.Second))
		}
	}
	rows, err := adversary.Run(ctx, lab, plan, scenarios)
	if err != nil {
		return err
	}
	if output == "json" {
		return adversary.JSON(os.Stdout, plan, rows)
	}
	fmt.Printf("seed %d, %d networks of %d epochs, a unit costs %.2f of what it earns\n\n", plan.Seed, plan.Replicates, plan.Epochs, plan.Cost)
	return adversary.Table(os.Stdout, rows)
}
