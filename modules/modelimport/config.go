package modelimport

import "encoding/json"

// Config is the part of a Hugging Face config.json that matters here.
type Config struct {
	ModelType   string  `json:"model_type"`
	Vocab       int     `json:"vocab_size"`
	Width       int     `json:"hidden_size"`
	FFN         int     `json:"intermediate_size"`
	Layers      int     `json:"num_hidden_layers"`
	Heads       int     `json:"num_attention_heads"`
	KVHeads     int     `json:"num_key_value_heads"`
	HeadDim     int     `json:"head_dim"`
	Context     int     `json:"max_position_embeddings"`
	Eps         float64 `json:"rms_norm_eps"`
	Theta       float64 `json:"rope_theta"`
	Tied        bool    `json:"tie_word_embeddings"`
	Act         string  `json:"hidden_act"`
	RopeScaling any     `json:"rope_scaling"`
	SlidingUsed bool    `json:"use_sliding_window"`
}

// Bounds of what the llama module runs.
const (
	maxLayers  = 256
	maxContext = 32768
	maxDim     = 1 << 22
)

// ParseConfig reads and checks config.json.
func ParseConfig(text []byte) (Config, error) {
	var c Config
	if err := json.Unmarshal(text, &c); err != nil {
		return c, bad("config.json: %v", err)
	}
	if c.KVHeads == 0 {
		c.KVHeads = c.Heads
	}
	if c.HeadDim == 0 && c.Heads > 0 {
		c.HeadDim = c.Width / c.Heads
	}
	if c.Theta == 0 {
		c.Theta = 10000
	}
	for _, f := range []struct {
		name      string
		val, most int
	}{
		{"vocab_size", c.Vocab, maxDim}, {"hidden_size", c.Width, maxDim}, {"intermediate_size", c.FFN, maxDim},
		{"num_hidden_layers", c.Layers, maxLayers}, {"num_attention_heads", c.Heads, 4096},
		{"num_key_value_heads", c.KVHeads, 4096}, {"head_dim", c.HeadDim, 1024},
		{"max_position_embeddings", c.Context, maxDim},
	} {
		if f.val < 1 || f.val > f.most {
			return c, bad("config.json: %s is %d, 1 to %d is supported", f.name, f.val, f.most)
		}
	}
	switch {
	case c.Heads%c.KVHeads != 0:
		return c, bad("config.json: %d heads over %d key heads", c.Heads, c.KVHeads)
	case c.HeadDim%2 != 0:
		return c, bad("config.json: head_dim %d is odd", c.HeadDim)
	case c.Act != "silu":
		return c, bad("config.json: hidden_act %q, only silu is supported", c.Act)
	case c.Eps < 0 || c.Eps > 1:
		return c, bad("config.json: rms_norm_eps %g", c.Eps)
	case c.RopeScaling != nil:
		return c, bad("config.json: rope_scaling is not supported")
	case c.SlidingUsed:
		return c, bad("config.json: sliding windows are not supported")
	}
	return c, nil
}
