package main

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/assaynet/assay/sdk/client"
	"github.com/assaynet/assay/sdk/client/evidence"
	"github.com/assaynet/assay/verifier/commit"
)

// maxAnswerFile bounds the file of an answer: the longest has 32,768 tokens of 1 KiB, in base64 and as text.
const maxAnswerFile = 128 << 20

func verifyReceiptCommand() *cobra.Command {
	var output string
	var noRun bool
	cmd := &cobra.Command{
		Use:   "receipt FILE",
		Short: "Check a saved answer against its receipt, and run it again",
		Long: "FILE is what `assay ask --output json` printed or a miner's page saved. The tokens must chain to the\n" +
			"receipt's digest and its signature be that of the miner that it names; then the request is run again\n" +
			"here, on the reference device: the same tokens, or it is fraud. - reads from standard input.\n\n" +
			"The file cannot say whether the miner is the one that you asked, nor the prompt what you typed: both are\n" +
			"printed. Exit status: 0 everything holds; 1 it could not be checked; 2 the file contradicts itself; 3 it\n" +
			"holds, and the run gave another answer. With --output json an error is an object too.",
		Example: "  assay verify receipt answer-1f0c22ab.json\n" +
			"  assay ask \"The Rays \" --endpoint http://127.0.0.1:26604 --output json > a.json; assay verify receipt a.json --no-run",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if output != "text" && output != "json" {
				return fmt.Errorf("--output is text or json, not %q", output)
			}
			defer func() {
				if err != nil && output == "json" {
					err = errors.Join(err, writeJSON(cmd.OutOrStdout(), verifyFailure{Error: failureOf(err)}))
				}
			}()
			in := cmd.InOrStdin()
			if args[0] != "-" {
				file, err := os.Open(args[0])
				if err != nil {
					return err
				}
				defer file.Close()
				in = file
			}
			a, err := readAnswer(in)
			if err != nil {
				return fmt.Errorf("%s: %w", args[0], err)
			}
			if err := a.Check(); err != nil {
				return fmt.Errorf("%s: %w", args[0], err)
			}
			r, err := newReceiptReport(a)
			if err != nil {
				return err
			}
			if !noRun {
				if err := verifyShipped(a); err != nil {
					return fmt.Errorf("digest and signature hold, but it cannot be run again here (--no-run is content with that): %w", err)
				}
				ctx, stop := untilInterrupt(cmd.Context())
				defer stop()
				start := time.Now()
				if err := (askOptions{}).rerun(ctx, a); err != nil {
					return err
				}
				r.Verified, r.Seconds = true, time.Since(start).Seconds()
			}
			return r.write(cmd.OutOrStdout(), output)
		},
	}
	cmd.Flags().StringVar(&output, "output", "text", "text or json")
	cmd.Flags().BoolVar(&noRun, "no-run", false, "check digest and signature only")
	return cmd
}

// readAnswer decodes the file of an answer. It may hold anything until Check.
func readAnswer(r io.Reader) (*client.Answer, error) {
	malformed := func(format string, args ...any) error {
		return fmt.Errorf("%w: %w", evidence.ErrFormat, fmt.Errorf(format, args...))
	}
	b, err := io.ReadAll(io.LimitReader(r, maxAnswerFile+1))
	if err != nil {
		return nil, err
	}
	if len(b) > maxAnswerFile {
		return nil, malformed("more than %d bytes", maxAnswerFile)
	}
	var f answerJSON
	if err := json.Unmarshal(b, &f); err != nil {
		return nil, malformed("no answer: %w", err)
	}
	if len(f.Texts) != len(f.Tokens) {
		return nil, malformed("%d tokens with the texts of %d", len(f.Tokens), len(f.Texts))
	}
	a := &client.Answer{Signature: f.Signature, PublicKey: f.PublicKey}
	if a.Request, err = commit.DecodeRequest(f.Request); err != nil {
		return nil, malformed("request: %w", err)
	}
	if a.Receipt, err = commit.DecodeReceipt(f.Receipt); err != nil {
		return nil, malformed("receipt: %w", err)
	}
	for i, id := range f.Tokens {
		a.Tokens = append(a.Tokens, client.Token{Seq: uint32(i), ID: id, Text: f.Texts[i]})
	}
	// The text is for people, who must not read another one than is checked.
	if legible(f.Text) != legible(a.Text()) {
		return nil, fmt.Errorf("%w: the file's text is not that of its tokens", client.ErrForged)
	}
	return a, nil
}

// noCharacter stands for bytes that are none. For how many, encoders of JSON differ.
var noCharacter = regexp.MustCompile("\uFFFD+")

// legible is a text as any encoder of JSON gives it.
func legible(s string) string {
	return noCharacter.ReplaceAllString(strings.ToValidUTF8(s, "\uFFFD"), "\uFFFD")
}

// receiptReport is what was checked of an answer whose digest and signature hold.
type receiptReport struct {
	ChainID  string  `json:"chain_id"`
	Miner    string  `json:"miner"` // bech32
	Epoch    uint64  `json:"epoch"`
	Prompt   string  `json:"prompt"`
	Text     string  `json:"text"`
	Tokens   uint32  `json:"tokens"`
	Output   string  `json:"output"`
	Price    uint64  `json:"price"` // ngnk
	Signed   bool    `json:"signed"`
	Verified bool    `json:"verified"` // run again here
	Seconds  float64 `json:"seconds"`
}

func newReceiptReport(a *client.Answer) (*receiptReport, error) {
	miner, err := bech32Of(a.Receipt.Miner)
	if err != nil {
		return nil, err
	}
	return &receiptReport{ChainID: a.Receipt.ChainID, Miner: miner, Epoch: a.Receipt.Epoch, Prompt: string(a.Request.Prompt), Text: a.Text(),
		Tokens: a.Receipt.Tokens, Output: hex.EncodeToString(a.Receipt.Output[:]), Price: a.Receipt.Price, Signed: true}, nil
}

func (r *receiptReport) write(w io.Writer, format string) error {
	if format == "json" {
		return writeJSON(w, r)
	}
	run := "not run again"
	if r.Verified {
		run = fmt.Sprintf("run again here on wasmdev in %.2f s: the same tokens", r.Seconds)
	}
	_, err := fmt.Fprintf(w, "chain      %s, epoch %d\nminer      %s, whose signature holds\nprompt     %s\nanswer     %s\ntokens     %d, digest %s, %d ngnk; %s\n",
		printable(r.ChainID), r.Epoch, r.Miner, oneLine(r.Prompt), oneLine(r.Text), r.Tokens, r.Output, r.Price, run)
	return err
}

// oneLine is a stranger's text as it can be shown in a report.
func oneLine(s string) string {
	return strings.Join(strings.FieldsFunc(printable(s), func(r rune) bool { return r == '\n' || r == '\r' }), " ")
}
