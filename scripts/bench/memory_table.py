#!/usr/bin/env python3
"""Peak memory per rank against world size for ZeRO 0 to 3, beside what the layout predicts.

Run:  scripts/bench/memory_table.py [--size 512,1024,8,4,4096,1,256] [--stage pretrain-text] [--worlds 1,2,3,4]
Two ranks at ZeRO 0 give what is not state: weights, activations. (One process alone takes less: its gradients have memory as they
come.) A rank then takes that and the state that ParameterLayout and MemoryPlan predict; at stage 3 a layer's weights are there once as pieces, twice as whole layers in
use and on their way. Prints a Markdown table."""
import argparse, json, os, subprocess, sys

home = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
arguments = argparse.ArgumentParser(description=__doc__)
arguments.add_argument("--size", default="512,1024,8,4,4096,1,256")
arguments.add_argument("--stage", default="pretrain-text")
arguments.add_argument("--dtype", default="f32")
arguments.add_argument("--worlds", default="1,2,3,4")
options = arguments.parse_args()


def step(world, zero):
    command = [home + "/scripts/moextend", "bench", "step", "--stage", options.stage, "--dtype", options.dtype, "--size", options.size,
               "--steps", "1", "--warm-up", "1", "--zero-stage", str(zero), "--nproc-per-node", str(world)]
    done = subprocess.run(command, capture_output=True, text=True)
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    if done.returncode or not lines:
        sys.exit(done.stderr)
    return json.loads(lines[-1])


alone = step(1, 0)
whole = step(2, 0)
others = max(whole["arrays_peak_bytes"]) - whole["state_bytes"]
MB = 1e6
print("| ranks | ZeRO | measured, MB | predicted, MB | measured / predicted |\n| --- | --- | --- | --- | --- |")
print(f"| 1 | - | {max(alone['arrays_peak_bytes']) / MB:.1f} | | |")
for world in map(int, options.worlds.split(",")):
    for zero in range(4) if world > 1 else []:
        result = step(world, zero)
        measured = max(result["arrays_peak_bytes"])
        predicted = others + result["state_bytes"]
        if zero == 3:
            weights, largest = result["layer_weight_bytes"], result["largest_layer_bytes"]
            predicted += weights / world + 2 * largest - weights
        print(f"| {world} | {zero} | {measured / MB:.1f} | {predicted / MB:.1f} | {measured / predicted:.2f} |", flush=True)
