"""The document on the screen; in a pipe the same words without colours."""

from collections.abc import Iterator, Sequence

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from preceptor.demo.document import ShownDocument, ShownFlag

__all__ = ["show_document", "show_times"]

_STYLES = {"high": "bold red", "moderate": "yellow", "low": "cyan"}
_WIDTH = 110
_NO_EVIDENCE = "No evidence found"
_SHOWN_WITHOUT_EVIDENCE = 6


def show_document(console: Console, document: ShownDocument) -> None:
    """Print the document with each flag below the sentence it is about."""
    width = min(console.width, _WIDTH)
    subtitle = f"{document.status}, {len(document.flags)} flags to decide on"
    console.print(Panel(Group(*_body(document)), title=document.title, subtitle=subtitle, width=width, padding=(1, 2)))


def show_times(console: Console, times: Sequence[tuple[str, float]]) -> None:
    """Print how long each stage took; ``times`` are in milliseconds."""
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 2))
    table.add_column(no_wrap=True)
    table.add_column(justify="right", no_wrap=True)
    for stage, elapsed_ms in times:
        table.add_row(stage, f"{elapsed_ms / 1000:.2f} s")
    console.print(table)


def _body(document: ShownDocument) -> Iterator[RenderableType]:
    for section in document.sections:
        yield Text(section.title, "bold underline")
        for line, flags in section.lines:
            yield Text(line)
            for flag in flags:
                yield _flag(flag)
        for flag in section.flags:
            yield _flag(flag)
        yield Text()
    yield Text("Other results of the checks", "bold underline")
    unknown = [note for note in document.notes if note.startswith(_NO_EVIDENCE)]
    for note in document.notes:
        if note not in unknown[_SHOWN_WITHOUT_EVIDENCE:]:
            yield Text(note, "dim")
    if len(unknown) > _SHOWN_WITHOUT_EVIDENCE:
        more = len(unknown) - _SHOWN_WITHOUT_EVIDENCE
        yield Text(f"{more} more statements without evidence are listed in the document itself.", "dim")


def _flag(flag: ShownFlag) -> RenderableType:
    style = _STYLES.get(flag.severity, "white")
    table = Table(box=None, show_header=False, padding=(0, 1, 0, 0))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    table.add_row(Text("⚑", style), Text(f"{flag.severity.upper()}  {flag.kind}", style))
    table.add_row("draft", Text(flag.says))
    table.add_row("problem", Text(flag.finding))
    table.add_row("source", Text(flag.source or "the patient's chart", "italic"))
    if flag.decision:
        table.add_row("decided", Text(flag.decision))
    return Padding(table, (0, 0, 0, 3))
