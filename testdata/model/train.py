#!/usr/bin/env python3
"""Trains the byte-level Llama-shaped model that Assay ships for tests and demos.

    python3 train.py --steps 5000 --out opticks.safetensors --log loss.csv

Needs PyTorch on a CPU; one thread is enough. The vocabulary is the 256 bytes,
so there is no tokenizer. Weight names and layouts are those of Hugging Face's
LlamaForCausalLM (half-split RoPE pairs), so that the importer needs no special
case for this model. Floats live here and in the importer only.
"""
import argparse, csv, json, math, struct, time

import torch
import torch.nn.functional as F
from torch import nn

CONFIG = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "vocab_size": 256,
    "hidden_size": 128,
    "intermediate_size": 352,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 512,
    "rms_norm_eps": 1e-5,
    "rope_theta": 10000.0,
    "tie_word_embeddings": True,
    "hidden_act": "silu",
}


def rope_tables(length, dim, theta):
    inv = theta ** (-torch.arange(0, dim, 2, dtype=torch.float64) / dim)
    ang = torch.arange(length, dtype=torch.float64)[:, None] * inv[None, :]
    return ang.cos().float(), ang.sin().float()


def rotate(x, cos, sin):
    a, b = x.chunk(2, dim=-1)
    return torch.cat([a * cos - b * sin, b * cos + a * sin], dim=-1)


class RMSNorm(nn.Module):
    def __init__(self, dim, eps):
        super().__init__()
        self.weight, self.eps = nn.Parameter(torch.ones(dim)), eps

    def forward(self, x):
        return F.rms_norm(x, self.weight.shape, self.weight, self.eps)


class Attention(nn.Module):
    def __init__(self, c):
        super().__init__()
        d, self.h, self.g = c["hidden_size"], c["num_attention_heads"], c["num_key_value_heads"]
        self.d = d // self.h
        self.q_proj = nn.Linear(d, self.h * self.d, bias=False)
        self.k_proj = nn.Linear(d, self.g * self.d, bias=False)
        self.v_proj = nn.Linear(d, self.g * self.d, bias=False)
        self.o_proj = nn.Linear(self.h * self.d, d, bias=False)

    def forward(self, x, cos, sin):
        b, t, _ = x.shape
        q = rotate(self.q_proj(x).view(b, t, self.h, self.d).transpose(1, 2), cos, sin)
        k = rotate(self.k_proj(x).view(b, t, self.g, self.d).transpose(1, 2), cos, sin)
        v = self.v_proj(x).view(b, t, self.g, self.d).transpose(1, 2)
        k, v = (z.repeat_interleave(self.h // self.g, dim=1) for z in (k, v))
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.o_proj(y.transpose(1, 2).reshape(b, t, -1))


class MLP(nn.Module):
    def __init__(self, c):
        super().__init__()
        d, f = c["hidden_size"], c["intermediate_size"]
        self.gate_proj = nn.Linear(d, f, bias=False)
        self.up_proj = nn.Linear(d, f, bias=False)
        self.down_proj = nn.Linear(f, d, bias=False)

    def forward(self, x):
        return self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))


class Layer(nn.Module):
    def __init__(self, c, dropout):
        super().__init__()
        self.input_layernorm = RMSNorm(c["hidden_size"], c["rms_norm_eps"])
        self.self_attn = Attention(c)
        self.post_attention_layernorm = RMSNorm(c["hidden_size"], c["rms_norm_eps"])
        self.mlp = MLP(c)
        self.drop = nn.Dropout(dropout)

    def forward(self, x, cos, sin):
        x = x + self.drop(self.self_attn(self.input_layernorm(x), cos, sin))
        return x + self.drop(self.mlp(self.post_attention_layernorm(x)))


class Body(nn.Module):
    def __init__(self, c, dropout):
        super().__init__()
        self.embed_tokens = nn.Embedding(c["vocab_size"], c["hidden_size"])
        self.layers = nn.ModuleList(Layer(c, dropout) for _ in range(c["num_hidden_layers"]))
        self.norm = RMSNorm(c["hidden_size"], c["rms_norm_eps"])


class Llama(nn.Module):
    def __init__(self, c, dropout=0.0):
        super().__init__()
        self.c, self.model = c, Body(c, dropout)
        cos, sin = rope_tables(c["max_position_embeddings"],
                               c["hidden_size"] // c["num_attention_heads"], c["rope_theta"])
        self.register_buffer("cos", cos, persistent=False)
        self.register_buffer("sin", sin, persistent=False)
        for name, p in self.named_parameters():
            if p.dim() == 2:
                std = 0.02 if "embed" in name else p.shape[1] ** -0.5
                if name.endswith(("o_proj.weight", "down_proj.weight")):
                    std /= math.sqrt(2 * c["num_hidden_layers"])
                nn.init.normal_(p, std=std)

    def forward(self, ids):
        t = ids.shape[1]
        x = self.model.embed_tokens(ids)
        for layer in self.model.layers:
            x = layer(x, self.cos[:t], self.sin[:t])
        return self.model.norm(x) @ self.model.embed_tokens.weight.t()


def save_safetensors(path, state):
    """Writes the format itself: u64 header length, JSON, then data, as float16."""
    head, blobs, off = {}, [], 0
    for name in sorted(state):
        raw = state[name].detach().to(torch.float16).contiguous().numpy().tobytes()
        head[name] = {"dtype": "F16", "shape": list(state[name].shape), "data_offsets": [off, off + len(raw)]}
        blobs.append(raw)
        off += len(raw)
    text = json.dumps(head, sort_keys=True, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text + b"".join(blobs))


@torch.no_grad()
def evaluate(model, data, ctx):
    """Mean nats a byte over non-overlapping windows of ctx bytes."""
    model.eval()
    rows = (len(data) - 1) // ctx
    x = data[: rows * ctx].view(rows, ctx)
    y = data[1 : rows * ctx + 1].view(rows, ctx)
    total = sum(F.cross_entropy(model(x[i : i + 8]).flatten(0, 1), y[i : i + 8].flatten(), reduction="sum").item()
                for i in range(0, rows, 8))
    model.train()
    return total / (rows * ctx)


@torch.no_grad()
def generate(model, prompt, n, temperature, gen):
    model.eval()
    ids = list(prompt.encode())
    for _ in range(n):
        z = model(torch.tensor([ids[-512:]]))[0, -1] / temperature
        ids.append(int(torch.multinomial(z.softmax(-1), 1, generator=gen)))
    model.train()
    return bytes(ids).decode("latin-1")


def main():
    a = argparse.ArgumentParser()
    a.add_argument("--data", default="opticks.txt")
    a.add_argument("--steps", type=int, default=5000)
    a.add_argument("--batch", type=int, default=2048, help="tokens a step")
    a.add_argument("--lr", type=float, default=2.5e-3)
    a.add_argument("--dropout", type=float, default=0.05)
    a.add_argument("--seed", type=int, default=1)
    a.add_argument("--threads", type=int, default=1)
    a.add_argument("--out", default="opticks.safetensors")
    a.add_argument("--log", default="loss.csv")
    a = a.parse_args()
    torch.set_num_threads(a.threads)
    torch.manual_seed(a.seed)
    gen = torch.Generator().manual_seed(a.seed)

    raw = torch.tensor(list(open(a.data, "rb").read()), dtype=torch.long)
    # Five blocks of one hundredth each, spread over the book, are never trained on.
    blocks = raw.tensor_split(100)
    train = torch.cat([b for i, b in enumerate(blocks) if i % 20 != 10])
    val = torch.cat([b for i, b in enumerate(blocks) if i % 20 == 10])

    model = Llama(CONFIG, a.dropout)
    print("parameters", sum(p.numel() for p in model.parameters()), "bytes", len(raw), flush=True)
    decay = [p for p in model.parameters() if p.dim() == 2]
    rest = [p for p in model.parameters() if p.dim() != 2]
    opt = torch.optim.AdamW([{"params": decay, "weight_decay": 0.1}, {"params": rest, "weight_decay": 0.0}],
                            lr=a.lr, betas=(0.9, 0.95), fused=True)
    start, warm = time.time(), 100
    with open(a.log, "w", newline="") as f:
        log = csv.writer(f)
        log.writerow(["step", "tokens", "context", "lr", "train_nats_per_byte", "val_nats_per_byte", "seconds"])
        mean, seen = 0.0, 0
        for step in range(a.steps):
            # Short contexts first, the full one for the last quarter: cheaper.
            ctx = 256 if step < a.steps * 3 // 4 else 512
            lr = a.lr * (step + 1) / warm if step < warm else \
                a.lr * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * (step - warm) / (a.steps - warm))))
            for g in opt.param_groups:
                g["lr"] = lr
            at = torch.randint(len(train) - ctx - 1, (a.batch // ctx,), generator=gen).tolist()
            x = torch.stack([train[i : i + ctx] for i in at])
            y = torch.stack([train[i + 1 : i + ctx + 1] for i in at])
            with torch.autocast("cpu", dtype=torch.bfloat16):
                logits = model(x)
            loss = F.cross_entropy(logits.float().flatten(0, 1), y.flatten())
            opt.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            opt.step()
            seen += x.numel()
            mean = loss.item() if step == 0 else 0.98 * mean + 0.02 * loss.item()
            if step % 100 == 99 or step == 0 or step == a.steps - 1:
                v = evaluate(model, val, 256) if step % 400 == 399 or step == a.steps - 1 else None
                log.writerow([step + 1, seen, ctx, f"{lr:.6f}", f"{mean:.4f}", "" if v is None else f"{v:.4f}",
                              f"{time.time() - start:.0f}"])
                f.flush()
                print(step + 1, f"{mean:.4f}", v, f"{time.time() - start:.0f}s", flush=True)
                if step % 400 == 399:
                    save_safetensors(a.out, model.state_dict())
    save_safetensors(a.out, model.state_dict())
    with open("config.json", "w") as f:
        json.dump(CONFIG, f, indent=1)
        f.write("\n")
    print("val at 512:", evaluate(model, val, 512))
    for t in (0.6, 0.8):
        print("---", t, "\n" + generate(model, "The Rays of Light", 400, t, gen))


if __name__ == "__main__":
    main()
