package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	govtypes "github.com/cosmos/cosmos-sdk/x/gov/types"

	"github.com/assaynet/assay/chain/params"
	registrytypes "github.com/assaynet/assay/chain/registry/types"
	"github.com/assaynet/assay/sdk/client"
	"github.com/assaynet/assay/verifier/recheck"
)

// proposalDeposit is what the default parameters of governance ask for.
const proposalDeposit = "1000000000000" + params.BaseDenom

// proposalFile is the input of `assay tx gov submit-proposal`.
type proposalFile struct {
	Messages  []json.RawMessage `json:"messages"`
	Metadata  string            `json:"metadata"`
	Deposit   string            `json:"deposit"`
	Title     string            `json:"title"`
	Summary   string            `json:"summary"`
	Expedited bool              `json:"expedited"`
}

// propose writes the proposal that makes the module the proof of work.
func (r *moduleReport) propose(path string, w recheck.Work) error {
	if r.Activation == nil {
		return errors.New("only a proof of work can be proposed from what a check measures")
	}
	authority, err := moduleAddress(govtypes.ModuleName)
	if err != nil {
		return err
	}
	enc, err := client.NewEncoding()
	if err != nil {
		return err
	}
	// Zero would mean the same; those who vote should see the number.
	pages := r.MemoryPages
	if w.MemoryPages > 0 {
		pages = min(pages, w.MemoryPages)
	}
	msg, err := enc.Codec.MarshalInterfaceJSON(&registrytypes.MsgActivate{
		Authority: authority, Slot: registrytypes.SlotPow, ModuleHash: w.ModuleHash[:], Params: r.Activation.Params,
		TensorBytes: r.Activation.TensorBytes, GasSetup: r.Activation.GasSetup, GasUnit: r.Activation.GasUnit, MemoryPages: pages,
	})
	if err != nil {
		return fmt.Errorf("proposal: %w", err)
	}
	name := filepath.Base(r.File)
	text, err := json.MarshalIndent(proposalFile{
		Messages: []json.RawMessage{msg}, Deposit: proposalDeposit,
		Title: "Prove work with " + name, Summary: fmt.Sprintf("Make %s (SHA-256 %s) the proof of work.", name, r.Hash),
	}, "", "  ")
	if err != nil {
		return fmt.Errorf("proposal: %w", err)
	}
	return os.WriteFile(path, append(text, '\n'), 0o644)
}
