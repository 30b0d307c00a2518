package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// verifyAnswerFile runs the command on an answer.
func verifyAnswerFile(t *testing.T, a answerJSON, flags ...string) (string, error) {
	t.Helper()
	b, err := json.Marshal(a)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "answer.json")
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := verifyReceiptCommand()
	var out bytes.Buffer
	cmd.SetOut(&out)
	cmd.SetErr(&out)
	cmd.SilenceUsage, cmd.SilenceErrors = true, true
	cmd.SetArgs(append([]string{path}, flags...))
	err = cmd.ExecuteContext(t.Context())
	return out.String(), err
}

// testVerifyReceipt: an answer that was saved is checked as it was when it came; wrong is one whose receipt is signed
// and whose tokens are not the model's.
func testVerifyReceipt(t *testing.T, honest, wrong answerJSON) {
	out, err := verifyAnswerFile(t, honest)
	if err != nil || !strings.Contains(out, "run again here") || !strings.Contains(out, "assay1") {
		t.Errorf("honest: %s, %v", out, err)
	}
	var r receiptReport
	out, err = verifyAnswerFile(t, honest, "--no-run", "--output", "json")
	if jerr := json.Unmarshal([]byte(out), &r); err != nil || jerr != nil || !r.Signed || r.Verified || r.Tokens != uint32(len(honest.Tokens)) {
		t.Errorf("not run: %s, %v", out, err)
	}
	flip := func(b []byte, at int) []byte { b = bytes.Clone(b); b[at] ^= 1; return b }
	for _, c := range []struct {
		name, kind string
		lie        func(*answerJSON)
	}{
		{"another text", "forged", func(a *answerJSON) { a.Text += "!" }},
		{"another token", "forged", func(a *answerJSON) { a.Tokens = append([]uint32{a.Tokens[0] + 1}, a.Tokens[1:]...) }},
		{"a token less", "malformed", func(a *answerJSON) { a.Tokens = a.Tokens[1:] }},
		{"a letter", "forged", func(a *answerJSON) {
			a.Texts = append([][]byte{flip(a.Texts[0], 0)}, a.Texts[1:]...)
			a.Text = string(bytes.Join(a.Texts, nil))
		}},
		{"the receipt", "forged", func(a *answerJSON) { a.Receipt = flip(a.Receipt, len(a.Receipt)-1) }},
		{"half a receipt", "malformed", func(a *answerJSON) { a.Receipt = a.Receipt[:90] }},
		{"the request", "forged", func(a *answerJSON) { a.Request = flip(a.Request, len(a.Request)-1) }},
		{"the signature", "forged", func(a *answerJSON) { a.Signature = flip(a.Signature, 50) }},
		{"no signature", "forged", func(a *answerJSON) { a.Signature = nil }},
		{"the key", "forged", func(a *answerJSON) { a.PublicKey = flip(a.PublicKey, 20) }},
	} {
		a := honest
		c.lie(&a)
		out, err := verifyAnswerFile(t, a, "--output", "json")
		var f verifyFailure
		if jerr := json.Unmarshal([]byte(out), &f); jerr != nil || f.Error == nil || f.Error.Kind != c.kind || exitStatus(err) != exitRefused {
			t.Errorf("%s: %s, status %d, %v", c.name, out, exitStatus(err), errors.Join(err, jerr))
		}
	}
	if out, err := verifyAnswerFile(t, wrong, "--no-run"); err != nil {
		t.Errorf("a false answer by its signature: %s, %v", out, err)
	}
	if out, err := verifyAnswerFile(t, wrong); exitStatus(err) != exitFalse {
		t.Errorf("a false answer: %s, %v", out, err)
	}
}

// Bytes that are no characters do not make two encoders of a text disagree.
func TestLegible(t *testing.T) {
	for _, same := range []string{"a\xff\xfeb", "a\uFFFDb", "a\uFFFD\uFFFD\uFFFDb"} {
		if got := legible(same); got != "a\uFFFDb" {
			t.Errorf("%q is %q", same, got)
		}
	}
	if legible("ab") == legible("a\xffb") {
		t.Error("a byte is lost")
	}
}
