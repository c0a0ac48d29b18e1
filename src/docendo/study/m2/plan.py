"""What the study of M2 is, declared before its test problems are touched; running and telling it is left to others.

The arms, the comparisons, how they are analysed and what is expected of them stand here, so that committing this
file fixes them. Everything in it was chosen on `school:m2-dev`, numbers kept for tuning.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

UNTUNED = "untuned"


@dataclass(frozen=True, slots=True)
class Arm:
    """One way of ranking lessons: (1 - lam) * correct + lam * LbT.

    Attributes:
        name: names its folders.
        says: what tables call it.
        lam: LbT's share.
        exams: how exams are scored, "answers" or "likelihood".
    """

    name: str
    says: str
    lam: float
    exams: Literal["answers", "likelihood"] = "answers"

    @property
    def golds(self) -> bool:
        """Whether the golds of the taught problems must be known."""
        return self.lam < 1


CORRECT = Arm("correctness", "correctness alone (λ = 0)", 0.0)
BOTH = Arm("both", "both (λ = 0.5)", 0.5)
LBT = Arm("lbt", "LbT alone (λ = 1)", 1.0)
LIKELIHOOD = Arm("likelihood", "LbT by likelihood (λ = 1)", 1.0, "likelihood")
ARMS = (BOTH, CORRECT, LBT, LIKELIHOOD)

PRIMARY = (BOTH.name, CORRECT.name)
SECONDARY = (LBT.name, UNTUNED)
EXPECTED = 0.018
"""The paper's gain on 500 problems of MATH, by LLaMA-3-8B."""

SEEDS = (0, 1, 2, 3, 4)


@dataclass(frozen=True, slots=True)
class Plan:
    """One study, whole: everything that decides what is run.

    Attributes:
        title: what the page calls it.
        quick: whether this is only a slice on numbers kept for tuning, which can support no claim.
        taught: the source of the problems whose lessons are learnt from, the first `limit` of them where given.
        exams: where their exams come from.
        tested: the source of the problems that tuned teachers are asked.
        teacher, students: models.
        lessons: settings of the run that makes and examines the lessons.
        margin: the least difference of scores that makes a pair.
        per_problem: most pairs of a problem.
        pairs: most pairs of an arm; fewer where an arm has fewer, since all arms have the same number.
        training: `TrainSettings` beside the seed, the same for every arm.
        seeds: of training: which pairs are taken, and their order.
        samples: of each tested problem, at `temperature`.
        temperature: of these.
        arms: what is compared.
    """

    title: str
    quick: bool
    taught: str = "school:m2"
    exams: str = "school:m2-exams"
    tested: str = "school:m2-test"
    limit: int | None = None
    teacher: str = "school:teacher"
    students: tuple[str, ...] = ("school:student", "school:student-2")
    lessons: Mapping[str, Any] = field(
        default_factory=lambda: {"lessons": 16, "exam_problems": 4, "repeats": 2, "temperature": 1.0}
    )
    margin: float = 0.7
    per_problem: int = 1
    pairs: int = 600
    training: Mapping[str, Any] = field(
        default_factory=lambda: {"rate": 3e-4, "beta": 0.1, "likelihood": 4.0, "batch": 16, "steps": 60}
    )
    seeds: tuple[int, ...] = SEEDS
    samples: int = 2
    temperature: float = 0.7
    arms: tuple[Arm, ...] = ARMS

    def stored(self) -> dict[str, Any]:
        """As kept in the study's folder, to tell one study's folder from another's."""
        kept = asdict(self)
        return kept | {
            "students": list(self.students),
            "seeds": list(self.seeds),
            "arms": [arm.name for arm in self.arms],
        }


FULL = Plan("The study of M2", quick=False)
QUICK = Plan(
    "A quick slice of the study of M2",
    quick=True,
    tested="school:m2-dev",
    limit=96,
    pairs=96,
    seeds=(0,),
    training={**FULL.training, "steps": 6},
)

ANALYSIS = (
    "Read-out: the tuned teacher alone, with no student and no vote. A problem's value is the share of its "
    f"{FULL.samples} samples at temperature {FULL.temperature:g} that are right (mean@{FULL.samples}), averaged over "
    "the training seeds; replies that hold no readable answer count as wrong. Greedy answers are told beside it.",
    "A difference is averaged over all problems of the families that were taught from, on numbers that no training "
    "has seen. Its 95 % interval is a percentile bootstrap that resamples the world's clusters of confusable families: "
    "a cluster's problems move together, under all seeds at once. No problem is left out.",
    "Every arm learns from the same lessons, the same number of pairs and of training steps, by the same settings; "
    "only the ranking differs. A seed decides which pairs are taken, where there are more, and their order.",
    "LbT arms look at no gold answer of a taught problem, so one training stands for both regimes: golds of the "
    "taught problems known, and unknown. Exam problems have gold answers in either.",
)

CHOSEN = (
    "Margin, pairs a problem, rate, likelihood weight, exams and read-out were chosen on `school:m2-dev` with one "
    "training seed. A low rate with little likelihood (5e-5, 0.2) taught little, and nothing told the arms apart; the "
    "more was learnt, the better every arm was, correctness alone too, and the further apart they were. With 100 steps "
    "all were better still; 60 were taken for want of time.",
    "The margin is wide so that `both` leaves out right answers that students could do nothing with; correctness "
    "alone knows only 0 and 1, and no margin changes its pairs.",
)
