#!/usr/bin/env python3
"""The peer of `moextend bench generate`: greedy generation, batch 1, with a key-value cache, by transformers' own `generate`.

A random Mixtral of the given size, or T5 v1.1. Needs torch and transformers:  python3 -m venv .peer && .peer/bin/pip install torch transformers
Run:  .peer/bin/python hf_generate_peer.py [--dtype bf16|f32] [--size 1024,3584,4,8,8192] [--prompt 128] [--tokens 128]
      [--experts eager|grouped_mm|batched_mm] [--architecture mixtral|t5] [--attention sdpa|eager] [--threads 2] [--runs 5]
--size is hidden,intermediate,layers,experts,vocab; of t5 d_model,d_ff,layers of each stack,heads,vocab (1024,2816,8,16,32128), and its
encoder reads the prompt. Prompt and decode are told apart by runs of 1 and of 1 + tokens new tokens.
Prints one JSON line: {"prefill_tokens_per_s": median, "decode_tokens_per_s": median, "peak_bytes": …}.
"""
import argparse, json, resource, statistics, time
import torch
from transformers import MixtralConfig, MixtralForCausalLM, T5Config, T5ForConditionalGeneration

ap = argparse.ArgumentParser()
ap.add_argument("--dtype", default="bf16", choices=["bf16", "f32"])
ap.add_argument("--architecture", default="mixtral", choices=["mixtral", "t5"])
ap.add_argument("--size")
ap.add_argument("--prompt", type=int, default=128)
ap.add_argument("--tokens", type=int, default=128)
ap.add_argument("--experts", default="grouped_mm")
ap.add_argument("--attention", default="sdpa", choices=["sdpa", "eager"])
ap.add_argument("--threads", type=int, default=2)
ap.add_argument("--runs", type=int, default=5)
args = ap.parse_args()
args.size = args.size or {"mixtral": "1024,3584,4,8,8192", "t5": "1024,2816,8,16,32128"}[args.architecture]
H, I, L, E, V = map(int, args.size.split(","))
torch.set_num_threads(args.threads)
torch.manual_seed(0)
t5 = args.architecture == "t5"
if t5:
    config = T5Config(vocab_size=V, d_model=H, d_kv=H // E, d_ff=I, num_layers=L, num_decoder_layers=L, num_heads=E,
                      feed_forward_proj="gated-gelu", tie_word_embeddings=False, decoder_start_token_id=0)
else:
    config = MixtralConfig(vocab_size=V, hidden_size=H, intermediate_size=I, num_hidden_layers=L, num_attention_heads=H // 64,
                           num_key_value_heads=max(1, H // 256), num_local_experts=E, num_experts_per_tok=2,
                           max_position_embeddings=4096)
    config._experts_implementation = args.experts
config._attn_implementation = args.attention
kind = T5ForConditionalGeneration if t5 else MixtralForCausalLM
model = kind._from_config(config, dtype={"bf16": torch.bfloat16, "f32": torch.float32}[args.dtype]).eval()
if t5:  # transformers ties the head of every T5 it makes; that of v1.1 is its own
    model.lm_head.weight = torch.nn.Parameter(torch.randn(V, H, dtype=model.dtype) * H ** -0.5)
model.generation_config.eos_token_id = None  # every run makes all its tokens
model.generation_config.pad_token_id = 0
ids = torch.randint(2, V, (1, args.prompt))


def seconds(new):
    start = time.perf_counter()
    out = model.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=new, do_sample=False, use_cache=True)
    assert out.shape[1] == new + (1 if t5 else args.prompt)
    return time.perf_counter() - start


seconds(1 + min(args.tokens, 16))
first, decode = [], []
for _ in range(args.runs):
    first.append(seconds(1))
    decode.append(seconds(1 + args.tokens) - first[-1])
print(json.dumps({"dtype": args.dtype, "architecture": args.architecture, "size": args.size, "prompt": args.prompt,
                  "tokens": args.tokens, "experts": None if t5 else args.experts, "attention": args.attention, "torch": torch.__version__, "prefill_tokens_per_s": round(args.prompt / statistics.median(first), 1),
                  "decode_tokens_per_s": round(args.tokens / statistics.median(decode), 1),
                  "decode_s_all": [round(t, 3) for t in decode],
                  "peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024}))
