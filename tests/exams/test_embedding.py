"""Nearest by sentence embeddings, with a tiny model made here; nothing is downloaded."""

from __future__ import annotations

from pathlib import Path

import pytest

from docendo.errors import ConfigError
from docendo.exams.select import ProblemPool, Selector
from docendo.types import Problem

pytest.importorskip("sentence_transformers", reason="the extra 'embed' is not installed")

WORDS = [
    "a",
    "train",
    "runs",
    "how",
    "far",
    "circle",
    "area",
    "ring",
    "of",
    "the",
    "is",
    "what",
    "1",
    "2",
    "3",
    "4",
]
POOL = [
    *(Problem(f"train-{i}", f"how far runs train {i}", "1") for i in range(1, 5)),
    *(Problem(f"circle-{i}", f"what is the area of circle {i}", "1") for i in range(1, 5)),
]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.models import Pooling, Transformer
    from transformers import BertConfig, BertModel, BertTokenizer

    made = tmp_path_factory.mktemp("bert")
    vocabulary = made / "vocab.txt"
    vocabulary.write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS]))
    BertTokenizer(str(vocabulary)).save_pretrained(made)
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    BertModel(BertConfig(vocab_size=len(WORDS) + 5, **sizes)).save_pretrained(made)
    whole = SentenceTransformer(
        modules=[word := Transformer(str(made)), Pooling(word.get_embedding_dimension())]
    )
    out = tmp_path_factory.mktemp("embedding")
    whole.save(str(out))
    return str(out)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_exams_by_embeddings_do_not_depend_on_the_pools_order(
    model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    taught = Problem("t", "how far runs a train", "1")
    found = Selector(ProblemPool(POOL), 3, how="nearest", index=f"embed:{model}").select(taught)
    assert {p.id.split("-")[0] for p in found.problems} == {"train"}
    again = Selector(ProblemPool(POOL[::-1]), 3, how="nearest", index=f"embed:{model}").select(taught)
    assert again == found


def test_a_model_that_cannot_be_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    selector = Selector(ProblemPool(POOL), 3, how="nearest", index=f"embed:{tmp_path / 'gone'}")
    with pytest.raises(ConfigError, match="the model cannot be loaded"):
        selector.select(POOL[0])
