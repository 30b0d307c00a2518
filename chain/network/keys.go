package network

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/cometbft/cometbft/crypto/ed25519"
	"github.com/cometbft/cometbft/p2p"
	"github.com/cometbft/cometbft/privval"

	"github.com/cosmos/cosmos-sdk/codec"
	"github.com/cosmos/cosmos-sdk/crypto/hd"
	"github.com/cosmos/cosmos-sdk/crypto/keyring"
	sdk "github.com/cosmos/cosmos-sdk/types"
	sdkerrors "github.com/cosmos/cosmos-sdk/types/errors"

	"github.com/assaynet/assay/chain/params"
	powertypes "github.com/assaynet/assay/chain/power/types"
	"github.com/assaynet/assay/verifier/sample"
)

const (
	// OperatorKey is the name of the operator's key in a node's keyring.
	OperatorKey = "operator"

	vrfFile = "vrf_key.json"
	// keyringFolder is where the test backend keeps its files below a home.
	keyringFolder = "keyring-test"
)

// Keys are the secrets of a node: the operator signs transactions, the consensus key votes
// blocks, the VRF key draws samples.
type Keys struct {
	Keyring   keyring.Keyring
	Operator  sdk.AccAddress
	Consensus *privval.FilePV
	Node      *p2p.NodeKey
	VRF       *sample.SecretKey
}

// vrfKey is the file of a VRF key.
type vrfKey struct {
	Type   string `json:"type"`
	Secret string `json:"secret"` // hex
	Public string `json:"public"` // hex
}

const vrfType = "assay/vrf/bls12-381"

// OpenKeyring opens the keyring below a home folder. The test backend keeps keys in the
// clear, protected by the folder's mode alone.
func OpenKeyring(home, backend string, cdc codec.Codec) (keyring.Keyring, error) {
	kr, err := keyring.New(params.AppName, backend, home, os.Stdin, cdc)
	if err != nil {
		return nil, fmt.Errorf("network: keyring in %s: %w", home, err)
	}
	return kr, nil
}

// ErrOperatorKey is a home that has a node's other keys and not the operator's. A new one
// would be another miner: what the old one owns would be out of reach without a word.
var ErrOperatorKey = errors.New("network: the operator's key is missing")

// LoadKeys reads a node's keys and creates those that are missing. An operator's key is
// created only where there is no other key either: else the error is ErrOperatorKey.
func LoadKeys(home string, cdc codec.Codec) (*Keys, error) {
	for _, dir := range []string{"config", "data"} {
		if err := os.MkdirAll(filepath.Join(home, dir), 0o700); err != nil {
			return nil, fmt.Errorf("network: home: %w", err)
		}
	}
	cfg := defaultComet(home)
	kr, err := OpenKeyring(home, keyring.BackendTest, cdc)
	if err != nil {
		return nil, err
	}
	if err := operatorPresent(kr, home, cfg.NodeKeyFile(), cfg.PrivValidatorKeyFile(), filepath.Join(home, "config", vrfFile)); err != nil {
		return nil, err
	}
	operator, err := namedKey(kr, OperatorKey)
	if err != nil {
		return nil, err
	}
	node, err := p2p.LoadOrGenNodeKey(cfg.NodeKeyFile())
	if err != nil {
		return nil, fmt.Errorf("network: node key: %w", err)
	}
	vrf, err := loadVRF(filepath.Join(home, "config", vrfFile))
	if err != nil {
		return nil, err
	}
	return &Keys{
		Keyring:   kr,
		Operator:  operator,
		Consensus: privval.LoadOrGenFilePV(cfg.PrivValidatorKeyFile(), cfg.PrivValidatorStateFile()),
		Node:      node,
		VRF:       vrf,
	}, nil
}

// operatorPresent refuses a home with other keys and no operator's. The operator's key is the
// first that LoadKeys makes, so that a home in which it stopped half-way is none of these.
func operatorPresent(kr keyring.Keyring, home string, others ...string) error {
	_, err := kr.Key(OperatorKey)
	if err == nil {
		return nil
	}
	if !errors.Is(err, sdkerrors.ErrKeyNotFound) {
		return fmt.Errorf("network: key %s: %w", OperatorKey, err)
	}
	for _, path := range others {
		_, err := os.Stat(path)
		if err == nil {
			return fmt.Errorf("%w: %s does not exist, but %s does; put back a copy of it, or move the other keys away for a new identity",
				ErrOperatorKey, filepath.Join(home, keyringFolder, OperatorKey+".info"), path)
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("network: home: %w", err)
		}
	}
	return nil
}

// namedKey returns the address of a key, which is created if it is missing.
func namedKey(kr keyring.Keyring, name string) (sdk.AccAddress, error) {
	record, err := kr.Key(name)
	if errors.Is(err, sdkerrors.ErrKeyNotFound) {
		record, _, err = kr.NewMnemonic(name, keyring.English, sdk.FullFundraiserPath, keyring.DefaultBIP39Passphrase, hd.Secp256k1)
	}
	if err != nil {
		return nil, fmt.Errorf("network: key %s: %w", name, err)
	}
	return record.GetAddress()
}

func loadVRF(path string) (*sample.SecretKey, error) {
	raw, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return createVRF(path)
	}
	if err != nil {
		return nil, fmt.Errorf("network: VRF key: %w", err)
	}
	var file vrfKey
	if err := json.Unmarshal(raw, &file); err != nil {
		return nil, fmt.Errorf("network: VRF key %s: %w", path, err)
	}
	if file.Type != vrfType {
		return nil, fmt.Errorf("network: VRF key %s: type %q, want %q", path, file.Type, vrfType)
	}
	secret, err := hex.DecodeString(file.Secret)
	if err != nil {
		return nil, fmt.Errorf("network: VRF key %s: %w", path, err)
	}
	key, err := sample.ParseSecretKey(secret)
	if err != nil {
		return nil, fmt.Errorf("network: VRF key %s: %w", path, err)
	}
	return key, nil
}

func createVRF(path string) (*sample.SecretKey, error) {
	key, err := sample.GenerateKey(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("network: VRF key: %w", err)
	}
	raw, err := json.MarshalIndent(vrfKey{
		Type: vrfType, Secret: hex.EncodeToString(key.Bytes()), Public: hex.EncodeToString(key.Public().Bytes()),
	}, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("network: VRF key: %w", err)
	}
	if err := os.WriteFile(path, append(raw, '\n'), 0o600); err != nil {
		return nil, fmt.Errorf("network: VRF key: %w", err)
	}
	return key, nil
}

// Registration returns the message that registers the keys' owner with proofs for a chain.
func (k *Keys) Registration(chainID, endpoint string, validator bool) (*powertypes.MsgRegister, error) {
	secret, ok := k.Consensus.Key.PrivKey.(ed25519.PrivKey)
	if !ok {
		return nil, powertypes.ErrConsensusKey.Wrapf("type %s, want ed25519", k.Consensus.Key.PrivKey.Type())
	}
	pop, err := secret.Sign(powertypes.ConsPopBytes(chainID, k.Operator))
	if err != nil {
		return nil, fmt.Errorf("network: prove consensus key: %w", err)
	}
	return &powertypes.MsgRegister{
		Operator:   k.Operator.String(),
		ConsPubkey: secret.PubKey().Bytes(),
		ConsPop:    pop,
		VrfPubkey:  k.VRF.Public().Bytes(),
		VrfPop:     sample.ProvePossession(k.VRF, k.Operator),
		Endpoint:   endpoint,
		Validator:  validator,
	}, nil
}
