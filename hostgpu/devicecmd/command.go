package devicecmd

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/assaynet/assay/hostgpu/devices"
	"github.com/assaynet/assay/hostgpu/devicetest"
	"github.com/assaynet/assay/hostgpu/telemetry"
)

// ErrMismatch says that a device does not give the reference's bits.
var ErrMismatch = errors.New("device check failed")

// New makes the command "device" with its subcommands.
func New() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "device",
		Short: "List, check and benchmark the compute devices of this machine",
	}
	cmd.AddCommand(Subcommands()...)
	return cmd
}

// Subcommands makes the subcommands alone.
func Subcommands() []*cobra.Command {
	return []*cobra.Command{listCommand(), checkCommand(), benchCommand(), serveCommand()}
}

// options are the flags that the commands share.
type options struct {
	device  string
	output  string
	process bool
	threads int
	memory  int64
}

func (o *options) register(cmd *cobra.Command, all string) {
	cmd.Flags().StringVar(&o.device, "device", all, "device to use: all, auto, or a name that list shows")
	cmd.Flags().BoolVar(&o.process, "process", false, "run the device in a process of its own")
	cmd.Flags().IntVar(&o.threads, "threads", 0, "threads of the processor device; 0 is all")
	cmd.Flags().Int64Var(&o.memory, "memory", 0, "most bytes that tensors may take; 0 is what the device has")
	o.registerOutput(cmd)
}

func (o *options) registerOutput(cmd *cobra.Command) {
	cmd.Flags().StringVar(&o.output, "output", "table", "table or json")
}

func (o *options) checkOutput() error {
	if o.output != "table" && o.output != "json" {
		return fmt.Errorf("--output is table or json, not %q", o.output)
	}
	return nil
}

// names resolves "all".
func (o *options) names() []string {
	if o.device != "all" {
		return []string{o.device}
	}
	var out []string
	for _, d := range devices.List() {
		out = append(out, d.Name)
	}
	return out
}

// config makes the configuration of Open; cmd is a sibling of "serve".
func (o *options) config(cmd *cobra.Command) devices.Config {
	cfg := devices.Config{Threads: o.threads, MemoryBytes: o.memory}
	if o.process {
		path := strings.Fields(cmd.Parent().CommandPath())
		cfg.Process = &devices.Process{Args: append(path[1:], "serve"), Stderr: cmd.ErrOrStderr()}
	}
	return cfg
}

func printJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

func table(w io.Writer, rows [][]string) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, r := range rows {
		fmt.Fprintln(t, strings.Join(r, "\t"))
	}
	return t.Flush()
}

func listCommand() *cobra.Command {
	var o options
	cmd := &cobra.Command{
		Use:   "list",
		Short: "Show what this machine can compute with, and the state of its GPUs",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := o.checkOutput(); err != nil {
				return err
			}
			return list(cmd.OutOrStdout(), o.output)
		},
	}
	o.registerOutput(cmd)
	return cmd
}

func list(w io.Writer, output string) error {
	var gpus telemetry.Report
	r, note := telemetry.Open()
	if note == nil {
		gpus = r.Read()
		defer r.Close()
	}
	if output == "json" {
		out := struct {
			Devices   []devices.Info    `json:"devices"`
			Telemetry *telemetry.Report `json:"telemetry,omitempty"`
			Note      string            `json:"telemetry_note,omitempty"`
		}{Devices: devices.List()}
		if note == nil {
			out.Telemetry = &gpus
		} else {
			out.Note = note.Error()
		}
		return printJSON(w, out)
	}
	rows := [][]string{{"DEVICE", "WHAT"}}
	for _, d := range devices.List() {
		rows = append(rows, []string{d.Name, d.Detail})
	}
	if err := table(w, rows); err != nil {
		return err
	}
	if note != nil {
		fmt.Fprintf(w, "\n%v\n", note)
		return nil
	}
	fmt.Fprintln(w)
	return table(w, gpuRows(gpus))
}

// gpuRows is a table of the fields that are known.
func gpuRows(r telemetry.Report) [][]string {
	rows := [][]string{{"GPU", "NAME", "MEMORY", "LOAD", "POWER", "TEMP", "CLOCK", "ECC", "MIG", "THROTTLED BY"}}
	for i := range r.GPUs {
		g := &r.GPUs[i]
		rows = append(rows, []string{
			fmt.Sprint(g.Index), optional("%s", g.Name),
			scaled("%.0f", g.MemoryUsed, 1<<20) + "/" + scaled("%.0f MiB", g.MemoryTotal, 1<<20),
			optional("%d %%", g.Utilization),
			scaled("%.0f", g.PowerMilliwatts, 1000) + "/" + scaled("%.0f W", g.PowerLimitMilliwatts, 1000),
			optional("%d °C", g.TemperatureCelsius), optional("%d MHz", g.ClockSM), optional("%t", g.ECC), optional("%t", g.MIG),
			strings.Join(g.Throttle, ", "),
		})
	}
	return rows
}

func optional[T any](format string, v *T) string {
	if v == nil {
		return "-"
	}
	return fmt.Sprintf(format, *v)
}

func scaled[T uint32 | uint64](format string, v *T, unit float64) string {
	if v == nil {
		return "-"
	}
	return fmt.Sprintf(format, float64(*v)/unit)
}

// checkResult is one device's line.
type checkResult struct {
	Device     string   `json:"device"`
	Cases      int      `json:"cases"`
	Failed     int      `json:"failed"`
	Digest     string   `json:"digest"` // of all outputs: the same on every correct device
	Mismatches []string `json:"mismatches,omitempty"`
	Seconds    float64  `json:"seconds"`
}

func checkCommand() *cobra.Command {
	var o options
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Compare devices with the reference, bit for bit; the digest is the same on every machine",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := o.checkOutput(); err != nil {
				return err
			}
			cmd.SilenceUsage = true
			return check(cmd, &o)
		},
	}
	o.register(cmd, "all")
	return cmd
}

func check(cmd *cobra.Command, o *options) error {
	var results []checkResult
	failed := 0
	for _, name := range o.names() {
		dev, err := devices.Open(name, o.config(cmd))
		if err != nil {
			return err
		}
		begin := time.Now()
		rep, err := devicetest.Check(dev)
		if cerr := dev.Close(); err == nil {
			err = cerr
		}
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		failed += rep.Failed
		results = append(results, checkResult{dev.Name(), rep.Cases, rep.Failed, hex.EncodeToString(rep.Digest[:]),
			rep.Mismatches, time.Since(begin).Seconds()})
	}
	w := cmd.OutOrStdout()
	if o.output == "json" {
		if err := printJSON(w, results); err != nil {
			return err
		}
	} else {
		rows := [][]string{{"DEVICE", "CASES", "FAILED", "SECONDS", "DIGEST"}}
		for _, r := range results {
			rows = append(rows, []string{r.Device, fmt.Sprint(r.Cases), fmt.Sprint(r.Failed), fmt.Sprintf("%.1f", r.Seconds), r.Digest})
		}
		if err := table(w, rows); err != nil {
			return err
		}
		for _, r := range results {
			for _, m := range r.Mismatches {
				fmt.Fprintf(w, "%s: %s\n", r.Device, m)
			}
		}
	}
	if failed > 0 {
		return fmt.Errorf("%w: %d cases differ from the reference", ErrMismatch, failed)
	}
	return nil
}

func benchCommand() *cobra.Command {
	var o options
	var budget time.Duration
	cmd := &cobra.Command{
		Use:   "bench",
		Short: "Measure devices: operations a second and bandwidth",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := o.checkOutput(); err != nil {
				return err
			}
			if budget <= 0 || budget > time.Minute {
				return fmt.Errorf("--time is above 0 and at most 1m, not %v", budget)
			}
			cmd.SilenceUsage = true
			return bench(cmd, &o, budget)
		},
	}
	o.register(cmd, "all")
	cmd.Flags().DurationVar(&budget, "time", 300*time.Millisecond, "how long to measure each case")
	return cmd
}

func bench(cmd *cobra.Command, o *options, budget time.Duration) error {
	type deviceResult struct {
		Device  string   `json:"device"`
		Results []Result `json:"results"`
	}
	var all []deviceResult
	w := cmd.OutOrStdout()
	for _, name := range o.names() {
		dev, err := devices.Open(name, o.config(cmd))
		if err != nil {
			return err
		}
		res, err := Measure(dev, budget)
		if cerr := dev.Close(); err == nil {
			err = cerr
		}
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		all = append(all, deviceResult{dev.Name(), res})
	}
	if o.output == "json" {
		return printJSON(w, all)
	}
	rows := [][]string{{"DEVICE", "CASE", "TIME", "GOPS", "GB/S"}}
	for _, d := range all {
		for _, r := range d.Results {
			rows = append(rows, []string{d.Device, r.Case, r.Each().Round(10 * time.Nanosecond).String(), dash(r.GOPS), dash(r.GBs)})
		}
	}
	return table(w, rows)
}

func dash(v float64) string {
	if v == 0 {
		return "-"
	}
	return fmt.Sprintf("%.2f", v)
}

// serveCommand is what --process and a host's configuration start.
func serveCommand() *cobra.Command {
	var o options
	cmd := &cobra.Command{
		Use:    "serve",
		Short:  "Serve a device to the process that started this one",
		Hidden: true,
		Args:   cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			return devices.Serve(o.device, devices.Config{Threads: o.threads, MemoryBytes: o.memory})
		},
	}
	o.register(cmd, devices.Auto)
	return cmd
}
