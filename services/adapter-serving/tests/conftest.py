"""Charts, and the tiny model; the real base and adapter where the cache holds them."""

import json
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from adapter_serving.base_model import BaseModelFiles
from adapter_serving.digests import digest_of_bytes, digest_of_files
from adapter_serving.engine import Row, Written
from adapter_serving.manifest import ADAPTER_FILES, Manifest, TrainingData
from adapter_serving.template import Template, load_templates
from service_contracts.chart import (
    Chart,
    ChartCondition,
    ChartMedication,
    ChartOrder,
    ChartProcedure,
    ChartReference,
    OrderKind,
)
from service_contracts.quantity import Quantity

ROOT = Path(__file__).parents[3]
BASE = ROOT / ".preceptor" / "cache" / "smollm2-135m-instruct"


def medication(name: str, text: str | None = None, **more: Any) -> ChartMedication:
    reference = ChartReference(reference=f"MedicationRequest/{name.split()[0].lower().replace('/', '-')}", version="1")
    return ChartMedication(source=reference, name=name, text=text, **more)


@pytest.fixture(scope="session")
def chart() -> Chart:
    def source(text: str) -> ChartReference:
        return ChartReference(reference=text, version="1")

    return Chart(
        patient=source("Patient/p"),
        encounter=source("Encounter/e"),
        conditions=(
            ChartCondition(source=source("Condition/hf"), name="Heart failure, unspecified", principal=True),
            ChartCondition(source=source("Condition/dm"), name="Type 2 diabetes (DM)"),
        ),
        procedures=(
            ChartProcedure(source=source("Procedure/o2"), name="Oxygen therapy"),
            ChartProcedure(source=source("Procedure/pm"), name="Permanent pacemaker implantation"),
        ),
        medications=(
            medication(
                "Metformin", "1500mg PO TID", dose=Quantity(value=1500, unit="mg"), route="oral", times_per_day=3
            ),
            medication(
                "Simvastatin", "40mg PO daily", dose=Quantity(value=40, unit="mg"), route="oral", times_per_day=1
            ),
            medication("Ibuprofen", "400mg PO q6h PRN", change="stopped"),
        ),
        orders=(
            ChartOrder(
                source=source("ServiceRequest/a"),
                kind=OrderKind.ACTIVITY,
                text="Do not lift more than 10 lb for 1 week. Do not drive for 1 week.",
            ),
            ChartOrder(
                source=source("ServiceRequest/d"), kind=OrderKind.DIET, text="Eat less than 2 grams of sodium a day."
            ),
            ChartOrder(
                source=source("ServiceRequest/f"),
                kind=OrderKind.FOLLOW_UP,
                text="Follow up with cardiology in 6 weeks.",
                within=Quantity(value=6, unit="wk"),
            ),
        ),
        as_of=date(2026, 11, 25),
    )


@pytest.fixture(scope="session")
def template() -> Template:
    return load_templates()["discharge-instructions"]


class Tiny:
    """A tiny language model with random weights and a byte tokenizer, for tests of mechanics; it writes nonsense."""

    @staticmethod
    def base(folder: Path) -> BaseModelFiles:
        import torch
        from adapter_serving.transformers_engine.quiet import quiet
        from tokenizers import Tokenizer, decoders, models, pre_tokenizers
        from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

        alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
        marks = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
        vocabulary = {token: number for number, token in enumerate([*marks, *alphabet])}
        inner = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
        inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        inner.decoder = decoders.ByteLevel()
        tokenizer = PreTrainedTokenizerFast(
            tokenizer_object=inner, bos_token="<|im_start|>", eos_token="<|im_end|>", pad_token="<|im_end|>"
        )
        torch.manual_seed(11)
        model = LlamaForCausalLM(
            LlamaConfig(
                vocab_size=len(vocabulary),
                hidden_size=48,
                intermediate_size=96,
                num_hidden_layers=2,
                num_attention_heads=4,
                num_key_value_heads=2,
                bos_token_id=1,
                eos_token_id=2,
                pad_token_id=2,
                tie_word_embeddings=True,
                initializer_range=0.4,
            )
        )
        with quiet():
            model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        return BaseModelFiles.record(folder, "tiny")

    @staticmethod
    def adapter(folder: Path, base: BaseModelFiles, template: Template, name: str) -> Path:
        import torch
        from adapter_serving.transformers_engine.quiet import quiet
        from peft import LoraConfig, get_peft_model
        from transformers import LlamaForCausalLM

        torch.manual_seed(13)
        lora = LoraConfig(r=2, target_modules="all-linear", task_type="CAUSAL_LM")
        with quiet():
            model = get_peft_model(LlamaForCausalLM.from_pretrained(base.folder), lora)
        for parameter_name, parameter in model.named_parameters():
            if "lora_B" in parameter_name:
                torch.nn.init.normal_(parameter, std=0.2)
        target = folder / name
        with quiet():
            model.save_pretrained(str(target))
        (target / "README.md").unlink(missing_ok=True)
        config = json.loads((target / "adapter_config.json").read_text())
        config["base_model_name_or_path"] = None
        (target / "adapter_config.json").write_text(json.dumps(config))
        Manifest(
            adapter=name,
            version="1",
            task=template.task,
            base=base.name,
            base_digest=base.digest,
            adapter_digest=digest_of_files(target, ADAPTER_FILES),
            template=template.name,
            template_version=template.version,
            trained_on=TrainingData(generator="none", seed=0, stays=0, examples=0, digest=digest_of_bytes(b"")),
            recipe={},
        ).write(target)
        return target


@pytest.fixture(scope="session")
def tiny() -> type[Tiny]:
    return Tiny


class ScriptedEngine:
    """Writes each row's prompt back, at a pace, so that time and order can be tested without a model."""

    def __init__(self, seconds_a_pass: float = 0.0, *, cut: str = "", fails_at: str = "") -> None:
        self.seconds_a_pass = seconds_a_pass
        self.cut = cut
        self.fails_at = fails_at
        self.passes: list[list[str]] = []

    def size(self, row: Row) -> int:
        return 10

    def write(self, rows: Sequence[Row], stop: Callable[[], bool]) -> Iterator[Written]:
        self.passes.append([row.prompt for row in rows])
        time.sleep(self.seconds_a_pass)
        if stop():
            return
        for row in rows:
            if self.fails_at and self.fails_at in row.prompt:
                raise RuntimeError("the model broke")
            whole = not (self.cut and self.cut in row.prompt)
            yield Written(row.key, row.prompt.strip(), whole, 10, 5)


@pytest.fixture
def scripted() -> type[ScriptedEngine]:
    return ScriptedEngine
