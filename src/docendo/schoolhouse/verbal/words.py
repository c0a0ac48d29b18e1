"""The verbal world's word stock: everything its texts may say, and so all that its models can read.

Only words live here; what a rule is is `world`'s business. A changed stock means a new tokenizer and newly schooled
models.
"""

from __future__ import annotations

from dataclasses import dataclass

LABELS: tuple[str, ...] = ("no", "yes")


# What a word is, for everyone and in every task, and how a rule joins two of them.
QUALITIES: tuple[str, ...] = ("fair", "foul")
JOINS: tuple[str, ...] = ("and", "or", "but")


@dataclass(frozen=True, slots=True)
class Kind:
    """One way of telling a text.

    Attributes:
        name: names it in task ids.
        telling: the text; {0}.. are the places where its words stand.
        asking: what is asked of every text; {rule} is the rule's name.
        words: for each place, the words that may stand there, the fair ones and then as many foul ones.
    """

    name: str
    telling: str
    asking: str
    words: tuple[tuple[str, ...], ...]


def _lists(*texts: str) -> tuple[tuple[str, ...], ...]:
    return tuple(tuple(text.split()) for text in texts)


KINDS: tuple[Kind, ...] = (
    Kind(
        "testimony",
        "{0} {1} {2} the {3} {4} {5}.",
        "Is it a lie by the {rule} rule?",
        _lists(
            "Ned Ida Tom Eve Max Ann Gus Liz",
            "calmly softly gladly slowly loudly sadly quickly proudly",
            "finds deems knows declares thinks believes supposes pretends",
            "new great painted old little wooden broken rotten",
            "mill bridge barn well tower gate ship road",
            "open safe sold clean empty lost flooded haunted",
        ),
    ),
    Kind(
        "argument",
        "{0} {1} {2} {3} {4} are {5}.",
        "Does it fail to follow by the {rule} rule?",
        _lists(
            "All Most Many Both Some Few Several Half",
            "young tall local married foreign lonely retired bearded",
            "honest brave clever gentle idle greedy vain merry",
            "farmers bakers tailors weavers sailors miners knights pirates",
            "hence therefore thus surely perhaps possibly allegedly clearly",
            "kind rich wise happy tired poor quiet guilty",
        ),
    ),
    Kind(
        "sign",
        "{0} {1} {2} {3} the {4} {5}.",
        "Is it a bad sign by the {rule} rule?",
        _lists(
            "Two Four Six Eight Three Five Seven Nine",
            "white golden green brown black grey red spotted",
            "doves geese swans gulls ravens owls crows hawks",
            "reached passed liked entered circled crossed left watched",
            "church harbour market meadow castle forest river cliff",
            "today early again together yesterday late twice alone",
        ),
    ),
)

_FOUL = frozenset(word for kind in KINDS for words in kind.words for word in words[len(words) // 2 :])


def foul(word: str) -> bool:
    """Whether a word of a text is foul."""
    return word in _FOUL
