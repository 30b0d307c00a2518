package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/assaynet/assay/modules/catalog"
	"github.com/assaynet/assay/modules/manifest"
	"github.com/assaynet/assay/runtime/gateway"
	"github.com/assaynet/assay/sdk/client"
	"github.com/assaynet/assay/verifier/commit"
	"github.com/assaynet/assay/verifier/recheck"
)

// demoPrompt starts a sentence in the manner of the text that the model read.
const demoPrompt = "The Rays of Light "

// infer streams an answer from a miner, checks its receipt by running it again
// on the reference device, and shows that a lie is noticed.
func (d *demo) infer(ctx context.Context) error {
	endpoint := "http://" + d.net.nodes[payingNode].member.Addresses.Serve
	offers, err := client.Offers(ctx, endpoint)
	if err != nil {
		return err
	}
	if len(offers) == 0 {
		return errors.New("the miner offers no model")
	}
	req := commit.Request{
		Module: offers[0].Module, Model: offers[0].Model, Seed: [32]byte{42}, MaxTokens: 120, Prompt: []byte(demoPrompt),
		Sampling: commit.Sampling{Temperature: commit.Q16 * 6 / 10, TopP: commit.Q16 * 95 / 100, Penalty: commit.Q16},
	}
	channel, err := d.openChannel(ctx)
	if err != nil {
		return err
	}
	var text strings.Builder
	answer, err := client.Stream(ctx, endpoint, req, client.StreamOptions{Payer: channel.payer, Token: func(t client.Token) {
		text.Write(t.Text)
		d.Live("   %s%s", demoPrompt, strings.ReplaceAll(text.String(), "\n", " "))
	}})
	if err != nil {
		return err
	}
	d.Printf("      %s%s", d.dim(demoPrompt), strings.ReplaceAll(answer.Text(), "\n", " "))
	d.ok("%d tokens over a WebSocket, receipt signed by %s", len(answer.Tokens), d.net.nodes[payingNode].member.Moniker)
	if err := verifyAnswer(ctx, d.net.engine, answer); err != nil {
		return fmt.Errorf("the receipt does not hold: %w", err)
	}
	d.ok("the receipt was re-run on wasmdev as one prefill: same tokens, same digest")
	lie := *answer
	lie.Tokens = append([]client.Token(nil), answer.Tokens...)
	lie.Tokens[5].ID ^= 1
	var forged *recheck.ReceiptError
	if err := verifyAnswer(ctx, d.net.engine, &lie); !errors.As(err, &forged) && !errors.Is(err, client.ErrForged) {
		return fmt.Errorf("an altered token was not noticed: %v", err)
	}
	req.Prompt = []byte(strings.Repeat("x", int(offers[0].MaxPrompt)+1))
	var refused *client.RefusedError
	if _, err := client.Stream(ctx, endpoint, req, client.StreamOptions{}); !errors.As(err, &refused) {
		return fmt.Errorf("an over-long prompt was not refused: %v", err)
	}
	d.ok("an altered token is noticed; an over-long prompt is refused: %s", refused.Message)
	return d.cashed(ctx, channel, answer.Receipt.Price)
}

// errNotShipped is an answer that cannot be re-run here: this program holds only
// the shipped module and model.
var errNotShipped = errors.New("only answers of the shipped model can be re-run here")

// verifyShipped says whether an answer is of the shipped module and model.
func verifyShipped(a *client.Answer) error {
	entry, err := catalog.Get(catalog.Llama)
	if err != nil {
		return err
	}
	blob, err := catalog.Model(catalog.Opticks)
	if err != nil {
		return err
	}
	if a.Request.Module != entry.Manifest.Hash || a.Request.Model != blob.Hash {
		return fmt.Errorf("%w: this one is of module %x and model %x; shipped are %s and %s",
			errNotShipped, a.Request.Module[:4], a.Request.Model[:4], catalog.Llama, catalog.Opticks)
	}
	return nil
}

// verifyAnswer re-runs an answer of the shipped model on the reference device.
func verifyAnswer(ctx context.Context, e *engine, a *client.Answer) error {
	if err := a.Check(); err != nil {
		return err
	}
	if err := verifyShipped(a); err != nil {
		return err
	}
	entry, err := catalog.Get(catalog.Llama)
	if err != nil {
		return err
	}
	blob, err := catalog.Model(catalog.Opticks)
	if err != nil {
		return err
	}
	file, err := manifest.DecodeModel(blob.Blob)
	if err != nil {
		return err
	}
	model, err := gateway.LoadModel(e.wasm, file)
	if err != nil {
		return err
	}
	defer model.Space.Close()
	tokens := make([]uint32, len(a.Tokens))
	for i, t := range a.Tokens {
		tokens[i] = t.ID
	}
	job := gateway.RequestJob(e.wasm, model, &entry.Manifest, a.Request, nil)
	return e.checker.Receipt(ctx, recheck.Answer{
		Wasm: entry.Wasm, Model: model, Request: a.Request, Tokens: tokens, TensorBytes: job.TensorBytes, MemoryPages: job.MemoryPages, Gas: job.Gas,
	}, a.Receipt)
}
