"""The CI rule that nothing may skip, tried on small test files of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

SKIPS = {
    "marker": "import pytest\n@pytest.mark.skip(reason='no unicorn')\ndef test_it(): pass\n",
    "call": "import pytest\ndef test_it(): pytest.skip('no unicorn')\n",
    "fixture": "import pytest\n@pytest.fixture\ndef f(): pytest.skip('no unicorn')\ndef test_it(f): pass\n",
    "module": "import pytest\npytest.skip('no unicorn', allow_module_level=True)\n",
    "import": "import pytest\npytest.importorskip('unicorn')\n",
}
XFAIL = "import pytest\ndef test_it(): pass\n@pytest.mark.xfail\ndef test_bug(): raise AssertionError\n"


def run_pytest(folder: Path, root: Path, sources: dict[str, str], no_skip: str) -> list[str]:
    """The lines that pytest prints, its closing line last."""
    shutil.copy(root / "tests" / "conftest.py", folder)
    for name, source in sources.items():
        (folder / f"test_{name}.py").write_text(source, encoding="utf-8")
    options = ["-ra", "-p", "no:cacheprovider", "--continue-on-collection-errors", "--rootdir", str(folder)]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, str(folder)],
        env=os.environ | {"DOCENDO_NO_SKIP": no_skip},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout.splitlines()


def test_every_way_to_skip_fails_with_its_reason_where_nothing_may_skip(root: Path, tmp_path: Path) -> None:
    lines = run_pytest(tmp_path, root, SKIPS | {"xfail": XFAIL}, no_skip="1")
    for name in SKIPS:
        failed = [
            line for line in lines if line.startswith(("FAILED", "ERROR")) and f"test_{name}.py" in line
        ]
        assert failed, f"{name}: not reported as failed"
    assert sum("nothing may skip here" in line and "unicorn" in line for line in lines) >= len(SKIPS)
    # What passes, or is expected to fail, is left alone.
    assert "1 failed, 1 passed, 1 xfailed, 4 errors" in lines[-1]


def test_a_skip_is_only_shown_elsewhere(root: Path, tmp_path: Path) -> None:
    lines = run_pytest(tmp_path, root, SKIPS | {"xfail": XFAIL}, no_skip="")
    assert sum(line.startswith("SKIPPED") and "unicorn" in line for line in lines) == len(SKIPS)
    assert "1 passed, 5 skipped, 1 xfailed" in lines[-1]
