package cli

import (
	"github.com/spf13/cobra"

	"github.com/cosmos/cosmos-sdk/client"
	"github.com/cosmos/cosmos-sdk/client/flags"

	"github.com/assaynet/assay/chain/network"
	powertypes "github.com/assaynet/assay/chain/power/types"
)

const registerGas = 1_000_000

func registerCommand() *cobra.Command {
	var (
		endpoint  string
		validator bool
	)
	cmd := &cobra.Command{
		Use:   "register",
		Short: "Register the home's keys as a miner; costs no fee and needs no account",
		Long: "Register the keys of the home folder as a miner, or change endpoint, keys and the wish to\n" +
			"validate. The home's operator key signs; missing keys are made. A newcomer needs no coins:\n" +
			"the transaction carries a small proof of work instead and creates the account.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, err := client.GetClientTxContext(cmd)
			if err != nil {
				return err
			}
			keys, err := network.LoadKeys(ctx.HomeDir, ctx.Codec)
			if err != nil {
				return err
			}
			s, err := newSender(ctx.WithKeyring(keys.Keyring), network.OperatorKey)
			if err != nil {
				return err
			}
			msg, err := keys.Registration(ctx.ChainID, endpoint, validator)
			if err != nil {
				return err
			}
			if err := powertypes.CheckEndpoint(endpoint); err != nil {
				return err
			}
			resp, err := s.send(cmd.Context(), registerGas, true, msg)
			if err != nil {
				return err
			}
			return printTx(cmd, ctx, resp)
		},
	}
	cmd.Flags().StringVar(&endpoint, "endpoint", "", "URL that serves openings and inference")
	cmd.Flags().BoolVar(&validator, "validator", false, "vote blocks once there is power")
	addTxFlags(cmd)
	return cmd
}

// addTxFlags adds the flags of a transaction whose fee and gas the command chooses itself.
func addTxFlags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.String(flags.FlagNode, "tcp://localhost:26657", "RPC of a node")
	f.StringP(flags.FlagOutput, "o", flags.OutputFormatText, "output format: text or json")
	f.String(flags.FlagKeyringBackend, "test", "backend of the keyring")
	f.String(flags.FlagKeyringDir, "", "folder of the keyring; the home folder if empty")
}
