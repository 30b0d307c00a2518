package main

import "github.com/assaynet/assay/sdk/guest"

var run runner

// stage holds token ids on their way to the device and back.
var stage [maxContext + 1]int32

func main() {}

//go:wasmexport assay_abi
func assayABI() int32 { return guest.Version }

//go:wasmexport infer
func infer() {
	r := &run
	r.c = readConfig()
	r.req = readRequest()
	prompt := r.prompt()
	total := min(prompt+r.req.maxTokens, r.c.context)
	r.start(prompt, total, 1)
	r.prefill(prompt)
	for n := prompt; n < total; n++ {
		r.forward(n-1, 1, true)
		dst := r.tokens.View(n, 1, 1)
		r.sample(dst, 0, n, n-prompt)
		dst.Free()
		r.tokens.ReadS32(4*int64(n), stage[:1])
		if stop, end := r.emit(stage[0]); stop || end {
			return
		}
	}
}

//go:wasmexport check
func check() {
	r := &run
	r.c = readConfig()
	r.req = readRequest()
	prompt := r.prompt()
	answer := r.known(stage[prompt:])
	total := prompt + answer
	r.start(prompt, total, min(chunk, answer))
	r.prefill(prompt)
	got := guest.Alloc(guest.S32, answer, 1)
	for n := prompt; n < total; n += chunk {
		rows := min(chunk, total-n)
		r.forward(n-1, rows, true)
		for i := 0; i < rows; i++ {
			dst := got.View(n-prompt+i, 1, 1)
			r.sample(dst, i, n+i, n-prompt+i)
			dst.Free()
		}
	}
	known := stage[prompt:total]
	var token [1]int32
	for i := range known {
		got.ReadS32(4*int64(i), token[:])
		if token[0] != known[i] {
			fail(abortMismatch, "a token is not the one sampled")
		}
	}
	for i, t := range known {
		if _, end := r.emit(t); end && i != len(known)-1 {
			fail(abortKnown, "tokens after the end")
		}
	}
}

// prompt puts the prompt's token ids at the start of stage.
func (r *runner) prompt() int {
	n := 0
	if r.c.bos >= 0 {
		stage[0] = int32(r.c.bos)
		n = 1
	}
	p, width := r.req.prompt, 1
	if r.c.idPrompt {
		width = 4
	}
	count := len(p) / width
	if len(p)%width != 0 || n+count >= r.c.context || n+count == 0 {
		fail(abortPrompt, "the prompt is empty or longer than the model's context")
	}
	for i := 0; i < count; i++ {
		if r.c.idPrompt {
			stage[n+i] = int32(u32(p[4*i:]))
		} else {
			stage[n+i] = int32(p[i])
		}
	}
	return n + count
}

// known reads the tokens of a check behind the prompt and returns how many.
func (r *runner) known(dst []int32) int {
	n := guest.Known(dst[:min(len(dst), r.req.maxTokens)])
	if n < 1 || n > r.req.maxTokens || n > r.c.context-(len(stage)-len(dst)) {
		fail(abortKnown, "no known tokens, or more than the request allows")
	}
	return n
}

// start uploads stage[:total] and makes the cache, and buffers for passes over
// the prompt and for logits of so many rows.
func (r *runner) start(prompt, total, logitRows int) {
	r.m.load(&r.c, total)
	r.seed = guest.Alloc(guest.U8, 1, 32)
	r.seed.Write(0, r.req.seed[:])
	r.tokens = guest.Alloc(guest.S32, total, 1)
	r.tokens.WriteS32(0, stage[:total])
	r.pos = guest.Alloc(guest.S32, total, 1)
	for lo := 0; lo < total; lo += chunk {
		var part [chunk]int32
		n := min(chunk, total-lo)
		for i := range part {
			part[i] = int32(lo + i)
		}
		r.pos.WriteS32(4*int64(lo), part[:n])
	}
	r.alloc(max(min(chunk, prompt-1), logitRows), logitRows)
}

// prefill runs all but the last token of the prompt.
func (r *runner) prefill(prompt int) {
	for pos := 0; pos < prompt-1; pos += chunk {
		r.forward(pos, min(chunk, prompt-1-pos), false)
	}
}

// emit hands out a token: stop when the host wants no more, end when the model
// ended its answer.
func (r *runner) emit(token int32) (stop, end bool) {
	if int(token) == r.c.eos {
		return guest.Emit(uint32(token), nil), true
	}
	return guest.Emit(uint32(token), r.m.text(token)), false
}
