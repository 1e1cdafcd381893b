"""Makes an adapter: synthetic stays, training, measuring, and the manifest and card that go with the weights."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from adapter_serving.base_model import BaseModelFiles
from adapter_serving.digests import digest_of_bytes, digest_of_files
from adapter_serving.evaluate import HELD_OUT_SEED, HELD_OUT_STAYS, Report, evaluate
from adapter_serving.manifest import ADAPTER_FILES, Manifest, TrainingData
from adapter_serving.model_card import model_card
from adapter_serving.synthetic.stays import SyntheticStay, condition_examples, stays
from adapter_serving.template import Template

__all__ = ["ADAPTER_VERSION", "TrainingPlan", "describe", "train"]

ADAPTER_VERSION = "1"


@dataclass(frozen=True)
class TrainingPlan:
    """What the shipped adapter was made with. ``threads`` 1: more of them wait for each other on a busy machine."""

    stays: int = 450
    condition_rounds: int = 2
    seed: int = 7
    rank: int = 8
    epochs: int = 1
    batch: int = 8
    learning_rate: float = 1e-3
    threads: int = 1

    def examples(self) -> list[tuple[str, str]]:
        """Return the (prompt, sentence) pairs; the same for the same plan."""
        of_stays = [example for stay in stays(self.stays, self.seed) for example in stay.examples()]
        more = condition_examples(self.seed, self.condition_rounds)
        return [(item.prompt, sentence) for item, sentence in (*of_stays, *more)]

    def recipe(self) -> dict[str, int | float]:
        """Return what the manifest says of how it was trained."""
        return {"rank": self.rank, "epochs": self.epochs, "batch": self.batch, "learning_rate": self.learning_rate}


def train(plan: TrainingPlan, base: BaseModelFiles, output: Path, progress: Callable[[int, int, float], None]) -> None:
    """Train and write the weights into ``output``."""
    from adapter_serving.transformers_engine.training import Recipe, train_adapter

    recipe = Recipe(
        rank=plan.rank,
        alpha=2 * plan.rank,
        epochs=plan.epochs,
        batch=plan.batch,
        learning_rate=plan.learning_rate,
        seed=plan.seed,
        threads=plan.threads,
    )
    train_adapter(base.folder, output, plan.examples(), recipe, progress)


def describe(
    plan: TrainingPlan,
    base: BaseModelFiles,
    output: Path,
    template: Template,
    name: str,
    *,
    held_out_stays: int = HELD_OUT_STAYS,
    threads: int = 1,
    each: Callable[[int, int], None] | None = None,
) -> tuple[Manifest, Report]:
    """Measure the weights in ``output`` on held-out stays and write their manifest and card."""
    from adapter_serving.transformers_engine.engine import TransformersEngine

    engine = TransformersEngine(base.folder, output, threads=threads)
    held_out = list(stays(held_out_stays, HELD_OUT_SEED, held_out=True))

    def counted() -> Iterator[SyntheticStay]:
        for done, stay in enumerate(held_out, start=1):
            yield stay
            if each:
                each(done, len(held_out))

    report = evaluate(engine, counted())
    examples = plan.examples()
    lines = "".join(f"{prompt}{sentence}\n" for prompt, sentence in examples)
    manifest = Manifest(
        adapter=name,
        version=ADAPTER_VERSION,
        task=template.task,
        base=base.name,
        base_digest=base.digest,
        adapter_digest=digest_of_files(output, ADAPTER_FILES),
        template=template.name,
        template_version=template.version,
        trained_on=TrainingData(
            generator="adapter_serving.synthetic",
            seed=plan.seed,
            stays=plan.stays,
            examples=len(examples),
            digest=digest_of_bytes(lines.encode()),
        ),
        recipe=plan.recipe(),
        held_out_seed=HELD_OUT_SEED,
        held_out_stays=held_out_stays,
        metrics=report.metrics(),
    )
    manifest.write(output)
    (output / "README.md").write_text(model_card(manifest))
    return manifest, report
