package main

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	txtypes "github.com/cosmos/cosmos-sdk/types/tx"
	"github.com/spf13/cobra"

	audittypes "github.com/assaynet/assay/chain/audit/types"
	"github.com/assaynet/assay/sdk/client/evidence"
)

// fetchFlags are the flags of assay verify fetch.
type fetchFlags struct {
	rpc      string
	query    evidence.Query
	txs      []string
	openings []string
	out      string
}

func verifyFetchCommand() *cobra.Command {
	var f fetchFlags
	cmd := &cobra.Command{
		Use:   "fetch",
		Short: "Collect a claim's evidence from a node into one file",
		Long: "Write a claim with everything that proves it to a file. The claim is that of the epoch that runs at\n" +
			"--height; older ones need a node that keeps the state of that height.\n\n" +
			"Openings come from where they are public: the transactions of reports and of answers to demands\n" +
			"(--tx), or files that a miner or validator gave away (--opening, canonical bytes). The node is\n" +
			"believed in nothing: the file is checked before it is written.",
		Example: "  assay verify fetch --rpc tcp://127.0.0.1:26601 --miner assay1... -o evidence.json\n" +
			"  assay verify fetch --rpc tcp://127.0.0.1:26601 --miner assay1... --height 4711 --tx 9F2C... -o evidence.json",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, stop := untilInterrupt(cmd.Context())
			defer stop()
			v, err := f.run(ctx)
			if err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s: claim of %s in epoch %d, %d units, %d opened; header %X at height %d\n",
				f.out, v.Claim.Miner, v.Epoch.Number, v.Claim.Count, len(v.Units), v.HeaderHash, v.Height)
			return nil
		},
	}
	fl := cmd.Flags()
	fl.StringVar(&f.rpc, "rpc", "tcp://127.0.0.1:26657", "CometBFT RPC of a node")
	fl.StringVar(&f.query.Miner, "miner", "", "address of the claimant")
	fl.Uint64Var(&f.query.Epoch, "epoch", 0, "epoch of the claim (default: whichever runs at the height)")
	fl.Int64Var(&f.query.Height, "height", 0, "height of the state (default: the newest)")
	fl.StringArrayVar(&f.txs, "tx", nil, "hash of a transaction with a report or an answer; may be repeated")
	fl.StringArrayVar(&f.openings, "opening", nil, "file with one opening; may be repeated")
	fl.StringVarP(&f.out, "out", "o", "evidence.json", "file to write")
	_ = cmd.MarkFlagRequired("miner")
	return cmd
}

func (f *fetchFlags) run(ctx context.Context) (*evidence.Verified, error) {
	src, err := evidence.Open(f.rpc)
	if err != nil {
		return nil, err
	}
	ev, err := src.Fetch(ctx, f.query)
	if err != nil {
		return nil, err
	}
	for _, hash := range f.txs {
		raw, err := hex.DecodeString(hash)
		if err != nil || len(raw) != 32 {
			return nil, fmt.Errorf("--tx is a transaction's hash, 64 hexadecimal digits, not %q", hash)
		}
		opened, err := src.Opened(ctx, raw, openingsOf(f.query.Miner))
		if err != nil {
			return nil, err
		}
		for _, o := range opened {
			if err := ev.Add(o); err != nil {
				return nil, fmt.Errorf("transaction %s: %w", hash, err)
			}
		}
	}
	for _, path := range f.openings {
		b, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		if err := ev.Add(b); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
	}
	v, err := ev.Verify(evidence.Trust{})
	if err != nil {
		return nil, fmt.Errorf("what the node and the openings say does not hold: %w", err)
	}
	return v, writeEvidence(f.out, ev)
}

// writeEvidence replaces the file whole or not at all.
func writeEvidence(path string, ev *evidence.Evidence) error {
	tmp, err := os.CreateTemp(filepath.Dir(path), ".evidence-*")
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name()) // gone already if it was renamed
	if err := errors.Join(ev.Write(tmp), tmp.Close()); err != nil {
		return err
	}
	return os.Rename(tmp.Name(), path)
}

// openingsOf finds the openings that a transaction shows of a miner's claim.
func openingsOf(miner string) func(tx []byte) ([][]byte, error) {
	return func(raw []byte) ([][]byte, error) {
		var tx txtypes.Tx
		if err := tx.Unmarshal(raw); err != nil || tx.Body == nil {
			return nil, errors.New("the transaction cannot be decoded")
		}
		var out [][]byte
		for _, m := range tx.Body.Messages {
			switch m.TypeUrl {
			case "/assay.audit.v1.MsgReport":
				var r audittypes.MsgReport
				if err := r.Unmarshal(m.Value); err != nil {
					return nil, err
				}
				if r.Claimant == miner && len(r.Opening) > 0 {
					out = append(out, r.Opening)
				}
			case "/assay.audit.v1.MsgAnswer":
				var a audittypes.MsgAnswer
				if err := a.Unmarshal(m.Value); err != nil {
					return nil, err
				}
				if a.Miner == miner {
					out = append(out, a.Openings...)
				}
			}
		}
		if len(out) == 0 {
			return nil, fmt.Errorf("the transaction opens nothing of %s", miner)
		}
		return out, nil
	}
}
