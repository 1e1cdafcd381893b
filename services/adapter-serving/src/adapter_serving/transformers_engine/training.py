"""Teaches a LoRA adapter to write sentences: answer-only loss, the head computed for answers alone."""

import json
import math
import random
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file, save_file
from torch.nn import functional
from transformers import AutoModelForCausalLM

from adapter_serving.transformers_engine.quiet import quiet
from adapter_serving.transformers_engine.tokens import Tokens

__all__ = ["CONFIG", "WEIGHTS", "Recipe", "train_adapter"]

WEIGHTS = "adapter_model.safetensors"
CONFIG = "adapter_config.json"
_Example = tuple[list[int], list[int]]


@dataclass(frozen=True)
class Recipe:
    """How an adapter is trained. ``rank`` 8 on all linear layers is 4.9 MB in bf16."""

    rank: int = 8
    alpha: int = 16
    epochs: int = 1
    batch: int = 8
    learning_rate: float = 1e-3
    warmup: int = 30
    seed: int = 7
    threads: int = 1


def train_adapter(
    base_dir: Path,
    output: Path,
    examples: Sequence[tuple[str, str]],
    recipe: Recipe,
    progress: Callable[[int, int, float], None],
) -> None:
    """Train on (prompt, sentence) pairs and write the adapter's files to ``output``.

    ``progress`` is told the step, the number of steps and the running loss. The same arguments on the same machine
    give the same weights.
    """
    torch.manual_seed(recipe.seed)
    torch.set_num_threads(recipe.threads)
    tokens = Tokens(base_dir)
    rows = [(tokens.prompt(prompt), tokens.sentence(sentence)) for prompt, sentence in examples]
    config = LoraConfig(
        r=recipe.rank, lora_alpha=recipe.alpha, lora_dropout=0.0, target_modules="all-linear", task_type="CAUSAL_LM"
    )
    with quiet():
        base = AutoModelForCausalLM.from_pretrained(base_dir, dtype=torch.float32, local_files_only=True)
        model = get_peft_model(base, config)
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimiser = torch.optim.AdamW(trained, lr=recipe.learning_rate, weight_decay=0.0)
    batches = list(_batches(rows, recipe))
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: _rate(step, recipe.warmup, len(batches)))
    model.train()
    running = 0.0
    for step, batch in enumerate(batches, start=1):
        loss = _loss(base, batch, tokens.end)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimiser.step()
        schedule.step()
        optimiser.zero_grad(set_to_none=True)
        running = loss.item() if step == 1 else 0.95 * running + 0.05 * loss.item()
        progress(step, len(batches), running)
    _save(model, output)


def _save(model: PeftModel, output: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder)
        weights, config = load_file(Path(folder) / WEIGHTS), json.loads((Path(folder) / CONFIG).read_text())
    output.mkdir(parents=True, exist_ok=True)
    halved = {name: tensor.to(torch.bfloat16).contiguous() for name, tensor in weights.items()}
    save_file(halved, output / WEIGHTS, metadata={"format": "pt"})
    # The base is named by its digest in the manifest; where it lay on the training machine is nobody's business.
    config["base_model_name_or_path"] = None
    # peft keeps a set; in order, the same training makes the same bytes.
    config["target_modules"] = sorted(config["target_modules"])
    (output / CONFIG).write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")


def _batches(rows: Sequence[_Example], recipe: Recipe) -> Iterator[list[_Example]]:
    # Rows of like length share a batch, so that little of it is padding; the order of batches is random.
    rng = random.Random(recipe.seed)  # noqa: S311  shuffling
    for _ in range(recipe.epochs):
        order = list(rows)
        rng.shuffle(order)
        batches = []
        for start in range(0, len(order), recipe.batch * 32):
            window = sorted(order[start : start + recipe.batch * 32], key=lambda row: len(row[0]) + len(row[1]))
            batches += [window[at : at + recipe.batch] for at in range(0, len(window), recipe.batch)]
        rng.shuffle(batches)
        yield from batches


def _loss(base: Any, batch: Sequence[_Example], pad: int) -> torch.Tensor:
    width = max(len(prompt) + len(answer) for prompt, answer in batch)
    ids = torch.full((len(batch), width), pad)
    mask = torch.zeros((len(batch), width), dtype=torch.long)
    where: list[int] = []
    wanted: list[int] = []
    for row, (prompt, answer) in enumerate(batch):
        length = len(prompt) + len(answer)
        ids[row, :length] = torch.tensor(prompt + answer)
        mask[row, :length] = 1
        where += [row * width + len(prompt) - 1 + at for at in range(len(answer))]
        wanted += answer
    hidden = base.model(input_ids=ids, attention_mask=mask, use_cache=False).last_hidden_state
    chosen = hidden.reshape(-1, hidden.shape[-1])[torch.tensor(where)]
    logits = functional.linear(chosen, base.get_output_embeddings().weight)
    return functional.cross_entropy(logits.float(), torch.tensor(wanted))


def _rate(step: int, warmup: int, steps: int) -> float:
    if step < warmup:
        return (step + 1) / warmup
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, steps - warmup)))
