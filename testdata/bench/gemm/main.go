// Command gemm compares cpudev's matrix products with what this processor can
// do at most and with onnxruntime's MatMulInteger, in one run: bursts of all
// of them alternate, so that a machine that slows down slows all of them.
//
//	make bench-gemm
//	go run ./testdata/bench/gemm [-peer DIR/node_modules] [-rounds 16] [-output json]
//
// Rates are those of the best burst, ratios those of these rates.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"strings"
	"text/tabwriter"
)

func main() {
	cfg := config{}
	flag.StringVar(&cfg.peer, "peer", "", "node_modules folder that holds onnxruntime-node; empty: no peer")
	flag.IntVar(&cfg.rounds, "rounds", 16, "rounds of alternating bursts")
	flag.DurationVar(&cfg.burst, "burst", defaultBurst, "time of one burst")
	shapes := flag.String("shapes", "", "only these shapes, as MxNxK with commas between")
	output := flag.String("output", "table", "table or json")
	flag.Parse()
	if *shapes != "" {
		cfg.only = strings.Split(*shapes, ",")
	}
	if err := run(cfg, *output); err != nil {
		fmt.Fprintln(os.Stderr, "bench-gemm:", err)
		os.Exit(1)
	}
}

func run(cfg config, output string) error {
	if output != "table" && output != "json" {
		return fmt.Errorf("-output %q: table or json", output)
	}
	r, err := measureAll(cfg)
	if err != nil {
		return err
	}
	if output == "json" {
		e := json.NewEncoder(os.Stdout)
		e.SetIndent("", "  ")
		return e.Encode(r)
	}
	return r.table()
}

// table prints the report; a dash where there is nothing to compare with.
func (r report) table() error {
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Printf("%s, %d processors; GOPS = 2 × multiply-accumulates / ns\n\n", r.Processor, r.Processors)
	fmt.Fprintln(w, "M×N×K\tpath\tthreads\tGOPS\tpeak\tof peak\tonnxruntime\tours/theirs\ttwo/one\t")
	for _, g := range r.Gemm {
		fmt.Fprintf(w, "%s\t%s\t%d\t%.1f\t%s\t%s\t%s\t%s\t%s\t\n", g.Shape, g.Path, g.Threads, g.GOPS,
			number(g.Peak, "%.1f"), number(100*g.OfPeak, "%.1f %%"), number(g.Peer, "%.1f"), number(g.PerPeer, "%.2f"), number(g.Scaling, "%.2f"))
	}
	fmt.Fprintln(w, "\t\t\t\t\t\t\t\t\t")
	fmt.Fprintln(w, "1×N×K\tpath\tthreads\tGB/s\tstream\tof stream\t\t\t\t")
	for _, g := range r.Gemv {
		fmt.Fprintf(w, "%s\t%s\t%d\t%.2f\t%.2f\t%s\t\t\t\t\n", g.Shape, g.Path, g.Threads, g.GBs, g.Stream, number(100*g.OfStream, "%.1f %%"))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if r.PeerVersion != "" {
		fmt.Printf("\nonnxruntime %s, MatMulInteger u8 × s8, weights packed when the session is made\n", r.PeerVersion)
	}
	return nil
}

func number(x float64, format string) string {
	if x == 0 {
		return "-"
	}
	return fmt.Sprintf(format, x)
}
