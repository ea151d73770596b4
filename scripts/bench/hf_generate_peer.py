#!/usr/bin/env python3
"""The peer of `moextend bench generate`: greedy generation, batch 1, with a key-value cache, by transformers' own `generate`.

A random Mixtral of the given size. Needs torch and transformers:  python3 -m venv .peer && .peer/bin/pip install torch transformers
Run:  .peer/bin/python hf_generate_peer.py [--dtype bf16|f32] [--size 1024,3584,4,8,8192] [--prompt 128] [--tokens 128]
      [--experts eager|grouped_mm|batched_mm] [--threads 2] [--runs 5]
--size is hidden,intermediate,layers,experts,vocab. Prompt and decode are told apart by runs of 1 and of 1 + tokens new tokens.
Prints one JSON line: {"prefill_tokens_per_s": median, "decode_tokens_per_s": median, "peak_bytes": …}.
"""
import argparse, json, resource, statistics, time
import torch
from transformers import MixtralConfig, MixtralForCausalLM

ap = argparse.ArgumentParser()
ap.add_argument("--dtype", default="bf16", choices=["bf16", "f32"])
ap.add_argument("--size", default="1024,3584,4,8,8192")
ap.add_argument("--prompt", type=int, default=128)
ap.add_argument("--tokens", type=int, default=128)
ap.add_argument("--experts", default="grouped_mm")
ap.add_argument("--threads", type=int, default=2)
ap.add_argument("--runs", type=int, default=5)
args = ap.parse_args()
H, I, L, E, V = map(int, args.size.split(","))
torch.set_num_threads(args.threads)
torch.manual_seed(0)
config = MixtralConfig(vocab_size=V, hidden_size=H, intermediate_size=I, num_hidden_layers=L, num_attention_heads=H // 64,
                       num_key_value_heads=max(1, H // 256), num_local_experts=E, num_experts_per_tok=2, max_position_embeddings=4096)
config._experts_implementation = args.experts
config._attn_implementation = "sdpa"
model = MixtralForCausalLM._from_config(config, dtype={"bf16": torch.bfloat16, "f32": torch.float32}[args.dtype]).eval()
model.generation_config.eos_token_id = None  # every run makes all its tokens
model.generation_config.pad_token_id = 0
ids = torch.randint(0, V, (1, args.prompt))


def seconds(new):
    start = time.perf_counter()
    out = model.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=new, do_sample=False, use_cache=True)
    assert out.shape[1] == args.prompt + new
    return time.perf_counter() - start


seconds(1 + min(args.tokens, 16))
first, decode = [], []
for _ in range(args.runs):
    first.append(seconds(1))
    decode.append(seconds(1 + args.tokens) - first[-1])
print(json.dumps({"dtype": args.dtype, "size": args.size, "prompt": args.prompt, "tokens": args.tokens, "experts": args.experts,
                  "torch": torch.__version__, "prefill_tokens_per_s": round(args.prompt / statistics.median(first), 1),
                  "decode_tokens_per_s": round(args.tokens / statistics.median(decode), 1),
                  "decode_s_all": [round(t, 3) for t in decode],
                  "peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024}))
