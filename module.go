package main

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/spf13/cobra"

	registrytypes "github.com/assaynet/assay/chain/registry/types"
	"github.com/assaynet/assay/modules/catalog"
	"github.com/assaynet/assay/modules/manifest"
	"github.com/assaynet/assay/verifier/recheck"
)

func moduleCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "module",
		Short: "Check, limit, benchmark and name a module before it is proposed",
		Long: "Tools of a module's author. They need no network: what they say follows from the module and\n" +
			"the default parameters of the chain. A module is a file, or the name of one that ships.",
		Example: "  assay module check my.wasm --params 08000000\n" +
			"  assay module limit my.wasm --memory-pages 256\n" +
			"  assay module bench my.wasm --params 08000000\n" +
			"  assay module hash my.wasm",
	}
	cmd.AddCommand(moduleCheckCommand(), moduleLimitCommand(), moduleBenchCommand(), moduleHashCommand())
	return cmd
}

func moduleHashCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "hash FILE",
		Short: "Print the address of a module or model: the SHA-256 of its bytes",
		Example: "  assay module hash my.wasm\n" +
			"  assay module hash hashpow",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			wasm, err := readModule(args[0])
			if err != nil {
				return err
			}
			fmt.Fprintln(cmd.OutOrStdout(), manifest.HashOf(wasm))
			return nil
		},
	}
}

// readModule reads a file, or the shipped module of that name where there is
// no such file.
func readModule(arg string) ([]byte, error) {
	info, err := os.Stat(arg)
	if errors.Is(err, fs.ErrNotExist) {
		if e, cerr := catalog.Get(arg); cerr == nil {
			return e.Wasm, nil
		}
	}
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s is no file", arg)
	case info.Size() > registrytypes.MaxBlobBytes:
		return nil, fmt.Errorf("%s: %d bytes, at most %d", arg, info.Size(), registrytypes.MaxBlobBytes)
	}
	return os.ReadFile(arg)
}

// workFlags choose the parameters that a module is run with.
type workFlags struct {
	params, like, output string
	batch                int
}

// maxBatch bounds --batch.
const maxBatch = 1 << 12

func (w *workFlags) register(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&w.params, "params", "", "the module's parameters in hexadecimal")
	f.StringVar(&w.like, "like", "", "take the parameters of a shipped module")
	f.IntVar(&w.batch, "batch", 512, "units of one call, as a miner's: more may need more tensor memory")
	f.StringVar(&w.output, "output", "text", "text or json")
	cmd.MarkFlagsMutuallyExclusive("params", "like")
}

// work is the job of a module under the highest bounds that the chain allows.
func (w *workFlags) work(wasm []byte) (recheck.Work, error) {
	limits := registrytypes.DefaultParams()
	out := recheck.Work{
		ModuleHash: manifest.HashOf(wasm), Wasm: wasm, Identity: make([]byte, 20),
		GasSetup: limits.MaxGas, GasUnit: limits.MaxGas,
	}
	if w.output != "text" && w.output != "json" {
		return out, fmt.Errorf("--output is text or json, not %q", w.output)
	}
	if w.batch < 1 || w.batch > maxBatch {
		return out, fmt.Errorf("--batch is 1 to %d, not %d", maxBatch, w.batch)
	}
	if w.params != "" {
		p, err := hex.DecodeString(w.params)
		if err != nil {
			return out, fmt.Errorf("--params is hexadecimal: %w", err)
		}
		if len(p) > registrytypes.MaxParamsBytes {
			return out, fmt.Errorf("--params has %d bytes, at most %d", len(p), registrytypes.MaxParamsBytes)
		}
		out.Params = p
		return out, nil
	}
	for _, name := range catalog.Names() {
		e, err := catalog.Get(name)
		if err != nil {
			return out, err
		}
		// A module that ships has parameters of its own.
		if name == w.like || w.like == "" && e.Manifest.Hash == manifest.Hash(out.ModuleHash) {
			out.Params = e.Manifest.Params
			return out, nil
		}
	}
	if w.like != "" {
		return out, fmt.Errorf("--like: %w: %q (there are: %v)", catalog.ErrUnknown, w.like, catalog.Names())
	}
	return out, nil
}

func printJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}
