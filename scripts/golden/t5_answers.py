#!/usr/bin/env python3
"""Makes golden/hf/*/answers.json: what Hugging Face's generate answers, greedily, with the T5 cases that are there.

For each case inputs (ids, one with padding among them), the tokens that follow the start token and, where the answer ended by itself,
that it did. Taken are the first inputs drawn whose best token leads by LEAD everywhere, so that rounding cannot turn an answer: of each
case some that end and some that go on to MOST tokens. Float32 on the CPU. Needs torch and transformers.
Example: python scripts/golden/t5_answers.py golden/hf
"""
import json
import pathlib
import sys

import torch
import transformers
from safetensors.torch import load_file
from transformers import T5ForConditionalGeneration

SEED, MOST, LEAD, EACH, DRAWN = 2032, 24, 5e-3, 3, 400


def answer(model, ids):
    """The tokens behind the start token without the end token, whether it ended, and the smallest lead of a best token.

    transformers 5.18 makes its cache for num_layers decoder layers, whatever num_decoder_layers says; then it does without.
    """
    inputs = torch.tensor([ids])
    out = model.generate(inputs, attention_mask=(inputs != 0).long(), max_new_tokens=MOST, do_sample=False, num_beams=1,
                         use_cache=model.config.num_layers == model.config.num_decoder_layers, output_logits=True, return_dict_in_generate=True)
    tokens = out.sequences[0, 1:].tolist()
    best = torch.stack(out.logits)[:, 0].topk(2).values
    ended = tokens[-1] == model.config.eos_token_id
    return (tokens[:-1] if ended else tokens), ended, (best[:, 0] - best[:, 1]).min().item()


def check(model, folder):
    """The folder's own logits, as a proof that the model was read rightly."""
    batch, want = load_file(folder / "inputs.safetensors"), load_file(folder / "expected.safetensors")["logits"]
    with torch.no_grad():
        got = model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"], labels=batch["labels"]).logits
    assert torch.allclose(got, want, atol=1e-4), (got - want).abs().max()


def main(folder):
    model = T5ForConditionalGeneration.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()
    check(model, folder)
    draw = torch.Generator().manual_seed(SEED)
    found = {True: [], False: []}
    for _ in range(DRAWN):
        if all(len(some) == EACH for some in found.values()):
            break
        length = int(torch.randint(1, 31, (1,), generator=draw))
        ids = torch.randint(2, model.config.vocab_size, (length,), generator=draw).tolist()
        if length > 8 and length % 3 == 0:
            ids[4:6] = [0, 0]
        tokens, ended, lead = answer(model, ids)
        if lead > LEAD and (tokens or len(found[ended]) > 0) and len(found[ended]) < EACH:
            found[ended].append(dict(inputs=ids, answer=tokens, ended=ended))
    json_text = ",\n  ".join(json.dumps(example) for example in found[True] + found[False])
    (folder / "answers.json").write_text(
        '{{\n "transformers": "{}",\n "torch": "{}",\n "most": {},\n "answers": [\n  {}\n ]\n}}\n'.format(
            transformers.__version__, torch.__version__, MOST, json_text))


if __name__ == "__main__":
    for case in ("hf_t5", "hf_t5_v10"):
        main(pathlib.Path(sys.argv[1]) / case)
