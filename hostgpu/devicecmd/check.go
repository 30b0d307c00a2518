package devicecmd

import (
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/assaynet/assay/hostgpu/devices"
	"github.com/assaynet/assay/hostgpu/devicetest"
)

// maxRandom bounds --random.
const maxRandom = 1 << 24

// checkResult is one device's line.
type checkResult struct {
	Device     string   `json:"device"`
	Cases      int      `json:"cases"`
	Random     int      `json:"random,omitempty"` // cases drawn from seeds, beside the suite
	Failed     int      `json:"failed"`
	Digest     string   `json:"digest"` // of all outputs of the suite: the same on every correct device
	Mismatches []string `json:"mismatches,omitempty"`
	Seconds    float64  `json:"seconds"`
}

func checkCommand() *cobra.Command {
	var o options
	var random int
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Compare devices with the reference, bit for bit; the digest is the same on every machine",
		Example: "  assay device check\n  assay device check --device cpudev --process\n" +
			"  assay device check --device cpudev --random 10000",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := o.checkOutput(); err != nil {
				return err
			}
			if random < 0 || random > maxRandom {
				return fmt.Errorf("--random is 0 to %d, not %d", maxRandom, random)
			}
			cmd.SilenceUsage = true
			return check(cmd, &o, random)
		},
	}
	o.register(cmd, "all")
	cmd.Flags().IntVar(&random, "random", 0, "also compare this many cases drawn from seeds 0, 1, ...")
	return cmd
}

func check(cmd *cobra.Command, o *options, random int) error {
	var results []checkResult
	failed := 0
	for _, name := range o.names() {
		var r checkResult
		err := during(cmd.ErrOrStderr(), "checking "+name, func() (err error) {
			r, err = checkDevice(name, o.config(cmd, name), random)
			return err
		})
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		failed += r.Failed
		results = append(results, r)
	}
	w := cmd.OutOrStdout()
	if o.output == "json" {
		if err := printJSON(w, results); err != nil {
			return err
		}
	} else {
		rows := [][]string{{"DEVICE", "CASES", "FAILED", "SECONDS", "DIGEST"}}
		for _, r := range results {
			rows = append(rows, []string{r.Device, fmt.Sprint(r.Cases + r.Random), fmt.Sprint(r.Failed), fmt.Sprintf("%.1f", r.Seconds), r.Digest})
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

func checkDevice(name string, cfg devices.Config, random int) (r checkResult, err error) {
	begin := time.Now()
	dev, err := devices.Open(name, cfg)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, dev.Close()) }()
	rep, err := devicetest.Check(dev)
	if err != nil {
		return r, err
	}
	r = checkResult{Device: dev.Name(), Cases: rep.Cases, Random: random, Failed: rep.Failed,
		Digest: hex.EncodeToString(rep.Digest[:]), Mismatches: rep.Mismatches}
	for seed := range uint64(random) {
		err := devicetest.Differ(dev, devicetest.RandomCase(seed))
		if errors.Is(err, devicetest.ErrMismatch) {
			r.Failed++
			if len(r.Mismatches) < 20 {
				r.Mismatches = append(r.Mismatches, fmt.Sprintf("seed %d: %v", seed, err))
			}
		} else if err != nil {
			return r, fmt.Errorf("seed %d: %w", seed, err)
		}
	}
	r.Seconds = time.Since(begin).Seconds()
	return r, nil
}
