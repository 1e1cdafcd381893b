"""Opens the survey's files, in each format that CDC publishes and as Parquet copies, and reads them row by row."""

import lzma
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from triage.training.errors import SurveyError
from triage.training.fixed_width import is_fixed_width, is_program, program_for, read_layout, read_records

__all__ = ["open_survey", "read_rows"]

_PIECE = 5_000
_READERS = {".sas7bdat": "read_sas7bdat", ".dta": "read_dta", ".sav": "read_sav"}
_OTHERS = (".parquet", ".json", ".zip")

Row = dict[str, Any]


@contextmanager
def open_survey(path: Path) -> Iterator[list[Path]]:
    """Yield the data files of ``path``: a file, a folder, or an archive of them (``.zip``, ``.tar.xz``)."""
    with tempfile.TemporaryDirectory() as scratch:
        if path.is_dir():
            folder = path
        elif path.name.lower().endswith((".zip", ".tar.xz", ".tar.gz")):
            folder = Path(scratch)
            _unpack(path, folder)
        else:
            yield [path]
            return
        yield sorted(one for one in folder.rglob("*") if one.is_file() and _is_ours(one))


def read_rows(files: Sequence[Path], wanted: Collection[str], programs: Sequence[Path] = ()) -> Iterator[Row]:
    """Yield the ``wanted`` variables (``YEAR`` is one) of every row of ``files``; raise ``SurveyError``.

    ``programs`` are SAS INPUT programs of fixed-width files, sought before those among ``files``. A year that is in
    two files is refused: CDC publishes each in several formats, and its visits would count twice.
    """
    found_in: dict[Any, Path] = {}
    for file, rows in _opened(files, wanted, programs):
        for row in rows:
            other = found_in.setdefault(row["YEAR"], file)
            if other is not file:
                raise SurveyError(f"{other.name} and {file.name} hold visits of the same year; give only one of them")
            yield row


def _opened(
    files: Sequence[Path], wanted: Collection[str], programs: Sequence[Path]
) -> Iterator[tuple[Path, Iterator[Row]]]:
    known = [*programs, *(file for file in files if is_program(file))]
    for file in files:
        suffix = file.suffix.lower()
        if suffix == ".zip":
            with open_survey(file) as inner:
                yield from _opened(inner, wanted, known)
        elif is_fixed_width(file):
            layout = read_layout(program_for(file, known))
            _require(layout.name, layout.columns, wanted)
            yield file, read_records(file, layout, wanted)
        elif suffix == ".parquet":
            yield file, _parquet(file, wanted)
        elif suffix in _READERS:
            yield file, _statistics(file, wanted)
        elif not is_program(file):
            raise SurveyError(f"{file.name} has none of the formats of the survey's files")


def _is_ours(file: Path) -> bool:
    return file.suffix.lower() in {*_READERS, *_OTHERS} or is_fixed_width(file) or is_program(file)


def _unpack(path: Path, folder: Path) -> None:
    with _told_if_damaged(path, zipfile.BadZipFile, tarfile.TarError, lzma.LZMAError, zlib.error, EOFError):
        if path.suffix.lower() == ".zip":
            with zipfile.ZipFile(path) as archive:
                for entry in archive.infolist():
                    archive.extract(entry, folder)
        else:
            with tarfile.open(path) as tar:
                tar.extractall(folder, filter="data")


@contextmanager
def _told_if_damaged(file: Path, *errors: type[Exception]) -> Iterator[None]:
    try:
        yield
    except errors:
        raise SurveyError(f"{file.name} is damaged, or not what its name says") from None


def _parquet(file: Path, wanted: Collection[str]) -> Iterator[Row]:
    import duckdb

    with _told_if_damaged(file, duckdb.Error), duckdb.connect() as connection:
        cursor = connection.execute("SELECT * FROM read_parquet(?)", [str(file)])
        names = [str(column[0]) for column in cursor.description or ()]
        _require(file.name, names, wanted)
        while piece := cursor.fetchmany(_PIECE):
            for values in piece:
                yield dict(zip(names, values, strict=True))


def _statistics(file: Path, wanted: Collection[str]) -> Iterator[Row]:
    import pyreadstat

    reader = getattr(pyreadstat, _READERS[file.suffix.lower()])
    offset = 0
    while True:
        with _told_if_damaged(file, pyreadstat.ReadstatError, pyreadstat.PyreadstatError):
            columns, _ = reader(str(file), row_offset=offset, row_limit=_PIECE, output_format="dict")
        columns = {name.upper(): values for name, values in columns.items()}
        _require(file.name, columns, wanted)
        count = len(columns["AGE"])
        for index in range(count):
            yield {name: columns[name][index] for name in wanted}
        offset += count
        if count < _PIECE:
            return


def _require(name: str, found: Collection[str], wanted: Collection[str]) -> None:
    lacking = sorted(set(wanted) - set(found))
    if lacking:
        raise SurveyError(f"{name} lacks the variables {', '.join(lacking)}")
