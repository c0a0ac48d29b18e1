"""Sources by name: each reader on its own forms, options, and how a bad row is named."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from docendo.data import Notes, Source, load_problems, parse, stream
from docendo.data.functional import DUPLICATE
from docendo.data.math import last_boxed
from docendo.errors import DataError
from docendo.grading import grade
from docendo.types import Problem


def jsonl(path: Path, *rows: dict[str, Any]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return path


def one(path: Path, row: dict[str, Any]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(row), "utf-8")
    return path


class TestNames:
    @pytest.mark.parametrize(
        ("text", "source"),
        [
            ("a/b.jsonl", Source("docendo", "a/b.jsonl")),
            ("what?.jsonl", Source("docendo", "what?.jsonl")),
            ("math:MATH/train", Source("math", "MATH/train")),
            ("math-functional:x?snapshot=2023-10", Source("math-functional", "x", {"snapshot": "2023-10"})),
            (
                "labels:x.csv?labels=a%26b,c&text=q",
                Source("labels", "x.csv", {"labels": "a&b,c", "text": "q"}),
            ),
            ("school:m1@3", Source("school", "m1@3")),
        ],
    )
    def test_a_source_is_a_reader_a_place_and_options(self, text: str, source: Source) -> None:
        assert parse(text) == source

    @pytest.mark.parametrize(
        ("text", "says"),
        [
            ("maths:x", "did you mean math:?"),
            ("zzz:x", "there are docendo:"),
            ("math:x?level", None),
            ("math:x?ids=a&ids=b", "each name once"),
        ],
    )
    def test_a_wrong_name_is_explained(self, text: str, says: str | None) -> None:
        if says is None:  # without "=" it is no option but part of the path
            assert parse(text).path == "x?level"
            return
        with pytest.raises(DataError) as caught:
            parse(text)
        assert says in str(caught.value)

    def test_an_option_that_the_reader_has_not(self, tmp_path: Path) -> None:
        path = jsonl(tmp_path / "a.jsonl", {"id": "a", "question": "q"})
        with pytest.raises(DataError, match="no option 'idz'; did you mean ids"):
            load_problems(f"{path}?idz=3")


ROW = {"problem": "What is $1+1$?", "level": "Level 2", "type": "Algebra", "solution": "So \\boxed{2}."}


class TestMath:
    def test_the_original_folder(self, tmp_path: Path) -> None:
        for name in ("test/algebra/10.json", "test/algebra/9.json", "train/algebra/1.json"):
            one(tmp_path / "MATH" / name, ROW)
        found = load_problems(f"math:{tmp_path / 'MATH'}")
        ids = ["test/algebra/9.json", "test/algebra/10.json", "train/algebra/1.json"]
        assert [p.id for p in found] == ids
        assert found[0] == Problem(
            ids[0],
            "What is $1+1$?",
            "2",
            "So \\boxed{2}.",
            family=ids[0],
            cluster=ids[0],
            group="Algebra",
            meta={"subject": "Algebra", "level": 2},
        )
        assert [p.id for p in load_problems(f"math:{tmp_path / 'MATH' / 'test' / 'algebra'}")] == ids[:2]

    def test_rows_under_either_name(self, tmp_path: Path) -> None:
        path = jsonl(tmp_path / "m.jsonl", ROW, ROW | {"unique_id": "test/x/1.json", "answer": "3"})
        first, second = load_problems(f"math500:{path}")
        assert (first.id, first.answer) == ("m/0", "2")
        assert (second.id, second.answer) == ("test/x/1.json", "3")

    @pytest.mark.parametrize(
        ("change", "says"),
        [
            ({"level": "Level 7"}, "'level' is the string"),
            ({"level": "hard"}, "'level'"),
            ({"level": 0}, "'level' is the number 0"),
            ({"problem": ""}, "is empty"),
            ({"sollution": "x"}, "did you mean 'solution'?"),
            ({"type": 3}, "'type' should be a string"),
        ],
    )
    def test_a_bad_row_is_named(self, tmp_path: Path, change: dict[str, Any], says: str) -> None:
        path = jsonl(tmp_path / "m.jsonl", ROW, ROW | change)
        with pytest.raises(DataError) as caught:
            load_problems(f"math:{path}")
        assert str(caught.value).startswith(f"{path}:2: ")
        assert says in str(caught.value)

    def test_a_bad_file_of_the_folder_is_named(self, tmp_path: Path) -> None:
        one(tmp_path / "test/algebra/1.json", ROW)
        (tmp_path / "test/algebra/2.json").write_text("{")
        with pytest.raises(DataError, match=r"2\.json: not JSON"):
            load_problems(f"math:{tmp_path}")
        (tmp_path / "empty").mkdir()
        with pytest.raises(DataError, match=r"without any \.json file"):
            load_problems(f"math:{tmp_path / 'empty'}")

    @pytest.mark.parametrize(
        ("text", "content"),
        [
            (r"so \boxed{1}, no: \boxed{\frac{1}{2}}.", r"\frac{1}{2}"),
            (r"\fbox{3}", "3"),
            (r"$\boxed 5$ it is", "5"),
            (r"\boxed{\{1\}}", r"\{1\}"),
            (r"\boxed{}", ""),
            (r"\boxed{2} and \boxed{3", "2"),
            ("nothing", None),
        ],
    )
    def test_the_answer_is_the_last_box(self, text: str, content: str | None) -> None:
        assert last_boxed(text) == content

    @given(st.text(alphabet="\\boxed{} 1$", max_size=40))
    def test_any_text_has_a_box_or_none(self, text: str) -> None:
        found = last_boxed(text)
        assert found is None or found in text


class TestFunctional:
    def test_a_folder_of_snapshots(self, tmp_path: Path) -> None:
        for month, question in (("Dec", "7?"), ("Oct", "5?"), ("Nov", "5  ?"), ("Nov", "5?")):
            one(tmp_path / f"{month}-2023/test/algebra/6.json", ROW | {"problem": question})
        notes = Notes()
        found = load_problems(f"math-functional:{tmp_path}", notes=notes)
        assert [p.id for p in found] == ["test/algebra/6.json@2023-10", "test/algebra/6.json@2023-12"]
        assert {p.family for p in found} == {p.cluster for p in found} == {"test/algebra/6.json"}
        assert [p.meta["snapshot"] for p in found] == ["2023-10", "2023-12"]
        assert notes.dropped == {DUPLICATE: 1}
        only = load_problems(f"math-functional:{tmp_path}?snapshot=2023-11")
        assert [p.id for p in only] == ["test/algebra/6.json@2023-11"]
        with pytest.raises(DataError, match="no problem such as snapshot=2024-01"):
            load_problems(f"math-functional:{tmp_path}?snapshot=2024-01")

    def test_rows_need_a_snapshot_and_an_id(self, tmp_path: Path) -> None:
        path = jsonl(tmp_path / "f.jsonl", ROW)
        with pytest.raises(DataError, match=r"f\.jsonl:1: field 'snapshot' is missing"):
            load_problems(f"math-functional:{path}")
        path = jsonl(path, ROW | {"snapshot": "2023-10"})
        with pytest.raises(DataError, match=r"f\.jsonl:1: field 'id' is missing"):
            load_problems(f"math-functional:{path}")


class TestGsm8k:
    def test_both_forms(self, tmp_path: Path) -> None:
        original = {"question": "q?", "answer": "3 * 400 = <<3*400=1200>>1200.\n#### 1,200"}
        ours = {"id": "x", "question": "q?", "solution": "It is 18.", "answer": "18"}
        found = load_problems(f"gsm8k:{jsonl(tmp_path / 'test.jsonl', original, ours)}")
        assert found[0] == Problem("gsm8k/test/0", "q?", "1200", "3 * 400 = 1200.")
        assert found[1] == Problem("x", "q?", "18", "It is 18.")

    def test_an_answer_without_its_mark(self, tmp_path: Path) -> None:
        path = jsonl(tmp_path / "t.jsonl", {"question": "q?", "answer": "It is 18."})
        with pytest.raises(DataError, match=r"t\.jsonl:1: field 'answer' should end in '#### '"):
            load_problems(f"gsm8k:{path}")


class TestLabels:
    def test_places_words_and_alternatives(self, tmp_path: Path) -> None:
        path = jsonl(
            tmp_path / "l.jsonl",
            {"text": "a", "label": 1, "source": "s"},
            {"text": "b", "label": "NO"},
            {"text": "c", "label": "valid"},
            {"text": "d", "label": None},
        )
        found = load_problems(f"labels:{path}?labels=no,yes|invalid,valid&ask=Is it?")
        assert [p.answer for p in found] == ["yes", "no", "valid", None]
        assert found[0].question == "a\n\nIs it?"
        assert found[0].id == "l/0"
        assert found[0].kind == "label"
        assert found[0].meta == {"source": "s", "labels": ["no", "yes"]}
        assert found[2].meta["labels"] == ["invalid", "valid"]

    def test_several_fields_and_lists(self, tmp_path: Path) -> None:
        row = {"id": 7, "premises": ["All a are b.", "x is a."], "conclusion": "x is b.", "label": "True"}
        (found,) = load_problems(f"folio:{jsonl(tmp_path / 'f.jsonl', row)}")
        assert found.question == "Premises:\nAll a are b.\nx is a.\n\nConclusion:\nx is b."
        assert (found.id, found.answer) == ("7", "true")

    def test_the_original_bbh_file(self, tmp_path: Path) -> None:
        path = one(
            tmp_path / "navigate.json",
            {"canary": "x", "examples": [{"input": "Do you?\n- Yes\n- No", "target": "Yes"}]},
        )
        (found,) = load_problems(f"bbh:{path}?text=input")
        assert (found.id, found.answer) == ("navigate/0", "yes")

    def test_csv(self, tmp_path: Path) -> None:
        path = tmp_path / "l.tsv"
        path.write_text("text\tlabel\nfine\t1\nbad\t0\n")
        assert [p.answer for p in load_problems(f"labels:{path}?labels=no,yes")] == ["yes", "no"]

    @pytest.mark.parametrize(
        ("row", "says"),
        [
            ({"text": "a", "label": 2}, "'label' is the number 2, which is none of the labels no, yes"),
            ({"text": "a", "label": "maybe"}, "none of the labels no, yes"),
            ({"text": "a", "label": True}, None),
            ({"text": "", "label": 1}, "'text' should be a string"),
            ({"label": 1}, "'text' is missing; the row has label"),
            ({"text": "a"}, "'label' is missing"),
            ({"text": "a", "label": 1, "id": {}}, "'id' should be a string"),
        ],
    )
    def test_a_bad_row_is_named(self, tmp_path: Path, row: dict[str, Any], says: str | None) -> None:
        path = jsonl(tmp_path / "l.jsonl", {"text": "a", "label": 0}, row)
        if says is None:
            assert load_problems(f"labels:{path}?labels=no,yes")[1].answer == "yes"
            return
        with pytest.raises(DataError) as caught:
            load_problems(f"labels:{path}?labels=no,yes")
        assert str(caught.value).startswith(f"{path}:2: field")
        assert says in str(caught.value)

    @pytest.mark.parametrize("query", ["", "?labels=yes", "?labels=yes,|no,x"])
    def test_the_words_have_to_be_named(self, tmp_path: Path, query: str) -> None:
        path = jsonl(tmp_path / "l.jsonl", {"text": "a", "label": 0})
        with pytest.raises(DataError, match="labels"):
            load_problems(f"labels:{path}{query}")


class TestTables:
    def test_docendos_rows_as_csv(self, tmp_path: Path) -> None:
        path = tmp_path / "p.csv"
        path.write_text(
            "id,question,answer,family,meta.level,meta.labels,meta\r\n"
            'a,"What is 7,\nand 9?",16,f,4,"[""x"", ""y""]","{""k"": 1}"\r\n'
            "\r\n"
            "b,q,,,easy,,\r\n"
        )
        assert load_problems(path) == [
            Problem(
                "a",
                "What is 7,\nand 9?",
                "16",
                family="f",
                meta={"level": 4, "labels": ["x", "y"], "k": 1},
            ),
            Problem("b", "q", meta={"level": "easy"}),
        ]

    @pytest.mark.parametrize(
        ("row", "says"),
        [
            ("b,q", ":4: has 2 cells, but the header names 3 fields"),
            ("b,q,1,2", ":4: has 4 cells"),
            ("b,,1", ":4: field 'question' is missing; the row has id, answer"),
            ('b,"q" x,1', ":4: not CSV"),
            ("b,caf\udce9,1", ":4: not UTF-8"),
        ],
    )
    def test_a_bad_row_is_named_by_the_line_it_begins_on(self, tmp_path: Path, row: str, says: str) -> None:
        path = tmp_path / "p.csv"
        text = f'id,question,answer\na,"two\nlines",16\n{row}\n'
        path.write_bytes(text.encode("utf-8", "surrogateescape"))
        with pytest.raises(DataError) as caught:
            load_problems(path)
        assert str(caught.value).startswith(f"{path}{says}")

    @pytest.mark.parametrize("head", ["id,question,id", "id,,question"])
    def test_a_header_that_cannot_be_used(self, tmp_path: Path, head: str) -> None:
        path = tmp_path / "p.csv"
        path.write_text(f"{head}\na,b,c\n")
        with pytest.raises(DataError, match=r"p\.csv:1: "):
            load_problems(path)

    def test_a_json_list(self, tmp_path: Path) -> None:
        path = tmp_path / "p.json"
        path.write_text(json.dumps([{"id": "a", "question": "q"}, {"id": "b"}]))
        with pytest.raises(DataError, match=r"p\.json: item 2: field 'question' is missing"):
            load_problems(path)
        path.write_text("[1")
        with pytest.raises(DataError, match=r"p\.json:1: not JSON"):
            load_problems(path)


class TestForAllReaders:
    def test_ids_choose_by_id_or_family(self, tmp_path: Path) -> None:
        path = jsonl(
            tmp_path / "p.jsonl",
            *({"id": i, "question": f"q{i}", "family": f"f{i}", "meta": {"level": 3}} for i in "abc"),
        )
        for text in ('["a", "fc"]', '{"ids": ["a", "fc"], "count": 2}', "a\nfc\n"):
            (tmp_path / "ids").write_text(text)
            found = load_problems(f"{path}?ids={tmp_path / 'ids'}&group=level")
            assert [(p.id, p.group) for p in found] == [("a", "level 3"), ("c", "level 3")]
        (tmp_path / "ids").write_text("zzz")
        with pytest.raises(DataError, match=r"p\.jsonl: there is no problem such as ids="):
            load_problems(f"{path}?ids={tmp_path / 'ids'}")
        with pytest.raises(DataError, match="cannot be read"):
            load_problems(f"{path}?ids={tmp_path / 'gone'}")

    def test_only_as_much_is_read_as_is_asked_for(self, tmp_path: Path) -> None:
        path = tmp_path / "p.jsonl"
        path.write_text('{"id": "a", "question": "q"}\nnot json\n')
        assert len(load_problems(path, limit=1)) == 1

    def test_bad_rows_may_be_noted_and_passed_over(self, tmp_path: Path) -> None:
        path = jsonl(
            tmp_path / "p.jsonl", {"id": "a", "question": "q"}, {"id": "b"}, {"id": "c", "question": "r"}
        )
        notes = Notes(keep_going=True)
        assert [p.id for p in stream(path, notes)] == ["a", "c"]
        assert notes.bad == [f"{path}:2: field 'question' is missing; the row has id"]


PAPER = "?ids={}/math500_functional_ids.json"


class TestRealData:
    @pytest.mark.parametrize(
        ("source", "count", "without_answer"),
        [
            ("math:{}/math_test.jsonl.gz", 5000, 0),
            ("math:{}/math_train.jsonl.gz", 7500, 2),
            ("math500:{}/math500.jsonl" + PAPER, 181, 0),
            ("math-functional:{}/math_functional.jsonl", 5153, 0),
            ("gsm8k:{}/gsm8k_test.jsonl", 1319, 0),
            ("liar:{}/liar_test.jsonl", 461, 0),
            ("bbh:{}/bbh_binary.jsonl", 1437, 0),
            ("folio:{}/folio_validation.jsonl", 204, 0),
        ],
    )
    def test_the_grader_accepts_every_gold(
        self, shared_data: Path, source: str, count: int, without_answer: int
    ) -> None:
        found = load_problems(source.replace("{}", str(shared_data)))
        assert len(found) == count
        assert sum(p.answer is None for p in found) == without_answer
        form = "So the answer is $\\boxed{{{}}}$." if found[0].kind == "math" else "So the answer is: {}."
        refused = [p.id for p in found if p.answer and grade(p, form.format(p.answer)).score != 1]
        assert not refused

    def test_the_answer_read_from_a_solution_is_the_recorded_one(self, shared_data: Path) -> None:
        for problem in stream(f"math:{shared_data}/math_train.jsonl.gz"):
            assert (last_boxed(problem.solution or "") or None) == problem.answer

    def test_twelve_of_the_papers_problems_repeat_a_question(self, shared_data: Path) -> None:
        notes = Notes()
        place = f"math-functional:{shared_data}/math_functional.jsonl"
        found = load_problems(f"{place}?ids={shared_data}/math500_functional_ids.json", notes=notes)
        assert notes.dropped == {DUPLICATE: 12}
        assert len(found) == 3 * 181 - 12
        each = [sum(p.family == family for p in found) for family in {p.family for p in found}]
        assert sorted(each) == [2] * 12 + [3] * 169
