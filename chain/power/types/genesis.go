package types

import (
	"bytes"

	sdk "github.com/cosmos/cosmos-sdk/types"
)

// DefaultGenesis has the default parameters and no miners; a network adds its own.
func DefaultGenesis() *GenesisState {
	return &GenesisState{Params: DefaultParams()}
}

// Validate checks what can be checked without a chain.
func (g GenesisState) Validate() error {
	if err := g.Params.Validate(); err != nil {
		return err
	}
	operators := make(map[string]bool, len(g.Miners))
	keys := make(map[string]bool, len(g.Miners))
	vrf := make(map[string]int, len(g.Miners))
	var total uint64
	for i, m := range g.Miners {
		if err := m.Validate(); err != nil {
			return ErrGenesis.Wrapf("miner %d: %v", i, err)
		}
		if operators[m.Operator] {
			return ErrGenesis.Wrapf("miner %d: operator %s twice", i, m.Operator)
		}
		operators[m.Operator] = true
		if keys[string(m.ConsPubkey)] {
			return ErrGenesis.Wrapf("miner %d: consensus key twice", i)
		}
		keys[string(m.ConsPubkey)] = true
		for _, key := range m.VrfKeys {
			if owner, used := vrf[string(key.Pubkey)]; used && owner != i {
				return ErrGenesis.Wrapf("miner %d: VRF key of miner %d", i, owner)
			}
			vrf[string(key.Pubkey)] = i
		}
		if total+m.GenesisPower < total {
			return ErrGenesis.Wrap("the sum of genesis powers is 2^64 or more")
		}
		total += m.GenesisPower
	}
	if uint32(len(g.History)) > g.Params.WindowEpochs {
		return ErrGenesis.Wrapf("%d epochs of history, the window is %d", len(g.History), g.Params.WindowEpochs)
	}
	for i, e := range g.History {
		if i > 0 && e.Epoch <= g.History[i-1].Epoch {
			return ErrGenesis.Wrapf("history epoch %d after %d", e.Epoch, g.History[i-1].Epoch)
		}
	}
	for i, k := range g.Retired {
		if len(k.Pubkey) != ConsKeyBytes || k.RetiredEpoch == 0 || keys[string(k.Pubkey)] {
			return ErrGenesis.Wrapf("retired key %d is malformed or in use", i)
		}
	}
	return nil
}

// Validate checks the form of a stored miner.
func (m Miner) Validate() error {
	if _, err := sdk.AccAddressFromBech32(m.Operator); err != nil {
		return ErrAddress.Wrapf("operator: %v", err)
	}
	if len(m.ConsPubkey) != ConsKeyBytes {
		return ErrConsensusKey.Wrapf("%d bytes, want %d", len(m.ConsPubkey), ConsKeyBytes)
	}
	if len(m.VrfKeys) < 1 || len(m.VrfKeys) > 2 {
		return ErrVRFKey.Wrapf("%d keys, want 1 or 2", len(m.VrfKeys))
	}
	for _, k := range m.VrfKeys {
		if len(k.Pubkey) != VRFKeyBytes {
			return ErrVRFKey.Wrapf("%d bytes, want %d", len(k.Pubkey), VRFKeyBytes)
		}
	}
	return CheckEndpoint(m.Endpoint)
}

// VRFKeyAt returns the key that counts in the epoch, nil if there is none yet.
func (m Miner) VRFKeyAt(epoch uint64) []byte {
	var key []byte
	for _, k := range m.VrfKeys {
		if k.FromEpoch <= epoch {
			key = k.Pubkey
		}
	}
	return key
}

// SetVRFKey replaces the key from an epoch on; the key in force at now stays until then. It
// returns the first epoch of the key.
func (m *Miner) SetVRFKey(pubkey []byte, now, from uint64) uint64 {
	if last := m.VrfKeys[len(m.VrfKeys)-1]; bytes.Equal(last.Pubkey, pubkey) {
		return last.FromEpoch
	}
	keys := make([]VRFKey, 0, 2)
	if current := m.VRFKeyAt(now); current != nil {
		keys = append(keys, VRFKey{Pubkey: current, FromEpoch: now})
	}
	m.VrfKeys = append(keys, VRFKey{Pubkey: pubkey, FromEpoch: from})
	return from
}

// Barred says that the miner may have no power in the epoch.
func (m Miner) Barred(epoch uint64) bool {
	return m.Tombstoned || m.JailedUntil > epoch
}
