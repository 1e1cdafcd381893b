"""``preceptor ingest train-reranker``: trains the cross-encoder from the sentence encoder and open claims."""

import asyncio
import hashlib
import shutil
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import Progress

from retrieval.command_runs import console, fail, own_settings, progress_bar
from retrieval.cross_encoder_data import claims, corpus, literature, title_groups, training_groups
from retrieval.reranker_folder import seal_folder
from retrieval.reranking import TRAINED_WEIGHT, Training, TrainingGroup
from retrieval.stored import StoredPassage
from retrieval.wanted import Wanted
from retrieval.word_search import WordSearch

__all__ = ["train_reranker"]

_DEFAULT = Training()
_TITLES = 200


def train_reranker(
    corpus_file: Annotated[Path, typer.Argument(exists=True, help="The documents, a SciFact corpus in CSV.")],
    claims_file: Annotated[Path, typer.Argument(exists=True, help="The claims to train on, with what they cite.")],
    output: Annotated[Path, typer.Option(help="Folder to write.")] = Path(".preceptor/cache/reranker"),
    epochs: Annotated[int, typer.Option(help="How often each claim is seen.")] = _DEFAULT.epochs,
    titles: Annotated[int, typer.Option(help="How many titles of documents to train on besides.")] = _TITLES,
    threads: Annotated[int, typer.Option(help="Threads to train with.")] = _DEFAULT.threads,
    seed: Annotated[int, typer.Option(help="Seed of examples and training.")] = _DEFAULT.seed,
) -> None:
    """Train the cross-encoder that reads the best passages again. Takes minutes to an hour, as the machine is."""
    base = own_settings().encoder_dir
    if base is None or not base.is_dir():
        fail("the sentence encoder is not there: run `preceptor ingest prepare`")
    training = Training(epochs=epochs, threads=threads, seed=seed)
    groups = asyncio.run(_groups(corpus_file, claims_file, titles, seed))
    console.print(f"{len(groups)} groups of a claim, what it cites and what else the search finds.")
    draft = output.with_name(f".{output.name}.new")
    shutil.rmtree(draft, ignore_errors=True)
    with progress_bar() as progress:
        _train(base, groups, draft, training, progress)
    inputs = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in (corpus_file, claims_file)}
    made = {"inputs": inputs, "groups": len(groups), "titles": titles, "training": asdict(training)}
    made["made"] = datetime.now(tz=UTC).isoformat(timespec="seconds")
    seal_folder(draft, TRAINED_WEIGHT, made)
    shutil.rmtree(output, ignore_errors=True)
    draft.rename(output)
    console.print(f"Written to {output}. Whether it helps is measured by `python -m benchmarks retrieval`;")
    console.print("where it does, name it by PRECEPTOR_RETRIEVAL_RERANKER_DIR.")


def _train(base: Path, groups: Sequence[TrainingGroup], folder: Path, training: Training, progress: Progress) -> None:
    # Importing what trains takes seconds; other commands do without.
    from retrieval.transformers_engine import train_cross_encoder

    steps = training.epochs * -(-len(groups) // training.groups_a_step)
    bar = progress.add_task("training", total=steps)
    train_cross_encoder(
        base,
        groups,
        folder,
        training,
        lambda loss: progress.update(bar, advance=1, description=f"training, loss {loss:.3f}"),
    )


async def _groups(corpus_file: Path, claims_file: Path, titles: int, seed: int) -> list[TrainingGroup]:
    documents = corpus(corpus_file)
    ids = list(documents)
    passages = (
        StoredPassage(number, one.kind, one.source.title, "", one.passages[0].text, None, None)
        for number, one in enumerate(literature(documents, "SciFact", "1"))
    )
    words = WordSearch(passages)
    today = datetime.now(tz=UTC).date()

    async def search(text: str, limit: int) -> list[str]:
        return [ids[number] for number in words.best(text, limit, Wanted(), today)]

    questions = claims(claims_file)
    cited = frozenset(one for question in questions for one in question.relevant)
    groups = await training_groups(questions, documents, search, seed)
    return groups + await title_groups(documents, cited, search, titles, seed)
