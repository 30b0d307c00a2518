// Command assay is a node, a miner, a client and the tools of a module author
// in one binary. This package holds commands and wiring; nobody imports it.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/assaynet/assay/chain/app"
	"github.com/assaynet/assay/chain/cli"
	"github.com/assaynet/assay/hostgpu/devicecmd"
)

func main() {
	if err := run(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, "assay:", err)
		os.Exit(exitStatus(err))
	}
}

func run(ctx context.Context) error {
	root, err := newRoot()
	if err != nil {
		return err
	}
	return root.ExecuteContext(ctx)
}

// newRoot makes the command with all others below it.
func newRoot() (*cobra.Command, error) {
	root := &cobra.Command{
		Use:   "assay",
		Short: "Verifiable compute in a Wasm sandbox, and the chain that pays for it",
		Long: "Assay runs AI work as sandboxed Wasm modules, proves it to validators that re-run random\n" +
			"samples on a CPU, bit for bit, and pays miners in proportion.",
		Example: "  assay demo                     show the whole loop on this machine\n" +
			"  assay devnet                   keep a network running here\n" +
			"  assay miner                    mine beside a node\n" +
			"  assay ask \"The Rays \" --endpoint http://127.0.0.1:26604\n" +
			"  assay module check my.wasm     what the chain would say of a module\n" +
			"  assay verify claim file.json   re-check a claim offline\n" +
			"  assay device list              what this machine can compute with",
		SilenceErrors: true,
		Version:       app.Version,
		// What goes wrong while a command runs has nothing to do with its usage.
		PersistentPreRun: func(cmd *cobra.Command, _ []string) { cmd.SilenceUsage = true },
	}
	root.AddCommand(demoCommand(), devnetCommand(), minerCommand(), askCommand(), moduleCommand(), verifyCommand(), devicecmd.New())
	return root, cli.Add(root, cli.Config{Deps: nodeDeps, Presets: presets})
}

// nodeDeps makes the executing parts of a node that runs alone in its process.
func nodeDeps(_ string, code app.Code) (app.Deps, error) {
	e, err := newEngine(cacheDir())
	if err != nil {
		return app.Deps{}, err
	}
	return newDeps(e, code), nil
}

// untilInterrupt returns a context that Ctrl-C ends. A second Ctrl-C ends the
// process, in case its orderly end takes too long.
func untilInterrupt(ctx context.Context) (context.Context, func()) {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	return ctx, stop
}
