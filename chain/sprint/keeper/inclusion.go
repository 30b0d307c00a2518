package keeper

import (
	"context"

	"cosmossdk.io/math"

	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/assaynet/assay/chain/sprint/types"
)

// inclusions are what the claims of a page owe the proposers whose blocks took them, in the order in
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

// payInclusions credits what is owed and returns the sum. Who is gone or jailed by now gets nothing: its
// part stays in the pot and goes to the reserve, where nobody gains by its fall.
func (k Keeper) payInclusions(ctx context.Context, e types.Epoch, owed inclusions) (math.Int, error) {
	sum := math.ZeroInt()
	for _, o := range owed.list {
		registered, jailed, err := k.power.Miner(ctx, o.operator)
		if err != nil {
			return sum, err
		}
		if !registered || jailed {
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
