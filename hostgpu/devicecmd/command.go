package devicecmd

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/assaynet/assay/hostgpu/devices"
	"github.com/assaynet/assay/hostgpu/failover"
)

// ErrMismatch says that a device does not give the reference's bits.
var ErrMismatch = errors.New("device check failed")

// New makes the command "device" with its subcommands.
func New() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "device",
		Short: "List, check and benchmark the compute devices of this machine",
		Example: "  assay device list\n" +
			"  assay device check\n" +
			"  assay device bench --device cpudev",
	}
	cmd.AddCommand(Subcommands()...)
	return cmd
}

// Subcommands makes the subcommands alone.
func Subcommands() []*cobra.Command {
	return []*cobra.Command{listCommand(), checkCommand(), benchCommand(), serveCommand(), probeCommand()}
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
	cmd.Flags().StringVar(&o.device, "device", all, "device to use: all one by one, auto, or names that list shows, in order of preference: cudadev,cpudev; cudadev+cudadev1 are two at once")
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

// config makes the configuration of Open for one name; cmd is a sibling of "serve".
func (o *options) config(cmd *cobra.Command, name string) devices.Config {
	cfg := devices.Config{Threads: o.threads, MemoryBytes: o.memory,
		Notify: func(e failover.Event) { fmt.Fprintln(cmd.ErrOrStderr(), e) }}
	if o.process || devices.NeedsProcess(name) {
		cfg.Process = process(cmd)
	}
	return cfg
}

// process starts this program's own serve command; cmd is a sibling of it.
func process(cmd *cobra.Command) *devices.Process {
	path := strings.Fields(cmd.Parent().CommandPath())
	return &devices.Process{Args: append(path[1:], "serve"), Stderr: cmd.ErrOrStderr()}
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
