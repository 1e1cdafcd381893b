"""Opening the model that is served: its files, its encoder, and the phrases worth knowing before the first patient."""

import json
import logging
import tomllib
from importlib.resources import files

from service_contracts.triage import SourceAttributes, TriageModel
from service_runtime.log import LogCode, log

from triage.assess import Served
from triage.encoder import NumpyEncoder, RememberingEncoder
from triage.floor import Floor
from triage.manifest import REPORT
from triage.model import ModelRefused, TriageModelFiles
from triage.model_card import model_card
from triage.settings import TriageSettings
from triage.source_attributes import source_attributes

__all__ = ["open_model"]


def open_model(settings: TriageSettings, floor: Floor) -> Served | None:
    """Return the model, or None (and say why) when it cannot be served: the floor is answered without it."""
    try:
        encoder = RememberingEncoder(NumpyEncoder(settings.encoder_dir))
        opened = TriageModelFiles(settings.model_dir, encoder)
        report = json.loads((settings.model_dir / REPORT).read_text())
        if report["model"] != opened.manifest.digest:
            raise ModelRefused("the report beside the model is another model's")
    except (ModelRefused, OSError, ValueError, KeyError) as error:
        reason = str(error) if isinstance(error, ModelRefused) else "the encoder cannot be read"
        log(LogCode.ADAPTER_REFUSED, level=logging.ERROR, reason=reason)
        return None
    encoder.encode(_frequent())
    manifest = opened.manifest
    identity = TriageModel(
        name=manifest.name,
        version=manifest.version,
        digest=manifest.digest,
        adapter_digest=manifest.adapter_digest,
        encoder=manifest.encoder,
        encoder_digest=manifest.encoder_digest,
        floor_digest=floor.digest,
    )
    about = SourceAttributes(
        intervention="triage",
        title="Emergency triage: level and risks at arrival",
        model=identity,
        attributes=source_attributes(manifest, report),
        data_notice=manifest.trained_on.notice,
        card=model_card(manifest, report),
    )
    return Served(opened, identity, about)


def _frequent() -> list[str]:
    """What abbreviations are read as: frequent by nature, and encoded before anybody waits for it."""
    words: dict[str, str] = tomllib.loads(files("triage").joinpath("data", "abbreviations.toml").read_text("utf-8"))[
        "words"
    ]
    return sorted(set(words.values()))
