r"""Mathematical answers: how one is read from a text, and the exact fast path of "these two are the same".

Numbers get an exact key: `n:` and a reduced fraction. It covers integers, decimals, fractions, mixed numbers,
scientific notation and powers of numbers, in plain text or LaTeX, with signs, thousands commas, currency
signs, percent signs, degrees, units and a leading `x =`. Words get `s:` and the words. Everything that looks like a
formula is handed to the worker process behind `judge.py`, which gives it the key of its canonical form (`forms.py`);
what has none there, too, keeps `s:` and normalised LaTeX, in which only spelling is levelled (`\dfrac` and `\frac`,
white space, `\left`), never algebra.

A percentage is its number (50% and 50 are the same answer, 0.5 is another), because golds leave the sign out
as often as not. Model text is never evaluated: digits and exponents are bounded and counted before use.
"""

from __future__ import annotations

import hashlib
import re
from functools import lru_cache

from docendo.grading import judge, unlabelled
from docendo.grading.extract import Found, explicit_answer
from docendo.grading.numbers import decimals, is_rounded, near, number
from docendo.grading.spelling import TEXT_GROUP, compact, right_side, spelled
from docendo.grading.unlabelled import NUMBER, SPAN

MAX_ANSWER = 4_000
"""Characters; a longer answer gets a key from its hash, equal only to itself."""
MAX_FORMULA = 1_000
"""Characters of what is handed to the worker process; a longer formula is compared as text."""
MAX_COMPARED = 400
"""Characters of a formula that is compared with a gold answer by more than its key."""

# Powers and factorials of large numbers, sums and limits, a run of signs.
_MONSTROUS = re.compile(
    r"\^[{( ]{0,3}-?[0-9]{4}|\^[^+\-*/=,&^]{1,12}\^|!|\\(?:sum|prod|i*int|lim|binom|choose)(?![a-z])|[-+|_]{12}"
)
_NUMBER_WORD = re.compile(
    r"\b(?:pi|sqrt|halves|half|thirds?|quarters?|and|or|hundred|thousand|million|billion|trillion)\b",
    re.IGNORECASE,
)
_HEDGE = re.compile(r"\b(?:or|and|not|nor|neither|but|if|unless|cannot)\b", re.IGNORECASE)
_PROSE_WORD = re.compile(
    r"(?<![\\A-Za-z{])(?!(?:arc)?(?:sin|cos|tan|cot|sec|csc|log|exp|mod|ln|sqrt)\b)[A-Za-z][a-z]+"
)
_REMARK = re.compile(r"(?<=\S)\s+\([A-Za-z][A-Za-z ,.'-]{3,99}\)$")
_CHOICE = re.compile(r"\(([A-J])\)\s+\S|([A-J])[.)]\s+[A-Za-z]{2}")
_LAST_WORDS = re.compile(r"(?:\s+[A-Za-z][a-z]+){1,5}$")


def read(text: str) -> Found | None:
    """Return the answer a text gives, as written; None where it holds none.

    In this order: the last box; the rest of the sentence after the last label; in a text with neither, what
    its last statement comes to (which a truncated text may not be judged by).
    """
    explicit = explicit_answer(text)
    if explicit is not None and len(explicit.text) <= MAX_ANSWER:
        answer = _core(explicit.text)
        return Found(answer, explicit.complete) if _plain_key(answer) != "s:" else None
    if explicit is not None:
        return None
    concluded = unlabelled.answer(text)
    return None if concluded is None else Found(concluded, complete=False)


@lru_cache(maxsize=4_096)  # a problem's gold and the students' few different answers come back all the time
def key(answer: str) -> str:
    """Return the key that this answer shares with its equivalents; see the module's docstring.

    Raises:
        GradingError: the worker process needed more time or memory for it than it may take.
        WouldWait: within `judge.nowait`, the worker would have to be asked.
    """
    if len(answer) > MAX_ANSWER:
        return "s:#" + hashlib.sha256(answer.encode("utf-8", "surrogatepass")).hexdigest()
    core = _core(answer)
    plain = _plain_key(core)
    if not _is_formula(plain):
        return plain
    return judge.key(right_side(spelled(core))) or plain


def same(gold: str, answer: str) -> bool:
    """Whether an answer counts as right; more generous than equal keys, as `gold` and `near` say.

    Raises:
        GradingError, WouldWait: as in `key`.
    """
    if key(gold) == key(answer):
        return True
    if max(len(gold), len(answer)) > MAX_ANSWER:
        return False
    pair = [spelled(_core(x)) for x in (gold, answer)]
    if _says(pair[1], pair[0]):
        return True
    numbers = [number(right_side(x)) for x in pair]
    if numbers[0] is not None and numbers[1] is not None:
        return near(numbers[0], numbers[1], decimals(right_side(pair[1])), rounded=is_rounded(numbers[0]))
    known = [x is not None or _is_formula(f"s:{compact(y)}") for x, y in zip(numbers, pair, strict=True)]
    return all(known) and all(map(_is_bearable, pair)) and judge.same(*pair)


def _says(answer: str, gold: str) -> bool:
    """Whether an answer is a short sentence that begins with the gold word: "Navin would earn the most"."""
    words = answer.split()
    gold = TEXT_GROUP.sub(r"\1", gold).strip()
    if not gold.isalpha() or len(gold) < 3 or not 1 < len(words) <= 12 or re.search(r"[0-9\\,;]", answer):
        return False
    return words[0].casefold() == gold.casefold() and not _HEDGE.search(answer)


def _is_formula(plain: str) -> bool:
    """Whether a key of the fast path may be that of a formula: not a number, not words, not too long."""
    text = plain[2:]
    if (
        plain.startswith("n:")
        or not 1 < len(text) <= MAX_FORMULA
        or not re.search(r"[0-9\\]|\w[-+*/^=<>|]", text)
    ):
        return False
    return not re.search(r"(?<![\\A-Za-z])[A-Za-z]{16}", text)


def _is_bearable(text: str) -> bool:
    """Whether a formula is small and flat enough for a parser that knows no bounds of its own."""
    level = deepest = 0
    for sign in text:
        level += (sign in "([{") - (sign in ")]}")
        deepest = max(deepest, level)
    return (
        len(text) <= MAX_COMPARED and deepest <= 12 and text.count("=") <= 6 and not _MONSTROUS.search(text)
    )


def _plain_key(answer: str) -> str:
    text = right_side(spelled(answer))
    found = number(text)
    return f"s:{compact(text)}" if found is None else f"n:{found}"


def _core(answer: str) -> str:
    """The answer within a sentence: "that she has 12 dollars left" gives 12; what is no sentence stays.

    Shortens until nothing more can go, so that the core of a core is itself: a gold answer would else not
    always be equal to its own reading.
    """
    while (shorter := _shorten(answer)) != answer:
        answer = shorter
    return answer


def _shorten(answer: str) -> str:
    answer = _REMARK.sub("", answer.strip(" \t*`"))
    choice = _CHOICE.match(answer)
    if choice is not None:
        return str(choice.group(1) or choice.group(2))
    if not _is_prose(answer) or _plain_key(answer).startswith("n:"):
        return answer
    bare = _LAST_WORDS.sub("", answer)  # "2 \\pi square inches" is no sentence without its unit
    unit = answer[len(bare) :]
    if not _is_prose(bare) and re.search(r"[0-9]", bare) and not _NUMBER_WORD.search(unit):
        return bare
    spans = [first or second for first, second in SPAN.findall(answer)]
    if spans:
        return str(spans[-1]).strip()
    numbers = list(NUMBER.finditer(answer))
    if not numbers:
        return answer
    if numbers[0].start() > 0 or "=" in answer:
        return unlabelled.main_number(answer) or answer
    if re.match(
        r"\s*(?:divided|times|multiplied|plus|minus|over|squared|cubed|pi|sqrt|and\s+(?:a|one)|hundred|thousand"
        r"|[mb]illion)\b",
        answer[numbers[0].end() :],
    ):
        return answer  # the words behind the number change it
    first = numbers[0]  # "12 boys and 3 girls" is 12, but "10(\\sin x + \\cos y)" is not 10
    return first.group().strip(" .") if re.match(r"\s+[a-z(]|[,;]\s", answer[first.end() :]) else answer


def _is_prose(answer: str) -> bool:
    words = _PROSE_WORD.findall(TEXT_GROUP.sub("", answer))
    return len(words) >= 2 or re.match(r"(?!sqrt|pi\b)[a-z]{2,}[:,]?\s+[-$]{0,2}[0-9]", answer) is not None
