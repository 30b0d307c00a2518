package main

import (
	"errors"
	"fmt"
	"io"
	"math/bits"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/assaynet/assay/modules/manifest"
	"github.com/assaynet/assay/runtime/meter"
	"github.com/assaynet/assay/runtime/wasmbin"
)

// opLoad is i64.load, as any load priced by how much memory there may be.
const opLoad = wasmbin.Op(0x29)

func moduleLimitCommand() *cobra.Command {
	var pages uint32
	var out string
	cmd := &cobra.Command{
		Use:   "limit FILE --memory-pages N",
		Short: "Write a maximum into a module's memory section",
		Long: "Write into a module how much memory it may grow to, in pages of 64 KiB. Go's linker declares no\n" +
			"maximum, so that every load is priced as if it missed the caches of 512 MiB; a module that says how\n" +
			"little it needs is priced for that. Growing above the maximum fails, which ends a Go program: `check`\n" +
			"says how many pages its runs used. All else in the file stays as it is; its hash becomes another.",
		Example: "  assay module limit my.wasm --memory-pages 256\n" +
			"  assay module limit my.wasm --memory-pages 256 --out small.wasm",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if _, err := os.Stat(args[0]); err != nil { // a shipped module's name is no file to write to
				return err
			}
			wasm, err := readModule(args[0])
			if err != nil {
				return err
			}
			limits := meter.DefaultLimits()
			if pages < 1 || pages > limits.MemoryPages {
				return fmt.Errorf("--memory-pages is 1 to %d, not %d", limits.MemoryPages, pages)
			}
			m, err := wasmbin.Decode(wasm, limits.Limits)
			if err != nil {
				return err
			}
			limited, err := m.LimitMemory(pages)
			var above *wasmbin.LimitError
			switch {
			case errors.As(err, &above) && above.Value == uint64(pages):
				return fmt.Errorf("%s declares at most %d pages already, and a maximum is only lowered", args[0], above.Max)
			case errors.As(err, &above):
				return fmt.Errorf("%s begins with %d pages, above %d", args[0], above.Value, above.Max)
			case err != nil:
				return fmt.Errorf("%s: %w", args[0], err)
			}
			if out == "" {
				out = args[0]
			}
			if err := replaceFile(out, limited); err != nil {
				return err
			}
			printLimited(cmd.OutOrStdout(), m, wasm, limited, pages)
			return nil
		},
	}
	cmd.Flags().Uint32Var(&pages, "memory-pages", 0, "most pages of 64 KiB")
	cmd.Flags().StringVar(&out, "out", "", "write here and leave FILE as it is")
	if err := cmd.MarkFlagRequired("memory-pages"); err != nil {
		panic(err) // there is such a flag
	}
	return cmd
}

// printLimited says what changed.
func printLimited(w io.Writer, m *wasmbin.Module, before, after []byte, pages uint32) {
	mem := m.Memories[0]
	was := "no maximum"
	if mem.HasMax {
		was = fmt.Sprintf("at most %d", mem.Max)
	}
	fmt.Fprintf(w, "memory     %d pages of 64 KiB at first, %s -> at most %d\n", mem.Min, was, pages)
	fmt.Fprintf(w, "a load     %d gas -> %d\n", loadPrice(m, 0), loadPrice(m, pages))
	fmt.Fprintf(w, "size       %d bytes -> %d\n", len(before), len(after))
	fmt.Fprintf(w, "hash       %s -> %s\n", manifest.HashOf(before), manifest.HashOf(after))
}

// loadPrice is what a load costs in the module if its memory may grow to so
// many pages, or, with 0, to as many as it declares.
func loadPrice(m *wasmbin.Module, pages uint32) int64 {
	cfg := meter.Config{Limits: meter.DefaultLimits(), MemoryPages: pages}
	return meter.DefaultSchedule().Of(m, &cfg).Op(opLoad)
}

// limitAdvice is a maximum that leaves room above the pages that were used, if
// it would make loads cheaper; else 0.
func limitAdvice(m *wasmbin.Module, used uint32) uint32 {
	advice := uint32(1) << bits.Len32(2*used-1) // twice as many, or up to four times
	if used == 0 || loadPrice(m, advice) >= loadPrice(m, 0) {
		return 0
	}
	return advice
}

// replaceFile writes a file whole or not at all.
func replaceFile(name string, b []byte) (err error) {
	f, err := os.CreateTemp(filepath.Dir(name), ".assay-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}()
	_, err = f.Write(b)
	if err = errors.Join(err, f.Chmod(0o644), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), name)
}
