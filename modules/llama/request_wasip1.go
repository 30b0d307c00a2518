package main

import "github.com/assaynet/assay/sdk/guest"

// The canonical encoding of verifier/commit.Request: a tagged string, three
// hashes, five u32, and the prompt behind its length. Decoded by hand, because
// that package brings BLAKE3 with it; a test compares the two.
const (
	requestTag = "\x0fassay/request/1"
	offSeed    = len(requestTag) + 64
	offFields  = offSeed + 32
	offPrompt  = offFields + 24
	maxPrompt  = 1 << 16
	maxTokens  = 1 << 15
)

type request struct {
	seed        [32]byte
	temperature int32 // Q16
	topK        int32
	topP        int32 // Q16
	penalty     int32 // Q16
	maxTokens   int
	prompt      []byte
}

var requestBuf [offPrompt + maxPrompt]byte

func readRequest() (q request) {
	n := guest.Request(requestBuf[:])
	if n < offPrompt || n > len(requestBuf) || string(requestBuf[:len(requestTag)]) != requestTag {
		fail(abortRequest, "not a request")
	}
	copy(q.seed[:], requestBuf[offSeed:])
	field := func(i int) int32 { return int32(u32(requestBuf[offFields+4*i:])) }
	q.temperature, q.topK, q.topP, q.penalty = field(0), field(1), field(2), field(3)
	q.maxTokens = int(field(4))
	q.prompt = requestBuf[offPrompt:n]
	if q.maxTokens < 1 || q.maxTokens > maxTokens || int(field(5)) != len(q.prompt) {
		fail(abortRequest, "request fields outside their bounds")
	}
	return q
}

func u32(p []byte) uint32 {
	return uint32(p[0]) | uint32(p[1])<<8 | uint32(p[2])<<16 | uint32(p[3])<<24
}
