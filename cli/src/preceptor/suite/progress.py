"""What a person sees while the suite starts: a table that changes on a terminal, lines elsewhere."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, Self

from rich.console import Console
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

__all__ = ["Progress", "StartTable"]


class Progress(Protocol):
    """Is told which step has begun and which has ended."""

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Cover one step; an exception that leaves it is a failure of the step."""
        ...

    def note(self, sentence: str) -> None:
        """Show a sentence that is no failure."""
        ...


@dataclass
class _Step:
    started: float | None = None
    took_s: float | None = None
    failed: bool = False


class StartTable:
    """A context manager that shows the given steps and the time each took."""

    def __init__(self, console: Console, steps: tuple[tuple[str, str], ...]) -> None:
        self._console = console
        self._titles = dict(steps)
        self._steps = {name: _Step() for name, _ in steps}
        self._spinner = Spinner("dots")
        self._live = Live(get_renderable=self._table, console=console, refresh_per_second=8, transient=False)

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._console.is_terminal:
            self._live.stop()

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """See ``Progress.step``."""
        step = self._steps[name]
        step.started = time.monotonic()
        try:
            yield
        except BaseException:
            step.failed = True
            raise
        finally:
            step.took_s = time.monotonic() - step.started
            if not self._console.is_terminal and not step.failed:
                self._console.print(f"{self._titles[name]}: ready in {step.took_s:.1f} s")

    def note(self, sentence: str) -> None:
        """See ``Progress.note``."""
        self._console.print(Text(sentence, "yellow"), soft_wrap=True)

    def _table(self) -> Table:
        table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
        for name, title in self._titles.items():
            step = self._steps[name]
            if step.failed:
                table.add_row(Text("✗", "red"), title, Text("failed", "red"))
            elif step.took_s is not None:
                table.add_row(Text("✓", "green"), title, Text(f"{step.took_s:.1f} s", "dim"))
            elif step.started is not None:
                table.add_row(self._spinner, title, Text(f"{time.monotonic() - step.started:.0f} s", "cyan"))
            else:
                table.add_row(Text("·", "dim"), Text(title, "dim"), Text("waits", "dim"))
        return table
