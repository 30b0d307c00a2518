package devicecmd

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/assaynet/assay/hostgpu/cudadev"
	"github.com/assaynet/assay/hostgpu/devices"
	"github.com/assaynet/assay/hostgpu/telemetry"
)

func listCommand() *cobra.Command {
	var o options
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "Show what this machine can compute with, and the state of its GPUs",
		Example: "  assay device list\n  assay device list --output json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := o.checkOutput(); err != nil {
				return err
			}
			cmd.SilenceUsage = true
			return list(cmd.OutOrStdout(), o.output, probe(cmd), gpus(cmd))
		},
	}
	o.registerOutput(cmd)
	return cmd
}

// gpus asks a device process, because a driver may end the process that asks
// it. What goes wrong is a note: the list is useful without.
func gpus(cmd *cobra.Command) telemetry.Report {
	ctx := cmd.Context()
	if ctx == nil {
		ctx = context.Background()
	}
	dev, err := devices.Open(devices.Light, devices.Config{Process: process(cmd)})
	if err != nil {
		return telemetry.Report{Note: err.Error()}
	}
	r, err := dev.Telemetry(ctx)
	if cerr := dev.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return telemetry.Report{Note: err.Error()}
	}
	return r
}

// probe asks another process what CUDA shows, for the same reason.
func probe(cmd *cobra.Command) devices.CUDA {
	ctx := cmd.Context()
	if ctx == nil {
		ctx = context.Background()
	}
	p := process(cmd)
	p.Args[len(p.Args)-1] = "probe"
	return devices.ProbeCUDA(ctx, *p)
}

// described are the devices of this machine, the GPUs as CUDA shows them.
func described(c devices.CUDA) []devices.Info {
	var out []devices.Info
	for i := range c.GPUs {
		g := &c.GPUs[i]
		detail := fmt.Sprintf("%s, compute capability %d.%d, %d multiprocessors, %.1f GiB, driver of CUDA %s",
			g.Name, g.Major, g.Minor, g.SMs, float64(g.Memory)/(1<<30), c.Version)
		if g.Major < 8 {
			detail += ": too old, 8.0 is needed"
		}
		out = append(out, devices.Info{Name: cudadev.Name(i), Detail: detail, GPU: true})
	}
	for _, d := range devices.List() {
		if !d.GPU {
			out = append(out, d)
		}
	}
	return out
}

func list(w io.Writer, output string, c devices.CUDA, r telemetry.Report) error {
	all := described(c)
	if output == "json" {
		return printJSON(w, struct {
			Devices   []devices.Info   `json:"devices"`
			CUDA      devices.CUDA     `json:"cuda"`
			Telemetry telemetry.Report `json:"telemetry"`
		}{all, c, r})
	}
	rows := [][]string{{"DEVICE", "WHAT"}}
	for _, d := range all {
		rows = append(rows, []string{d.Name, d.Detail})
	}
	if err := table(w, rows); err != nil {
		return err
	}
	fmt.Fprintln(w)
	if c.Missing != "" {
		fmt.Fprintln(w, c.Missing)
	}
	if r.Note != "" {
		fmt.Fprintln(w, r.Note)
		return nil
	}
	return table(w, gpuRows(r))
}

// probeCommand is what list starts.
func probeCommand() *cobra.Command {
	return &cobra.Command{
		Use:    "probe",
		Short:  "Print what NVIDIA's driver shows, as JSON",
		Hidden: true,
		Args:   cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return printJSON(cmd.OutOrStdout(), devices.ReadCUDA())
		},
	}
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
			optional("%d °C", g.TemperatureCelsius), optional("%d MHz", g.ClockSM), ecc(g), mig(g),
			strings.Join(g.Throttle, ", "),
		})
	}
	return rows
}

// ecc is on or off, with what a miner should act on.
func ecc(g *telemetry.GPU) string {
	out := onOff(g.ECC)
	if g.ECCUncorrected != nil && *g.ECCUncorrected > 0 {
		out += fmt.Sprintf(", %d uncorrected", *g.ECCUncorrected)
	}
	if g.RemappedRows != nil && *g.RemappedRows > 0 {
		out += fmt.Sprintf(", %d rows remapped", *g.RemappedRows)
	}
	if g.RemappingPending != nil && *g.RemappingPending {
		out += ", reset needed"
	}
	if g.RemappingFailed != nil && *g.RemappingFailed {
		out += ", remapping failed"
	}
	return out
}

func mig(g *telemetry.GPU) string {
	if len(g.Instances) > 0 {
		return fmt.Sprintf("%d instances", len(g.Instances))
	}
	return onOff(g.MIG)
}

func onOff(v *bool) string {
	switch {
	case v == nil:
		return "-"
	case *v:
		return "on"
	}
	return "off"
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
