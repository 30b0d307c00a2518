package main

import (
	"encoding/json"
	"errors"
	"io"

	"github.com/assaynet/assay/sdk/client"
	"github.com/assaynet/assay/sdk/client/evidence"
	"github.com/assaynet/assay/verifier/recheck"
)

// Exit statuses beside 0. Scripts tell by them what is wrong with a claim.
const (
	exitFailed  = 1 // the command could not be carried out
	exitRefused = 2 // evidence or an answer that does not hold
	exitFalse   = 3 // evidence that holds, of a false unit or answer
)

// failure is an error as JSON. Kind is stable, Message is for people.
type failure struct {
	Kind    string `json:"kind"`
	Message string `json:"message"`
}

// kinds of errors with a name of their own; whatever else is "failed".
var kinds = []struct {
	is     func(error) bool
	kind   string
	status int
}{
	{is(errFalseUnit), "false_unit", exitFalse},
	{is(evidence.ErrFormat), "malformed", exitRefused},
	{is(evidence.ErrHeader), "header", exitRefused},
	{is(evidence.ErrTrust), "trust", exitRefused},
	{is(evidence.ErrProof), "proof", exitRefused},
	{is(evidence.ErrModule), "module", exitRefused},
	{is(evidence.ErrOpening), "opening", exitRefused},
	{as[*recheck.ReceiptError], "false_answer", exitFalse},
	{is(client.ErrForged), "forged", exitRefused},
	{as[*client.RefusedError], "refused", exitFailed},
	{as[*client.LostError], "lost", exitFailed},
}

func is(target error) func(error) bool {
	return func(err error) bool { return errors.Is(err, target) }
}

func as[T error](err error) bool {
	var target T
	return errors.As(err, &target)
}

func exitStatus(err error) int {
	for _, k := range kinds {
		if k.is(err) {
			return k.status
		}
	}
	return exitFailed
}

// failureOf is nil for no error.
func failureOf(err error) *failure {
	if err == nil {
		return nil
	}
	f := &failure{Kind: "failed", Message: err.Error()}
	for _, k := range kinds {
		if k.is(err) {
			f.Kind = k.kind
			break
		}
	}
	return f
}

func writeJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}
