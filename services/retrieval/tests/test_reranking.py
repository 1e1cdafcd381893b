"""The second reading: how its model is trained, what it refuses to read, and that it stops when the time is short."""

import asyncio
import json
import random
import shutil
import time

import numpy as np
import pytest
from retrieval.cross_encoder_data import Claim, claims, corpus, title_groups, training_groups
from retrieval.meaning import load_reranker
from retrieval.reranker_command import train_reranker
from retrieval.reranker_folder import MANIFEST, check_folder, seal_folder
from retrieval.reranking import READ_AGAIN, RerankerRefused, Training, TrainingGroup, reranked
from retrieval.service import RetrievalService
from retrieval.transformers_engine import train_cross_encoder
from safetensors.numpy import load_file
from service_contracts.evidence import Passage, PassageQuery, Source
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

WORDS = ["kidney", "heart", "sleep", "liver", "bone", "lung", "fails", "heals", "shown", "not", "said", "of", "the"]
QUICK = Training(epochs=6, learning_rate=3e-3, groups_a_step=8, frozen_layers=0)


@pytest.fixture(scope="module")
def small_encoder(tmp_path_factory):
    """A sentence encoder as small as can be: of the same kind as the real one, with chance for weights."""
    import torch

    folder = tmp_path_factory.mktemp("encoder") / "encoder"
    marks = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    tokenizer = Tokenizer(models.WordLevel({word: n for n, word in enumerate([*marks, *WORDS])}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    names = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, **names).save_pretrained(folder)
    torch.manual_seed(1)
    size = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
    no_chance = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    BertModel(BertConfig(vocab_size=len(marks) + len(WORDS), **size, **no_chance)).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def groups():
    """Questions whose relevant passage is the one in which it is shown."""
    chance = random.Random(5)

    def text(last):
        return f"the {chance.choice(WORDS[:6])} {chance.choice(WORDS[6:8])} {last}"

    return [TrainingGroup("the kidney fails", (text("shown"), text("said"), text("not said"))) for _ in range(48)]


@pytest.fixture(scope="module")
def trained(small_encoder, groups, tmp_path_factory):
    """A trained cross-encoder and the losses of its steps."""
    folder, losses = tmp_path_factory.mktemp("trained") / "reranker", []
    train_cross_encoder(small_encoder, groups, folder, QUICK, losses.append)
    seal_folder(folder, 0.5, {"groups": len(groups)})
    return folder, losses


def test_training_lowers_the_loss_and_finds_the_relevant_passage(trained):
    folder, losses = trained
    assert sum(losses[-6:]) < 0.5 * sum(losses[:6])
    assert load_reranker(folder).weight == 0.5
    shown, said = load_reranker(folder).scores("the heart heals", ["the bone fails shown", "the bone fails said"])
    assert shown > said


def test_the_same_seed_makes_the_same_bytes(small_encoder, groups, trained, tmp_path):
    def weights(folder, seed):
        train_cross_encoder(small_encoder, groups, folder, Training(6, 3e-3, 8, frozen_layers=0, seed=seed))
        return (folder / "model.safetensors").read_bytes()

    first = (trained[0] / "model.safetensors").read_bytes()
    assert weights(tmp_path / "again", QUICK.seed) == first
    assert weights(tmp_path / "other", 8) != first


def test_frozen_layers_stay_as_they_were(small_encoder, groups, tmp_path):
    folder = tmp_path / "half"
    train_cross_encoder(small_encoder, groups[:16], folder, Training(1, 3e-3, 8, frozen_layers=1))
    before, after = load_file(small_encoder / "model.safetensors"), load_file(folder / "model.safetensors")
    same = {name for name, rows in before.items() if np.array_equal(rows, after[f"bert.{name}"])}
    layers = {name.split(".")[2] for name in same if name.startswith("encoder")}
    assert layers == {"0"}
    assert {name for name in before if name.startswith("embeddings")} <= same


def lose(name):
    return lambda folder: (folder / name).unlink()


def cut_weights(folder):
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])


def change_one_bit(folder):
    weights = bytearray((folder / "model.safetensors").read_bytes())
    weights[-1] ^= 1
    (folder / "model.safetensors").write_bytes(bytes(weights))


def name_a_file_elsewhere(folder):
    made = json.loads((folder / MANIFEST).read_text())
    made["files"]["../model.safetensors"] = made["files"]["model.safetensors"]
    (folder / MANIFEST).write_text(json.dumps(made))


@pytest.mark.parametrize(
    ("break_it", "why"),
    [
        (shutil.rmtree, "training.json cannot be read"),
        (lose(MANIFEST), "training.json cannot be read"),
        (lambda folder: (folder / MANIFEST).write_text("{"), "training.json is damaged"),
        (lambda folder: (folder / MANIFEST).write_text('{"files": 1}'), "training.json is damaged"),
        (lambda folder: (folder / MANIFEST).write_text('{"files": {}}'), "training.json is damaged"),
        (lambda folder: (folder / MANIFEST).write_text('{"files": {}, "weight": 1}'), "does not name config.json"),
        (lose("model.safetensors"), "model.safetensors cannot be read"),
        (lose("tokenizer.json"), "tokenizer.json cannot be read"),
        (cut_weights, "model.safetensors is not what was written"),
        (change_one_bit, "model.safetensors is not what was written"),
        (name_a_file_elsewhere, "names what is not in its folder"),
    ],
)
def test_a_broken_folder_is_refused_with_what_is_wrong(trained, tmp_path, break_it, why):
    folder = shutil.copytree(trained[0], tmp_path / "reranker")
    check_folder(folder)
    break_it(folder)
    with pytest.raises(RerankerRefused, match=why):
        load_reranker(folder)


def test_a_sentence_encoder_is_no_cross_encoder(small_encoder):
    with pytest.raises(RerankerRefused):
        load_reranker(small_encoder)


def passages(count):
    source = Source(title="T", publisher="P", identifier="1", version="1", section="")
    return [Passage(id=str(n), text=f"passage {n}", source=source, score=1 / (n + 1)) for n in range(count)]


class Backwards:
    """Likes the later passages better, and takes its time."""

    name = "backwards"

    def __init__(self, takes_s=0.0, weight=1.0):
        self.read, self.weight = [], weight
        self._takes_s = takes_s

    def scores(self, question, texts):
        time.sleep(self._takes_s)
        self.read += texts
        return [float(text.rsplit(" ", 1)[1]) for text in texts]


def test_a_reading_that_ends_half_way_changes_nothing():
    reranker, asked = Backwards(), iter([False, False, True])
    found = reranked("q", passages(30), reranker, 10, lambda: next(asked))
    assert [one.id for one in found] == [str(n) for n in range(10)]
    assert 0 < len(reranker.read) < READ_AGAIN


def test_only_the_best_are_read_again_and_neither_order_alone_decides():
    reranker = Backwards()
    found = [one.id for one in reranked("q", passages(30), reranker, 30)]
    assert len(reranker.read) == READ_AGAIN
    assert sorted(found[:READ_AGAIN], key=int) == [str(n) for n in range(READ_AGAIN)]
    assert found[:READ_AGAIN] not in ([str(n) for n in range(READ_AGAIN)], [str(n) for n in range(READ_AGAIN)][::-1])
    assert found[READ_AGAIN:] == [str(n) for n in range(READ_AGAIN, 30)]


@pytest.mark.parametrize(("weight", "first"), [(0.0, "0"), (100.0, "19")])
def test_the_weight_says_how_much_the_second_order_counts(weight, first):
    assert reranked("q", passages(30), Backwards(weight=weight), 5)[0].id == first


class Ready:
    """An index that finds the same passages at once."""

    async def passages(self, query):
        return passages(query.limit)


@pytest.mark.parametrize(("budget_ms", "read_whole"), [(250, False), (20_000, True)])
async def test_the_budget_of_a_query_ends_the_second_reading_and_not_the_answer(budget_ms, read_whole):
    async def never():
        raise AssertionError

    service = RetrievalService(never, refresh_every_s=60)
    service._index, service.reranker = Ready(), Backwards(takes_s=0.12)
    async with asyncio.timeout(15):
        found = await service.passages_for(PassageQuery(text="q", limit=5, budget_ms=budget_ms))
    assert ([one.id for one in found] != [str(n) for n in range(5)]) is read_whole


DOCUMENTS = {str(n): (f"title {n}", f"abstract {n}") for n in range(40)}


async def test_groups_hold_the_relevant_document_first_and_never_among_the_others():
    async def search(text, limit):
        return list(DOCUMENTS)[:limit]

    questions = [Claim("a", "claim a", frozenset({"3"})), Claim("b", "claim b", frozenset({"1", "30"}))]
    made = await training_groups(questions, DOCUMENTS, search, seed=1)
    assert [(one.question, one.texts[0]) for one in made] == [
        ("claim a", "title 3. abstract 3"),
        ("claim b", "title 1. abstract 1"),
        ("claim b", "title 30. abstract 30"),
    ]
    assert not {"title 1. abstract 1", "title 30. abstract 30"} & {text for one in made[1:] for text in one.texts[1:]}
    assert made == await training_groups(questions, DOCUMENTS, search, seed=1)
    assert made != await training_groups(questions, DOCUMENTS, search, seed=2)


async def test_titles_ask_for_their_texts_and_those_that_claims_cite_are_left_alone():
    documents = {one: (f"Title {one}.", f"text {one} " * 40) for one in map(str, range(30))} | {"short": ("T", "x")}

    async def search(text, limit):
        return list(documents)[:limit]

    made = await title_groups(documents, frozenset({"1", "2"}), search, count=100, seed=1)
    asked = {one.question for one in made}
    assert len(made) == 28
    assert asked == {f"Title {one}" for one in range(30)} - {"Title 1", "Title 2"}
    for one in made:
        number = one.question.removeprefix("Title ")
        assert one.texts[0] == documents[number][1]
        assert one.texts[0] not in one.texts[1:]
        assert not any("Title" in text for text in one.texts)
    assert len(await title_groups(documents, frozenset(), search, count=4, seed=1)) == 4


def test_the_command_trains_from_files_and_writes_a_folder_that_is_read(small_encoder, tmp_path, monkeypatch):
    corpus_file, claims_file = tmp_path / "corpus.csv", tmp_path / "claims.csv"
    rows = [f"""{n},"The {word}","['The {word} fails, it is shown.' 'Not of ""{word}"".']",False""" for n, word in
            enumerate(WORDS[:6])]  # fmt: skip
    corpus_file.write_text("\n".join(["doc_id,title,abstract,structured", *rows]))
    claims_file.write_text(
        "id,claim,evidence_doc_id,evidence_label,evidence_sentences,cited_doc_ids\n"
        "1,The kidney fails.,0,SUPPORT,[0],[0]\n1,The kidney fails.,1,SUPPORT,[0],[0]\n2,Heart heals.,,,[],[1 4]\n"
    )
    assert corpus(corpus_file)["0"] == ("The kidney", 'The kidney fails, it is shown. Not of "kidney".')
    assert claims(claims_file)[1] == Claim("2", "Heart heals.", frozenset({"1", "4"}))
    monkeypatch.setenv("PRECEPTOR_RETRIEVAL_INDEX_DIR", str(tmp_path / "index"))
    monkeypatch.setenv("PRECEPTOR_RETRIEVAL_ENCODER_DIR", str(small_encoder))
    output = tmp_path / "out" / "reranker"
    for _ in range(2):  # the second time over what is there
        train_reranker(corpus_file, claims_file, output, epochs=1, titles=4, threads=1, seed=3)
    assert len(load_reranker(output).scores("kidney", ["The kidney fails.", "Bone."])) == 2
    made = json.loads((output / MANIFEST).read_text())
    assert made["groups"] == 3
    assert made["training"]["seed"] == 3
    assert [path.name for path in output.parent.iterdir()] == ["reranker"]
