package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	sdk "github.com/cosmos/cosmos-sdk/types"
	authtypes "github.com/cosmos/cosmos-sdk/x/auth/types"
	govtypes "github.com/cosmos/cosmos-sdk/x/gov/types"
	govv1 "github.com/cosmos/cosmos-sdk/x/gov/types/v1"

	registrytypes "github.com/assaynet/assay/chain/registry/types"
	sprinttypes "github.com/assaynet/assay/chain/sprint/types"
	"github.com/assaynet/assay/modules/catalog"
	"github.com/assaynet/assay/sdk/client"
)

// govern uploads hashpow, proposes it, votes with the miners' weights, and
// sees the next sprint run it.
func (d *demo) govern(ctx context.Context) error {
	entry, err := catalog.Get(catalog.HashPow)
	if err != nil {
		return err
	}
	researcher, err := d.net.account(ctx, 0, researcherAccount)
	if err != nil {
		return err
	}
	hash, err := researcher.Upload(ctx, entry.Wasm, client.UploadOptions{Kind: client.KindModule, Progress: func(done, total int) {
		if done == total {
			d.ok("a researcher uploaded %s: %d bytes in %d chunks, admitted by every node", catalog.HashPow, len(entry.Wasm), total)
		}
	}})
	if err != nil {
		return err
	}
	m := entry.Manifest
	gov, err := moduleAddress(govtypes.ModuleName)
	if err != nil {
		return err
	}
	propose := func(deposit sdk.Coins) (uint64, error) {
		msg, err := govv1.NewMsgSubmitProposal([]sdk.Msg{&registrytypes.MsgActivate{
			Authority: gov, Slot: "pow", ModuleHash: hash[:], Params: m.Params,
			TensorBytes: m.TensorBytes, MemoryPages: m.MemoryPages, GasSetup: m.GasSetup, GasUnit: m.GasUnit,
		}}, deposit, researcher.Address(), "", "Prove work with hashpow", "A module is data: replace the proof of work.", false)
		if err != nil {
			return 0, err
		}
		r, err := researcher.Send(ctx, client.SendOptions{}, msg)
		if err != nil {
			return 0, err
		}
		return proposalID(r)
	}
	var refused *client.TxError
	if _, err := propose(nil); !errors.As(err, &refused) {
		return fmt.Errorf("a proposal without deposit was not refused: %v", err)
	}
	d.ok("without a deposit the proposal was refused: %s", reason(refused))
	id, err := propose(gnkCoins(1_000))
	if err != nil {
		return err
	}
	if err := d.vote(ctx, id); err != nil {
		return err
	}
	return d.seeHashpow(ctx, id, hash)
}

// vote lets the honest miners vote, and shows that the cheat's vote is refused.
func (d *demo) vote(ctx context.Context, id uint64) error {
	for i, n := range d.net.nodes {
		acct := n.part.link.acct
		voter, err := addressOf(acct.Address())
		if err != nil {
			return err
		}
		_, err = acct.Send(ctx, client.SendOptions{}, govv1.NewMsgVote(voter, id, govv1.OptionYes, ""))
		var refused *client.TxError
		switch {
		case i == cheatNode && errors.As(err, &refused):
			d.ok("the cheat has no weight, its vote was refused: %s", reason(refused))
		case i == cheatNode:
			return fmt.Errorf("the cheat's vote was not refused: %v", err)
		case err != nil:
			return fmt.Errorf("vote of %s: %w", n.member.Moniker, err)
		}
	}
	d.ok("proposal %d: three miners voted yes with their compute weight", id)
	return nil
}

// seeHashpow waits for the vote's end and for claims made with the new module.
func (d *demo) seeHashpow(ctx context.Context, id uint64, hash [32]byte) error {
	q := govv1.NewQueryClient(d.at().c.Conn())
	status := govv1.StatusVotingPeriod
	_, err := d.until(ctx, time.Minute, "the end of the vote", func(sprinttypes.Epoch) bool {
		r, err := q.Proposal(ctx, &govv1.QueryProposalRequest{ProposalId: id})
		if err == nil {
			status = r.Proposal.Status
		}
		return status != govv1.StatusVotingPeriod
	})
	if err != nil {
		return err
	}
	if status != govv1.StatusPassed {
		return fmt.Errorf("the proposal ended as %s", status)
	}
	e, err := d.until(ctx, 90*time.Second, "a sprint of the new module", func(e sprinttypes.Epoch) bool {
		return string(e.Work.ModuleHash) == string(hash[:])
	})
	if err != nil {
		return err
	}
	d.ok("the vote passed; epoch %d runs %s", e.Number, moduleName(hash[:]))
	settled := sprinttypes.NewQueryClient(d.at().c.Conn())
	var s *sprinttypes.QuerySettlementResponse
	_, err = d.until(ctx, 90*time.Second, "the settlement of that sprint", func(sprinttypes.Epoch) bool {
		r, err := settled.Settlement(ctx, &sprinttypes.QuerySettlementRequest{Epoch: e.Number})
		s = r
		return err == nil && r.Settlement.Height > 0
	})
	if err != nil {
		return err
	}
	if s.Settlement.ValidClaims != 3 {
		return fmt.Errorf("%d claims of the new work were paid, not 3", s.Settlement.ValidClaims)
	}
	d.ok("three miners were paid %s GNK for %d units of the new work", gnk(s.Settlement.Paid), s.Settlement.ValidUnits)
	return nil
}

// reason is what the chain said, without the SDK's preamble, on one line.
func reason(refused *client.TxError) string {
	_, text, ok := strings.Cut(refused.Log, "message index: 0: ")
	if !ok {
		text = refused.Log
	}
	return fmt.Sprintf("%s (%s %d)", clip(text, 60), refused.Codespace, refused.Code)
}

// proposalID reads the number of a proposal from its transaction's events.
func proposalID(r *sdk.TxResponse) (uint64, error) {
	for _, e := range r.Events {
		if e.Type != govtypes.EventTypeSubmitProposal {
			continue
		}
		for _, a := range e.Attributes {
			if a.Key == govtypes.AttributeKeyProposalID {
				var id uint64
				if _, err := fmt.Sscanf(a.Value, "%d", &id); err != nil {
					return 0, fmt.Errorf("proposal number %q: %w", a.Value, err)
				}
				return id, nil
			}
		}
	}
	return 0, errors.New("the transaction names no proposal")
}

func addressOf(s string) (sdk.AccAddress, error) {
	b, err := addressBytes(s)
	return sdk.AccAddress(b), err
}

func moduleAddress(name string) (string, error) {
	return bech32Of(authtypes.NewModuleAddress(name))
}
