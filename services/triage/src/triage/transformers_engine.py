"""Training of the adapter over the shared encoder, in torch; serving reads what it leaves in numpy."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from triage.network import LEVELS, Network

__all__ = ["Batch", "Recipe", "fit_network"]

Array = NDArray[np.float32]


@dataclass(frozen=True)
class Recipe:
    """How the adapter is trained; the weights of the losses make rare outcomes count."""

    epochs: int = 14
    batch: int = 1024
    learning_rate: float = 2e-3
    weight_decay: float = 1e-2
    projection: int = 64
    hidden: int = 192
    dropout: float = 0.2
    critical_weight: float = 4.0
    hospitalisation_weight: float = 1.5
    seed: int = 20
    threads: int = 1


@dataclass(frozen=True)
class Batch:
    """What the network learns from, one visit a row.

    ``phrases`` are numbers of ``vectors`` (whose last row is zero and stands for no phrase); ``level`` is 0 to 4, or
    -1 where none was recorded.
    """

    phrases: NDArray[np.int64]
    level: NDArray[np.int64]
    critical: Array
    hospitalisation: Array


class _Net(nn.Module):
    def __init__(self, numbers: int, width: int, recipe: Recipe) -> None:
        super().__init__()
        self.first = nn.Linear(width, recipe.projection)
        self.every = nn.Linear(width, recipe.projection)
        self.hidden1 = nn.Linear(numbers + 3 * recipe.projection, recipe.hidden)
        self.hidden2 = nn.Linear(recipe.hidden, recipe.hidden)
        self.out = nn.Linear(recipe.hidden, LEVELS + 2)
        self._dropout = nn.Dropout(recipe.dropout)

    def forward(self, numbers: torch.Tensor, table: torch.Tensor, phrases: torch.Tensor) -> torch.Tensor:
        # The table of phrases is shorter than a batch has phrases, so it is projected and then looked up.
        first = _gelu(self.first(table))[phrases[:, 0]]
        given = (phrases != len(table) - 1).float()
        every = _gelu(self.every(table))[phrases] * given.unsqueeze(-1)
        x = torch.cat([numbers, first, every.sum(1), every.amax(1).clamp(min=0)], 1)
        x = self._dropout(_gelu(self.hidden1(x)))
        x = self._dropout(_gelu(self.hidden2(x)))
        result: torch.Tensor = self.out(x)
        return result


def fit_network(
    batch: Batch,
    vectors: Array,
    numbers_of: Callable[[int], Array],
    vary: Callable[[int], NDArray[np.int64]],
    recipe: Recipe,
    progress: Callable[[int, int, float], None],
) -> dict[str, Array]:
    """Return the tensors of ``Network``.

    ``numbers_of`` and ``vary`` give, for an epoch, the numbers and the phrases with some of them hidden, so that the
    network learns what to make of an input that is missing. The same arguments on the same machine and number of
    threads give the same weights.
    """
    torch.manual_seed(recipe.seed)
    torch.set_num_threads(recipe.threads)
    torch.use_deterministic_algorithms(True)
    shuffle = np.random.default_rng(recipe.seed)
    count = len(batch.level)
    steps_of_epoch = max(1, count // recipe.batch)
    numbers = numbers_of(0)
    net = _Net(numbers.shape[1], vectors.shape[1], recipe)
    optimizer = torch.optim.AdamW(net.parameters(), recipe.learning_rate, weight_decay=recipe.weight_decay)
    steps = recipe.epochs * steps_of_epoch
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, recipe.learning_rate, steps, pct_start=0.1)
    table = torch.from_numpy(vectors)
    level, critical, hospitalisation = (
        torch.from_numpy(one) for one in (batch.level, batch.critical, batch.hospitalisation)
    )
    net.train()
    for epoch in range(recipe.epochs):
        x = torch.from_numpy(numbers_of(epoch))
        phrases = torch.from_numpy(vary(epoch))
        order = torch.from_numpy(shuffle.permutation(count))
        running = 0.0
        for step in range(steps_of_epoch):
            rows = order[step * recipe.batch : (step + 1) * recipe.batch]
            out = net(x[rows], table, phrases[rows])
            loss = _loss(out, level[rows], critical[rows], hospitalisation[rows], recipe)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
            running += float(loss.detach())
        progress(epoch + 1, recipe.epochs, running / steps_of_epoch)
    tensors = {name: value.detach().numpy().copy() for name, value in net.state_dict().items()}
    return {name: tensors[name] for one in Network.TENSORS for name in (f"{one}.weight", f"{one}.bias")}


def _loss(
    out: torch.Tensor, level: torch.Tensor, critical: torch.Tensor, hospitalisation: torch.Tensor, recipe: Recipe
) -> torch.Tensor:
    levels = functional.cross_entropy(out[:, :LEVELS], level, ignore_index=-1)
    on_critical = functional.binary_cross_entropy_with_logits(out[:, LEVELS], critical)
    on_stay = functional.binary_cross_entropy_with_logits(out[:, LEVELS + 1], hospitalisation)
    return levels + recipe.critical_weight * on_critical + recipe.hospitalisation_weight * on_stay


def _gelu(x: torch.Tensor) -> torch.Tensor:
    return functional.gelu(x, approximate="tanh")
