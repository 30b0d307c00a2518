package devicecmd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/assaynet/assay/hostgpu/devices"
	"github.com/assaynet/assay/modules/transformerpow/shape"
)

// maxBatch bounds --batch.
const maxBatch = 1 << 16

// benchOptions are the flags of bench alone.
type benchOptions struct {
	budget                time.Duration
	layers, width, tokens int
	batch                 int
	shape                 shape.Shape
}

// benchResult is one device's measurements.
type benchResult struct {
	Device  string      `json:"device"`
	Results []Result    `json:"results"`
	Units   UnitsResult `json:"units"`
}

func benchCommand() *cobra.Command {
	var o options
	var b benchOptions
	cmd := &cobra.Command{
		Use:   "bench",
		Short: "Measure devices: operations a second, bandwidth, units of the proof of work",
		Long: "Measure single ops, then units of the shipped proof of work as a miner computes them: in the\n" +
			"sandbox, host calls and transcript included. A unit's size is --layers, --width and --tokens.",
		Example: "  assay device bench\n  assay device bench --device cpudev --process --width 2048\n" +
			"  assay device bench --output json",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if err := o.checkOutput(); err != nil {
				return err
			}
			if b.budget <= 0 || b.budget > time.Minute {
				return fmt.Errorf("--time is above 0 and at most 1m, not %v", b.budget)
			}
			if b.batch < 1 || b.batch > maxBatch {
				return fmt.Errorf("--batch is 1 to %d, not %d", maxBatch, b.batch)
			}
			if b.shape, err = powShape(b.layers, b.width, b.tokens); err != nil {
				return err
			}
			cmd.SilenceUsage = true
			return bench(cmd, &o, &b)
		},
	}
	o.register(cmd, "all")
	f := cmd.Flags()
	f.DurationVar(&b.budget, "time", 300*time.Millisecond, "how long to measure each case")
	f.IntVar(&b.layers, "layers", 2, "layers of a unit")
	f.IntVar(&b.width, "width", 256, "width of a unit's transformer; production is 2048")
	f.IntVar(&b.tokens, "tokens", 16, "tokens of a unit")
	f.IntVar(&b.batch, "batch", 8, "units of one call")
	return cmd
}

func bench(cmd *cobra.Command, o *options, b *benchOptions) error {
	ctx := cmd.Context()
	if ctx == nil {
		ctx = context.Background()
	}
	var all []benchResult
	for _, name := range o.names() {
		var r benchResult
		err := during(cmd.ErrOrStderr(), "measuring "+name, func() (err error) {
			r, err = benchDevice(ctx, name, o.config(cmd, name), b)
			return err
		})
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		all = append(all, r)
	}
	if o.output == "json" {
		return printJSON(cmd.OutOrStdout(), all)
	}
	return printBench(cmd.OutOrStdout(), all)
}

func benchDevice(ctx context.Context, name string, cfg devices.Config, b *benchOptions) (r benchResult, err error) {
	dev, err := devices.Open(name, cfg)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, dev.Close()) }()
	r.Device = dev.Name()
	if r.Results, err = Measure(dev, b.budget); err != nil {
		return r, err
	}
	r.Units, err = MeasureUnits(ctx, dev, b.shape, b.batch, b.budget)
	return r, err
}

func printBench(w io.Writer, all []benchResult) error {
	rows := [][]string{{"DEVICE", "CASE", "TIME", "GOPS", "GB/S"}}
	for _, d := range all {
		for _, r := range d.Results {
			rows = append(rows, []string{d.Device, r.Case, r.Each().Round(10 * time.Nanosecond).String(), dash(r.GOPS), dash(r.GBs)})
		}
	}
	if err := table(w, rows); err != nil {
		return err
	}
	fmt.Fprintln(w)
	rows = [][]string{{"DEVICE", "UNITS/S", "UNITS/J", "GOPS", "UNIT"}}
	for _, d := range all {
		u := &d.Units
		rows = append(rows, []string{d.Device, fmt.Sprintf("%.1f", u.UnitsPerSecond), optional("%.2f", u.UnitsPerJoule), dash(u.GOPS),
			fmt.Sprintf("transformerpow, %d layers, width %d, %d tokens", u.Shape.Layers, u.Shape.Width, u.Shape.Tokens)})
	}
	return table(w, rows)
}

func dash(v float64) string {
	if v == 0 {
		return "-"
	}
	return fmt.Sprintf("%.2f", v)
}
