package main

import "github.com/assaynet/assay/sdk/guest"

// Codes of assay.abort. They are part of a receipt and never reused.
const (
	abortRequest  = 1 // request bytes are not the canonical encoding
	abortModel    = 2 // config key or tensor missing, or out of bounds
	abortPrompt   = 3 // prompt empty, or too long for the model's context
	abortMismatch = 4 // check: a known token is not what is sampled there
	abortKnown    = 5 // check: no known tokens, more than asked for, or some after the end
)

func fail(code int32, why string) {
	guest.Log("llama: " + why)
	guest.Abort(code)
}
