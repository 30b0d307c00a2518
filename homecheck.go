package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/cosmos/cosmos-sdk/codec"
	"github.com/cosmos/cosmos-sdk/crypto/keyring"
	genutiltypes "github.com/cosmos/cosmos-sdk/x/genutil/types"

	"github.com/assaynet/assay/chain/network"
)

// secrets are the files of a home that make its identity.
var secrets = []string{"config/priv_validator_key.json", "data/priv_validator_state.json", "config/vrf_key.json", "config/node_key.json"}

// checkHome refuses a home whose keys are damaged, before anything replaces
// them by new ones, and returns what of it others can read. A home that has no
// keys is fine.
func checkHome(home string, cdc codec.Codec) (open []string, err error) {
	for _, name := range append(secrets, "keyring-test") {
		path := filepath.Join(home, name)
		info, err := os.Stat(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("key file: %w", err)
		}
		if info.Mode().Perm()&0o077 != 0 && name != "data/priv_validator_state.json" {
			open = append(open, path)
		}
		if info.IsDir() {
			continue
		}
		raw, err := os.ReadFile(path)
		if err != nil {
			return nil, fmt.Errorf("key file: %w", err)
		}
		var object map[string]any
		if err := json.Unmarshal(raw, &object); err != nil {
			return nil, fmt.Errorf("key file %s is damaged (%w): put back a copy of it, or move it away to get a new key", path, err)
		}
	}
	operator := filepath.Join(home, "keyring-test", network.OperatorKey+".info")
	if _, err := os.Stat(operator); errors.Is(err, fs.ErrNotExist) {
		return open, nil
	}
	kr, err := network.OpenKeyring(home, keyring.BackendTest, cdc)
	if err != nil {
		return nil, err
	}
	if _, err := kr.Key(network.OperatorKey); err != nil {
		return nil, fmt.Errorf("key file %s is damaged (%w): put back a copy of it; with a new key what the old one owns is lost", operator, err)
	}
	return open, nil
}

// chainOf is the chain of a home's genesis file; empty if it has none.
func chainOf(home string) (string, error) {
	path := filepath.Join(home, "config", "genesis.json")
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	defer f.Close()
	id, err := genutiltypes.ParseChainIDFromGenesis(f)
	if err != nil {
		return "", fmt.Errorf("chain of %s: %w", path, err)
	}
	return id, nil
}
