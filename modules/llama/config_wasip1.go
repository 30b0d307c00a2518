package main

import "github.com/assaynet/assay/sdk/guest"

// Bounds of a model this module runs; the ops' own are checked by the host.
const (
	maxConfig  = 64 << 10
	maxLayers  = 256
	maxContext = 32768 // keys of one attention
)

// config is the model's. Fixed point: x has frac fraction bits.
type config struct {
	vocab, width, layers, heads, kvHeads, headDim, ffn, context int
	frac                                                        int32 // of the residual stream
	attMant, attExp                                             int32 // log2(e)/√headDim
	epsK, epsHead                                               int64 // the norms' epsilon, times columns, in their fixed point
	bos, eos                                                    int   // −1 for none
	idPrompt                                                    bool  // the prompt is u32 token ids instead of bytes
}

var configBuf [maxConfig]byte

func readConfig() (c config) {
	n := guest.ModelConfig(configBuf[:])
	if n > len(configBuf) {
		fail(abortModel, "config too long")
	}
	text := configBuf[:n]
	dim := func(key string, most int) int {
		v, ok := intField(text, key)
		if !ok || v < 1 || v > int64(most) {
			fail(abortModel, "config: "+key)
		}
		return int(v)
	}
	number := func(key string, least, most int64) int64 {
		v, ok := intField(text, key)
		if !ok || v < least || v > most {
			fail(abortModel, "config: "+key)
		}
		return v
	}
	const maxDim = 1 << 22
	c.vocab, c.width = dim("vocab", maxDim), dim("width", maxDim)
	c.layers = dim("layers", maxLayers)
	c.heads, c.kvHeads, c.headDim = dim("heads", 4096), dim("kv_heads", 4096), dim("head_dim", 1024)
	c.ffn, c.context = dim("ffn", maxDim), dim("context", maxContext)
	c.frac = int32(number("frac", 0, 31))
	c.attMant = int32(number("att_mant", 1<<30, 1<<31-1))
	c.attExp = int32(number("att_exp", -1024, 1024))
	c.epsK = number("eps_k", 0, 1<<56)
	c.epsHead = number("eps_head", 0, 1<<56)
	c.bos = int(number("bos", -1, int64(c.vocab-1)))
	c.eos = int(number("eos", -1, int64(c.vocab-1)))
	c.idPrompt = number("id_prompt", 0, 1) == 1
	return c
}

// intField finds "key":integer in a flat, compact JSON object. The importer
// writes nothing else, and reflection would triple the module's size.
func intField(text []byte, key string) (v int64, ok bool) {
	for i := 0; i+len(key)+4 <= len(text); i++ {
		if (text[i] != '{' && text[i] != ',') || text[i+1] != '"' || string(text[i+2:i+2+len(key)]) != key ||
			text[i+2+len(key)] != '"' || text[i+3+len(key)] != ':' {
			continue
		}
		return parseInt(text[i+4+len(key):])
	}
	return 0, false
}

func parseInt(p []byte) (v int64, ok bool) {
	neg := len(p) > 0 && p[0] == '-'
	if neg {
		p = p[1:]
	}
	for n := 0; n < len(p) && p[n] >= '0' && p[n] <= '9'; n++ {
		if n == 18 {
			return 0, false
		}
		v, ok = v*10+int64(p[n]-'0'), true
	}
	if neg {
		v = -v
	}
	return v, ok
}
