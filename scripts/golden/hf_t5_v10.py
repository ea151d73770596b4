#!/usr/bin/env python3
"""Makes the folder golden/hf/hf_t5_v10 with Hugging Face's T5: version 1.0.

One wi with a ReLU, a tied head that reads hidden / sqrt(d_model), heads that do not make d_model.
A tiny random model in float32 on the CPU, eager attention: encoder output, logits, the loss and all
its gradients. Needs torch and transformers.
Example: python scripts/golden/hf_t5_v10.py golden/hf
"""
import json
import pathlib
import sys

import torch
import transformers
from safetensors.torch import save_file
from transformers import T5Config, T5ForConditionalGeneration

SEED = 2031
CONFIG = T5Config(
    vocab_size=40, d_model=24, d_kv=8, d_ff=40, num_layers=1, num_decoder_layers=2, num_heads=2,
    relative_attention_num_buckets=8, relative_attention_max_distance=16, dropout_rate=0.0,
    feed_forward_proj="relu", use_cache=False, decoder_start_token_id=0)


def main(folder):
    torch.manual_seed(SEED)
    model = T5ForConditionalGeneration._from_config(CONFIG, attn_implementation="eager").float()
    with torch.no_grad():
        for name, weight in model.named_parameters():
            noise = torch.randn_like(weight)
            weight.copy_(1 + 0.1 * noise if "layer_norm" in name else 0.3 * noise)
    folder.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(folder)
    (folder / "generation_config.json").unlink(missing_ok=True)
    ids = torch.randint(2, CONFIG.vocab_size, (2, 13))
    ids[1, 9:] = 0
    labels = torch.randint(2, CONFIG.vocab_size, (2, 7))
    labels[0, 6] = labels[1, 4] = 1
    labels[1, 5:] = -100
    batch = dict(input_ids=ids, labels=labels, attention_mask=(ids != 0).long())
    out = model(**batch)
    out.loss.backward()
    want = dict(encoder_last_hidden_state=out.encoder_last_hidden_state, logits=out.logits, loss=out.loss)
    want |= {f"grad.{n}": p.grad for n, p in model.named_parameters()}
    save_file({n: t.detach().clone().contiguous() for n, t in want.items()},
              folder / "expected.safetensors", metadata={"format": "pt"})
    save_file(batch, folder / "inputs.safetensors", metadata={"format": "pt"})
    meta = dict(transformers=transformers.__version__, torch=torch.__version__, attn="eager", seed=SEED)
    (folder / "meta.json").write_text(json.dumps(meta, indent=1) + "\n")


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]) / "hf_t5_v10")
