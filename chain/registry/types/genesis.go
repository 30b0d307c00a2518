package types

// DefaultGenesis has the default parameters and no blobs.
func DefaultGenesis() *GenesisState {
	return &GenesisState{Params: DefaultParams()}
}

// Validate checks what needs no decompression; writing the genesis checks the blobs.
func (g GenesisState) Validate() error {
	if err := g.Params.Validate(); err != nil {
		return err
	}
	kinds := make(map[string]string, len(g.Blobs))
	for i, b := range g.Blobs {
		if err := CheckHash(b.Hash); err != nil {
			return ErrGenesis.Wrapf("blob %d: %v", i, err)
		}
		if kinds[string(b.Hash)] != "" {
			return ErrGenesis.Wrapf("blob %d: hash %X twice", i, b.Hash)
		}
		most, err := g.Params.MaxSize(b.Kind)
		if err != nil {
			return ErrGenesis.Wrapf("blob %d: %v", i, err)
		}
		if b.Size_ == 0 || b.Size_ > most {
			return ErrGenesis.Wrapf("blob %d: %d bytes, want 1 to %d", i, b.Size_, most)
		}
		kinds[string(b.Hash)] = b.Kind
	}
	for _, list := range [][]Activation{g.Active, g.Pending, g.Previous} {
		slots := make(map[string]bool, len(list))
		for _, a := range list {
			if err := a.Validate(); err != nil {
				return ErrGenesis.Wrapf("activation of %q: %v", a.Slot, err)
			}
			if slots[a.Slot] {
				return ErrGenesis.Wrapf("slot %q twice", a.Slot)
			}
			slots[a.Slot] = true
			if kinds[string(a.ModuleHash)] != KindModule {
				return ErrGenesis.Wrapf("slot %q: module %X is not among the blobs", a.Slot, a.ModuleHash)
			}
			if len(a.ModelHash) > 0 && kinds[string(a.ModelHash)] != KindModel {
				return ErrGenesis.Wrapf("slot %q: model %X is not among the blobs", a.Slot, a.ModelHash)
			}
		}
	}
	return nil
}
