"""A small run of the school, taught and examined once for all tests of tuning."""

from __future__ import annotations

from pathlib import Path

import pytest

import docendo


@pytest.fixture(scope="session")
def school_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twenty problems of the school, eight lessons each, examined."""
    out = tmp_path_factory.mktemp("tune") / "run"
    docendo.solve("school:m1", limit=20, out=out, lessons=8, repeats=2, equal_cost=False)
    return out
