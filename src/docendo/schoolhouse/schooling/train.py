"""One schooling: a course read from its first to its last step, checkpointed, resumable and logged.

Every step's documents come from the course's seed and the step's number alone, so that a schooling that was
stopped goes on with exactly what it would have read.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from docendo.schoolhouse.families import SHIPPED_SEED
from docendo.schoolhouse.schooling import curriculum, verbal, writing
from docendo.schoolhouse.schooling.curriculum import Scribe, Weights
from docendo.schoolhouse.schooling.domains import DOMAINS, Domain, FamilyDomain, WritingDomain
from docendo.schoolhouse.schooling.measure import (
    follow_rate,
    group_accuracy,
    label_rates,
    told_rate,
    writing_rates,
)
from docendo.schoolhouse.schooling.model import Llama, Size, checkpoint
from docendo.schoolhouse.verbal.world import VerbalWorld

Batch = tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]


@dataclass(frozen=True, slots=True)
class Course:
    """What one model reads, and how.

    Attributes:
        name: the folder's name.
        seed: fixes weights and documents.
        size: the model's shape.
        steps: optimiser steps, by which the learning rate goes.
        stop: the step after which schooling is broken off, for a model that learnt too little; None for the last.
        rows: rows of the domain's length a step.
        rate: peak learning rate of AdamW; Muon, for the matrices, takes five times as much.
        world: the world seed for a teacher's schooling; None for families made up on the spot.
        zipf: exponent of the families' frequency in the world.
        made_up: share of made-up documents beside the world's, so that a teacher still reads examples.
        wording: loss weight of the questions' wording.
        lesson: loss weight of a lesson's working; an exam's is 1.
        eased: share of made-up documents that are easier to learn from (see `curriculum.eased`).
        base: the course whose weights this one starts from.
        domain: what is taught, by its name in `DOMAINS`.
        row: tokens a row of reading; the domain's where None.
        rewriting: share of the made-up documents in which one set of examples replaces another (verbal domain).
    """

    name: str
    seed: int
    size: Size
    steps: int
    rows: int = 32
    rate: float = 2e-3
    world: int | None = None
    zipf: float = 1.2
    made_up: float = 0.2
    wording: float = 0.1
    lesson: float = 0.3
    eased: float = 0.3
    base: str | None = None
    domain: str = "arithmetic"
    row: int | None = None
    rewriting: float = 0.0
    stop: int | None = None

    @property
    def taught(self) -> Domain:
        """The domain."""
        return DOMAINS[self.domain]

    @property
    def length(self) -> int:
        """Tokens a row of reading."""
        return self.row or self.taught.row


def documents(course: Course, seed: str, scribe: Scribe) -> Iterator[curriculum.Document]:
    """The course's documents for one step (or for the evaluation) from a seed of its own."""
    rng = random.Random(f"docendo schooling {course.seed} {seed}")
    domain = course.taught
    if isinstance(domain, WritingDomain):
        world = None if course.world is None else domain.world(course.world)
        return writing.documents(rng, scribe, world, course.made_up)
    if not isinstance(domain, FamilyDomain):
        return _verbal_documents(course, rng, scribe)
    made_up = curriculum.in_context_documents(
        domain, rng, scribe, Weights(course.wording, course.lesson, eased=course.eased)
    )
    if course.world is None:
        return made_up
    lived = curriculum.world_documents(
        domain, rng, scribe, Weights(), domain.world(course.world), course.zipf
    )
    return curriculum.mixed(rng, lived, made_up, course.made_up)


def _verbal_documents(course: Course, rng: random.Random, scribe: Scribe) -> Iterator[curriculum.Document]:
    weights = verbal.Weights(course.wording)
    made_up = verbal.in_context_documents(rng, scribe, weights)
    # A set's wording is worth more than a question's: which texts stand in it is what is learnt.
    writing = replace(weights, wording=course.lesson)
    if course.rewriting:
        written = verbal.rewriting_documents(rng, scribe, writing)
        made_up = curriculum.mixed(rng, made_up, written, course.rewriting)
    if course.world is None:
        return made_up
    lived = verbal.world_documents(rng, scribe, writing, VerbalWorld(course.world), course.zipf)
    return curriculum.mixed(rng, lived, made_up, course.made_up)


def tensors(stream: Iterator[curriculum.Document], length: int, count: int) -> Batch:
    """Ids, loss weights, document numbers and positions, each (count, length)."""
    ids, weights, owner = curriculum.rows(stream, length, count)
    starts = np.zeros_like(owner)
    starts[:, 1:] = np.where(owner[:, 1:] != owner[:, :-1], np.arange(1, length), 0)
    positions = np.arange(length) - np.maximum.accumulate(starts, axis=1)
    return tuple(torch.from_numpy(a) for a in (ids, weights, owner, positions))  # type: ignore[return-value]


def loss(
    model: Llama, ids: torch.Tensor, weights: torch.Tensor, owner: torch.Tensor, positions: torch.Tensor
) -> torch.Tensor:
    """Weighted mean of the next-token cross-entropy inside documents."""
    with torch.autocast("cpu", dtype=torch.bfloat16):
        stream = model(ids[:, :-1].contiguous(), owner[:, :-1].contiguous(), positions[:, :-1].contiguous())
        logits = model.logits(stream)
    worth = weights[:, 1:] * (owner[:, 1:] == owner[:, :-1])
    surprise = functional.cross_entropy(logits.float().flatten(0, 1), ids[:, 1:].flatten(), reduction="none")
    total: torch.Tensor = (surprise * worth.flatten()).sum() / worth.sum()
    return total


def optimisers(model: Llama, rate: float) -> list[torch.optim.Optimizer]:
    """Muon for the layers' matrices, AdamW for the embedding and the gains."""
    matrices = [p for n, p in model.named_parameters() if p.ndim == 2 and "embed" not in n]
    others = [p for n, p in model.named_parameters() if p.ndim != 2 or "embed" in n]
    return [
        torch.optim.Muon(matrices, lr=5 * rate, weight_decay=0.01, momentum=0.95, nesterov=True),
        torch.optim.AdamW(others, lr=rate, betas=(0.9, 0.95), weight_decay=0.0),
    ]


def schedule(step: int, steps: int) -> float:
    """The learning rate's factor: a short warm-up, level, then down to 2 % over the last two fifths."""
    done = step / steps
    return min(1.0, (step + 1) / min(100, 1 + steps // 10)) * (
        1.0 if done < 0.6 else max(0.02, (1 - done) / 0.4)
    )


def school(
    course: Course,
    folder: Path,
    *,
    threads: int = 1,
    start: Llama | None = None,
    say: Callable[[str], None] = print,
    every: int = 250,
    compiled: bool = True,
) -> tuple[Llama, dict[str, Any]]:
    """Read a course through, going on from its checkpoint where there is one.

    Args:
        course: what to read.
        folder: where checkpoint.pt and log.jsonl are kept.
        threads: PyTorch threads.
        start: the weights to start from (a teacher's base); fresh ones from the course's seed where None.
        say: receives a line now and then.
        every: steps between checkpoints.
        compiled: use torch.compile (needs a C++ compiler); the same results, faster.

    Returns:
        The model, and what the card tells: steps, tokens, seconds.
    """
    torch.set_num_threads(threads)
    torch.manual_seed(course.seed)
    folder.mkdir(parents=True, exist_ok=True)
    model, scribe = Llama(course.size), Scribe(course.taught.tokenizer())
    if start is not None:
        model.load_state_dict(start.state_dict())
    moving = optimisers(model, course.rate)
    peaks = [group["lr"] for o in moving for group in o.param_groups]
    saved, first, spent = folder / "checkpoint.pt", 0, 0.0
    if saved.exists():
        state = torch.load(saved, weights_only=True)
        if state["course"] != json.dumps(asdict(course), sort_keys=True):
            raise ValueError(f"{saved} belongs to another course; remove it or choose another folder")
        model.load_state_dict(state["model"])
        for optimiser, kept in zip(moving, state["optimisers"], strict=True):
            optimiser.load_state_dict(kept)
        first, spent = state["step"], state["seconds"]
        say(f"{course.name}: going on at step {first}")
    measure = torch.compile(loss) if compiled else loss
    began = time.perf_counter() - spent
    last = course.stop or course.steps
    for step in range(first, last):
        factor = schedule(step, course.steps)
        for peak, group in zip(peaks, [g for o in moving for g in o.param_groups], strict=True):
            group["lr"] = peak * factor
        value = measure(
            model, *tensors(documents(course, f"step {step}", scribe), course.length, course.rows)
        )
        _improve(model, moving, value)
        if (step + 1) % every == 0 or step + 1 == last:
            seconds = time.perf_counter() - began
            row = _progress(course, model, step + 1, value.item(), seconds)
            say(json.dumps(row))
            with (folder / "log.jsonl").open("a") as log:
                log.write(json.dumps(row) + "\n")
            checkpoint(
                saved,
                model,
                course=json.dumps(asdict(course), sort_keys=True),
                step=step + 1,
                seconds=seconds,
                optimisers=[o.state_dict() for o in moving],
            )
    facts = {
        "steps": last,
        "tokens": last * course.rows * course.length,
        "seconds": time.perf_counter() - began,
    }
    return model, facts


def _improve(model: Llama, moving: list[torch.optim.Optimizer], value: torch.Tensor) -> None:
    """One step of every optimiser down this loss."""
    value.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    for optimiser in moving:
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)


def _progress(course: Course, model: Llama, step: int, value: float, seconds: float) -> dict[str, Any]:
    """A line of the log: how far, and how well on numbers kept for tuning (token accuracy alone misleads)."""
    domain = course.taught
    quality: Any
    if isinstance(domain, WritingDomain):
        quality = writing_rates(model, domain, course.world or SHIPPED_SEED)
    elif not isinstance(domain, FamilyDomain):
        quality = {"told": told_rate(model, domain, 0)}
        if course.world is not None:
            quality |= label_rates(model, domain, course.world)
    elif course.world is None:
        quality = follow_rate(model, domain, 0)
    else:
        quality = group_accuracy(model, domain, course.world)
    return {
        "course": course.name,
        "step": step,
        "tokens": step * course.rows * course.length,
        "seconds": round(seconds),
        "loss": round(value, 4),
        "quality": quality,
    }
