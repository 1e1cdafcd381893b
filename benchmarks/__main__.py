"""``python -m benchmarks [NAME ...]``: run all benchmarks, or those named, and keep their reports beside the code."""

import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

_RESULTS = Path(__file__).parent / "results"
_BENCHMARKS = {
    "discharge-path": "benchmarks.discharge_path",
    "order-sign": "benchmarks.order_sign",
    "notifications": "benchmarks.notifications",
    "triage": "benchmarks.triage",
    "retrieval": "benchmarks.retrieval",
    "answers": "benchmarks.answers",
    "formulary": "benchmarks.formulary",
    "interactions": "benchmarks.interactions",
    "patient-texts": "benchmarks.patient_texts",
    "dose-limits": "benchmarks.dose_limits",
}


def main(names: list[str]) -> int:
    """Run the benchmarks called ``names``; return the exit status."""
    unknown = [name for name in names if name not in _BENCHMARKS]
    if unknown:
        sys.stderr.write(f"No benchmark is called {', '.join(unknown)}. There are: {', '.join(_BENCHMARKS)}.\n")
        return 2
    _RESULTS.mkdir(exist_ok=True)
    for name in names or _BENCHMARKS:
        run: Callable[[], str] = import_module(_BENCHMARKS[name]).run
        report = run()
        (_RESULTS / f"{name}.md").write_text(report)
        sys.stdout.write(f"\n{report}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
