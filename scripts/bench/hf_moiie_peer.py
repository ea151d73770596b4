#!/usr/bin/env python3
"""The peer of `moextend bench step --stage sft`: one training step of MoIIE and its rivals as a Python user would write it today.

A random Phi-3 of Hugging Face transformers whose MLPs in odd layers are replaced by a block of experts: a gate for image tokens and
one for text, softmax, top 2, a loop over the experts with index_add, as in the published code (arXiv 2508.09779). Everything trains;
forward + backward + clip + AdamW with f32 master weights.
Needs torch and transformers:  python3 -m venv .peer && .peer/bin/pip install torch transformers safetensors
Run:  .peer/bin/python hf_moiie_peer.py --stage sft --architecture dense|moiie|vanilla-moe|modality-moe [--dtype bf16|f32]
      [--size 1024,3584,4,4,8192,2,512] [--checkpointing] [--attention sdpa|eager] [--adam fused|foreach]
      [--precision masters|autocast] [--head all|labelled] [--compile] [--device cpu|cuda]
--size is hidden,intermediate,layers,experts,vocab,batch,sequence. Each row has one image: 144 patch features that a projector of two
layers makes tokens of; the second half of a row is labelled. What a user would try to be faster:
  --precision masters   weights in the compute type and f32 masters, updated together (the memory of `moextend`); autocast: f32 weights
  --head all            logits of every token, as the published code has them; labelled: of those alone that a label follows
  --attention, --adam, --compile   torch's own choices
Prints one JSON line last: {"architecture":…,"tokens_per_s": median, "step_s": median, "peak_bytes": …, "loss": […]}.

Check that both do the same:  .peer/bin/python hf_moiie_peer.py --check   runs `scripts/moextend bench step --write FILE` on tiny models
of every architecture, takes weights and batch from that file, trains as many steps and compares the losses; exit code 3 where they differ.
"""
import argparse, json, os, resource, statistics, subprocess, sys, tempfile, time
import torch
from torch import nn
from transformers import Phi3Config, Phi3Model

ARCHITECTURES = ["dense", "moiie", "vanilla-moe", "modality-moe"]
BALANCE, TOP_K, HEAD, FEATURES, PATCHES, FIRST_SLOT = 0.001, 2, 64, 1024, 144, 4

ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
ap.add_argument("--stage", default="sft", choices=["sft"])
ap.add_argument("--architecture", default="moiie", choices=ARCHITECTURES)
ap.add_argument("--dtype", default="bf16", choices=["bf16", "f32"])
ap.add_argument("--size", default="1024,3584,4,4,8192,2,512")
ap.add_argument("--checkpointing", action="store_true")
ap.add_argument("--attention", default="sdpa", choices=["sdpa", "eager"])
ap.add_argument("--adam", default="fused", choices=["fused", "foreach"])
ap.add_argument("--precision", default="masters", choices=["masters", "autocast"])
ap.add_argument("--head", default="all", choices=["all", "labelled"])
ap.add_argument("--compile", action="store_true")
ap.add_argument("--device", default="cpu")
ap.add_argument("--threads", type=int, default=2)
ap.add_argument("--steps", type=int, default=7)
ap.add_argument("--warm-up", type=int, default=2)
ap.add_argument("--from", dest="source", help="safetensors of `moextend bench step --write`: weights and batch to start from")
ap.add_argument("--check", action="store_true")
args = ap.parse_args()


class Mlp(nn.Module):
    def __init__(self, hidden, width):
        super().__init__()
        self.gate_up_proj = nn.Linear(hidden, 2 * width, bias=False)
        self.down_proj = nn.Linear(width, hidden, bias=False)

    def forward(self, x):
        gate, up = self.gate_up_proj(x).chunk(2, dim=-1)
        return self.down_proj(up * nn.functional.silu(gate))


def through_experts(x, logits, experts):
    """Rows x through the top 2 of `experts`, weighted; logits [rows, experts]."""
    weights, chosen = torch.topk(torch.softmax(logits.float(), dim=-1), TOP_K, dim=-1)
    weights = (weights / weights.sum(dim=-1, keepdim=True)).to(x.dtype)
    out = torch.zeros_like(x)
    mask = nn.functional.one_hot(chosen, num_classes=len(experts)).permute(2, 1, 0)
    for e, expert in enumerate(experts):
        slot, rows = torch.where(mask[e])
        if rows.numel() > 0:
            out.index_add_(0, rows, (expert(x[rows]) * weights[rows, slot, None]).to(out.dtype))
    return out


class Mixture(nn.Module):
    """In place of an odd layer's MLP. `vision` [batch * sequence] is set before each pass."""

    def __init__(self, architecture, hidden, width, count):
        super().__init__()
        self.architecture, self.vision, self.logits = architecture, None, {}
        if architecture == "modality-moe":
            self.vision_expert, self.language_expert = Mlp(hidden, width), Mlp(hidden, width)
            return
        self.experts = nn.ModuleList([Mlp(hidden, width) for _ in range(count)])
        if architecture == "moiie":
            self.gate = nn.Linear(hidden, count // 4 * 3, bias=False)
            self.gate_vis = nn.Linear(hidden, count // 4 * 3, bias=False)
        else:
            self.gate = nn.Linear(hidden, count, bias=False)

    def forward(self, hidden):
        x = hidden.reshape(-1, hidden.shape[-1])
        if self.architecture == "vanilla-moe":
            self.logits = {"all": self.gate(x)}
            return through_experts(x, self.logits["all"], self.experts).view_as(hidden)
        out = torch.zeros_like(x)
        vision, text = x[self.vision], x[~self.vision]
        if self.architecture == "modality-moe":
            out[self.vision] = self.vision_expert(vision).to(out.dtype)
            out[~self.vision] = self.language_expert(text).to(out.dtype)
        else:
            edge = len(self.experts) // 4
            self.logits = {"vision": self.gate_vis(vision), "text": self.gate(text)}
            out[self.vision] = through_experts(vision, self.logits["vision"], self.experts[: 3 * edge])
            out[~self.vision] = through_experts(text, self.logits["text"], self.experts[edge:])
        return out.view_as(hidden)


def balance(per_layer):
    """E * sum over slots and experts of the share chosen * mean probability, all layers as one; perfect balance is 2."""
    logits = torch.cat(per_layer, dim=0)
    p = torch.softmax(logits.float(), dim=-1)
    chosen = nn.functional.one_hot(torch.topk(p, TOP_K, dim=-1).indices, logits.shape[-1]).float()
    return logits.shape[-1] * (chosen.mean(dim=0) * p.mean(dim=0)).sum()


class Bench:
    def __init__(self, args):
        H, I, L, E, V, B, S = map(int, args.size.split(","))
        assert S >= 2 * (PATCHES + FIRST_SLOT), "the image must lie in the first half of a row"
        torch.set_num_threads(args.threads)
        torch.manual_seed(0)
        self.args, self.compute = args, {"bf16": torch.bfloat16, "f32": torch.float32}[args.dtype]
        stored = self.compute if args.precision == "masters" else torch.float32
        config = Phi3Config(vocab_size=V, hidden_size=H, intermediate_size=I, num_hidden_layers=L, num_attention_heads=H // HEAD,
                            num_key_value_heads=H // HEAD, max_position_embeddings=max(4096, S), pad_token_id=None,
                            original_max_position_embeddings=max(4096, S), bos_token_id=1, eos_token_id=2)
        config._attn_implementation = args.attention
        self.model = Phi3Model(config)
        if args.architecture != "dense":
            for layer in self.model.layers[1::2]:
                layer.mlp = Mixture(args.architecture, H, I, E)
        self.head = nn.Linear(H, V, bias=False)
        self.projector = nn.Sequential(nn.Linear(FEATURES, H), nn.GELU(), nn.Linear(H, H))
        for part in (self.model, self.head, self.projector):
            for p in part.parameters():
                if p.dim() > 1:
                    nn.init.normal_(p, std=0.02)
            part.to(args.device, stored).train()
        if args.checkpointing:
            self.model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
        self.run = torch.compile(self.model) if args.compile else self.model
        self.ids = torch.randint(0, V, (B, S), device=args.device)
        self.labels = self.ids.clone()
        self.labels[:, : S // 2] = -100
        self.features = torch.randn(B * PATCHES, FEATURES, device=args.device, dtype=stored)
        if args.source:
            self.load(args.source)
        types = torch.zeros(B, S, dtype=torch.long, device=args.device)
        types[:, FIRST_SLOT : FIRST_SLOT + PATCHES] = 1
        vision = torch.zeros_like(types, dtype=torch.bool)
        vision[:, :-1] = (types[:, :-1] == 1) & (types[:, 1:] == 1)  # the last patch of an image goes with the text
        self.mixtures = [m for m in self.model.modules() if isinstance(m, Mixture)]
        for m in self.mixtures:
            m.vision = vision.view(-1)
        self.trained = [p for part in (self.model, self.head, self.projector) for p in part.parameters()]
        narrow = stored != torch.float32
        self.master = [p.detach().float().clone() for p in self.trained] if narrow else self.trained
        self.optimizer = torch.optim.AdamW(self.master, lr=1e-4, weight_decay=0.0, fused=args.adam == "fused", foreach=args.adam == "foreach")

    def load(self, path):
        from safetensors.torch import load_file
        tensors = load_file(path)
        self.ids, self.labels = tensors.pop("batch.ids"), tensors.pop("batch.labels")
        self.features = tensors.pop("batch.features").to(self.features.dtype)
        self.head.load_state_dict({"weight": tensors.pop("lm_head.weight")})
        prefix = "model.mm_projector."
        projector = {k[len(prefix):]: tensors.pop(k) for k in list(tensors) if k.startswith(prefix)}
        self.projector.load_state_dict(projector)
        self.model.load_state_dict({k[len("model."):]: v for k, v in tensors.items()}, strict=True)

    def loss(self):
        embeds = self.model.embed_tokens(self.ids)
        image = self.projector(self.features).view(embeds.shape[0], PATCHES, -1).to(embeds.dtype)
        embeds = torch.cat([embeds[:, :FIRST_SLOT], image, embeds[:, FIRST_SLOT + PATCHES :]], dim=1)
        hidden = self.run(inputs_embeds=embeds, attention_mask=torch.ones_like(self.ids), use_cache=False).last_hidden_state
        targets = self.labels[:, 1:].reshape(-1)
        before = hidden[:, :-1].reshape(-1, hidden.shape[-1])
        if self.args.head == "labelled":
            before, targets = before[targets >= 0], targets[targets >= 0]
        loss = nn.functional.cross_entropy(self.head(before).float(), targets)
        for group in self.mixtures[0].logits if self.mixtures else ():
            loss = loss + BALANCE * balance([m.logits[group] for m in self.mixtures])
        return loss

    def step(self):
        with torch.autocast(self.args.device, self.compute, enabled=self.args.precision == "autocast"):
            loss = self.loss()
        loss.backward()
        if self.master is not self.trained:
            for m, p in zip(self.master, self.trained):
                m.grad = torch.zeros_like(m) if p.grad is None else p.grad.float()
                p.grad = None
        torch.nn.utils.clip_grad_norm_(self.master, 1.0)
        self.optimizer.step()
        if self.master is self.trained:
            self.optimizer.zero_grad(set_to_none=True)
        else:
            with torch.no_grad():
                for m, p in zip(self.master, self.trained):
                    p.copy_(m)
                    m.grad = None
        return float(loss.detach())


def measure(args):
    bench = Bench(args)
    times, losses = [], []
    for _ in range(args.steps + args.warm_up):
        start = time.perf_counter()
        losses.append(round(bench.step(), 6))
        times.append(time.perf_counter() - start)
    counted = times[args.warm_up :]
    median = statistics.median(counted)
    peak = torch.cuda.max_memory_allocated() if args.device == "cuda" else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {"architecture": args.architecture, "stage": args.stage, "dtype": args.dtype, "size": args.size, "attention": args.attention,
            "adam": args.adam, "precision": args.precision, "head": args.head, "compile": args.compile, "device": args.device,
            "torch": torch.__version__, "tokens_per_s": round(bench.ids.numel() / median, 1), "step_s": round(median, 4),
            "step_s_all": [round(t, 3) for t in counted], "peak_bytes": peak,
            "trainable": sum(p.numel() for p in bench.trained), "loss": losses}


def check():
    home = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    differ = False
    with tempfile.TemporaryDirectory() as folder:
        for dtype, allowed in (("f32", 1e-4), ("bf16", 2e-3)):
            for architecture in ARCHITECTURES:
                file = os.path.join(folder, f"{architecture}-{dtype}.safetensors")
                same = ["--stage", "sft", "--architecture", architecture, "--dtype", dtype, "--size", "128,192,4,4,256,2,320",
                        "--steps", "6", "--warm-up", "0"]
                done = subprocess.run([home + "/scripts/moextend", "bench", "step", "--write", file] + same, capture_output=True, text=True)
                if done.returncode:
                    sys.exit(done.stderr)
                ours = json.loads(done.stdout.splitlines()[-1])
                peer = measure(ap.parse_args(same + ["--from", file]))
                assert ours["trainable"] == peer["trainable"], (ours["trainable"], peer["trainable"])
                off = max(abs(a - b) for a, b in zip(ours["loss"], peer["loss"], strict=True))
                differ |= not off <= allowed
                print(f"{dtype} {architecture}: ours {ours['loss']}, peer {peer['loss']}, largest difference {off:.1e}"
                      f"{'' if off <= allowed else ' TOO MUCH'}", flush=True)
    sys.exit(3 if differ else 0)


if args.check:
    check()
print(json.dumps(measure(args)))
