package types

import (
	"regexp"

	sdk "github.com/cosmos/cosmos-sdk/types"
)

var (
	_ sdk.HasValidateBasic = (*MsgStoreBegin)(nil)
	_ sdk.HasValidateBasic = (*MsgStoreChunk)(nil)
	_ sdk.HasValidateBasic = (*MsgStoreRemove)(nil)
	_ sdk.HasValidateBasic = (*MsgActivate)(nil)
	_ sdk.HasValidateBasic = (*MsgUpdateParams)(nil)
)

// ValidateBasic checks what needs no state.
func (m *MsgStoreBegin) ValidateBasic() error {
	if err := checkAddress("creator", m.Creator); err != nil {
		return err
	}
	if err := CheckHash(m.Hash); err != nil {
		return err
	}
	if m.Kind != KindModule && m.Kind != KindModel {
		return ErrKind.Wrapf("%q, want %q or %q", m.Kind, KindModule, KindModel)
	}
	if m.Size_ == 0 || m.Size_ > MaxBlobBytes {
		return ErrSize.Wrapf("%d bytes, want 1 to %d", m.Size_, MaxBlobBytes)
	}
	if m.PackedSize == 0 || m.PackedSize > MaxBlobBytes {
		return ErrSize.Wrapf("%d packed bytes, want 1 to %d", m.PackedSize, MaxBlobBytes)
	}
	return nil
}

// ValidateBasic checks what needs no state.
func (m *MsgStoreChunk) ValidateBasic() error {
	if err := checkAddress("creator", m.Creator); err != nil {
		return err
	}
	if len(m.Data) == 0 || len(m.Data) > MaxChunkBytes {
		return ErrChunks.Wrapf("%d bytes, want 1 to %d", len(m.Data), MaxChunkBytes)
	}
	return CheckHash(m.Hash)
}

// ValidateBasic checks what needs no state.
func (m *MsgStoreRemove) ValidateBasic() error {
	if err := checkAddress("creator", m.Creator); err != nil {
		return err
	}
	return CheckHash(m.Hash)
}

// ValidateBasic checks what needs no state.
func (m *MsgActivate) ValidateBasic() error {
	if err := checkAddress("authority", m.Authority); err != nil {
		return err
	}
	return m.Activation(0).Validate()
}

// Activation is what the message activates from an epoch on.
func (m *MsgActivate) Activation(epoch uint64) Activation {
	return Activation{
		Slot: m.Slot, ModuleHash: m.ModuleHash, Params: m.Params, TensorBytes: m.TensorBytes,
		GasSetup: m.GasSetup, GasUnit: m.GasUnit, ModelHash: m.ModelHash, FromEpoch: epoch,
		MemoryPages: m.MemoryPages,
	}
}

// ValidateBasic checks the parameters.
func (m *MsgUpdateParams) ValidateBasic() error { return m.Params.Validate() }

var inferSlot = regexp.MustCompile(`^` + SlotInferPrefix + `[a-z0-9][a-z0-9._-]*$`)

// Validate checks what needs no state.
func (a Activation) Validate() error {
	if len(a.Slot) > MaxSlotBytes || a.Slot != SlotPow && !inferSlot.MatchString(a.Slot) {
		return ErrSlot.Wrapf("%q, want %q or %q and a name of a-z, 0-9, '.', '_', '-', at most %d bytes",
			a.Slot, SlotPow, SlotInferPrefix, MaxSlotBytes)
	}
	if err := CheckHash(a.ModuleHash); err != nil {
		return err
	}
	switch {
	case len(a.Params) > MaxParamsBytes:
		return ErrActivation.Wrapf("%d bytes of parameters, want at most %d", len(a.Params), MaxParamsBytes)
	case a.TensorBytes < 0:
		return ErrActivation.Wrapf("tensor_bytes is %d, want at least 0", a.TensorBytes)
	case a.MemoryPages > MaxMemoryPages:
		return ErrActivation.Wrapf("memory_pages is %d, want at most %d", a.MemoryPages, MaxMemoryPages)
	case a.GasSetup < 1 || a.GasUnit < 1:
		return ErrActivation.Wrapf("gas_setup is %d and gas_unit %d, want at least 1", a.GasSetup, a.GasUnit)
	case len(a.ModelHash) > 0 && a.Slot == SlotPow:
		return ErrActivation.Wrap("a proof of work has no model")
	}
	if len(a.ModelHash) > 0 {
		return CheckHash(a.ModelHash)
	}
	return nil
}

// CheckHash returns ErrHash unless the bytes have the size of a SHA-256 digest.
func CheckHash(hash []byte) error {
	if len(hash) != HashBytes {
		return ErrHash.Wrapf("%d bytes, want %d", len(hash), HashBytes)
	}
	return nil
}

func checkAddress(name, address string) error {
	if _, err := sdk.AccAddressFromBech32(address); err != nil {
		return ErrAddress.Wrapf("%s: %v", name, err)
	}
	return nil
}
