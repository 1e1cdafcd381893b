"""``preceptor train triage`` says what is wrong with what it is given, before it begins."""

from pathlib import Path

import pytest
from triage.commands import app
from typer.testing import CliRunner


@pytest.mark.parametrize("option", ["--data", "--encoder", "--input-program"])
def test_a_path_that_is_not_there_is_told(tmp_path: Path, option: str) -> None:
    given = {"--data": str(tmp_path), "--encoder": str(tmp_path), option: str(tmp_path / "nowhere")}
    result = CliRunner().invoke(app, [word for pair in given.items() for word in pair], env={"COLUMNS": "300"})
    assert result.exit_code == 2
    assert option in result.output
    assert "does not exist" in result.output


def test_data_without_labels_is_told(tmp_path: Path) -> None:
    result = CliRunner().invoke(
        app, ["--data", str(tmp_path), "--encoder", str(tmp_path), "--output", str(tmp_path / "model")]
    )
    assert result.exit_code == 2
    assert "rvc_labels.json" in result.output
    assert not (tmp_path / "model").exists()
