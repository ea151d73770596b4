#!/usr/bin/env python3
"""Training steps of `moextend bench step` beside hf_peer.py or hf_moiie_peer.py, in turn: tokens/s and the process' peak memory, as
ratios.

The peer needs torch and transformers:  python3 -m venv .peer && .peer/bin/pip install torch transformers safetensors
Run:  .peer/bin/python scripts/bench/step_table.py [--architectures mixtral] [--stages alignment,extension,finetune]
      [--dtypes bf16,f32] [--checkpointing no,yes] [--rounds 2] [--steps 9] [--size H,I,L,E,V,B,S] [--experts eager,grouped_mm]
      .peer/bin/python scripts/bench/step_table.py --architectures dense,moiie,vanilla-moe,modality-moe --stages sft
      [--attention sdpa,eager] [--allocator default,heap]
A round is ours, then the peer in each of the ways named; the fastest one counts: of a mixtral those of running experts, of the others
those of attention and of memory ("heap" keeps freed memory in the process: glibc's MALLOC_MMAP_MAX_=0). Ours warms up for more steps,
as Java is compiled while it runs. Prints a Markdown table of medians over rounds; every result line goes to standard error."""
import argparse, itertools, json, os, statistics, subprocess, sys

home = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
arguments.add_argument("--architectures", default="mixtral")
arguments.add_argument("--stages", default="alignment,extension,finetune")
arguments.add_argument("--dtypes", default="bf16,f32")
arguments.add_argument("--checkpointing", default="no,yes")
arguments.add_argument("--experts", default="eager,grouped_mm")
arguments.add_argument("--attention", default="sdpa,eager")
arguments.add_argument("--allocator", default="default,heap")
arguments.add_argument("--rounds", type=int, default=2)
arguments.add_argument("--size", help="default: that of the bench")
arguments.add_argument("--steps", default="9")
options = arguments.parse_args()


ALLOCATORS = {"default": {}, "heap": {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": "1000000000000"}}


def peers(architecture):
    """Each way of running the peer: a command and what is added to its environment."""
    if architecture == "mixtral":
        return [([sys.executable, home + "/scripts/bench/hf_peer.py", "--experts", e], {}) for e in options.experts.split(",")]
    script = [sys.executable, home + "/scripts/bench/hf_moiie_peer.py", "--architecture", architecture]
    return [(script + ["--attention", a], ALLOCATORS[m]) for a in options.attention.split(",") for m in options.allocator.split(",")]


def result(command, environment={}):
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | environment)
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    if done.returncode or not lines:
        sys.exit(" ".join(command) + "\n" + done.stderr)
    print(lines[-1], file=sys.stderr, flush=True)
    return json.loads(lines[-1])


def median(results, key):
    return statistics.median(r[key] for r in results)


print("| model | stage | type | checkpointing | ours, tokens/s | peer, tokens/s | ratio | ours, peak MB | peer, peak MB | ratio |")
print("| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |")
for dtype in options.dtypes.split(","):
    for checkpointing in options.checkpointing.split(","):
        for architecture, stage in itertools.product(options.architectures.split(","), options.stages.split(",")):
            same = ["--stage", stage, "--dtype", dtype, "--steps", options.steps]
            same += ["--size", options.size] if options.size else []
            same += ["--checkpointing"] if checkpointing == "yes" else []
            own = [home + "/scripts/moextend", "bench", "step", "--architecture", architecture]
            ours, best = [], []
            for _ in range(options.rounds):
                ours.append(result(own + same))
                tried = [result(command + same, environment) for command, environment in peers(architecture)]
                best.append(max(tried, key=lambda r: r["tokens_per_s"]))
            speed, peer_speed = median(ours, "tokens_per_s"), median(best, "tokens_per_s")
            peak, peer_peak = median(ours, "peak_bytes"), median(best, "peak_bytes")
            print(f"| {architecture} | {stage} | {dtype} | {checkpointing} | {speed:.0f} | {peer_speed:.0f} | {speed / peer_speed:.2f} | "
                  f"{peak / 1e6:.0f} | {peer_peak / 1e6:.0f} | {peak / peer_peak:.2f} |", flush=True)
