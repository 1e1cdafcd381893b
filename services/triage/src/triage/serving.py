"""Opening the model that is served: its files, its encoder, and the phrases worth knowing before the first patient."""

import json
import logging
import tomllib
from importlib.resources import files
from pathlib import Path

from service_contracts.triage import SourceAttributes, TriageModel
from service_runtime.log import LogCode, log

from triage.assess import Served
from triage.complaints import Complaints
from triage.encoder import EncoderRefused, NumpyEncoder, RememberingEncoder
from triage.floor import Floor
from triage.manifest import REPORT, Manifest
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
        about = _about(opened.manifest, settings.model_dir, floor)
    except (EncoderRefused, ModelRefused) as error:
        log(LogCode.ADAPTER_REFUSED, level=logging.ERROR, reason=str(error))
        return None
    encoder.encode(_frequent())
    return Served(opened, about.model, about)


def _about(manifest: Manifest, folder: Path, floor: Floor) -> SourceAttributes:
    """Return what is told of the model; raise ``ModelRefused``."""
    identity = TriageModel(
        name=manifest.name,
        version=manifest.version,
        digest=manifest.digest,
        adapter_digest=manifest.adapter_digest,
        encoder=manifest.encoder,
        encoder_digest=manifest.encoder_digest,
        floor_digest=floor.digest,
    )
    try:
        report = json.loads((folder / REPORT).read_text())
        if report["model"] != manifest.digest:
            raise ModelRefused("the report beside the model is another model's")
        return SourceAttributes(
            intervention="triage",
            title="Emergency triage: level and risks at arrival",
            model=identity,
            attributes=source_attributes(manifest, report),
            data_notice=manifest.trained_on.notice,
            card=model_card(manifest, report),
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise ModelRefused("the report beside the model cannot be read") from None


def _frequent() -> list[str]:
    """What abbreviations are read as: frequent by nature, and encoded before anybody waits for it."""
    words: dict[str, str] = tomllib.loads(files("triage").joinpath("data", "abbreviations.toml").read_text("utf-8"))[
        "words"
    ]
    complaints = Complaints()
    return sorted({phrase for word in words for phrase in complaints.read([word])})
