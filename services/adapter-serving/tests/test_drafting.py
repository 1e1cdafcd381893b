"""A draft: fixed text at once, what is missing named, and only weights that are what they say."""

import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from adapter_serving.adapters import AdapterError, AdapterRefused, Adapters, AdapterUnknown
from adapter_serving.base_model import BASE_FILES, BaseModelFiles, BaseModelMissing
from adapter_serving.batcher import EngineFailed
from adapter_serving.digests import digest_of_bytes, digest_of_files
from adapter_serving.drafting import Drafter
from adapter_serving.engine import Engine
from adapter_serving.manifest import ADAPTER_FILES, Manifest, TrainingData
from adapter_serving.models import Models
from adapter_serving.template import Template
from service_contracts.chart import Chart
from service_contracts.drafts import DraftEvent, DraftFinished, DraftRequest, DraftSentence, DraftStarted, SectionKey
from service_contracts.tasks import TASKS

TASK = "discharge-instructions"


@pytest.fixture
def base(tmp_path: Path) -> BaseModelFiles:
    folder = tmp_path / "base"
    folder.mkdir()
    for name in BASE_FILES:
        (folder / name).write_text(name)
    return BaseModelFiles.record(folder, "small")


@pytest.fixture
def adapters_dir(tmp_path: Path, base: BaseModelFiles, template: Template) -> Path:
    folder = tmp_path / "adapters"
    (folder / TASK).mkdir(parents=True)
    (folder / "promoted.toml").write_text(f'[promoted]\n{TASK} = "{TASK}"\n')
    for name in ADAPTER_FILES:
        (folder / TASK / name).write_text(name)
    Manifest(
        adapter=TASK, version="1", task=TASK, base=base.name, base_digest=base.digest,
        adapter_digest=digest_of_files(folder / TASK, ADAPTER_FILES), template=template.name,
        template_version=template.version, recipe={},
        trained_on=TrainingData(generator="none", seed=0, stays=0, examples=0, digest=digest_of_bytes(b"")),
    ).write(folder / TASK)  # fmt: skip
    return folder


Make = Callable[..., Drafter]


@pytest.fixture
def drafter(base: BaseModelFiles, adapters_dir: Path, template: Template, scripted: Any) -> Make:
    def make(engine: Engine | None = None, **more: int) -> Drafter:
        models = Models(
            Adapters(adapters_dir, base), lambda _: engine or scripted(), first_pass_tokens=30, pass_tokens=50
        )
        limits = {"max_items": 200, "max_prompt_tokens": 192, "answer_reserve_ms": 10} | more
        return Drafter(models, {template.task: template}, **limits)

    return make


async def events(drafter: Drafter, chart: Chart, budget_ms: int = 5_000, **more: Any) -> list[DraftEvent]:
    request = DraftRequest(task=more.pop("task", TASK), chart=chart, budget_ms=budget_ms, **more)
    return [event async for event in drafter.draft(request)]


async def test_a_whole_draft_has_every_section_and_says_who_wrote_it(
    drafter: Make, chart: Chart, base: BaseModelFiles
) -> None:
    started, *sentences, finished = await events(drafter(), chart)
    assert isinstance(started, DraftStarted) and isinstance(finished, DraftFinished)
    assert (started.model.base_digest, started.model.adapter, started.model.template_version) == (
        base.digest,
        TASK,
        "1",
    )
    assert {one.section for one in sentences if isinstance(one, DraftSentence)} == set(SectionKey)
    assert finished.complete and not finished.missing
    assert finished.generated_tokens == 5 * sum(one.generated for one in sentences if isinstance(one, DraftSentence))


async def test_fixed_text_comes_first_and_is_not_called_generated(drafter: Make, chart: Chart) -> None:
    _, *sentences, _ = await events(drafter(), chart)
    kinds = [one.generated for one in sentences if isinstance(one, DraftSentence)]
    assert kinds == sorted(kinds) and kinds[0] is False and kinds[-1] is True


async def test_every_generated_sentence_names_its_source(drafter: Make, chart: Chart) -> None:
    sentences = [one for one in await events(drafter(), chart) if isinstance(one, DraftSentence) and one.generated]
    named = [source.reference for one in sentences for source in one.sources]
    assert len(named) == len(sentences)
    assert {order.source.reference for order in chart.medications} <= set(named)


async def test_what_the_deadline_leaves_unwritten_is_named(drafter: Make, chart: Chart, scripted: Any) -> None:
    began = time.monotonic()
    *_, finished = await events(drafter(scripted(0.15)), chart, budget_ms=260)
    assert time.monotonic() - began < 0.4
    assert isinstance(finished, DraftFinished) and not finished.complete
    assert "MedicationRequest/metformin" not in finished.missing
    assert "Condition/hf" in finished.missing


async def test_a_sentence_that_was_cut_off_is_not_sent(drafter: Make, chart: Chart, scripted: Any) -> None:
    _, *sentences, finished = await events(drafter(scripted(cut="Simvastatin")), chart)
    assert not any("Simvastatin" in one.text for one in sentences if isinstance(one, DraftSentence))
    assert isinstance(finished, DraftFinished)
    assert (finished.complete, finished.missing) == (False, ("MedicationRequest/simvastatin",))


async def test_an_item_too_long_to_be_read_is_named_and_stops_no_other(drafter: Make, chart: Chart) -> None:
    long = chart.medications[0].model_copy(update={"text": "x " * 5_000})
    *sentences, finished = await events(
        drafter(), chart.model_copy(update={"medications": (long, *chart.medications[1:])})
    )
    assert isinstance(finished, DraftFinished) and finished.missing == (long.source.reference,)
    assert any("Simvastatin" in one.text for one in sentences if isinstance(one, DraftSentence))


async def test_items_beyond_the_limit_are_named(drafter: Make, chart: Chart) -> None:
    *_, finished = await events(drafter(max_items=3), chart)
    assert isinstance(finished, DraftFinished) and len(finished.missing) == 5


async def test_a_model_that_breaks_ends_the_draft(drafter: Make, chart: Chart, scripted: Any) -> None:
    with pytest.raises(EngineFailed):
        await events(drafter(scripted(fails_at="Metformin")), chart)


@pytest.mark.parametrize("name", ["nobody", "../adapters/discharge-instructions", "", ".", "promoted.toml"])
async def test_an_adapter_that_is_not_there_is_unknown(drafter: Make, chart: Chart, name: str) -> None:
    with pytest.raises(AdapterUnknown) as failure:
        await events(drafter(), chart, adapter=name)
    assert failure.value.code == "adapter-unknown"


@pytest.mark.parametrize("task", [one.name for one in TASKS if one.name != TASK] + ["no-such-task"])
async def test_a_task_without_an_adapter_is_unknown(drafter: Make, chart: Chart, task: str) -> None:
    with pytest.raises(AdapterUnknown):
        await events(drafter(), chart, task=task)


def _changed(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1] + b"!")


def _with(folder: Path, **values: str) -> None:
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps(manifest | values))


@pytest.mark.parametrize(
    "spoil",
    [
        lambda folder: _changed(folder / "adapter_model.safetensors"),
        lambda folder: _changed(folder / "adapter_config.json"),
        lambda folder: (folder / "adapter_model.safetensors").unlink(),
        lambda folder: (folder / "manifest.json").write_text("{}"),
        lambda folder: (folder / "manifest.json").unlink(),
        lambda folder: _with(folder, base_digest=digest_of_bytes(b"another base")),
        lambda folder: _with(folder, adapter_digest=digest_of_bytes(b"another adapter")),
        lambda folder: _with(folder, task="clinical-note"),
        lambda folder: _with(folder, template_version="2"),
        lambda folder: _with(folder, adapter="another"),
    ],
)
async def test_an_adapter_that_does_not_match_is_refused(
    drafter: Make, chart: Chart, adapters_dir: Path, spoil: Callable[[Path], object]
) -> None:
    spoil(adapters_dir / TASK)
    with pytest.raises(AdapterRefused) as failure:
        await events(drafter(), chart)
    assert failure.value.code == "adapter-refused"


async def test_a_changed_base_refuses_its_adapters(
    drafter: Make, chart: Chart, base: BaseModelFiles, adapters_dir: Path
) -> None:
    _changed(base.folder / "model.safetensors")
    with pytest.raises(AdapterRefused):
        Adapters(adapters_dir, BaseModelFiles.open(base.folder)).open(
            TASK, None, next(iter(drafter()._templates.values()))
        )


async def test_files_changed_while_they_are_loaded_are_refused(
    base: BaseModelFiles, adapters_dir: Path, template: Template, scripted: Any
) -> None:
    def load(folder: Path) -> Engine:
        _changed(folder / "adapter_model.safetensors")
        return scripted()  # type: ignore[no-any-return]

    models = Models(Adapters(adapters_dir, base), load, first_pass_tokens=30, pass_tokens=50)
    with pytest.raises(AdapterError):
        await models.get(TASK, None, template)
    assert not models.ready(TASK)


async def test_it_is_ready_only_once_the_promoted_adapter_is_loaded(
    base: BaseModelFiles, adapters_dir: Path, template: Template, scripted: Any
) -> None:
    models = Models(Adapters(adapters_dir, base), lambda _: scripted(), first_pass_tokens=30, pass_tokens=50)
    assert not models.ready(TASK)
    await models.get(TASK, None, template)
    assert models.ready(TASK)
    models.close()
    assert not models.ready(TASK)


def test_a_conversion_that_did_not_finish_is_no_base_model(base: BaseModelFiles, tmp_path: Path) -> None:
    shutil.copytree(base.folder, tmp_path / "half")
    (tmp_path / "half" / "base.json").unlink()
    with pytest.raises(BaseModelMissing, match="prepare"):
        BaseModelFiles.open(tmp_path / "half")
