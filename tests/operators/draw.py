"""Seeded draws of numbers, shapes and tensors, aimed at edges."""

import random

import numpy as np

FLOATS = (np.float16, np.float32, np.float64)
SIZES = (1, 1, 1, 2, 2, 3, 3, 4, 5, 6, 7)
LARGE_SIZES = (16, 17, 33, 40)
WORDS = ("", "a", "A", "bc", "b c", "the", "The", "ä", "日本", " x ", "0", "-1.5", "nan", "a,b,,c")

FLOAT_KINDS = (
    ("normal", 10),
    ("unit", 4),
    ("ties", 7),
    ("halves", 3),
    ("zeros", 2),
    ("signed_zeros", 1),
    ("large_mean", 4),
    ("large", 2),
    ("tiny", 1),
    ("not_finite", 2),
)
INTEGER_KINDS = (
    ("small", 8),
    ("ties", 4),
    ("zeros", 1),
    ("full", 3),
    ("near_2_31", 2),
    ("beyond_2_31", 2),
)


def kind_names():
    """The names of all kinds of values."""
    return sorted({name for name, _ in FLOAT_KINDS + INTEGER_KINDS})


class Draw:
    """A source of draws. The same seed gives the same draws."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.numpy = np.random.default_rng(self.random.getrandbits(64))
        # Notes on the drawn values, by which failures are grouped.
        self.marks = set()
        # Whether shapes stay small, to find a small counterexample.
        self.small = False
        # Whether only finite values of small size are drawn.
        self.tame = False

    def chance(self, probability):
        return self.random.random() < probability

    def pick(self, choices):
        return self.random.choice(list(choices))

    def between(self, low, high):
        """An integer of the closed range."""
        return self.random.randint(low, high)

    def weighted(self, pairs):
        names, weights = zip(*pairs)
        return self.random.choices(names, weights)[0]

    def size(self, empty=0.015):
        if self.chance(empty):
            self.marks.add("empty")
            return 0
        if self.small:
            return self.between(1, 3)
        return self.pick(LARGE_SIZES) if self.chance(0.04) else self.pick(SIZES)

    def shape(self, low=0, high=5, empty=0.015):
        """A shape of a rank in the closed range."""
        ranks = [rank for rank in (0, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 5) if low <= rank <= high]
        shape = [self.size(empty) for _ in range(self.pick(ranks or range(low, high + 1)))]
        return (
            tuple(shape)
            if np.prod(shape, dtype=np.int64) <= 20_000
            else tuple(min(n, 4) for n in shape)
        )

    def broadcast(self, shape):
        """A shape that broadcasts to `shape`."""
        if self.chance(0.4):
            return tuple(shape)
        shape = shape[self.between(0, len(shape)) :] if self.chance(0.5) else shape
        return tuple(1 if self.chance(0.35) else size for size in shape)

    def tensor(self, dtype, shape, kind=None):
        """A tensor of a datatype, with values of one kind."""
        dtype, shape = np.dtype(dtype), tuple(int(size) for size in shape)
        if dtype == np.dtype(object):
            return (
                self.numpy.choice(np.array(WORDS, dtype=object), shape or None)
                if shape
                else np.array(self.pick(WORDS), dtype=object)
            )
        if dtype == np.dtype(bool):
            return self.numpy.integers(0, 2, shape).astype(bool)
        if dtype.kind in "iu":
            return self.integers(dtype, shape, kind)
        return self.floats(dtype, shape, kind)

    def floats(self, dtype, shape, kind):
        kind = kind or ("normal" if self.tame else self.weighted(FLOAT_KINDS))
        self.marks.add(f"values={kind}")
        of = self.numpy
        if kind == "normal":
            values = of.normal(0, 2, shape)
        elif kind == "unit":
            values = of.uniform(-1, 1, shape)
        elif kind == "ties":
            values = of.integers(-2, 3, shape).astype(np.float64)
        elif kind == "halves":
            values = of.integers(-5, 6, shape) + 0.5
        elif kind == "zeros":
            values = np.zeros(shape)
        elif kind == "signed_zeros":
            values = of.choice([0.0, -0.0, 1.0, -1.0], shape)
        elif kind == "large_mean":
            mean = 1e3 if dtype == np.float16 else self.pick([1e4, -1e4, 300.0])
            values = mean + of.normal(0, 0.5, shape)
        elif kind == "large":
            values = of.normal(0, 1, shape) * (1e4 if dtype == np.float16 else 1e30)
        elif kind == "tiny":
            values = of.normal(0, 1, shape) * (1e-4 if dtype == np.float16 else 1e-30)
        elif kind == "positive":
            values = of.uniform(0.01, 3, shape)
        else:
            values = of.choice([np.nan, np.inf, -np.inf, -0.0, 1.0, -2.5, 0.5], shape)
        return np.asarray(values).astype(dtype)

    def integers(self, dtype, shape, kind):
        kind = kind or ("small" if self.tame else self.weighted(INTEGER_KINDS))
        limits = np.iinfo(dtype)
        if kind in ("near_2_31", "beyond_2_31") and limits.bits < 64:
            kind = "full" if kind == "beyond_2_31" or limits.bits < 32 else kind
        self.marks.add(f"values={kind}")
        low, high = {
            "small": (-20, 20),
            "ties": (-2, 2),
            "zeros": (0, 0),
            "full": (limits.min, limits.max),
            "near_2_31": (2**31 - 4, 2**31 - 1),
            "beyond_2_31": (2**31 - 4, 2**33),
        }[kind]
        low, high = max(low, limits.min), min(high, limits.max)
        values = self.numpy.integers(
            low,
            high,
            shape,
            dtype=np.int64 if limits.bits < 64 or limits.min else np.uint64,
            endpoint=True,
        )
        if kind in ("near_2_31", "beyond_2_31") and limits.min < 0:
            values = values * self.numpy.choice([1, -1], shape)
        return np.asarray(values).astype(dtype)
