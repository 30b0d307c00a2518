package types

import (
	"crypto/ed25519"
	"net/url"

	sdk "github.com/cosmos/cosmos-sdk/types"
)

const (
	// VRFKeyBytes is the size of a compressed BLS12-381 G1 point.
	VRFKeyBytes = 48
	// VRFPopBytes is the size of a compressed BLS12-381 G2 point.
	VRFPopBytes = 96
)

var (
	_ sdk.Msg              = (*MsgRegister)(nil)
	_ sdk.HasValidateBasic = (*MsgRegister)(nil)
	_ sdk.HasValidateBasic = (*MsgUpdateParams)(nil)
)

// ValidateBasic checks sizes and the endpoint, which needs no state; it is the cheap check
// of the fee-free lane.
func (m *MsgRegister) ValidateBasic() error {
	if _, err := sdk.AccAddressFromBech32(m.Operator); err != nil {
		return ErrAddress.Wrapf("operator: %v", err)
	}
	if len(m.ConsPubkey) != ConsKeyBytes {
		return ErrConsensusKey.Wrapf("%d bytes, want %d", len(m.ConsPubkey), ConsKeyBytes)
	}
	if len(m.ConsPop) != ed25519.SignatureSize {
		return ErrConsensusKey.Wrapf("proof of possession has %d bytes, want %d", len(m.ConsPop), ed25519.SignatureSize)
	}
	if len(m.VrfPubkey) != VRFKeyBytes {
		return ErrVRFKey.Wrapf("%d bytes, want %d", len(m.VrfPubkey), VRFKeyBytes)
	}
	if len(m.VrfPop) != VRFPopBytes {
		return ErrVRFKey.Wrapf("proof of possession has %d bytes, want %d", len(m.VrfPop), VRFPopBytes)
	}
	return CheckEndpoint(m.Endpoint)
}

// ValidateBasic checks the parameters.
func (m *MsgUpdateParams) ValidateBasic() error { return m.Params.Validate() }

// CheckEndpoint returns ErrEndpoint unless the endpoint is empty or an http(s) URL with a
// host, without user, query and fragment, of at most MaxEndpointBytes.
func CheckEndpoint(endpoint string) error {
	if endpoint == "" {
		return nil
	}
	if len(endpoint) > MaxEndpointBytes {
		return ErrEndpoint.Wrapf("%d bytes, want at most %d", len(endpoint), MaxEndpointBytes)
	}
	for i := 0; i < len(endpoint); i++ {
		if c := endpoint[i]; c <= ' ' || c >= 0x7f {
			return ErrEndpoint.Wrapf("byte %#x at %d, want printable ASCII", c, i)
		}
	}
	u, err := url.Parse(endpoint)
	if err != nil {
		return ErrEndpoint.Wrapf("%v", err)
	}
	switch {
	case u.Scheme != "http" && u.Scheme != "https":
		return ErrEndpoint.Wrapf("scheme %q, want http or https", u.Scheme)
	case u.Hostname() == "":
		return ErrEndpoint.Wrap("no host")
	case u.User != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return ErrEndpoint.Wrap("user, query and fragment are not allowed")
	}
	return nil
}
