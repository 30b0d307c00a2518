//go:build wasip1

// Module llama answers inference requests with any Llama-shaped integer model:
// RMSNorm, rotary embedding over half-split pairs, grouped-query attention,
// SwiGLU. What a model has is told by which tensors it carries: biases, norms
// of queries and keys (Qwen3), a head of its own or the embedding again.
//
// infer reads the request, fills the key and value cache with the prompt and
// then emits one token after the other; the cache, the tokens and the logits
// stay on the device. check runs the same ops over prompt and known tokens as
// a prefill, samples at every position with the same parameters, and aborts
// unless each known token is the one that would have been sampled. Both give
// the same bits because no op lets rows of one call influence each other
// beyond causal attention.
//
// The model's format (config keys, tensor names) is documented in
// modules/modelimport, which writes it.
package main
