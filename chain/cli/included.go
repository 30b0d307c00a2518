package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"sigs.k8s.io/yaml"

	abci "github.com/cometbft/cometbft/abci/types"
	"github.com/cosmos/cosmos-sdk/client"
	"github.com/cosmos/cosmos-sdk/client/flags"
	sdk "github.com/cosmos/cosmos-sdk/types"
	authtx "github.com/cosmos/cosmos-sdk/x/auth/tx"
)

// ErrRefused: the chain did not carry out a transaction.
var ErrRefused = errors.New("transaction refused")

const (
	flagNoWait = "no-wait"
	// includedPoll is how often a node is asked for a transaction's block.
	includedPoll = 200 * time.Millisecond
	// includedWithin bounds the wait: some twenty blocks of the public network.
	includedWithin = 2 * time.Minute
)

// commonEvents come with every transaction.
var commonEvents = map[string]bool{"coin_spent": true, "coin_received": true, "transfer": true, "message": true, "tx": true,
	"coinbase": true, "burn": true}

// noBroadcast are the transaction commands that send nothing.
var noBroadcast = map[string]bool{"sign": true, "sign-batch": true, "multi-sign": true, "multisign-batch": true,
	"validate-signatures": true, "encode": true, "decode": true, "simulate": true, "store": true}

// awaitInclusion makes the commands below tx return when a block holds what
// they sent, with its outcome, and fail if that is a refusal: the SDK's return
// when a node has looked at it, with status 0 whatever it thinks of it.
func awaitInclusion(tx *cobra.Command) {
	tx.PersistentFlags().Bool(flagNoWait, false, "return when the node has taken the transaction, before a block holds it")
	for _, c := range tx.Commands() {
		awaitBelow(c)
	}
}

func awaitBelow(cmd *cobra.Command) {
	if noBroadcast[cmd.Name()] {
		return
	}
	for _, c := range cmd.Commands() {
		awaitBelow(c)
	}
	if run := cmd.RunE; run != nil && !cmd.HasSubCommands() {
		cmd.RunE = func(cmd *cobra.Command, args []string) error { return sendAndWait(cmd, args, run) }
	}
}

func sendAndWait(cmd *cobra.Command, args []string, run func(*cobra.Command, []string) error) error {
	out := cmd.OutOrStdout()
	ctx := client.GetClientContextFromCmd(cmd)
	var said bytes.Buffer
	cmd.SetOut(&said)
	err := client.SetCmdClientContext(cmd, ctx.WithOutput(&said))
	if err == nil {
		err = run(cmd, args)
	}
	cmd.SetOut(out)
	resp := sentTx(ctx, said.Bytes())
	if err != nil || resp == nil {
		_, werr := out.Write(said.Bytes())
		return errors.Join(err, werr)
	}
	if ctx, err = client.GetClientQueryContext(cmd); err != nil {
		return err
	}
	noWait, _ := cmd.Flags().GetBool(flagNoWait)
	if mode, _ := cmd.Flags().GetString(flags.FlagBroadcastMode); mode == flags.BroadcastAsync {
		noWait = true
	}
	if resp.Code == 0 && !noWait {
		included, err := awaitTx(cmd.Context(), ctx, resp.TxHash)
		if err != nil {
			return errors.Join(ctx.WithOutput(out).PrintProto(resp), err)
		}
		resp = included
	}
	if ctx.OutputFormat != flags.OutputFormatJSON {
		// Pages that `assay query tx` shows; what the messages made stays, as the number of a proposal.
		resp.Events = slices.DeleteFunc(resp.Events, func(e abci.Event) bool { return commonEvents[e.Type] })
		resp.Tx, resp.Logs, resp.Data = nil, nil, ""
	}
	return errors.Join(ctx.WithOutput(out).PrintProto(resp), refusal(resp))
}

// sentTx decodes what a command printed, nil if it is no answer to a broadcast.
func sentTx(ctx client.Context, said []byte) *sdk.TxResponse {
	raw, err := yaml.YAMLToJSON(said) // JSON is YAML
	if err != nil {
		return nil
	}
	var resp sdk.TxResponse
	if ctx.Codec.UnmarshalJSON(raw, &resp) != nil || resp.TxHash == "" {
		return nil
	}
	return &resp
}

// awaitTx returns the outcome of a transaction once a block holds it.
func awaitTx(parent context.Context, node client.Context, hash string) (*sdk.TxResponse, error) {
	ctx, cancel := context.WithTimeout(parent, includedWithin)
	defer cancel()
	tick := time.NewTicker(includedPoll)
	defer tick.Stop()
	for {
		resp, err := authtx.QueryTx(node.WithCmdContext(ctx), hash)
		if err == nil {
			return resp, nil
		}
		if !strings.Contains(err.Error(), "not found") && ctx.Err() == nil {
			return nil, fmt.Errorf("look for transaction %s: %w", hash, err)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil, fmt.Errorf("no block has transaction %s yet; `assay query tx %s` shows whether one comes to: %w", hash, hash, ctx.Err())
		}
	}
}

func refusal(r *sdk.TxResponse) error {
	if r.Code == 0 {
		return nil
	}
	return fmt.Errorf("%w (code %d of %s): %s", ErrRefused, r.Code, r.Codespace, r.RawLog)
}
