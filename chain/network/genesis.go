package network

import (
	"encoding/json"
	"fmt"
	"time"

	cmttypes "github.com/cometbft/cometbft/types"

	"cosmossdk.io/math"

	"github.com/cosmos/cosmos-sdk/codec"
	sdk "github.com/cosmos/cosmos-sdk/types"
	authtypes "github.com/cosmos/cosmos-sdk/x/auth/types"
	banktypes "github.com/cosmos/cosmos-sdk/x/bank/types"
	genutiltypes "github.com/cosmos/cosmos-sdk/x/genutil/types"
	govtypes "github.com/cosmos/cosmos-sdk/x/gov/types"
	govv1 "github.com/cosmos/cosmos-sdk/x/gov/types/v1"

	"github.com/assaynet/assay/chain/app"
	"github.com/assaynet/assay/chain/params"
	powertypes "github.com/assaynet/assay/chain/power/types"
)

const (
	// BlockBytes is the size limit of a block: twelve chunks of a blob beside the lane.
	BlockBytes = 4 << 20
	// BlockGas is the gas limit of a block: 550 ms of one processor at the 200,000 gas a millisecond
	// that chain/app charges, a quarter of it spent before the block, in the mempool. So four nodes on
	// two idle processors keep blocks below two seconds in the benchmarks (docs/bench/scale.md), and half
	// of it, the part of those who pay, takes the last chunk of the largest module and model of
	// chain/registry.
	BlockGas = 110_000_000
	// signatureGas is the price of verifying a secp256k1 signature, about 0.1 ms at that rate; the
	// SDK's default is a twentieth.
	signatureGas = 20_000

	// evidenceAge and evidenceBlocks are how old evidence of double signing may be; both must
	// have passed. They are 20 epochs of a public network, a day of 14,400 blocks each: less
	// than the 21 epochs for which chain/power remembers the owner of a retired key, so that
	// evidence which CometBFT accepts always finds its owner, and more than the two weeks for
	// which a joining node trusts a header.
	evidenceAge    = 20 * 24 * time.Hour
	evidenceBlocks = 20 * 14_400
)

// Genesis is a genesis file in the making.
type Genesis struct {
	ChainID string
	Time    time.Time
	// State holds each module's genesis; Edit changes one.
	State map[string]json.RawMessage
	// Consensus are CometBFT's parameters. Never nil.
	Consensus *cmttypes.ConsensusParams

	codec codec.Codec
	app   *app.App
}

// NewGenesis returns the default genesis of every module, with the coin's units, the governance
// deposit, the limits of a block and the age of evidence in place.
func NewGenesis(chainID string, at time.Time, application *app.App) (*Genesis, error) {
	g := &Genesis{ChainID: chainID, Time: at, codec: application.Encoding().Codec, app: application}
	g.State = application.Basic().DefaultGenesis(g.codec)
	g.Consensus = cmttypes.DefaultConsensusParams()
	g.Consensus.Block.MaxBytes = BlockBytes
	g.Consensus.Block.MaxGas = BlockGas
	g.Consensus.Evidence.MaxAgeDuration = evidenceAge
	g.Consensus.Evidence.MaxAgeNumBlocks = evidenceBlocks
	if err := Edit(g, banktypes.ModuleName, func(s *banktypes.GenesisState) error {
		s.DenomMetadata = []banktypes.Metadata{{
			Description: "The coin of Assay",
			DenomUnits: []*banktypes.DenomUnit{
				{Denom: params.BaseDenom},
				{Denom: params.DisplayDenom, Exponent: params.DisplayExponent},
			},
			Base: params.BaseDenom, Display: params.DisplayDenom, Name: "Assay", Symbol: params.DisplayDenom,
		}}
		return nil
	}); err != nil {
		return nil, err
	}
	if err := Edit(g, authtypes.ModuleName, func(s *authtypes.GenesisState) error {
		s.Params.SigVerifyCostSecp256k1 = signatureGas
		return nil
	}); err != nil {
		return nil, err
	}
	return g, Edit(g, govtypes.ModuleName, func(s *govv1.GenesisState) error {
		p := s.Params
		p.MinDeposit = sdk.NewCoins(coins(1_000))
		p.ExpeditedMinDeposit = sdk.NewCoins(coins(5_000))
		// A proposal without a deposit is refused: a tenth is due with the proposal.
		p.MinInitialDepositRatio = "0.100000000000000000"
		return nil
	})
}

// coins returns whole display units.
func coins(display int64) sdk.Coin {
	return sdk.NewCoin(params.BaseDenom, math.NewInt(display).MulRaw(1_000_000_000))
}

// message is a genesis state: a generated proto message.
type message[T any] interface {
	*T
	codec.ProtoMarshaler
}

// Edit changes one module's genesis.
func Edit[T any, P message[T]](g *Genesis, module string, change func(P) error) error {
	var state T
	raw, ok := g.State[module]
	if !ok {
		return fmt.Errorf("network: genesis has no module %s", module)
	}
	if err := g.codec.UnmarshalJSON(raw, P(&state)); err != nil {
		return fmt.Errorf("network: genesis of %s: %w", module, err)
	}
	if err := change(&state); err != nil {
		return fmt.Errorf("network: genesis of %s: %w", module, err)
	}
	raw, err := g.codec.MarshalJSON(P(&state))
	if err != nil {
		return fmt.Errorf("network: genesis of %s: %w", module, err)
	}
	g.State[module] = raw
	return nil
}

// AddAccount gives an account coins.
func (g *Genesis) AddAccount(address sdk.AccAddress, amount sdk.Coins) error {
	if err := Edit(g, authtypes.ModuleName, func(s *authtypes.GenesisState) error {
		packed, err := authtypes.PackAccounts(authtypes.GenesisAccounts{authtypes.NewBaseAccountWithAddress(address)})
		if err != nil {
			return err
		}
		s.Accounts = append(s.Accounts, packed...)
		return nil
	}); err != nil {
		return err
	}
	if amount.IsZero() {
		return nil
	}
	return Edit(g, banktypes.ModuleName, func(s *banktypes.GenesisState) error {
		s.Balances = append(s.Balances, banktypes.Balance{Address: address.String(), Coins: amount})
		s.Supply = s.Supply.Add(amount...)
		return nil
	})
}

// AddMiner registers a miner; power is relative to the other miners and fades over the
// window of epochs. Its keys need no proof: the file's author vouches for them.
func (g *Genesis) AddMiner(keys *Keys, endpoint string, power uint64) error {
	return Edit(g, powertypes.ModuleName, func(s *powertypes.GenesisState) error {
		s.Miners = append(s.Miners, powertypes.Miner{
			Operator:     keys.Operator.String(),
			ConsPubkey:   keys.Consensus.Key.PubKey.Bytes(),
			VrfKeys:      []powertypes.VRFKey{{Pubkey: keys.VRF.Public().Bytes()}},
			Endpoint:     endpoint,
			Validator:    power > 0,
			GenesisPower: power,
		})
		return nil
	})
}

// Save validates the genesis and writes it to a file.
func (g *Genesis) Save(path string) error {
	if err := g.app.Basic().ValidateGenesis(g.codec, g.app.Encoding().Tx, g.State); err != nil {
		return fmt.Errorf("network: genesis: %w", err)
	}
	state, err := json.MarshalIndent(g.State, "", "  ")
	if err != nil {
		return fmt.Errorf("network: genesis: %w", err)
	}
	doc := genutiltypes.NewAppGenesisWithVersion(g.ChainID, state)
	doc.AppName, doc.AppVersion = params.AppName, app.Version
	doc.GenesisTime = g.Time
	doc.Consensus.Params = g.Consensus
	if err := doc.ValidateAndComplete(); err != nil {
		return fmt.Errorf("network: genesis: %w", err)
	}
	if err := doc.SaveAs(path); err != nil {
		return fmt.Errorf("network: genesis: %w", err)
	}
	return nil
}
