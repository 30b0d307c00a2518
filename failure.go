package main

import (
	"encoding/json"
	"errors"
	"io"

	"github.com/assaynet/assay/sdk/client/evidence"
)

// Exit statuses beside 0. Scripts tell by them what is wrong with a claim.
const (
	exitFailed  = 1 // the command could not be carried out
	exitRefused = 2 // evidence that does not hold
	exitFalse   = 3 // evidence that holds, of a false unit
)

// failure is an error as JSON. Kind is stable, Message is for people.
type failure struct {
	Kind    string `json:"kind"`
	Message string `json:"message"`
}

// kinds of errors with a status of their own; whatever else is "failed".
var kinds = []struct {
	err    error
	kind   string
	status int
}{
	{errFalseUnit, "false_unit", exitFalse},
	{evidence.ErrFormat, "malformed", exitRefused},
	{evidence.ErrHeader, "header", exitRefused},
	{evidence.ErrTrust, "trust", exitRefused},
	{evidence.ErrProof, "proof", exitRefused},
	{evidence.ErrModule, "module", exitRefused},
	{evidence.ErrOpening, "opening", exitRefused},
}

func exitStatus(err error) int {
	for _, k := range kinds {
		if errors.Is(err, k.err) {
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
		if errors.Is(err, k.err) {
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
