package keeper

import (
	"bytes"
	"context"

	"cosmossdk.io/math"

	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/assaynet/assay/chain/sprint/types"
)

// inclusions are what claims and auditors owe the proposers whose blocks took what they sent, in the order in
// which the proposers first appear; the zero value is empty.
type inclusions struct {
	at   map[string]int // looked up only, never iterated
	list []inclusion
}

type inclusion struct {
	operator sdk.AccAddress
	amount   math.Int
}

// add owes the operator an amount; what is owed to nobody stays in the pot.
func (i *inclusions) add(operator []byte, amount math.Int) {
	if len(operator) == 0 || !amount.IsPositive() {
		return
	}
	n, known := i.at[string(operator)]
	if !known {
		if i.at == nil {
			i.at = make(map[string]int)
		}
		i.at[string(operator)] = len(i.list)
		i.list = append(i.list, inclusion{operator, amount})
		return
	}
	i.list[n].amount = i.list[n].amount.Add(amount)
}

// split takes from an auditor's pay what the proposers who took its messages are owed, and returns what is left
// of it and what is lost because they came late. Each round earns the same. Its own block owes nobody.
func (i *inclusions) split(auditor sdk.AccAddress, pay math.Int, taken []types.Taken, rounds uint32, p types.Params) (rest, late math.Int) {
	rest, late = pay, math.ZeroInt()
	earned := pay.QuoRaw(int64(rounds))
	for _, t := range taken {
		incl, gone := t.Split(earned, p)
		if !bytes.Equal(t.Proposer, auditor) {
			i.add(t.Proposer, incl)
		}
		rest, late = rest.Sub(incl).Sub(gone), late.Add(gone)
	}
	return rest, late
}

// Entitled says whether a proposer is paid for taking a message of a sender: not for its own, nor if it is
// unknown, gone or jailed by now. A nil sender is nobody.
func (k Keeper) Entitled(ctx context.Context, proposer, sender []byte) (bool, error) {
	if len(proposer) == 0 || bytes.Equal(proposer, sender) {
		return false, nil
	}
	registered, jailed, err := k.power.Miner(ctx, proposer)
	return registered && !jailed, err
}

// payInclusions credits what is owed and returns the sum. Who is gone or jailed by now gets nothing: its
// part stays in the pot and goes to the reserve, where nobody gains by its fall.
func (k Keeper) payInclusions(ctx context.Context, e types.Epoch, owed inclusions) (math.Int, error) {
	sum := math.ZeroInt()
	for _, o := range owed.list {
		entitled, err := k.Entitled(ctx, o.operator, nil)
		if err != nil {
			return sum, err
		}
		if !entitled {
			continue
		}
		name, err := k.addresses.BytesToString(o.operator)
		if err != nil {
			return sum, err
		}
		if err := k.credit(ctx, e, o.operator, name, o.amount); err != nil {
			return sum, err
		}
		sum = sum.Add(o.amount)
	}
	return sum, nil
}
