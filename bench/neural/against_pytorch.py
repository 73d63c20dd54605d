"""Side by side in one run: training and inference of the same networks, here and in PyTorch on the CPU.

Called by `against-pytorch`, which makes the environment and builds. The sides take turns, each figure is the
median of the rounds. Training: windows per second, each side at its best batch of 32, 64, 128 and 256, PyTorch
with plain or fused AdamW, the better. PyTorch's head gives its quantiles as they come; ours also keeps them from
crossing, inside the time. Inference: one window on one thread, 1,000 windows on all. --cpu takes windows per
second of processor time on one thread instead, which hardly feels what else the machine does.
"""

import argparse
import os
import resource
import statistics
import subprocess
import time
from pathlib import Path

import torch
from torch import nn

THROUGHPUT = Path(os.environ["BENCH_EXAMPLES"]) / "throughput"
WINDOW, FEATURES, STEPS, QUANTILES = 64, 4, 10, 9
TRAINING_GOAL = {"lstm-64": 2.2, "lstm-128": 1.5, "lstm-256": 1.5, "encoder": 2.0, "nlinear": 3.0}
LEVELS = torch.arange(1, QUANTILES + 1) / (QUANTILES + 1)


class Lstm(nn.Module):
    def __init__(self, hidden):
        super().__init__()
        self.lstm = nn.LSTM(FEATURES, hidden, batch_first=True)
        self.head = nn.Linear(hidden, STEPS * QUANTILES)

    def forward(self, x):
        out, _ = self.lstm(x)
        return self.head(out[:, -1]).unsqueeze(1)


class Encoder(nn.Module):
    def __init__(self, patch=8, width=64):
        super().__init__()
        self.patch = patch
        patches = WINDOW // patch
        self.embed = nn.Linear(patch, width)
        self.position = nn.Parameter(torch.zeros(patches, width))
        layer = nn.TransformerEncoderLayer(
            width, 4, 128, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
        )
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.head = nn.Linear(patches * width, STEPS * QUANTILES)

    def forward(self, x):
        x = x.transpose(1, 2)
        last = x[..., -1:]
        scale = x.std(-1, keepdim=True, unbiased=False) + 1e-5
        x = (x - last) / scale
        n, c, _ = x.shape
        x = self.encoder(self.embed(x.reshape(n * c, -1, self.patch)) + self.position)
        return self.head(x.reshape(n, c, -1)) * scale + last


class NLinear(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(WINDOW, STEPS * QUANTILES)

    def forward(self, x):
        x = x.transpose(1, 2)
        last = x[..., -1:]
        return self.linear(x - last) + last


def build(name):
    torch.manual_seed(1)
    if name.startswith("lstm"):
        return Lstm(int(name.split("-")[1]))
    return Encoder() if name == "encoder" else NLinear()


def pinball(out, y):
    error = y[:, None, :, None] - out.reshape(*out.shape[:2], STEPS, QUANTILES)
    return torch.maximum(LEVELS * error, (LEVELS - 1) * error).mean()


def theirs_training(name, batch, seconds, fused, clock=time.perf_counter):
    network = build(name)
    optimiser = torch.optim.AdamW(network.parameters(), lr=1e-3, fused=fused)
    x, y = torch.randn(16, batch, WINDOW, FEATURES), torch.randn(16, batch, STEPS)
    done, began = 0, None
    while True:
        optimiser.zero_grad(set_to_none=True)
        loss = pinball(network(x[done % 16]), y[done % 16])
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        done += 1
        if done == 5:
            began = clock()
        if began and clock() - began > seconds:
            return (done - 5) * batch / (clock() - began)


def theirs_inference(name, windows, seconds):
    network = build(name).eval()
    x = torch.randn(windows, WINDOW, FEATURES)
    with torch.inference_mode():
        for _ in range(3):
            network(x)
        calls, began = 0, time.perf_counter()
        while time.perf_counter() - began < seconds:
            network(x)
            calls += 1
        return (time.perf_counter() - began) / calls


def ours(what, name, count, seconds, threads):
    environment = {**os.environ, "RAYON_NUM_THREADS": str(threads)}
    command = [THROUGHPUT, what, name, str(count), str(seconds)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout)


def ours_cpu(name, batch, seconds):
    """Windows per second of processor time, start included."""
    use = resource.getrusage(resource.RUSAGE_CHILDREN)
    rate = ours("train", name, batch, seconds, 1)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return rate * seconds / (after.ru_utime + after.ru_stime - use.ru_utime - use.ru_stime)


def by_processor_time(networks, seconds, rounds):
    torch.set_num_threads(1)
    for name in networks:
        mine, other = {}, {}
        for _ in rounds:
            for batch in (32, 64, 128, 256):
                mine.setdefault(batch, []).append(ours_cpu(name, batch, seconds))
                for fused in (False, True):
                    rate = theirs_training(name, batch, seconds, fused, time.process_time)
                    other.setdefault((batch, "fused" if fused else "plain"), []).append(rate)
        (rate, at), (theirs, how) = (
            max((statistics.median(rates), key) for key, rates in side.items()) for side in (mine, other)
        )
        print(f"{name} training: {rate:,.0f} windows per second of processor time (batch {at}), PyTorch"
              f" {theirs:,.0f} ({how}): {rate / theirs:.2f} times", flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--cpu", action="store_true")
    parser.add_argument("networks", nargs="*", default=list(TRAINING_GOAL))
    arguments = parser.parse_args()
    seconds, rounds = arguments.seconds, range(arguments.rounds)
    threads = os.cpu_count()
    print(f"# PyTorch {torch.__version__}, {threads} threads, load {os.getloadavg()[0]:.1f}")
    if arguments.cpu:
        return by_processor_time(arguments.networks, seconds, rounds)
    for name in arguments.networks:
        torch.set_num_threads(threads)
        sides = {}
        for _ in rounds:
            for batch in (32, 64, 128, 256):
                rate = ours("train", name, batch, seconds, threads)
                sides.setdefault(("ours", batch, ""), []).append(rate)
                for fused in (False, True):
                    rate = theirs_training(name, batch, seconds, fused)
                    sides.setdefault(("theirs", batch, "fused" if fused else "plain"), []).append(rate)
        best = {}
        for (side, batch, how), rates in sides.items():
            median = statistics.median(rates)
            if median > best.get(side, (0,))[0]:
                best[side] = (median, batch, how)
        mine, other = best["ours"], best["theirs"]
        ratio = mine[0] / other[0]
        print(f"{name} training: {mine[0]:,.0f} windows/s (batch {mine[1]}), PyTorch {other[0]:,.0f}"
              f" (batch {other[1]}, {other[2]}): {ratio:.2f} times, goal {TRAINING_GOAL[name]}", flush=True)
        for windows, count in ((1, 1), (1000, threads)):
            torch.set_num_threads(count)
            mine = statistics.median(ours("infer", name, windows, seconds / 2, count) for _ in rounds)
            other = statistics.median(theirs_inference(name, windows, seconds / 2) for _ in rounds)
            print(f"{name}, {windows} windows, {count} threads: {1e3 * mine:.3f} ms, PyTorch"
                  f" {1e3 * other:.3f} ms: {other / mine:.2f} times", flush=True)


main()
