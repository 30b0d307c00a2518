// Package modelimport turns a Llama-shaped float checkpoint (Hugging Face
// config.json and safetensors) into the integer model blob that the llama
// module runs. It is the only place where floats are allowed: its output is
// what gets hashed and registered, and nobody needs to repeat it bit for bit.
//
// It must not know how a model is run or stored.
//
// # The blob
//
// Weights are int8 with one scale an output channel: w ≈ q·scale, scale =
// max|w|/127 of the row; queries and keys are balanced against each other first
// (smooth.go). Everything else is fixed point. Config keys, all
// integers in one flat object:
//
//	vocab, width, layers, heads, kv_heads, head_dim, ffn, context
//	frac      fraction bits of the residual stream
//	att_mant, att_exp  log2(e)/√head_dim as a scale
//	eps_k     ⌊eps·width·2^(2·frac)⌋; eps_head: ⌊eps·head_dim·2^32⌋
//	bos, eos  token ids, −1 for none
//	id_prompt 1 if prompts are little-endian u32 token ids, 0 if bytes are tokens
//
// Tensors, N rows by K columns; "+bias" is s32[1,N], optional:
//
//	embed s8[vocab,width], embed.scale scale[vocab,1]
//	layer.<i>.att_norm, layer.<i>.ffn_norm   s32[1,width] Q16
//	layer.<i>.q_norm, layer.<i>.k_norm       s32[1,head_dim] Q16, optional
//	layer.<i>.{q,k,v,gate,up} s8, .scale, +bias Q16
//	layer.<i>.{o,down}        s8, .scale, +bias with frac fraction bits
//	norm s32[1,width] Q16
//	head s8[vocab,width], head.scale: absent where the embedding serves as head
//	rope s32[context,head_dim] Q30: cosines of the half pairs, then sines
//	vocab.bytes u8[1,n], vocab.offsets s32[vocab+1,1]: texts of the tokens;
//	absent where the vocabulary is the 256 bytes
package modelimport
