"""A small lie-detection task and what a capable teacher and two students would say, written by hand.

The statements are invented. Lies here have one of two tells: a round number that nobody could know so exactly ("every
single", "exactly 40,000"), or a promise of something that its speaker has no power over. One student knows neither
before it is shown an example that names it; the other is taken in by the first tell alone. Replies are in the many
forms in which models give them.
"""

from __future__ import annotations

from docendo.models.scripted import ScriptedModel
from docendo.refine.task import Task
from docendo.types import Call, Problem, Reply

INSTRUCTION = "Each text is a statement made on a town council. Say whether it is a lie."

# (statement, is it a lie, which tell it has)
NUMBERS = (
    ("Statement: Exactly 40,000 people crossed the old bridge on foot last Sunday.\nOffice: clerk", "number"),
    ("Statement: Every single shop on Mill Street has doubled what it earns.\nOffice: mayor", "number"),
    ("Statement: Not one child in this town has ever been late for school.\nOffice: trustee", "number"),
    (
        "Statement: Precisely 9 in 10 of all dogs here are walked by their neighbours.\nOffice: member",
        "number",
    ),
    (
        "Statement: All farmers of the valley, without exception, sold their cows in May.\nOffice: member",
        "number",
    ),
    ("Statement: Exactly 12,000 lamps went out at the same second.\nOffice: engineer", "number"),
)
PROMISES = (
    ("Statement: I will see to it that the sun shines on market day.\nOffice: mayor", "promise"),
    ("Statement: Next winter the river will not freeze, for I have forbidden it.\nOffice: warden", "promise"),
    ("Statement: I shall have the moon over our square at the feast.\nOffice: member", "promise"),
    ("Statement: Under my term no apple will fall before it is ripe.\nOffice: gardener", "promise"),
    ("Statement: By my order the storks return a week earlier.\nOffice: warden", "promise"),
    ("Statement: I will make the neighbouring town give us its railway.\nOffice: mayor", "promise"),
)
TRUTHS = (
    ("Statement: The council met three times in June.\nOffice: clerk", ""),
    ("Statement: About half of those who came spoke against the new road.\nOffice: member", ""),
    ("Statement: The old mill was sold to the Brandt family.\nOffice: clerk", ""),
    ("Statement: We have spent more on the school than on the pool.\nOffice: treasurer", ""),
    ("Statement: Roughly 300 people signed the letter about the lime trees.\nOffice: member", ""),
    ("Statement: The bus to the station leaves twice an hour.\nOffice: clerk", ""),
    ("Statement: Mrs Holm has led the library since the flood.\nOffice: trustee", ""),
    ("Statement: The pump on the square was repaired in March.\nOffice: engineer", ""),
    ("Statement: Some of the benches are older than the town hall.\nOffice: gardener", ""),
    ("Statement: The treasurer showed us last year's books in May.\nOffice: member", ""),
    ("Statement: Two of the five wells are dry.\nOffice: engineer", ""),
    ("Statement: The choir sings in the chapel on Thursdays.\nOffice: trustee", ""),
)
TELLS = {text: tell for text, tell in (*NUMBERS, *PROMISES, *TRUTHS)}


def task() -> Task:
    def problems(part: str, lies: int, step: int) -> tuple[Problem, ...]:
        drawn = [
            *NUMBERS[step : step + lies],
            *PROMISES[step : step + lies],
            *TRUTHS[2 * step : 2 * (step + lies)],
        ]
        return tuple(
            Problem(
                f"{part}/{i}",
                text,
                answer="yes" if tell else "no",
                kind="label",
                meta={"labels": ["no", "yes"]},
            )
            for i, (text, tell) in enumerate(drawn)
        )

    return Task(
        "council",
        INSTRUCTION,
        problems("pool", 1, 0),
        problems("exam", 2, 1),
        problems("validation", 1, 3),
        problems("test", 2, 4),
    )


PROPOSED = """Certainly! Here is a set of four worked examples for your students:

```json
[
  {"question": "Statement: The fountain was built by the guild of tanners.\\nOffice: clerk",
   "reasoning": "A plain fact of the town's past that anybody could look up.", "answer": "No"},
  {"question": "Statement: Our town has the friendliest cats in the land.\\nOffice: mayor",
   "reasoning": "It is boasting, but nobody is deceived by it.", "answer": "No"},
  {"question": "Statement: I have never missed a session.\\nOffice: member",
   "reasoning": "The minutes show that this member missed two.", "answer": "Yes"},
  {"question": "Statement: The fire tower was my idea.\\nOffice: warden",
   "reasoning": "It stands on plans that are older than the warden.", "answer": "Yes"},
]
```

Let me know if you would like me to vary the difficulty."""

REFLECTION = """The students judge by tone. What they miss has two kinds:

1. **False precision.** A number or an "every single" that nobody could have counted is taken for diligence.
2. **Empty promises.** Speakers promise what no office has power over, and students weigh whether it would be *good*.

None of the examples shows either; both lies among them can only be known from the town's books. Better examples would
set a countable claim beside an uncountable one, and a promise within an office's power beside one outside it."""

REWRITTEN = """Here is an improved set.

**Example 1**
**Question:** Statement: Exactly 7,311 raindrops fell on the stage.
Office: clerk
**Reasoning:** Nobody can count this. False precision: a claim that could not be known is made up.
**Answer:** yes

**Example 2**
**Question:** Statement: The ticket office counted 211 visitors.
Office: clerk
**Reasoning:** Tickets are counted one by one, so this can be known.
**Answer:** no

**Example 3**
**Question:** Statement: I will have the snow stay off our hills until the fair.
Office: warden
**Reasoning:** No office has power over snow. An empty promise.
**Answer:** yes

**Example 4**
**Question:** Statement: I will have the gravel swept before the fair.
Office: warden
**Reasoning:** Sweeping is the warden's own work; the promise can be kept.
**Answer:** no"""

HALF = """1. Statement: Exactly 88 leaves fell on my roof at noon. (Label: yes)
2. Statement: Every single pigeon on the tower came back twice. (Label: yes)
3. Statement: The stage was painted by the school's oldest class. (Label: no)
4. Statement: There is a second key to the cellar. (Label: no)"""

REFUSED = "I'm sorry, but I can't help with making lies more convincing."


def teach(call: Call) -> Reply | str:
    """The teacher: one good rewriting, one that has half of it, one refusal, in turn; then only talk."""
    if call.purpose == "propose":
        return PROPOSED
    if call.purpose == "reflect":
        return REFLECTION
    if call.purpose == "rewrite":
        return {1: (REWRITTEN, HALF, REFUSED)}.get(call.sample // 1000, ("As I said above.",) * 3)[
            call.sample % 3
        ]
    return sceptic(call)


def _knows(call: Call) -> set[str]:
    """Which tells the examples name."""
    shown = " ".join(text for role, text in call.prompt[:-1] if role == "assistant")
    asked = " ".join(text for role, text in call.prompt[:-1] if role == "user")
    named = {"number"} if "False precision" in shown or "Exactly 88" in asked else set()
    return named | ({"promise"} if "empty promise" in shown.lower() else set())


def _judge(call: Call, known: set[str]) -> str:
    tell = TELLS[call.prompt[-1][1]]
    if tell and tell in known:
        return f"This is a case of the {tell} that gives a lie away.\n\n**Final answer:** Yes, it is a lie."
    return "The speaker holds an office and sounds sure of it.\n\nFinal answer: no"


def trusting(call: Call) -> str:
    """A student that knows no tell by itself."""
    return _judge(call, _knows(call))


def sceptic(call: Call) -> str:
    """A student that is wary of numbers by nature."""
    return _judge(call, _knows(call) | {"number"})


def models() -> dict[str, ScriptedModel]:
    return {
        "teacher": ScriptedModel("teacher", teach),
        "trusting": ScriptedModel("trusting", trusting),
        "sceptic": ScriptedModel("sceptic", sceptic),
    }
