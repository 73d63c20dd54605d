"""Series that Fracast-0 is asked about, made alike wherever they are needed; None is a missing value."""

import math
import random


def series():
    """Name to (values, steps ahead)."""
    walk = random.Random(3)
    price, long = 100.0, []
    for _ in range(2_500):
        price *= math.exp(walk.gauss(0, 0.015))
        long.append(price)
    wave = random.Random(4)
    seasonal = [
        40 + 0.01 * t + 6 * math.sin(math.tau * t / 7) + 3 * math.sin(math.tau * t / 30) + wave.gauss(0, 0.8)
        for t in range(900)
    ]
    holes = [None if t % 11 == 5 or 400 <= t < 420 else x for t, x in enumerate(seasonal)]
    return {
        "a walk, longer than is read": (long, 48),
        "a short walk": (long[:260], 20),
        "eight values": ([5.0, 5.5, 4.75, 5.25, 5.0, 6.0, 5.5, 5.75], 5),
        "seasons, twice as far as comes at once": (seasonal, 100),
        "seasons with holes": (holes, 14),
        "large and flat": ([1e6 + (t % 5) * 0.25 for t in range(300)], 10),
    }
