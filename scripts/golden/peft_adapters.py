"""Adapters that Hugging Face's PEFT wrote, and the logits it computes with them: golden/peft.

Usage: python scripts/golden/peft_adapters.py    (needs torch, transformers, peft, safetensors)
"""

import json
import pathlib
import sys

import torch
from peft import IA3Config, LoraConfig, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, T5ForConditionalGeneration

GOLDEN = pathlib.Path(__file__).resolve().parents[2] / "golden"
IDS = torch.tensor([[5, 9, 11, 3, 7], [2, 8, 4, 6, 1]])

CASES = {
    "lora_llama": ("hf/hf_llama", LoraConfig(
        r=3, lora_alpha=5, use_rslora=True, lora_dropout=0.05,
        target_modules=["q_proj", "v_proj", "down_proj"], task_type="CAUSAL_LM")),
    "lora_phi3": ("hf/hf_phi3", LoraConfig(
        r=2, lora_alpha=6, target_modules="all-linear", task_type="CAUSAL_LM")),
    "ia3_llama": ("hf/hf_llama", IA3Config(
        target_modules=["k_proj", "v_proj", "down_proj"], feedforward_modules=["down_proj"],
        task_type="CAUSAL_LM")),
    "ia3_t5": ("hf/hf_t5", IA3Config(
        target_modules=["k", "v", "wo"], feedforward_modules=["wo"])),
}


def main():
    for name, (base, config) in CASES.items():
        seq2seq = base.endswith("t5")
        kind = T5ForConditionalGeneration if seq2seq else AutoModelForCausalLM
        model = get_peft_model(kind.from_pretrained(GOLDEN / base, dtype=torch.float32), config).eval()
        torch.manual_seed(7)
        with torch.no_grad():
            for parameter_name, parameter in model.named_parameters():
                if "lora_" in parameter_name:
                    parameter.copy_(0.1 * torch.randn_like(parameter))
                if "ia3_" in parameter_name:
                    parameter.copy_(1 + 0.3 * torch.randn_like(parameter))
            more = {"decoder_input_ids": IDS.roll(1)} if seq2seq else {}
            logits = model(input_ids=IDS, **more).logits
        folder = GOLDEN / "peft" / name
        model.save_pretrained(folder)
        (folder / "README.md").unlink(missing_ok=True)
        path = folder / "adapter_config.json"
        text = json.loads(path.read_text())
        text["base_model_name_or_path"] = base
        path.write_text(json.dumps(text, indent=2, sort_keys=True) + "\n")
        save_file({"input_ids": IDS, "logits": logits.contiguous()}, folder / "expected.safetensors",
                  metadata={"format": "pt"})
        print(name, list(load_file(folder / "adapter_model.safetensors"))[:2], logits.abs().max().item())


if __name__ == "__main__":
    sys.exit(main())
