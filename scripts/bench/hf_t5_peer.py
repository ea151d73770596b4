#!/usr/bin/env python3
"""The peer of `moextend bench step --architecture t5 --stage adapt`: one training step of LoRA or IA3 on T5 v1.1 as a Python user writes it.

A random T5ForConditionalGeneration of Hugging Face transformers with adapters of PEFT: LoRA on q, k, v, o of every attention and on wi_0
and wo, or IA3 on k, v and the network's hidden state. The base is frozen; forward + backward + clip + AdamW on the adapters.
Needs torch, transformers and peft:  python3 -m venv .peer && .peer/bin/pip install torch transformers peft safetensors
Run:  .peer/bin/python hf_t5_peer.py [--method lora|ia3] [--rank 16] [--dtype bf16|f32] [--size 1024,2816,8,16,32128,2,512,128]
      [--adapter-dtype same|f32] [--head-on all] [--attention eager|sdpa] [--checkpointing] [--compile] [--dropout 0] [--device cpu|cuda]
--size is d_model,d_ff,layers of each stack,heads,vocab,rows,inputs,targets; heads are d_model/heads wide. Rows are full: no padding.
What a user would try to be faster:
  --adapter-dtype same  adapters in the type of the base; f32 as PEFT makes them by itself of a bf16 base
  --attention, --compile, --checkpointing   torch's and transformers' own choices
Prints one JSON line last: {"method":…,"tokens_per_s": median, "step_s": median, "peak_bytes": …, "trainable": …, "loss": […]}; tokens are
those of inputs and targets.

Check that both do the same:  .peer/bin/python hf_t5_peer.py --check   runs `scripts/moextend bench step --architecture t5 --write FILE` on
tiny models, takes weights and batch from that file, trains as many steps and compares the losses; exit code 3 where they differ.
"""
import argparse, json, os, resource, statistics, subprocess, sys, tempfile, time
import torch
from peft import IA3Config, LoraConfig, get_peft_model
from transformers import T5Config, T5ForConditionalGeneration

ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
ap.add_argument("--method", default="lora", choices=["lora", "ia3"])
ap.add_argument("--rank", type=int, default=16)
ap.add_argument("--dtype", default="bf16", choices=["bf16", "f32"])
ap.add_argument("--size", default="1024,2816,8,16,32128,2,512,128")
ap.add_argument("--adapter-dtype", default="same", choices=["same", "f32"])
ap.add_argument("--attention", default="eager", choices=["eager", "sdpa"])
ap.add_argument("--checkpointing", action="store_true")
ap.add_argument("--compile", action="store_true")
ap.add_argument("--dropout", type=float, default=0.0)
ap.add_argument("--device", default="cpu")
ap.add_argument("--threads", type=int, default=2)
ap.add_argument("--steps", type=int, default=7)
ap.add_argument("--warm-up", type=int, default=2)
ap.add_argument("--from", dest="source", help="safetensors of `moextend bench step --write`: weights, adapters and batch to start from")
ap.add_argument("--check", action="store_true")
args = ap.parse_args()

LORA_SITES = r".*\.(SelfAttention|EncDecAttention)\.(q|k|v|o)|.*\.DenseReluDense\.(wi_0|wo)"
# The original multiplies f(wi_0 x). PEFT at wi_0 would multiply wi_0 x, before the GELU; at the input of wo, as its own default for T5 has it,
# it multiplies f(wi_0 x) * wi_1 x, which is the same as the original's.
IA3_SITES = r".*\.(SelfAttention|EncDecAttention)\.(k|v)|.*\.DenseReluDense\.wo"
IA3_INPUTS = r".*\.DenseReluDense\.wo"
ALPHA, CLIP, RATE = 16, 1.0, 1e-4


class Bench:
    def __init__(self, args):
        D, F, L, H, V, B, S, T = map(int, args.size.split(","))
        torch.set_num_threads(args.threads)
        torch.manual_seed(0)
        self.args, self.tokens = args, B * (S + T)
        compute = {"bf16": torch.bfloat16, "f32": torch.float32}[args.dtype]
        config = T5Config(vocab_size=V, d_model=D, d_kv=D // H, d_ff=F, num_layers=L, num_decoder_layers=L, num_heads=H,
                          dropout_rate=args.dropout, feed_forward_proj="gated-gelu", tie_word_embeddings=False,
                          decoder_start_token_id=0, use_cache=False)
        config._attn_implementation = args.attention
        base = T5ForConditionalGeneration(config)
        # transformers ties the head of every T5 it makes; that of v1.1 is its own
        base.lm_head.weight = torch.nn.Parameter(torch.empty(V, D))
        for name, p in base.named_parameters():
            if p.dim() > 1:
                query = name.endswith("Attention.q.weight")  # scores are not scaled
                torch.nn.init.normal_(p, std=1.0 if "shared" in name else p.shape[-1] ** -0.5 * ((D // H) ** -0.5 if query else 1.0))
        base.to(args.device, compute)
        if args.method == "lora":
            peft = LoraConfig(r=args.rank, lora_alpha=ALPHA, lora_dropout=0.0, target_modules=LORA_SITES, bias="none")
        else:
            peft = IA3Config(target_modules=IA3_SITES, feedforward_modules=IA3_INPUTS)
        self.model = get_peft_model(base, peft, autocast_adapter_dtype=args.adapter_dtype == "f32")
        if args.adapter_dtype == "same":
            for p in self.model.parameters():
                if p.requires_grad:
                    p.data = p.data.to(compute)
        self.model.train()
        if args.checkpointing:
            self.model.enable_input_require_grads()
            self.model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
        self.inputs = torch.randint(2, V, (B, S), device=args.device)
        self.labels = torch.randint(2, V, (B, T), device=args.device)
        if args.source:
            self.load(args.source)
        self.trained = [p for p in self.model.parameters() if p.requires_grad]
        # a step on low-precision adapters must not lose what is too small for them
        self.masters = [p.detach().float().clone() for p in self.trained]
        self.optimizer = torch.optim.AdamW(self.masters, lr=RATE, weight_decay=0.0, fused=True)
        self.run = torch.compile(self.model) if args.compile else self.model

    def load(self, source):
        from safetensors.torch import load_file
        tensors = load_file(source)
        self.inputs = tensors.pop("batch.input_ids").long()
        self.labels = tensors.pop("batch.labels").long()
        own = dict(self.model.named_parameters())
        seen = set()
        for name, value in tensors.items():
            if ".lora_" in name:
                module, part = name.rsplit(".", 1)
                key, value = f"base_model.model.{module}.{part}.default.weight", value.T  # kept as the original has them, [in, out]
            elif name.endswith(".ia3_scaling"):
                module = name.removesuffix(".ia3_scaling").replace(".wi_0", ".wo")
                key = f"base_model.model.{module}.ia3_l.default"  # a column, at wo's input a row: the shape is taken from there
            else:
                key = "base_model.model." + name
                if key not in own:
                    key = "base_model.model." + name.removesuffix("weight") + "base_layer.weight"
            own[key].data.copy_(value.reshape(own[key].shape))
            seen.add(key)
        missing = sorted(set(own) - seen)
        assert not missing, f"not in {source}: {missing}"

    def step(self):
        start = time.perf_counter()
        loss = self.run(input_ids=self.inputs, labels=self.labels).loss
        loss.backward()
        for master, p in zip(self.masters, self.trained):
            master.grad = p.grad.float()
            p.grad = None
        torch.nn.utils.clip_grad_norm_(self.masters, CLIP)
        self.optimizer.step()
        with torch.no_grad():
            for master, p in zip(self.masters, self.trained):
                p.copy_(master)
        value = loss.item()
        return time.perf_counter() - start, value


def measured():
    bench = Bench(args)
    times, losses = [], []
    for i in range(args.warm_up + args.steps):
        if args.device == "cuda" and i == args.warm_up:
            torch.cuda.reset_peak_memory_stats()
        seconds, loss = bench.step()
        losses.append(round(loss, 6))
        if i >= args.warm_up:
            times.append(seconds)
    peak = torch.cuda.max_memory_allocated() if args.device == "cuda" else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    median = statistics.median(times)
    return {"method": args.method, "dtype": args.dtype, "size": args.size, "attention": args.attention, "adapter_dtype": args.adapter_dtype,
            "tokens_per_s": round(bench.tokens / median, 1), "step_s": round(median, 4), "step_s_all": [round(t, 4) for t in times],
            "peak_bytes": peak, "trainable": sum(p.numel() for p in bench.trained), "loss": losses}


def check():
    root = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
    wrong = 0
    for method in ("lora", "ia3"):
        for dtype, tolerance in (("f32", 1e-5), ("bf16", 1e-2)):
            with tempfile.TemporaryDirectory() as folder:
                file = os.path.join(folder, "start.safetensors")
                size = "128,192,2,4,512,2,48,24"
                ours = subprocess.run(
                    [os.path.join(root, "scripts", "moextend"), "bench", "step", "--architecture", "t5", "--stage", "adapt", "--method", method,
                     "--rank", "4", "--size", size, "--dtype", dtype, "--steps", "4", "--warm-up", "0", "--write", file],
                    check=True, capture_output=True, text=True)
                line = json.loads(ours.stdout.strip().splitlines()[-1])
                args.method, args.dtype, args.size, args.rank, args.source = method, dtype, size, 4, file
                bench = Bench(args)
                theirs = [bench.step()[1] for _ in range(4)]
                worst = max(abs(a - b) / abs(b) for a, b in zip(line["loss"], theirs))
                print(f"{method} {dtype}: ours {line['loss']}, peer {[round(t, 6) for t in theirs]}, worst difference {worst:.1e}")
                wrong += worst > tolerance
    return 3 if wrong else 0


sys.exit(check()) if args.check else print(json.dumps(measured()))
