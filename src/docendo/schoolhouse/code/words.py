"""The code world's word stock: everything its tasks may say beside Python, and so all that its models can read.

Only words live here; what a task means is `world`'s business. A changed stock means a new tokenizer and newly
schooled models.
"""

from __future__ import annotations

from typing import Literal

Sort = Literal["list", "string", "number"]
"""What a function is given."""

# A cluster's parameter, by the sort of value it stands for.
THEMES: tuple[tuple[Sort, str], ...] = (
    *(
        ("list", name)
        for name in (
            "prices", "scores", "ages", "heights", "weights", "marks", "votes", "bids", "coins", "points", "speeds",
            "depths", "sales", "hours", "rents", "tolls", "grades", "fees",
        )
    ),
    *(
        ("string", name)
        for name in (
            "word", "name", "title", "line", "text", "label", "note", "motto", "phrase", "verse", "tag", "slogan",
            "address",
        )
    ),
    *(
        ("number", name)
        for name in (
            "amount", "total", "level", "score", "price", "weight", "height", "balance", "income", "distance",
            "budget", "pressure", "volume",
        )
    ),
)  # fmt: skip

# What a task's function may be called.
NAMES: tuple[str, ...] = (
    "adapt", "adjust", "arrange", "change", "clean", "convert", "derive", "digest", "fix", "handle", "make", "modify",
    "obtain", "prepare", "process", "reduce", "refine", "render", "shape", "solve", "tidy", "treat", "update", "work",
)  # fmt: skip

# What a task's constants are called, in their order. The same few everywhere: finding a constant by one of many
# labels was not learnt in 5 million tokens, and it is not what exams are about.
LABELS: tuple[str, ...] = ("k", "m", "n")

# How a task is told: {f} the function's name, {v} its parameter, {0}.. its constants as "label=number".
TELLINGS: dict[int, tuple[str, ...]] = {
    2: (
        "Write {f}({v}) with {0} and {1}.",
        "Write {f}({v}) for {0}, {1}.",
        "Given {0} and {1}, write {f}({v}).",
        "With {0}, {1} define {f}({v}).",
    ),
    3: (
        "Write {f}({v}) with {0}, {1} and {2}.",
        "Write {f}({v}) for {0}, {1}, {2}.",
        "Given {0}, {1} and {2}, write {f}({v}).",
        "With {0}, {1}, {2} define {f}({v}).",
    ),
}

# Everyday phrases, each of which stands for one method (`world`).
PHRASES: dict[Sort, tuple[str, ...]] = {
    "list": (
        "Leave out the small ones, then raise the rest.",
        "Leave out the small ones, then scale the rest.",
        "Leave out the large ones, then raise the rest.",
        "Leave out the large ones, then scale the rest.",
        "Raise all, then leave out the small ones.",
        "Scale all, then leave out the large ones.",
        "Take the early ones, then total the small ones.",
        "Skip the early ones, then total the large ones.",
        "Take the late ones, then count the large ones.",
        "Skip the early ones, then count the large ones.",
        "Order all, then take the early ones and raise them.",
        "Order all, then skip the early ones and raise them.",
    ),
    "string": (
        "Take the start, then turn it round.",
        "Turn it round, then take the start.",
        "Skip the start, then turn it round.",
        "Turn it round, then skip the start.",
        "Take the end, then repeat it.",
        "Take the start, then repeat it.",
        "Skip the start, then repeat it.",
        "Repeat it, then skip the start.",
        "Order the letters, then take the start.",
        "Order the letters, then skip the start.",
        "Take the start, all in capitals.",
        "Skip the start, all in capitals.",
    ),
    "number": (
        "Scale it, then raise it.",
        "Raise it, then scale it.",
        "Scale it, then lower it.",
        "Lower it, then scale it.",
        "Scale it, then keep the remainder.",
        "Raise it, then keep the remainder.",
        "Scale it, then share it out.",
        "Raise it, then share it out.",
        "Lower it, then square it.",
        "Square it, then lower it.",
        "Square it, then raise it.",
        "Raise it, then square it.",
    ),
}

# Constants are one-digit numbers, so that a digit is a token wherever it stands.
SMALLEST, BIGGEST = 2, 9
