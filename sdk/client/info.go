package client

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/assaynet/assay/verifier/commit"
)

// Offer is a model that a miner serves.
type Offer struct {
	Name      string
	Module    [32]byte
	Model     [32]byte
	MaxPrompt uint32 // bytes
	MaxTokens uint32
}

// Terms are what a miner asks for.
type Terms struct {
	Epoch      uint64 `json:"epoch"`       // that a voucher must name now
	PromptByte uint64 `json:"prompt_byte"` // ngnk for each byte of the prompt
	Token      uint64 `json:"token"`       // ngnk for each token of the answer
}

// maxPrice bounds the terms that a client takes, in ngnk, so that no price
// overflows: it is runtime/till's.
const maxPrice = 1_000_000_000_000

// Price in ngnk of an answer.
func (t Terms) Price(promptBytes int, tokens uint32) uint64 {
	return t.PromptByte*uint64(promptBytes) + t.Token*uint64(tokens)
}

// Info is what a miner's gateway says of itself. Nothing in it is signed:
// receipts are.
type Info struct {
	ChainID string
	Miner   []byte
	Offers  []Offer
	Terms   *Terms // nil: free
}

// maxAnswer bounds an HTTP answer of a miner.
const maxAnswer = 1 << 20

// infoTimeout is how long a miner may take to tell about itself.
const infoTimeout = 30 * time.Second

// GetInfo asks a miner's gateway about itself, for 30 s at most. endpoint is
// its base URL.
func GetInfo(ctx context.Context, endpoint string) (*Info, error) {
	return getInfo(ctx, endpoint, infoTimeout)
}

func getInfo(ctx context.Context, endpoint string, timeout time.Duration) (*Info, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, endpoint+"/assay/v1/info", nil)
	if err != nil {
		return nil, fmt.Errorf("client: endpoint %q: %w", endpoint, err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, fmt.Errorf("client: ask %s what it serves: %w", endpoint, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("client: %s answered %s", endpoint, resp.Status)
	}
	var raw struct {
		ChainID string `json:"chain_id"`
		Miner   string `json:"miner"`
		Terms   *Terms `json:"terms"`
		Offers  []struct {
			Name      string `json:"name"`
			Module    string `json:"module"`
			Model     string `json:"model"`
			MaxPrompt uint32 `json:"max_prompt"`
			MaxTokens uint32 `json:"max_tokens"`
		} `json:"offers"`
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxAnswer)).Decode(&raw); err != nil {
		return nil, fmt.Errorf("client: info of %s: %w", endpoint, err)
	}
	info := &Info{ChainID: raw.ChainID, Terms: raw.Terms}
	if info.Miner, err = hex.DecodeString(raw.Miner); err != nil || len(info.Miner) > commit.MaxAddress {
		return nil, fmt.Errorf("client: %s gives an address that is not at most %d bytes in hex", endpoint, commit.MaxAddress)
	}
	if t := raw.Terms; t != nil && (t.PromptByte > maxPrice || t.Token > maxPrice) {
		return nil, fmt.Errorf("client: %s asks %d ngnk a byte and %d a token; at most %d is taken", endpoint, t.PromptByte, t.Token, uint64(maxPrice))
	}
	for _, o := range raw.Offers {
		module, merr := hash(o.Module)
		model, err := hash(o.Model)
		if merr != nil || err != nil {
			return nil, fmt.Errorf("client: %s offers %.40q with a hash that is not 64 hex digits", endpoint, o.Name)
		}
		info.Offers = append(info.Offers, Offer{Name: o.Name, Module: module, Model: model, MaxPrompt: o.MaxPrompt, MaxTokens: o.MaxTokens})
	}
	return info, nil
}

func hash(s string) (h [32]byte, err error) {
	b, err := hex.DecodeString(s)
	if err != nil || len(b) != len(h) {
		return h, fmt.Errorf("client: hash of %d characters", len(s))
	}
	return [32]byte(b), nil
}

// Offers asks a miner's gateway what it serves.
func Offers(ctx context.Context, endpoint string) ([]Offer, error) {
	info, err := GetInfo(ctx, endpoint)
	if err != nil {
		return nil, err
	}
	return info.Offers, nil
}
