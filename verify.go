package main

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/assaynet/assay/sdk/client/evidence"
	"github.com/assaynet/assay/verifier/commit"
	"github.com/assaynet/assay/verifier/recheck"
)

// errFalseUnit: re-execution gave another digest than the claim holds.
var errFalseUnit = errors.New("the claim holds a false unit")

func verifyCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "verify",
		Short: "Re-check a claim, a unit of it or an answer offline, from one file",
		Long: "`fetch` collects what is needed from a node: a signed header, proofs of the epoch and the claim\n" +
			"under its app hash, the module, and openings of units. `claim` and `unit` need nothing but that\n" +
			"file: they check signatures, proofs and openings, and run the units again in the sandbox on the\n" +
			"reference device. One unit that comes out different is proof of a false claim.\n" +
			"`receipt` does the same with an answer that was saved.\n\n" +
			"The file cannot say whether its header is the chain's: compare the hash that is printed with one\n" +
			"from a node that you trust, or give it with --trust.\n\n" +
			"Exit status: 0 everything holds; 1 it could not be checked (flags, files, the host, an interruption);\n" +
			"2 the evidence does not hold; 3 it holds, and a unit is false. With --output json an error is an\n" +
			"object too: {\"verified\": false, \"error\": {\"kind\", \"message\"}}.",
		Example: "  assay verify fetch --rpc tcp://127.0.0.1:26601 --miner assay1... --tx 9F2C... -o evidence.json\n" +
			"  assay verify claim evidence.json --trust 4E0A...\n" +
			"  assay verify unit evidence.json 4711 --output json\n" +
			"  assay verify receipt answer.json",
	}
	cmd.AddCommand(verifyFetchCommand(), verifyClaimCommand(), verifyUnitCommand(), verifyReceiptCommand())
	return cmd
}

// verifyFlags are those of claim and unit.
type verifyFlags struct {
	trust  string
	output string
}

func (f *verifyFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.trust, "trust", "", "hash of the header, in hexadecimal, from a node that you trust")
	cmd.Flags().StringVar(&f.output, "output", "text", "text or json")
}

func verifyClaimCommand() *cobra.Command {
	var f verifyFlags
	cmd := &cobra.Command{
		Use:   "claim FILE",
		Short: "Check a claim's proofs and every unit that the file opens",
		Example: "  assay verify claim evidence.json\n" +
			"  assay verify claim evidence.json --trust 4E0A... --output json | jq .units",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return verifyFile(cmd, args[0], f, nil)
		},
	}
	f.add(cmd)
	return cmd
}

func verifyUnitCommand() *cobra.Command {
	var f verifyFlags
	cmd := &cobra.Command{
		Use:     "unit FILE INDEX",
		Short:   "Check one unit of a claim that the file opens",
		Example: "  assay verify unit evidence.json 4711",
		Args:    cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return verifyFile(cmd, args[0], f, &args[1])
		},
	}
	f.add(cmd)
	return cmd
}

// verifyReport is the result of a check.
type verifyReport struct {
	ChainID  string       `json:"chain_id"`
	Height   int64        `json:"height"`
	Time     time.Time    `json:"time"`
	Header   string       `json:"header"`
	Trusted  bool         `json:"trusted"`
	Signers  int          `json:"signers"`
	Epoch    uint64       `json:"epoch"`
	Miner    string       `json:"miner"`
	Root     string       `json:"root"`
	Count    uint64       `json:"count"`
	Status   string       `json:"status"`
	Module   string       `json:"module"`
	Units    []unitReport `json:"units"`
	Seconds  float64      `json:"seconds"` // of re-execution
	Verified bool         `json:"verified"`
	Error    *failure     `json:"error,omitempty"` // of a false unit
}

// verifyFailure is printed instead where there is nothing to report.
type verifyFailure struct {
	Verified bool     `json:"verified"` // false
	Error    *failure `json:"error"`
}

type unitReport struct {
	Index   uint64 `json:"index"`
	Claimed string `json:"claimed"`
	Got     string `json:"got,omitempty"`
	Trap    string `json:"trap,omitempty"` // the module stopped: no digest is true
	True    bool   `json:"true"`
}

func verifyFile(cmd *cobra.Command, path string, f verifyFlags, unit *string) (err error) {
	if f.output != "text" && f.output != "json" {
		return fmt.Errorf("--output is text or json, not %q", f.output)
	}
	told := false
	defer func() {
		if err != nil && !told && f.output == "json" {
			err = errors.Join(err, writeJSON(cmd.OutOrStdout(), verifyFailure{Error: failureOf(err)}))
		}
	}()
	var only *uint64
	if unit != nil {
		index, err := strconv.ParseUint(*unit, 10, 64)
		if err != nil {
			return fmt.Errorf("INDEX is a number of a unit, not %q", *unit)
		}
		only = &index
	}
	trust, err := hex.DecodeString(f.trust)
	if err != nil || (len(trust) != 0 && len(trust) != 32) {
		return errors.New("--trust is a header's hash, 64 hexadecimal digits")
	}
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	ev, err := evidence.Read(file)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	v, err := ev.Verify(evidence.Trust{Header: trust})
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	units := v.Units
	if only != nil {
		units = nil
		for _, u := range v.Units {
			if u.Index == *only {
				units = []evidence.Unit{u}
			}
		}
		if units == nil {
			return fmt.Errorf("%s opens no unit %d; `assay verify fetch` adds openings", path, *only)
		}
	}
	ctx, stop := untilInterrupt(cmd.Context())
	defer stop()
	con := newConsole(os.Stderr)
	r, err := runVerified(ctx, con, v, units)
	if err != nil {
		return err
	}
	told = true
	if err := r.write(cmd.OutOrStdout(), f.output); err != nil {
		return err
	}
	return r.err()
}

// runVerified runs units again, each in a fresh instance on the reference
// device, which is what decides on the chain.
func runVerified(ctx context.Context, con *console, v *evidence.Verified, units []evidence.Unit) (*verifyReport, error) {
	r := &verifyReport{ChainID: v.ChainID, Height: v.Height, Time: v.Time, Header: hex.EncodeToString(v.HeaderHash), Trusted: v.Trusted,
		Signers: v.Signers, Epoch: v.Epoch.Number, Miner: v.Claim.Miner, Root: hex.EncodeToString(v.Claim.Root), Count: v.Claim.Count,
		Status: strings.ToLower(v.Claim.Status.String()), Module: hex.EncodeToString(v.Epoch.Work.ModuleHash), Units: []unitReport{}}
	if len(units) > 0 {
		e, err := newEngine(cacheDir())
		if err != nil {
			return nil, err
		}
		defer e.Close()
		start := time.Now()
		for i, u := range units {
			con.Live("re-executing unit %d, %d of %d", u.Index, i+1, len(units))
			got, err := verifyUnit(ctx, e.checker, v, u)
			if err != nil {
				return nil, err
			}
			r.Units = append(r.Units, got)
		}
		con.Live("")
		r.Seconds = time.Since(start).Seconds()
	}
	r.Error = failureOf(r.err())
	r.Verified = r.Error == nil
	return r, nil
}

func verifyUnit(ctx context.Context, c *recheck.Checker, v *evidence.Verified, u evidence.Unit) (unitReport, error) {
	w := v.Epoch.Work
	d, err := c.Unit(ctx, recheck.Work{ModuleHash: [32]byte(w.ModuleHash), Wasm: v.Wasm, Params: w.Params, Seed: [32]byte(v.Epoch.Seed),
		Identity: v.Claimant, TensorBytes: w.TensorBytes, MemoryPages: w.MemoryPages, GasSetup: w.GasSetup, GasUnit: w.GasUnit}, u.Index)
	out := unitReport{Index: u.Index, Claimed: hex.EncodeToString(u.Digest[:])}
	var trap *recheck.TrapError
	if errors.As(err, &trap) {
		out.Trap = trap.Error()
		return out, nil
	}
	if err != nil {
		return out, fmt.Errorf("unit %d: %w", u.Index, err)
	}
	out.Got, out.True = hex.EncodeToString(d[:]), d == commit.Digest(u.Digest)
	return out, nil
}

func (r *verifyReport) err() error {
	for _, u := range r.Units {
		if !u.True {
			return fmt.Errorf("%w: unit %d", errFalseUnit, u.Index)
		}
	}
	return nil
}

func (r *verifyReport) write(w io.Writer, format string) error {
	if format == "json" {
		return writeJSON(w, r)
	}
	trusted := "compare it with a node that you trust"
	if r.Trusted {
		trusted = "the trusted one"
	}
	fmt.Fprintf(w, "chain      %s, height %d, %s\n", r.ChainID, r.Height, r.Time.UTC().Format(time.RFC3339))
	fmt.Fprintf(w, "header     %s, signed by more than two thirds of %d validators; %s\n", r.Header, r.Signers, trusted)
	fmt.Fprintf(w, "claim      %s, epoch %d: %d units under %s, %s\n", r.Miner, r.Epoch, r.Count, r.Root, r.Status)
	fmt.Fprintf(w, "module     %s\n", r.Module)
	if len(r.Units) == 0 {
		fmt.Fprintln(w, "units      none opened in this file")
		return nil
	}
	good := 0
	for _, u := range r.Units {
		if u.True {
			good++
			continue
		}
		found := u.Got
		if u.Trap != "" {
			found = u.Trap
		}
		fmt.Fprintf(w, "FALSE      unit %d: claimed %s, re-executed %s\n", u.Index, u.Claimed, found)
	}
	_, err := fmt.Fprintf(w, "units      %d of %d true, re-executed in %.2f s\n", good, len(r.Units), r.Seconds)
	return err
}
