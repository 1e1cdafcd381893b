"""The network in numpy is the one that torch trained, and the encoder in numpy is the one of transformers."""

from pathlib import Path

import numpy as np
import pytest
from triage.encoder import NumpyEncoder, RememberingEncoder
from triage.features import MEASURED, NAMES, Encoding, raw_row
from triage.network import Network
from triage.transformers_engine import Batch, Recipe, fit_network

from .conftest import intake

RECIPE = Recipe(epochs=2, batch=16, projection=4, hidden=8)


def _fitted(seed: int = 1) -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray, np.ndarray]:
    draws = np.random.default_rng(3)
    numbers = draws.normal(size=(64, 6)).astype(np.float32)
    vectors = np.vstack([draws.normal(size=(9, 5)), np.zeros((1, 5))]).astype(np.float32)
    phrases = draws.integers(0, 10, (64, 5))
    level = draws.integers(-1, 5, 64)
    batch = Batch(phrases, level, (level == 0).astype(np.float32), (level <= 1).astype(np.float32))
    recipe = Recipe(**{**vars(RECIPE), "seed": seed})
    tensors = fit_network(batch, vectors, lambda _: numbers, lambda _: phrases, recipe, lambda *_: None)
    return tensors, numbers, vectors, phrases


def test_numpy_computes_what_torch_learnt() -> None:
    import torch
    from triage.transformers_engine import _Net

    tensors, numbers, vectors, phrases = _fitted()
    net = _Net(6, 5, RECIPE).eval()
    net.load_state_dict({name: torch.from_numpy(value) for name, value in tensors.items()})
    with torch.inference_mode():
        wanted = net(torch.from_numpy(numbers), torch.from_numpy(vectors), torch.from_numpy(phrases)).numpy()
    network = Network(tensors)
    # The first phrase may be missing while later ones are there only in this test; a patient's are in order.
    rows = [row for row in range(64) if 9 not in phrases[row][: int((phrases[row] != 9).sum())]]
    assert len(rows) > 20
    complaints = [network.complaint(vectors[[one for one in phrases[row] if one != 9]]) for row in rows]
    found = network(numbers[rows], complaints)
    np.testing.assert_allclose(found.level, wanted[rows, :5], atol=1e-5)
    np.testing.assert_allclose(found.critical, wanted[rows, 5], atol=1e-5)
    np.testing.assert_allclose(found.hospitalisation, wanted[rows, 6], atol=1e-5)


def test_the_same_seed_gives_the_same_weights_and_another_does_not() -> None:
    first, again, other = _fitted()[0], _fitted()[0], _fitted(seed=2)[0]
    assert all(np.array_equal(first[name], again[name]) for name in first)
    assert any(not np.array_equal(first[name], other[name]) for name in first)


def test_tensors_of_another_version_are_refused() -> None:
    tensors = _fitted()[0]
    with pytest.raises(ValueError, match="not those of this version"):
        Network({**tensors, "extra.weight": np.zeros((1, 1), np.float32)})


def test_a_missing_value_is_its_own_state_and_no_guess() -> None:
    rows = np.array([raw_row(intake(years=years, vitals={"pulse": years})) for years in range(20, 90)], np.float32)
    encoding = Encoding.fit(rows, pieces=4)
    known, unknown = encoding([raw_row(intake(vitals={"pulse": 50})), raw_row(intake())])
    assert len(known) == len(unknown)
    marks = len(NAMES) - 20
    assert known[-marks:][MEASURED.index("pulse")] == 0
    assert unknown[-marks:][MEASURED.index("pulse")] == 1
    assert np.isfinite(unknown).all()


def test_the_encoder_in_numpy_agrees_with_transformers(encoder_dir: Path) -> None:
    import torch
    from transformers import AutoModel, AutoTokenizer

    phrases = ["chest pain", "shortness of breath", "fell from a ladder and hit head", "x"]
    tokenizer = AutoTokenizer.from_pretrained(encoder_dir, local_files_only=True)
    model = AutoModel.from_pretrained(encoder_dir, local_files_only=True).eval()
    found = NumpyEncoder(encoder_dir).encode(phrases)
    for row, phrase in zip(found, phrases, strict=True):
        with torch.inference_mode():
            hidden = model(**tokenizer(phrase, return_tensors="pt")).last_hidden_state[0].mean(0)
        wanted = torch.nn.functional.normalize(hidden, dim=0).numpy()
        assert np.abs(row - wanted).max() < 0.001
        assert row @ wanted > 0.99999


def test_the_latest_phrases_are_remembered_and_no_more() -> None:
    class Counting:
        name, digest, width = "a", "b", 2
        asked: list[str] = []  # noqa: RUF012

        def encode(self, phrases: list[str]) -> np.ndarray:
            self.asked += phrases
            return np.ones((len(phrases), 2), np.float32)

    counting = Counting()
    encoder = RememberingEncoder(counting, most=2)
    for phrase in ("one", "two", "one", "three", "one", "two"):
        encoder.encode([phrase])
    assert counting.asked == ["one", "two", "three", "two"]
    assert encoder.encode([]).shape == (0, 2)
