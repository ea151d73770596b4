#!/usr/bin/env python3
"""A training step's time against tokens, experts and layers, each alone: a Markdown table and docs/scaling.svg.

Run:  scripts/bench/scaling.py [--dtype bf16] [--stage extension] [--svg docs/scaling.svg]
Tokens go to all experts in turn, so that only the size differs. Tokens are rows of 256, for attention grows with a row's length."""
import argparse, json, math, os, subprocess, sys

home = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
arguments.add_argument("--dtype", default="bf16")
arguments.add_argument("--stage", default="extension")
arguments.add_argument("--svg", default=home + "/docs/scaling.svg")
options = arguments.parse_args()

# title, what is counted, its values, size for a value, the value's cost if it were linear
STUDIES = [
    ("tokens", [256, 512, 1024, 2048, 4096, 8192], lambda n: f"1024,3584,4,8,8192,{n // 256},256"),
    ("experts", [8, 16, 32, 64], lambda n: f"512,1024,2,{n},4096,32,256"),
    ("layers", [1, 2, 4, 8], lambda n: f"1024,1792,{n},8,8192,4,256"),
]


def seconds(size, steps):
    command = [home + "/scripts/moextend", "bench", "step", "--stage", options.stage, "--dtype", options.dtype, "--size", size,
               "--routing", "balanced", "--warm-up", str(steps), "--steps", str(steps)]
    done = subprocess.run(command, capture_output=True, text=True)
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    if done.returncode or not lines:
        sys.exit(" ".join(command) + "\n" + done.stderr)
    print(lines[-1], file=sys.stderr, flush=True)
    return json.loads(lines[-1])["step_s"]


def fit(xs, ys):
    """Least squares a + b x."""
    mx, my = sum(xs) / len(xs), sum(ys) / len(ys)
    b = sum((x - mx) * (y - my) for x, y in zip(xs, ys)) / sum((x - mx) ** 2 for x in xs)
    return my - b * mx, b


WIDTH, HEIGHT, LEFT, TOP, PLOT_W, PLOT_H = 960, 300, 60, 40, 230, 200


def chart(i, name, xs, ys, line):
    """Both axes begin at 0; the line is what a straight dependence (or none) would give."""
    x0, most = LEFT + i * 310, max(max(ys), max(map(line, xs))) * 1.15
    at = lambda x, y: (x0 + PLOT_W * x / (max(xs) * 1.05), TOP + PLOT_H * (1 - y / most))
    step = 10 ** math.floor(math.log10(most))
    step = next(s for s in (step / 5, step / 2, step, 2 * step) if most / s <= 6)
    parts = [f'<text x="{x0 + PLOT_W / 2:.0f}" y="24" text-anchor="middle" font-weight="bold">ms per step against {name}</text>',
             f'<path d="M{x0},{TOP} V{TOP + PLOT_H} H{x0 + PLOT_W}" fill="none" stroke="#444"/>']
    for k in range(1, int(most / step) + 1):
        y = at(0, k * step)[1]
        parts.append(f'<path d="M{x0},{y:.1f} H{x0 + PLOT_W}" stroke="#ddd"/>'
                     f'<text x="{x0 - 6}" y="{y + 4:.1f}" text-anchor="end">{k * step:g}</text>')
    ends = [at(x, line(x)) for x in (min(xs), max(xs))]
    parts.append(f'<path d="M{ends[0][0]:.1f},{ends[0][1]:.1f} L{ends[1][0]:.1f},{ends[1][1]:.1f}" stroke="#999" stroke-dasharray="4 3"/>')
    shown = -100
    for x, y in zip(xs, ys):
        px, py = at(x, y)
        parts.append(f'<circle cx="{px:.1f}" cy="{py:.1f}" r="4" fill="#1f6feb"/>')
        if px - shown > 28:
            parts.append(f'<text x="{px:.1f}" y="{TOP + PLOT_H + 18}" text-anchor="middle">{x}</text>')
            shown = px
    return "".join(parts)


charts = []
print("| | | ms per step | against a straight line |\n| --- | --- | --- | --- |")
for i, (name, values, size) in enumerate(STUDIES):
    ms = [1e3 * seconds(size(n), 12 if name != "tokens" or n <= 2048 else 5) for n in values]
    if name == "experts":
        line = lambda x: ms[0]
    else:
        a, b = fit(values, ms)
        line = lambda x, a=a, b=b: a + b * x
    for n, t in zip(values, ms):
        print(f"| {name} | {n} | {t:.1f} | {t / line(n):.2f} |", flush=True)
    if name != "experts":
        print(f"| {name} | | {a:.1f} + {b:.4g} each | |", flush=True)
    charts.append(chart(i, name, values, ms, line))
with open(options.svg, "w") as out:
    out.write(f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" font-family="sans-serif" font-size="12">'
              f'<rect width="100%" height="100%" fill="white"/>{"".join(charts)}</svg>\n')
