"""Writes rows with a merged adapter: guesses are verified many tokens at a time, the rest is decoded in one batch."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
from peft import PeftModel
from torch import Tensor
from torch.nn import functional
from transformers import AutoModelForCausalLM, DynamicCache

from adapter_serving.engine import Row, Written
from adapter_serving.transformers_engine.quiet import quiet
from adapter_serving.transformers_engine.tokens import Tokens

__all__ = ["TransformersEngine"]

_LOOKED_AHEAD = 8


@dataclass
class _State:
    """One row while it is written: its tokens, those not yet fed, and those guessed to follow them."""

    row: Row
    prompt: list[int]
    guess: list[int]
    written: list[int] = field(default_factory=list)
    unfed: list[int] = field(default_factory=list)
    ahead: list[int] = field(default_factory=list)
    done: bool = False

    @property
    def feed(self) -> list[int]:
        return self.unfed + self.ahead


class TransformersEngine:
    """See ``Engine``. Greedy: every token is the model's own first choice; a guess only says what to try at once."""

    def __init__(
        self,
        base_dir: Path,
        adapter_dir: Path | None,
        *,
        threads: int = 1,
        weights: Literal["float32", "bfloat16"] = "float32",
        max_prompt_tokens: int = 192,
        max_sentence_tokens: int = 64,
    ) -> None:
        torch.set_num_threads(threads)
        self._tokens = Tokens(base_dir)
        self._max_prompt = max_prompt_tokens
        self._max_sentence = max_sentence_tokens
        with quiet():
            model: Any = AutoModelForCausalLM.from_pretrained(base_dir, dtype=torch.float32, local_files_only=True)
            if adapter_dir is not None:
                # Merged in float32: an adapter that is not merged makes every pass half as long again.
                model = PeftModel.from_pretrained(model, str(adapter_dir), autocast_adapter_dtype=False)
                model = model.merge_and_unload()
        model = model.to(getattr(torch, weights)).eval()
        self._body = model.model
        self._head: Tensor = model.get_output_embeddings().weight.detach()

    def size(self, row: Row) -> int:
        """See ``Engine.size``."""
        return len(self._tokens.prompt(row.prompt)) + len(self._tokens.sentence(row.guess) if row.guess else ())

    @torch.inference_mode()
    def write(self, rows: Sequence[Row], stop: Callable[[], bool]) -> Iterator[Written]:
        """See ``Engine.write``."""
        active = []
        for row in rows:
            state = self._begin(row)
            if len(state.prompt) > self._max_prompt:
                yield Written(row.key, "", False, len(state.prompt), 0)
            else:
                active.append(state)
        cache, mask = DynamicCache(), torch.zeros((len(active), 0), dtype=torch.long)
        while active and not stop():
            mask = self._pass(active, cache, mask)
            keep = [at for at, state in enumerate(active) if not state.done]
            yield from (self._result(state) for state in active if state.done)
            if len(keep) < len(active):
                active = [active[at] for at in keep]
                chosen = torch.tensor(keep, dtype=torch.long)
                if active:
                    cache.batch_select_indices(chosen)
                mask = mask[chosen]

    def _begin(self, row: Row) -> _State:
        prompt = self._tokens.prompt(row.prompt)
        guess = self._tokens.sentence(row.guess)[: self._max_sentence] if row.guess else []
        return _State(row, prompt, guess, unfed=list(prompt), ahead=list(guess))

    def _pass(self, states: Sequence[_State], cache: DynamicCache, mask: Tensor) -> Tensor:
        """Feed every row what it has, choose its next tokens, and return the mask of cached tokens that are true."""
        width = max(len(state.feed) for state in states)
        ids = torch.full((len(states), width), self._tokens.end)
        new = torch.zeros((len(states), width), dtype=torch.long)
        for at, state in enumerate(states):
            ids[at, width - len(state.feed) :] = torch.tensor(state.feed)
            new[at, width - len(state.feed) :] = 1
        seen = mask.sum(dim=1, keepdim=True)
        positions = (seen + new.cumsum(dim=1) - 1).clamp(min=0)
        whole = torch.cat([mask, new], dim=1)
        hidden = self._body(
            input_ids=ids, attention_mask=whole, position_ids=positions, cache=cache, use_cache=True
        ).last_hidden_state
        # The head is a fifth of the model: it is computed only where a token has to be chosen, and on two dimensions,
        # because with three torch copies its weight on every call.
        chosen = torch.cat([hidden[at, width - 1 - len(state.ahead) :] for at, state in enumerate(states)])
        choices = functional.linear(chosen, self._head).argmax(dim=-1).tolist()
        start = 0
        for at, state in enumerate(states):
            count = len(state.ahead) + 1
            rejected = self._accept(state, choices[start : start + count])
            start += count
            if rejected:
                whole[at, -rejected:] = 0
        return whole

    def _accept(self, state: _State, choices: list[int]) -> int:
        """Take the guessed tokens that the model chose too, then its own next one; return how many were wrong."""
        right = 0
        while right < len(state.ahead) and state.ahead[right] == choices[right]:
            right += 1
        wrong = len(state.ahead) - right
        taken = [*state.ahead[:right], choices[right]]
        if self._tokens.end in taken:
            state.written += taken[: taken.index(self._tokens.end) + 1]
            state.done = True
            return wrong
        state.written += taken
        state.done = len(state.written) >= self._max_sentence
        state.unfed = [taken[-1]]
        state.ahead = _continuation(state)[: self._max_sentence - len(state.written)]
        return wrong

    def _result(self, state: _State) -> Written:
        whole = bool(state.written) and state.written[-1] == self._tokens.end
        text = self._tokens.text(state.written)
        return Written(state.row.key, text, whole and bool(text), len(state.prompt), len(state.written))


def _continuation(state: _State) -> list[int]:
    """Look the last two tokens up in the guess, then in the prompt: what followed there may follow here."""
    tail = (state.prompt + state.written)[-2:]
    for source in (state.guess, state.prompt):
        for at in range(len(source) - 2, 0, -1):
            if source[at - 1 : at + 1] == tail:
                return source[at + 1 : at + 1 + _LOOKED_AHEAD]
    return []
