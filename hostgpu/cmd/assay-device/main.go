// Command assay-device lists, checks and benchmarks compute devices, and serves
// one to a host. It contains neither the chain nor cgo, so that it is a small
// file to copy to a machine with a GPU.
package main

import (
	"os"

	"github.com/spf13/cobra"

	"github.com/assaynet/assay/hostgpu/devicecmd"
)

func main() {
	root := &cobra.Command{
		Use:   "assay-device",
		Short: "Compute devices of Assay",
	}
	root.AddCommand(devicecmd.Subcommands()...)
	if root.Execute() != nil {
		os.Exit(1)
	}
}
