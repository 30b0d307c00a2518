package cli

import (
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/assaynet/assay/chain/network"
)

// syncFlags are those of a node that begins with a snapshot.
type syncFlags struct {
	rpc    []string
	height int64
	hash   string
}

// syncDoc is the part of a command's help that belongs to the flags.
const syncDoc = "name with --sync-rpc nodes that show the headers, better of different people, and with --sync-height\n" +
	"and --sync-hash a header that you know to be the chain's. Without one that is trusted which\n" +
	"all of these nodes show alike, and printed. The snapshot itself comes from any peer and is checked against it."

func (f *syncFlags) add(flags *pflag.FlagSet) {
	flags.StringSliceVar(&f.rpc, "sync-rpc", nil, "begin with a snapshot: RPC of nodes that show headers, tcp://host:port")
	flags.Int64Var(&f.height, "sync-height", 0, "height of a header that you know to be the chain's, at most two weeks old")
	flags.StringVar(&f.hash, "sync-hash", "", "its hash, 64 hexadecimal digits")
}

func (f *syncFlags) given() bool { return len(f.rpc) > 0 || f.height != 0 || f.hash != "" }

// check refuses flags that cannot work.
func (f *syncFlags) check() error {
	switch {
	case !f.given():
		return nil
	case len(f.rpc) == 0 || len(f.rpc) > network.MaxTrusted:
		return fmt.Errorf("to begin with a snapshot give --sync-rpc with 1 to %d nodes", network.MaxTrusted)
	case f.height == 0 && f.hash == "":
		return nil
	}
	if hash, err := hex.DecodeString(f.hash); err != nil || len(hash) != 32 || f.height < 1 {
		return errors.New("--sync-height and --sync-hash belong together: a height from 1 on, and the 64 hexadecimal digits of its header")
	}
	return nil
}

// settings says what to trust; the flags must have been checked.
func (f *syncFlags) settings(cmd *cobra.Command, chainID string) (*network.StateSync, error) {
	if f.height > 0 {
		hash, err := hex.DecodeString(f.hash)
		return &network.StateSync{RPC: f.rpc, Height: f.height, Hash: hash}, err
	}
	y, err := network.Trust(cmd.Context(), chainID, f.rpc)
	if err != nil {
		return nil, err
	}
	fmt.Fprintf(cmd.ErrOrStderr(), "trusting header %d, %X, as shown by %d of %d nodes\n", y.Height, y.Hash, len(f.rpc), len(f.rpc))
	return y, nil
}
