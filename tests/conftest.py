"""What every test shares: where things are, how hypothesis searches, and that in CI nothing may skip.

With `DOCENDO_NO_SKIP=1` a skipped test is a failed test that gives its reason: the environment is then meant
to have everything the tests know, and a skip would be a check that silently did not happen.
"""

from __future__ import annotations

import os
import signal

# Before NumPy is loaded: the engine's matrices are small, and two threads of a product that wait for each other
# on a busy machine take many times as long as one.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from collections.abc import Generator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# Whoever runs the tests in the background may have had SIGINT ignored, which the programs they start would inherit.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

ROOT = Path(__file__).resolve().parent.parent

# The same examples every time, and no judgement by the clock: neither may fail a run on a busy machine.
settings.register_profile(
    "docendo", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("docendo")


def _fail_where_skipped(report: pytest.TestReport | pytest.CollectReport) -> None:
    if os.environ.get("DOCENDO_NO_SKIP") != "1" or not report.skipped or hasattr(report, "wasxfail"):
        return
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    report.outcome = "failed"
    report.longrepr = f"nothing may skip here (DOCENDO_NO_SKIP=1), but this did: {reason}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    _fail_where_skipped(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    _fail_where_skipped(report)
    return report


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "shared_data" in getattr(item, "fixturenames", ()):
            item.add_marker("shared_data")  # so that CI can leave these out where the data is not there


@pytest.fixture(scope="session")
def root() -> Path:
    """The checkout."""
    return ROOT


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The benchmark data, which are not part of this repository but may stand beside the checkout."""
    folder = ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("shared benchmark data not beside the checkout")
    return folder
