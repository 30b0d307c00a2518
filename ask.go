package main

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"unicode"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/assaynet/assay/sdk/client"
	"github.com/assaynet/assay/verifier/commit"
)

// askOptions are the flags of assay ask.
type askOptions struct {
	endpoint    string
	model       string
	maxTokens   uint32
	temperature float64
	topP        float64
	seed        uint64
	verify      bool
	output      string
	pay         payOptions
}

func askCommand() *cobra.Command {
	var o askOptions
	cmd := &cobra.Command{
		Use:   "ask PROMPT",
		Short: "Stream an answer from a miner and check its receipt",
		Long: "Send a prompt to a miner's gateway and print the answer as it comes. Every token is checked\n" +
			"against the running digest, the receipt against the answer and the miner's signature. With\n" +
			"--verify the receipt is run again here, on the reference device: the same tokens, or it is fraud.\n" +
			"The same prompt, seed and sampling give the same answer from every miner.\n\n" +
			"PROMPT - reads the prompt from standard input. Where the output is no terminal, only the\n" +
			"answer's text is written.\n\n" +
			"Exit status: 0 the answer holds; 1 there is none (flags, payment, the miner refused, the connection was\n" +
			"lost); 2 it contradicts itself or its receipt; 3 it holds, and --verify got another. With --output json\n" +
			"an error is an object too: {\"verified\": false, \"error\": {\"kind\", \"message\"}}.",
		Example: "  assay ask \"The Rays of Light \" --endpoint http://127.0.0.1:26604\n" +
			"  assay ask \"The Rays of Light \" --endpoint http://127.0.0.1:26604 --temperature 0 --verify\n" +
			"  echo -n \"By the Prism \" | assay ask - --endpoint http://127.0.0.1:26604 --output json | jq .receipt\n" +
			"  assay ask \"The Rays \" --endpoint http://127.0.0.1:26604 --channel 1 --from client --grpc 127.0.0.1:26602",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if o.output != "text" && o.output != "json" {
				return fmt.Errorf("--output is %q; text or json", o.output)
			}
			defer func() {
				if err != nil && o.output == "json" {
					err = errors.Join(err, writeJSON(cmd.OutOrStdout(), verifyFailure{Error: failureOf(err)}))
				}
			}()
			ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			prompt := []byte(args[0])
			if args[0] == "-" {
				if prompt, err = io.ReadAll(io.LimitReader(cmd.InOrStdin(), commit.MaxPrompt+1)); err != nil {
					return fmt.Errorf("read the prompt: %w", err)
				}
			}
			out := cmd.OutOrStdout()
			f, ok := out.(*os.File)
			err = ask(ctx, o, prompt, out, ok && term.IsTerminal(int(f.Fd())))
			if ctx.Err() != nil && errors.Is(err, context.Canceled) {
				return errors.New("interrupted")
			}
			return err
		},
	}
	fl := cmd.Flags()
	fl.StringVar(&o.endpoint, "endpoint", "", "base URL of the miner's gateway")
	fl.StringVar(&o.model, "model", "", "name of the model (default: the first that the miner offers)")
	fl.Uint32Var(&o.maxTokens, "max-tokens", 100, "most tokens of the answer")
	fl.Float64Var(&o.temperature, "temperature", 0.6, "0 to 16; 0 takes the likeliest token")
	fl.Float64Var(&o.topP, "top-p", 0.95, "share of the probability that is drawn from, 0 to 1")
	fl.Uint64Var(&o.seed, "seed", 0, "seed of the draws")
	fl.BoolVar(&o.verify, "verify", false, "run the receipt again on the reference device")
	fl.StringVar(&o.output, "output", "text", "text or json")
	o.pay.flags(cmd)
	if err := cmd.MarkFlagRequired("endpoint"); err != nil {
		panic(err) // the flag was defined above
	}
	return cmd
}

// ask streams one answer to out.
func ask(ctx context.Context, o askOptions, prompt []byte, out io.Writer, tty bool) error {
	o.endpoint = strings.TrimSuffix(o.endpoint, "/")
	req, err := o.request(ctx, prompt)
	if err != nil {
		return err
	}
	text := &plainWriter{w: out, raw: !tty}
	payer, err := o.pay.payer(ctx)
	if err != nil {
		return err
	}
	opt := client.StreamOptions{Payer: payer}
	if o.output == "text" {
		opt.Token = func(t client.Token) { text.Write(t.Text) }
	}
	a, err := client.Stream(ctx, o.endpoint, req, opt)
	if o.output == "text" {
		text.Line()
	}
	var refused *client.RefusedError
	if errors.As(err, &refused) {
		return &client.RefusedError{Code: printable(refused.Code), Message: printable(refused.Message)}
	}
	if err != nil {
		return err
	}
	if o.verify {
		if err := o.rerun(ctx, a); err != nil {
			return err
		}
	}
	if o.output == "json" {
		return writeAnswer(out, a, o.verify)
	}
	if tty {
		checked := "signature and digest hold"
		if o.verify {
			checked = "re-run here on wasmdev: same tokens, same digest"
		}
		r := a.Receipt
		_, err = fmt.Fprintf(out, "\x1b[2mreceipt: %d tokens, %d ngnk, miner %x…, output %x…; %s\x1b[0m\n", r.Tokens, r.Price, r.Miner[:4], r.Output[:4], checked)
	}
	return errors.Join(err, text.err)
}

// request builds the request for what the miner offers.
func (o askOptions) request(ctx context.Context, prompt []byte) (commit.Request, error) {
	if len(prompt) > commit.MaxPrompt {
		return commit.Request{}, fmt.Errorf("the prompt is above %d bytes", commit.MaxPrompt)
	}
	offers, err := client.Offers(ctx, o.endpoint)
	if err != nil {
		return commit.Request{}, err
	}
	var names []string
	for _, offer := range offers {
		if offer.Name != o.model && o.model != "" {
			names = append(names, printable(offer.Name))
			continue
		}
		req := commit.Request{Module: offer.Module, Model: offer.Model, MaxTokens: min(o.maxTokens, offer.MaxTokens), Prompt: prompt, Sampling: commit.Greedy()}
		binary.LittleEndian.PutUint64(req.Seed[:], o.seed)
		if req.Sampling.Temperature, err = fixed("--temperature", o.temperature, 16); err != nil {
			return req, err
		}
		if req.Sampling.TopP, err = fixed("--top-p", o.topP, 1); err != nil {
			return req, err
		}
		return req, req.Validate()
	}
	if len(names) == 0 {
		return commit.Request{}, fmt.Errorf("%s offers no model", o.endpoint)
	}
	return commit.Request{}, fmt.Errorf("%s does not offer %q; it has %s", o.endpoint, o.model, strings.Join(names, ", "))
}

// fixed converts a flag to Q16.
func fixed(name string, v, most float64) (uint32, error) {
	if math.IsNaN(v) || v < 0 || v > most {
		return 0, fmt.Errorf("%s is %g; 0 to %g allowed", name, v, most)
	}
	return uint32(math.Round(v * commit.Q16)), nil
}

// rerun checks the receipt on an engine of its own.
func (o askOptions) rerun(ctx context.Context, a *client.Answer) (err error) {
	e, err := newEngine(cacheDir())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, e.Close()) }()
	if err := verifyAnswer(ctx, e, a); err != nil {
		return fmt.Errorf("the receipt was not confirmed: %w", err)
	}
	return nil
}

// answerJSON is what --output json prints. Byte strings are base64, the
// canonical bytes of docs/spec/commitments.md.
type answerJSON struct {
	Text      string   `json:"text"`
	Tokens    []uint32 `json:"tokens"`
	Texts     [][]byte `json:"texts"` // of each token: what the digest takes in
	Request   []byte   `json:"request"`
	Receipt   []byte   `json:"receipt"`
	Signature []byte   `json:"signature"`
	PublicKey []byte   `json:"public_key"`
	Miner     string   `json:"miner"` // hexadecimal
	Price     uint64   `json:"price"` // ngnk
	Gas       uint64   `json:"gas"`
	Verified  bool     `json:"verified"` // re-run here
}

func writeAnswer(w io.Writer, a *client.Answer, verified bool) error {
	v := answerJSON{Text: a.Text(), Tokens: []uint32{}, Texts: [][]byte{}, Request: a.Request.Bytes(), Receipt: a.Receipt.Bytes(), Signature: a.Signature,
		PublicKey: a.PublicKey, Miner: fmt.Sprintf("%x", a.Receipt.Miner), Price: a.Receipt.Price, Gas: a.Receipt.Gas, Verified: verified}
	for _, t := range a.Tokens {
		v.Tokens, v.Texts = append(v.Tokens, t.ID), append(v.Texts, t.Text)
	}
	return json.NewEncoder(w).Encode(v)
}

// plainWriter writes a stranger's text. To a terminal it passes no control
// characters, which could redraw or reprogram it, and only whole characters.
type plainWriter struct {
	w    io.Writer
	raw  bool // not a terminal: bytes pass unchanged
	part []byte
	last byte
	err  error
}

func (p *plainWriter) Write(b []byte) {
	if len(b) > 0 {
		p.last = b[len(b)-1]
	}
	if !p.raw {
		b = append(p.part, b...)
		p.part = nil
		whole := len(b)
		for n := 1; n < utf8.UTFMax && n <= len(b); n++ {
			if tail := b[len(b)-n:]; utf8.RuneStart(tail[0]) {
				if !utf8.FullRune(tail) {
					whole -= n
					p.part = append(p.part, tail...)
				}
				break
			}
		}
		b = []byte(printable(string(b[:whole])))
	}
	if _, err := p.w.Write(b); err != nil && p.err == nil {
		p.err = err
	}
}

// Line ends the text with a line break unless it has one.
func (p *plainWriter) Line() {
	if p.last != 0 && p.last != '\n' {
		p.part = nil
		p.Write([]byte{'\n'})
	}
}

// printable replaces control characters other than line breaks and tabs.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) && r != '\n' && r != '\t' {
			return '·'
		}
		return r
	}, s)
}
