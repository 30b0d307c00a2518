package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/cosmos/cosmos-sdk/client"
	"github.com/cosmos/cosmos-sdk/client/tx"
	sdk "github.com/cosmos/cosmos-sdk/types"
	authtypes "github.com/cosmos/cosmos-sdk/x/auth/types"

	"github.com/assaynet/assay/chain/params"
	powertypes "github.com/assaynet/assay/chain/power/types"
)

// gasPerFee is the gas that one base unit of the fee buys: the protocol's price.
const gasPerFee = 1_000

// sender sends transactions of one key, one after the other, without waiting for blocks.
type sender struct {
	ctx              client.Context
	key              string
	address          sdk.AccAddress
	number, sequence uint64
}

// newSender reads the account; one that does not exist yet has number and sequence 0, which
// is what its first registration is signed with.
func newSender(ctx client.Context, key string) (*sender, error) {
	if ctx.ChainID == "" {
		return nil, fmt.Errorf("no chain id: give --chain-id or a home with a client.toml")
	}
	record, err := ctx.Keyring.Key(key)
	if err != nil {
		return nil, fmt.Errorf("key %q: %w", key, err)
	}
	address, err := record.GetAddress()
	if err != nil {
		return nil, err
	}
	s := &sender{ctx: ctx, key: key, address: address}
	retriever := authtypes.AccountRetriever{}
	if retriever.EnsureExists(ctx, address) == nil {
		if s.number, s.sequence, err = retriever.GetAccountNumberSequence(ctx, address); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// send signs and broadcasts. A fee-free transaction carries a stamp if the chain asks for one.
func (s *sender) send(ctx context.Context, gas uint64, free bool, msgs ...sdk.Msg) (*sdk.TxResponse, error) {
	factory := tx.Factory{}.WithTxConfig(s.ctx.TxConfig).WithKeybase(s.ctx.Keyring).WithChainID(s.ctx.ChainID).
		WithGas(gas).WithAccountNumber(s.number).WithSequence(s.sequence)
	if free {
		memo, err := s.stamp(ctx, msgs)
		if err != nil {
			return nil, err
		}
		factory = factory.WithMemo(memo)
	} else {
		factory = factory.WithFees(fmt.Sprintf("%d%s", gas/gasPerFee+1, params.BaseDenom))
	}
	unsigned, err := factory.BuildUnsignedTx(msgs...)
	if err != nil {
		return nil, err
	}
	if err := tx.Sign(ctx, factory, s.key, unsigned, true); err != nil {
		return nil, err
	}
	raw, err := s.ctx.TxConfig.TxEncoder()(unsigned.GetTx())
	if err != nil {
		return nil, err
	}
	resp, err := s.ctx.BroadcastTxSync(raw)
	if err != nil {
		return nil, err
	}
	if resp.Code != 0 {
		return nil, refusal(resp)
	}
	s.sequence++
	return resp, nil
}

// stamp mints a hash stamp for a sender without weight.
func (s *sender) stamp(ctx context.Context, msgs []sdk.Msg) (string, error) {
	query := powertypes.NewQueryClient(s.ctx)
	p, err := query.Params(ctx, &powertypes.QueryParamsRequest{})
	if err != nil {
		return "", err
	}
	if m, err := query.Miner(ctx, &powertypes.QueryMinerRequest{Operator: s.address.String()}); err == nil && m.Weight > 0 {
		return "", nil
	}
	if p.Params.Lane.StampBits == 0 {
		return "", nil
	}
	stamp, err := powertypes.NewStamp(s.ctx.ChainID, s.address, s.sequence, msgs)
	if err != nil {
		return "", err
	}
	return stamp.Mint(p.Params.Lane.StampBits), nil
}

func printTx(cmd *cobra.Command, ctx client.Context, resp *sdk.TxResponse) error {
	return ctx.WithOutput(cmd.OutOrStdout()).PrintProto(resp)
}
