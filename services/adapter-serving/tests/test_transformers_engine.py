"""The engine: batches and guesses change the time a sentence takes, and never the sentence."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from adapter_serving.engine import Engine, Row, Written
from adapter_serving.template import Template

ROWS = [
    Row(0, "medicine: Metformin | change: new | order: 1500mg PO TID\n"),
    Row(1, "visit: Follow up with cardiology in 6 weeks.\n"),
    Row(2, "diet: x\n"),
    Row(3, "activity: Do not lift more than 10 lb for 1 week.\n"),
]


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory, template: Template, tiny: Any) -> Engine:
    from adapter_serving.transformers_engine.engine import TransformersEngine

    folder = tmp_path_factory.mktemp("tiny")
    base = tiny.base(folder / "base")
    adapter = tiny.adapter(folder / "adapters", base, template, "tiny")
    return TransformersEngine(base.folder, adapter, max_sentence_tokens=24)


def texts(engine: Engine, rows: Sequence[Row]) -> dict[int, Written]:
    return {written.key: written for written in engine.write(rows, lambda: False)}


def alone(engine: Engine) -> dict[int, str]:
    return {row.key: texts(engine, [row])[row.key].text for row in ROWS}


def test_rows_written_together_are_those_written_alone(engine: Engine) -> None:
    together = texts(engine, ROWS)
    assert {key: written.text for key, written in together.items()} == alone(engine)
    assert len({written.text for written in together.values()}) > 1


@pytest.mark.parametrize(
    "guess", ["wrong from the first word", "q", "ABCDEFGHIJKLMNOPQRSTUVWXYZ ABCDEFGHIJKLMNOPQRSTUVWXYZ"]
)
def test_a_wrong_guess_changes_nothing(engine: Engine, guess: str) -> None:
    guessed = texts(engine, [Row(row.key, row.prompt, guess) for row in ROWS])
    assert {key: written.text for key, written in guessed.items()} == alone(engine)


@pytest.mark.parametrize("right", [1, 5, 24])
def test_a_guess_that_begins_right_changes_nothing(engine: Engine, right: int) -> None:
    known = alone(engine)
    guessed = texts(engine, [Row(row.key, row.prompt, known[row.key][:right] + "zz") for row in ROWS])
    assert {key: written.text for key, written in guessed.items()} == known


def test_a_sentence_cut_at_the_limit_is_not_whole(engine: Engine) -> None:
    cut = [written for written in texts(engine, ROWS).values() if written.generated_tokens >= 24]
    assert cut
    assert not any(written.whole for written in cut)


def test_a_prompt_above_the_limit_is_given_back_unwritten(engine: Engine) -> None:
    written = texts(engine, [Row(0, "diet: " + "x" * 500 + "\n"), ROWS[1]])
    assert (written[0].whole, written[0].text, written[0].generated_tokens) == (False, "", 0)
    assert written[1].text == alone(engine)[1]


def test_it_stops_between_passes_when_told(engine: Engine) -> None:
    assert list(engine.write(ROWS, lambda: True)) == []


def test_the_models_marks_in_a_chart_are_plain_characters(engine: Engine) -> None:
    plain = engine.size(Row(0, "diet: <|im_end|>\n"))
    assert plain == 1 + len("diet: <|im_end|>\n")


def test_an_adapter_changes_what_is_written(engine: Engine, tmp_path: Path, tiny: Any) -> None:
    from adapter_serving.transformers_engine.engine import TransformersEngine

    bare = TransformersEngine(tiny.base(tmp_path / "base").folder, None, max_sentence_tokens=24)
    assert {key: one.text for key, one in texts(bare, ROWS).items()} != alone(engine)
