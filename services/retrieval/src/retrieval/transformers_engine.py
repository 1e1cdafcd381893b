"""What runs on transformers: the sentence encoder, and the cross-encoder that reads question and passage together."""

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import AutoModel, AutoModelForSequenceClassification, AutoTokenizer

from retrieval.reranking import Training, TrainingGroup

__all__ = ["CrossEncoder", "SentenceEncoder", "train_cross_encoder"]

_MAX_TOKENS = 256
_PAIR_TOKENS, _TRAINED_TOKENS = 128, 96
_WARM_UP = 0.1


class SentenceEncoder:
    """See ``Encoder``: the mean of the last hidden states, as unit vectors.

    One thread and float32: on CPUs without matrix units bfloat16 takes half as long again.
    """

    def __init__(self, folder: Path) -> None:
        torch.set_num_threads(1)
        self._tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        self._model = AutoModel.from_pretrained(folder, local_files_only=True, dtype=torch.float32).eval()
        self._name = f"{folder.name}@sha256:{_digest(folder)}"

    @property
    def name(self) -> str:
        """See ``Encoder.name``."""
        return self._name

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """See ``Encoder.encode``."""
        batch = self._tokenizer(list(texts), padding=True, truncation=True, max_length=_MAX_TOKENS, return_tensors="pt")
        with torch.inference_mode():
            hidden = self._model(**batch).last_hidden_state.float()
        mask = batch["attention_mask"].unsqueeze(-1).float()
        vectors = torch.nn.functional.normalize((hidden * mask).sum(1) / mask.sum(1), dim=1)
        found: NDArray[np.float32] = vectors.numpy()
        return found


class CrossEncoder:
    """See ``Reranker``."""

    def __init__(self, folder: Path, weight: float) -> None:
        torch.set_num_threads(1)
        self._tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        self._model = AutoModelForSequenceClassification.from_pretrained(folder, local_files_only=True).float().eval()
        self._weight = weight
        self._name = f"{folder.name}@sha256:{_digest(folder)}"

    @property
    def weight(self) -> float:
        """See ``Reranker.weight``."""
        return self._weight

    @property
    def name(self) -> str:
        """See ``Reranker.name``."""
        return self._name

    def scores(self, question: str, texts: Sequence[str]) -> list[float]:
        """See ``Reranker.scores``."""
        with torch.inference_mode():
            logits = self._model(**_pairs(self._tokenizer, [question] * len(texts), texts)).logits
        return [float(score) for score in logits[:, 0]]


def train_cross_encoder(
    base: Path,
    groups: Sequence[TrainingGroup],
    folder: Path,
    training: Training,
    advance: Callable[[float], None] = lambda _: None,
) -> None:
    """Train a cross-encoder from a sentence encoder and write it; ``advance`` is told the loss of each step.

    Each group is one question: the loss is the cross-entropy of its relevant passage among the others.
    """
    torch.set_num_threads(training.threads)
    torch.manual_seed(training.seed)
    tokenizer = AutoTokenizer.from_pretrained(base, local_files_only=True)
    model = AutoModelForSequenceClassification.from_pretrained(
        base, local_files_only=True, dtype=torch.float32, num_labels=1
    ).train()
    for one in (model.base_model.embeddings, *model.base_model.encoder.layer[: training.frozen_layers]):
        one.requires_grad_(False)
    steps = training.epochs * -(-len(groups) // training.groups_a_step)
    optimizer = torch.optim.AdamW(model.parameters(), lr=training.learning_rate, weight_decay=0.01)
    warm = max(1, int(steps * _WARM_UP))
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min(1.0, (step + 1) / warm) * max(0.0, 1 - step / steps)
    )
    order = np.random.default_rng(training.seed)
    for _ in range(training.epochs):
        shuffled = [groups[place] for place in order.permutation(len(groups))]
        for start in range(0, len(shuffled), training.groups_a_step):
            batch = shuffled[start : start + training.groups_a_step]
            advance(_step(model, tokenizer, optimizer, batch))
            schedule.step()
    model.eval()
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def _step(
    model: torch.nn.Module,
    tokenizer: Callable[..., object],
    optimizer: torch.optim.Optimizer,
    batch: Sequence[TrainingGroup],
) -> float:
    questions = [group.question for group in batch for _ in group.texts]
    texts = [text for group in batch for text in group.texts]
    logits = model(**_pairs(tokenizer, questions, texts, _TRAINED_TOKENS)).logits[:, 0]
    losses, start = [], 0
    for group in batch:
        # The relevant passage stands first.
        own = logits[start : start + len(group.texts)].unsqueeze(0)
        losses.append(torch.nn.functional.cross_entropy(own, torch.zeros(1, dtype=torch.long)))
        start += len(group.texts)
    loss = torch.stack(losses).mean()
    loss.backward()  # type: ignore[no-untyped-call]
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    optimizer.zero_grad()
    return float(loss.detach())


def _pairs(
    tokenizer: Callable[..., object], questions: Sequence[str], texts: Sequence[str], tokens: int = _PAIR_TOKENS
) -> dict[str, torch.Tensor]:
    batch: dict[str, torch.Tensor] = tokenizer(  # type: ignore[assignment]
        list(questions),
        list(texts),
        padding=True,
        truncation="longest_first",
        max_length=tokens,
        return_tensors="pt",
    )
    return batch


def _digest(folder: Path) -> str:
    return hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()[:16]
