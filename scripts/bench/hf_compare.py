#!/usr/bin/env python3
"""Reads a model folder written by moextend with Hugging Face transformers and compares its logits with a traced file.

Needs torch, transformers and safetensors:  python3 -m venv .peer && .peer/bin/pip install torch transformers
Run:  .peer/bin/python scripts/bench/hf_compare.py --make-inputs inputs.safetensors --vocab 32000
      scripts/moextend trace --model DIR --inputs inputs.safetensors --output traced.safetensors
      .peer/bin/python scripts/bench/hf_compare.py --model DIR --inputs inputs.safetensors --traced traced.safetensors
Text only: a vision part in the folder is left out (transformers reports its tensors as unexpected).
"""
import argparse

import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

ap = argparse.ArgumentParser()
ap.add_argument("--make-inputs")
ap.add_argument("--vocab", type=int, default=32000)
ap.add_argument("--model")
ap.add_argument("--inputs")
ap.add_argument("--traced")
args = ap.parse_args()
if args.make_inputs:
    torch.manual_seed(0)
    ids = torch.randint(3, args.vocab, (2, 48))
    mask = torch.ones_like(ids)
    mask[1, 40:] = 0
    labels = torch.where(mask == 1, ids, torch.full_like(ids, -100))
    save_file({"input_ids": ids, "attention_mask": mask, "labels": labels}, args.make_inputs)
    raise SystemExit
batch = load_file(args.inputs)
traced = load_file(args.traced)
model = AutoModelForCausalLM.from_pretrained(args.model, dtype=torch.float32, attn_implementation="eager")
model.eval()
with torch.no_grad():
    out = model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"], labels=batch["labels"])
seen = batch["attention_mask"].bool()
difference = (out.logits - traced["logits"]).abs()[seen]
allowed = 2e-5 + 2e-4 * out.logits.abs()[seen]
print(f"largest logit difference {difference.max():.2e}, beyond tolerance {int((difference > allowed).sum())} of {difference.numel()}")
print(f"language loss: transformers {float(out.loss):.6f} (with its own auxiliary term if configured), traced {float(traced['lm_loss']):.6f}")
raise SystemExit(1 if (difference > allowed).any() else 0)
