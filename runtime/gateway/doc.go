// Package gateway is the face of a miner towards clients: a WebSocket that
// streams tokens and ends with a signed receipt, an OpenAI-compatible
// completions endpoint over the same runs, the miner's openings endpoint, and
// the node's status page.
//
// It must not know how the chain is reached: who signs, who is paid and what
// the node's status is come through the small interfaces in config.go.
package gateway
