#!/usr/bin/env python3
"""Makes the folders golden/hf/hf_{qwen2,mistral,llama31,phi3_longrope} with Hugging Face's models.

Tiny random models in float32 on the CPU, eager attention: hidden states, logits, the loss, all its
gradients, and the weights after three AdamW steps. Needs torch and transformers.
Example: python scripts/golden/hf_decoders.py golden/hf
"""
import json
import pathlib
import sys

import torch
import transformers
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM, LlamaConfig, MistralConfig, Phi3Config, Qwen2Config

COMMON = dict(
    vocab_size=96, hidden_size=32, intermediate_size=40, num_hidden_layers=2,
    num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=128,
    bos_token_id=1, eos_token_id=2, pad_token_id=None, use_cache=False, attn_implementation="eager")
CASES = {
    "hf_qwen2": Qwen2Config(**COMMON, tie_word_embeddings=True, use_sliding_window=False),
    "hf_mistral": MistralConfig(**COMMON, sliding_window=6),
    "hf_llama31": LlamaConfig(
        **{**COMMON, "num_attention_heads": 2, "num_key_value_heads": 1},
        rope_parameters=dict(rope_type="llama3", rope_theta=100.0, factor=8.0, low_freq_factor=1.0,
                             high_freq_factor=4.0, original_max_position_embeddings=64)),
    "hf_phi3_longrope": Phi3Config(
        **COMMON, original_max_position_embeddings=16,
        rope_parameters=dict(rope_type="longrope", rope_theta=10000.0, partial_rotary_factor=1.0,
                             short_factor=[1.0, 1.1, 1.3, 1.7], long_factor=[1.5, 2.0, 3.0, 4.5],
                             original_max_position_embeddings=16)),
}
OPTIMIZER = dict(lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.01)


def randomise(model):
    with torch.no_grad():
        for name, weight in model.named_parameters():
            noise = torch.randn_like(weight)
            weight.copy_(1 + 0.1 * noise if "norm" in name else 0.15 * noise)


def make(folder, config, seed):
    torch.manual_seed(seed)
    model = AutoModelForCausalLM.from_config(config, attn_implementation="eager").float()
    randomise(model)
    folder.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(folder)
    (folder / "generation_config.json").unlink(missing_ok=True)
    ids = torch.randint(3, config.vocab_size, (2, 20))
    labels = ids.clone()
    labels[:, :7] = -100
    batch = dict(input_ids=ids, labels=labels, attention_mask=torch.ones_like(ids))
    out = model(**batch, output_hidden_states=True)
    out.loss.backward()
    want = {f"hidden_states.{i}": h for i, h in enumerate(out.hidden_states)}
    want |= dict(logits=out.logits, loss=out.loss)
    want |= {f"grad.{n}": p.grad for n, p in model.named_parameters()}
    want = {n: t.detach().clone().contiguous() for n, t in want.items()}
    optimizer = torch.optim.AdamW(model.parameters(), **OPTIMIZER)
    steps = []
    for _ in range(3):
        optimizer.zero_grad()
        loss = model(**batch).loss
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        steps.append(dict(loss=loss.item(), grad_norm_before_clip=norm.item()))
    want |= {f"after.{n}": p.detach().clone() for n, p in model.named_parameters()}
    save_file(want, folder / "expected.safetensors")
    save_file(batch, folder / "inputs.safetensors")
    meta = dict(transformers=transformers.__version__, torch=torch.__version__, attn="eager", seed=seed,
                optimizer=dict(type="AdamW", **OPTIMIZER, max_grad_norm=1.0, steps=steps))
    (folder / "meta.json").write_text(json.dumps(meta, indent=1) + "\n")


if __name__ == "__main__":
    for number, (name, case) in enumerate(CASES.items()):
        make(pathlib.Path(sys.argv[1]) / name, case, 2026 + number)
