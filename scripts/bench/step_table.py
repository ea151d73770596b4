#!/usr/bin/env python3
"""Training steps of `moextend bench step` beside hf_peer.py, in turn: tokens/s and the process' peak memory, as ratios.

The peer needs torch and transformers:  python3 -m venv .peer && .peer/bin/pip install torch transformers
Run:  .peer/bin/python scripts/bench/step_table.py [--stages alignment,extension,finetune] [--dtypes bf16,f32]
      [--checkpointing no,yes] [--experts eager,grouped_mm] [--rounds 2] [--size 1024,3584,4,8,8192,2,512]
A round is ours, then the peer with each way of running experts; the faster one counts. Ours warms up for more steps, as Java is
compiled while it runs. Prints a Markdown table of medians over rounds; every result line goes to standard error."""
import argparse, json, os, statistics, subprocess, sys

home = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
arguments.add_argument("--stages", default="alignment,extension,finetune")
arguments.add_argument("--dtypes", default="bf16,f32")
arguments.add_argument("--checkpointing", default="no,yes")
arguments.add_argument("--experts", default="eager,grouped_mm")
arguments.add_argument("--rounds", type=int, default=2)
arguments.add_argument("--size", default="1024,3584,4,8,8192,2,512")
arguments.add_argument("--steps", default="9")
options = arguments.parse_args()


def result(command):
    done = subprocess.run(command, capture_output=True, text=True)
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    if done.returncode or not lines:
        sys.exit(" ".join(command) + "\n" + done.stderr)
    print(lines[-1], file=sys.stderr, flush=True)
    return json.loads(lines[-1])


def median(results, key):
    return statistics.median(r[key] for r in results)


print("| stage | type | checkpointing | ours, tokens/s | peer, tokens/s | ratio | ours, peak MB | peer, peak MB | ratio |")
print("| --- | --- | --- | --- | --- | --- | --- | --- | --- |")
for dtype in options.dtypes.split(","):
    for checkpointing in options.checkpointing.split(","):
        for stage in options.stages.split(","):
            same = ["--stage", stage, "--dtype", dtype, "--size", options.size, "--steps", options.steps]
            same += ["--checkpointing"] if checkpointing == "yes" else []
            ours, peers = [], []
            for _ in range(options.rounds):
                ours.append(result([home + "/scripts/moextend", "bench", "step"] + same))
                tried = [result([sys.executable, home + "/scripts/bench/hf_peer.py", "--experts", e] + same) for e in options.experts.split(",")]
                peers.append(max(tried, key=lambda r: r["tokens_per_s"]))
            speed, peer_speed = median(ours, "tokens_per_s"), median(peers, "tokens_per_s")
            peak, peer_peak = median(ours, "peak_bytes"), median(peers, "peak_bytes")
            print(f"| {stage} | {dtype} | {checkpointing} | {speed:.0f} | {peer_speed:.0f} | {speed / peer_speed:.2f} | "
                  f"{peak / 1e6:.0f} | {peer_peak / 1e6:.0f} | {peak / peer_peak:.2f} |", flush=True)
