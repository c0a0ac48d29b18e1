"""Settings and models as a user says them: a TOML file, keyword values, and what each says of a mistake."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import docendo
from docendo.errors import ConfigError, StoreError
from docendo.models.scripted import ScriptedModel
from docendo.models.spec import ModelSpec
from docendo.solve.config import configured
from docendo.solve.plan import Settings, weights_of
from docendo.types import Call, Problem

WHOLE = """
problems = "mine.jsonl"
limit = 7
lessons = 5
student_temperature = 0.2
prompts = "school"

[teacher]
model = "openai:big"
base_url = "http://127.0.0.1:8000/v1"
key_env = "BIG_KEY"
temperature = 0.9
max_tokens = 512
stop = ["Question:"]
headers = { "X-Team" = "blue", "Authorization" = "Bearer ${BIG_KEY}" }
[teacher.limits]
concurrency = 3
[teacher.prices]
prompt = 2
completion = 8.0

[[students]]
model = "azure:small"
base_url = "https://x.openai.azure.com"
api_version = "2024-10-21"

[[students]]
model = "school:student"
"""


@pytest.fixture
def file(tmp_path: Path) -> Callable[[str], Path]:
    def write(text: str) -> Path:
        path = tmp_path / "run.toml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


Write = Callable[[str], Path]


TEACHER = "[teacher]\nmodel = 'openai:x'\n"


class TestFile:
    def test_says_everything_of_a_run(self, file: Write, tmp_path: Path) -> None:
        (tmp_path / "mine.jsonl").touch()
        said = configured(file(WHOLE), {})
        settings = said.settings
        assert (said.problems, said.limit) == (str(tmp_path / "mine.jsonl"), 7)
        assert (settings.lessons, settings.student_temperature) == (5, 0.2)
        assert settings.teacher == "openai:big"
        assert settings.students == ("azure:small", "school:student")
        teacher = settings.spec(settings.teacher)
        assert (teacher.base_url, teacher.limits.concurrency) == ("http://127.0.0.1:8000/v1", 3)
        assert teacher.prices is not None
        assert (teacher.prices.prompt, teacher.prices.completion) == (2.0, 8.0)
        assert settings.spec("azure:small").api_version == "2024-10-21"

    def test_a_models_own_sampling_beats_the_runs(self, file: Write) -> None:
        settings = configured(file(WHOLE), {}).settings
        drawn = settings.sampling("teach")
        assert (drawn.temperature, drawn.max_tokens, drawn.stop) == (0.9, 512, ("Question:",))
        assert settings.sampling("greedy").temperature == 0
        assert settings.sampling("exam", "azure:small").temperature == 0.2

    def test_longest_reply_fits_the_kind_of_model(self, file: Write) -> None:
        settings = configured(file(WHOLE), {}).settings
        assert settings.sampling("exam", "azure:small").max_tokens == 2048
        assert settings.sampling("exam", "school:student").max_tokens == 128

    def test_models_may_be_named_only(self, file: Write) -> None:
        settings = configured(
            file('teacher = "school:teacher"\nstudents = ["school:student-2"]'), {}
        ).settings
        assert (settings.teacher, settings.students) == ("school:teacher", ("school:student-2",))

    def test_paths_are_meant_from_beside_the_file(self, file: Write, tmp_path: Path) -> None:
        (tmp_path / "style").mkdir()
        text = 'problems = "../p.jsonl"\nexams = "school:m1-exams"\nprompts = "style"\nteacher = "school:./t"'
        said = configured(file(text), {})
        assert said.problems == str(tmp_path / "../p.jsonl")
        assert said.exams == "school:m1-exams"
        assert said.settings.prompts == str(tmp_path / "style")
        assert said.settings.teacher == f"school:{tmp_path}/t"

    def test_a_mark_that_an_editor_put_before_it_is_no_part_of_it(self, file: Write) -> None:
        assert configured(file("\ufefflessons = 3\r\n"), {}).settings.lessons == 3

    def test_sources_with_a_reader_and_options_too(self, file: Write, tmp_path: Path) -> None:
        (tmp_path / "MATH").mkdir()
        said = configured(file('problems = "math:MATH?group=level&ids=./ids.json"'), {})
        assert said.problems == f"math:{tmp_path}/MATH?group=level&ids={tmp_path}/ids.json"

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ("lesons = 3", "unknown key 'lesons'; did you mean lessons?"),
            ("models = {}", "unknown key 'models'"),
            ("lessons = '3'", "setting lessons: '3' is not a whole number"),
            ("lessons = 0", "setting lessons: 0 is too small"),
            ("limit = true", "limit: True is not a number"),
            ("[teacher]\nmodell = 'openai:x'", "[teacher]: unknown key 'modell'; did you mean model?"),
            ("[teacher]\nname = 'x'", "[teacher]: model: Field required"),
            ("[teacher]\nmodel = 'gpt-4'", "[teacher]: model: models are named KIND:NAME"),
            (TEACHER + "temperature = '1'", "[teacher]: temperature: Input should be a valid number"),
            (TEACHER + "stop = 'Q'", "[teacher]: stop: Input should be a valid array"),
            (TEACHER + "top_p = 2", "[teacher]: top_p: Input should be less than or equal to 1"),
            (TEACHER + "base_url = 'localhost'", "[teacher]: base_url: must begin with http"),
            (TEACHER + "api_version = '1'", "[teacher]: api_version is for azure: models, not for openai:"),
            (TEACHER + "limits = {attempt = 3}", "[teacher]: limits: unknown key 'attempt'; did you mean attempts?"),
            (TEACHER + "limits = {attempts = 0}", "[teacher]: limits.attempts: Input should be greater"),
            (TEACHER + "body = {since = 2020-01-01}", "[teacher]: "),
            ("[[students]]\nmodel = 'school:a'\n[[students]]\nmodell = 'b'", "[[students]] 2: unknown key 'modell'"),
            ("students = 'school:student'", "students: write [[students]] tables, or a list"),
            ("teacher = 3", "[teacher]: 3 is no model"),
            ("lessons = = 3", "not a TOML file"),
        ],
    )  # fmt: skip
    def test_a_mistake_is_named_with_file_and_key(self, file: Write, text: str, said: str) -> None:
        path = file(text)
        with pytest.raises(ConfigError) as error:
            configured(path, {})
        assert str(error.value).startswith(f"{path}: ")
        assert said in str(error.value)

    def test_a_file_that_is_not_there(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match="cannot be read"):
            configured(tmp_path / "none.toml", {})


class TestGiven:
    """What is given beside the file beats it."""

    def test_settings_and_sampling(self, file: Write) -> None:
        given = {"lessons": 2, "temperature": 0.1, "max_tokens": 9, "student_temperature": 1.5}
        settings = configured(file(WHOLE), given).settings
        assert settings.lessons == 2
        assert (settings.sampling("teach").temperature, settings.sampling("teach").max_tokens) == (0.1, 9)
        assert settings.sampling("teach").stop == ("Question:",)  # of this nothing else was said
        assert settings.sampling("exam", "azure:small").temperature == 1.5

    def test_a_model_replaces_the_files_whole(self, file: Write) -> None:
        settings = configured(file(WHOLE), {"teacher": "openai:other"}).settings
        assert settings.spec(settings.teacher) == ModelSpec(model="openai:other")

    def test_a_base_url_is_for_every_endpoint_named_without_one(self, file: Write) -> None:
        url = "http://127.0.0.1:1/v1"
        given = {"teacher": "openai:a", "students": ["openai:b", "school:student"], "base_url": url}
        settings = configured(None, given).settings
        assert [settings.spec(name).base_url for name in ("openai:a", "openai:b")] == [url, url]
        assert settings.spec("school:student") == ModelSpec(model="school:student")
        assert configured(file(WHOLE), {"base_url": url}).settings.spec("openai:big").base_url == url

    def test_a_base_url_for_nobody_is_refused(self) -> None:
        with pytest.raises(ConfigError, match="no openai: or azure: model"):
            configured(None, {"base_url": "http://127.0.0.1:1/v1"})

    def test_specs_and_mappings(self) -> None:
        spec = ModelSpec(model="openai:x", temperature=0.3)
        settings = configured(None, {"teacher": spec, "students": [{"model": "hf:y", "top_k": 4}]}).settings
        assert settings.sampling("teach").temperature == 0.3
        assert settings.sampling("exam", "hf:y").top_k == 4

    @pytest.mark.parametrize(
        ("given", "said"),
        [
            ({"lesons": 3}, "unknown setting 'lesons'; did you mean lessons?"),
            ({"models": {}}, "unknown setting 'models'"),
            ({"students": "openai:x"}, "not a list of models"),
            ({"teacher": {"model": "openai:x", "modes": 1}}, "setting teacher: unknown key 'modes'; did you mean mode"),
        ],
    )  # fmt: skip
    def test_mistakes(self, given: dict[str, Any], said: str) -> None:
        with pytest.raises(ConfigError, match="setting") as error:
            configured(None, given)
        assert said in str(error.value)


class TestNames:
    def test_one_model_in_two_roles_is_one(self) -> None:
        spec = ModelSpec(model="openai:x", base_url="http://a/v1")
        settings = configured(None, {"teacher": spec, "students": [spec]}).settings
        assert settings.students == (settings.teacher,)

    def test_a_teacher_may_be_its_own_student_at_another_temperature(self) -> None:
        hot, cold = (ModelSpec(model="openai:x", temperature=t) for t in (1.0, 0.1))
        settings = configured(None, {"teacher": hot, "students": [cold, hot]}).settings
        assert settings.students == ("openai:x (student)", "openai:x")
        assert settings.sampling("exam", "openai:x (student)").temperature == 0.1
        assert settings.spec("openai:x (student)").model == "openai:x"

    def test_own_names_are_kept_and_may_not_clash(self) -> None:
        hot = ModelSpec(model="openai:x", name="hot", temperature=1.0)
        assert configured(None, {"teacher": hot, "students": ["hot"]}).settings.students == ("hot",)
        with pytest.raises(ConfigError, match="two different models have the name 'hot'"):
            configured(None, {"teacher": hot, "students": [{"model": "openai:y", "name": "hot"}]})


class TestSecrets:
    @pytest.mark.parametrize(
        "line",
        [
            "api_key = 'sk-secret'",
            "key_env = 'sk-secret'",
            "headers = {Authorization = 'Bearer sk-secret'}",
            "headers = {x-api-key = 'sk-secret'}",
            "base_url = 'https://me:sk-secret@host/v1'",
            "base_url = 'https://host/v1?key=sk-secret'",
        ],
    )
    def test_are_refused_and_not_repeated(self, file: Write, line: str) -> None:
        with pytest.raises(ConfigError) as error:
            configured(file(f"[teacher]\nmodel = 'openai:x'\n{line}"), {})
        assert "sk-secret" not in str(error.value)
        assert "key" in str(error.value) or "secret" in str(error.value)

    def test_headers_take_theirs_from_the_environment_when_sent(self, file: Write) -> None:
        spec = configured(file(WHOLE), {}).settings.spec("openai:big")
        assert spec.sent_headers({"BIG_KEY": "k1"}) == {"X-Team": "blue", "Authorization": "Bearer k1"}
        assert "k1" not in repr(spec)
        with pytest.raises(ConfigError, match="Authorization needs the environment variable BIG_KEY"):
            spec.sent_headers({})


PROBLEMS = [Problem(str(i), f"{i} and 1?", str(i + 1), family="f") for i in range(3)]


class TestRun:
    """What a run keeps of it, and goes on with."""

    @staticmethod
    def models() -> dict[str, ScriptedModel]:
        def say(call: Call) -> str:
            asked = str(call.prompt).rpartition("Question: ")[2]
            return f" one more.\nAnswer: {int(asked.split()[0]) + 1}"

        return {name: ScriptedModel(name, say) for name in ("openai:x", "openai:x (student)")}

    def test_keeps_the_models_as_configured(
        self, file: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("OPENAI_API_KEY", "sk-never-written")
        text = """lessons = 2\nprompts = 'school'
        [teacher]\nmodel = 'openai:x'\ntemperature = 1.0
        [[students]]\nmodel = 'openai:x'\ntemperature = 0.1"""
        models = self.models()
        run = docendo.solve(PROBLEMS, config=file(text), out=tmp_path / "run", models=models)
        with run.view() as view:
            kept = view.config["settings"]
        assert Settings.of(kept) == configured(file(text), {}).settings
        assert kept["models"]["openai:x (student)"]["temperature"] == 0.1
        assert b"sk-never" not in (tmp_path / "run" / "run.sqlite").read_bytes()
        heats = {call.sampling.temperature for call in models["openai:x (student)"].seen}
        assert heats == {0.1}

    def test_goes_on_with_them(self, file: Write, tmp_path: Path) -> None:
        spec = ModelSpec(model="openai:x", temperature=1.0)
        out = tmp_path / "run"
        roles = {"teacher": spec, "students": [spec.model_copy(update={"temperature": 0.1})], "lessons": 2}
        docendo.solve(PROBLEMS, out=out, models=self.models(), prompts="school", **roles)
        again = self.models()
        assert docendo.resume(out, models=again).complete
        assert not any(model.seen for model in again.values())
        with pytest.raises(StoreError):
            docendo.solve(PROBLEMS, out=out, models=again, prompts="school", **roles)

    def test_stored_settings_are_plain_values(self) -> None:
        settings = configured(None, {"teacher": ModelSpec(model="openai:x", stop=("a",))}).settings
        assert Settings.of(json.loads(json.dumps(settings.stored()))) == settings


OTHERS = """
exam_writer = "writer"
gold_by = "teacher, openai:judge"
[[others]]
name = "writer"
model = "openai:w"
base_url = "http://127.0.0.1:1/v1"
temperature = 1.0
[[others]]
model = "openai:judge"
parameters = 7
"""


def test_models_that_neither_teach_nor_learn_have_tables(file: Write) -> None:
    settings = configured(file(OTHERS), {}).settings
    assert (settings.writer, settings.gold_models) == ("writer", ("school:teacher", "openai:judge"))
    assert settings.spec("writer").model == "openai:w"
    assert settings.sampling("write", "writer").temperature == 1.0
    assert settings.spec("openai:judge").parameters == 7
    assert Settings.of(settings.stored()) == settings
    assert configured(file(OTHERS), {"exam_writer": "school:writer"}).settings.writer == "school:writer"


def test_a_base_url_is_where_the_writer_is_too() -> None:
    url = "http://127.0.0.1:1/v1"
    given = {"teacher": "openai:t", "exam_writer": "openai:w", "gold_by": "teacher,openai:t, hf:./x"}
    settings = configured(None, given | {"base_url": url}).settings
    assert {name: spec.base_url for name, spec in settings.models.items()} == {
        "openai:t": url,
        "openai:w": url,
    }


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            OTHERS.replace('writer = "writer"', 'writer = "wrirer"'),
            "exam_writer: 'wrirer' is no model of this run",
        ),
        ("[[others]]\nmodel = 'openai:x'\ntop_k = 3", "'openai:x' is asked for nothing"),
        ("others = 'openai:x'", r"others: write \[\[others\]\] tables"),
        ("[[others]]\nmodell = 'openai:x'", r"\[\[others\]\] 1: unknown key 'modell'"),
    ],
)
def test_others_that_cannot_be(file: Write, text: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        configured(file(text), {})


def test_the_run_files_in_the_docs_are_run_files(root: Path, file: Write) -> None:
    shown = re.findall(r"```toml\n(.*?)```", (root / "docs" / "models.md").read_text(), re.DOTALL)
    assert len(shown) > 6
    for text in shown:
        assert configured(file(text), {}).settings.students


@pytest.mark.parametrize(
    ("sizes", "weights"),
    [({"a": 7, "b": 2}, {"a": 7, "b": 2}), ({"a": 7, "b": None}, {"a": 1, "b": 1}), ({}, {})],
)
def test_tokens_weigh_alike_where_a_models_size_is_not_known(
    sizes: dict[str, int | None], weights: dict[str, int]
) -> None:
    assert weights_of(sizes) == weights
