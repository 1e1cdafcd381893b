"""Writes docs/conformance.md: ``python -m tests.conformance``."""

import sys

import pytest

from .page import PAGE, checks_of, page


class _Collected:
    """Keeps what pytest collected."""

    def __init__(self) -> None:
        self.items: list[pytest.Item] = []

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        self.items = list(session.items)


def main() -> int:
    """Collect every test without running it and write the page; return pytest's status when that fails."""
    collected = _Collected()
    status = pytest.main(["--collect-only", "-qq", "--no-header"], plugins=[collected])
    if status == 0:
        PAGE.write_text(page(checks_of(collected.items)))
    return int(status)


if __name__ == "__main__":
    sys.exit(main())
