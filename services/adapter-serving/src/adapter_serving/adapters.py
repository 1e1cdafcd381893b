"""The adapters that can be served: folders with weights and a manifest, refused when anything does not match."""

import logging
import tomllib
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError
from service_contracts.drafts import ModelIdentity
from service_runtime.log import LogCode, log

from adapter_serving.base_model import BaseModelFiles
from adapter_serving.digests import digest_of_files
from adapter_serving.manifest import ADAPTER_FILES, Manifest
from adapter_serving.template import Template

__all__ = ["Adapter", "AdapterError", "AdapterRefused", "AdapterUnknown", "Adapters"]

_PROMOTED = "promoted.toml"


class AdapterError(Exception):
    """An adapter cannot draft. ``code`` is what callers are told.

    AdapterError
    ├── AdapterUnknown   no adapter of that name, or none is promoted for the task
    └── AdapterRefused   there is one, but it is not what its manifest says, or not for this base, task or template
    """

    code = "adapter-refused"


class AdapterUnknown(AdapterError):
    """There is no such adapter."""

    code = "adapter-unknown"


class AdapterRefused(AdapterError):
    """A digest, the base, the task or the template does not match."""


@dataclass(frozen=True)
class Adapter:
    """An adapter whose files are what its manifest says."""

    folder: Path
    manifest: Manifest

    def identity(self) -> ModelIdentity:
        """Return what the answer carries."""
        manifest = self.manifest
        return ModelIdentity(
            base=manifest.base,
            base_digest=manifest.base_digest,
            adapter=manifest.adapter,
            adapter_version=manifest.version,
            adapter_digest=manifest.adapter_digest,
            template=manifest.template,
            template_version=manifest.template_version,
        )


class Adapters:
    """The adapters of one folder; every one is checked when it is opened, none is trusted by its name."""

    def __init__(self, folder: Path, base: BaseModelFiles) -> None:
        self._folder = folder
        self._base = base
        self._promoted: dict[str, str] = {}
        if (folder / _PROMOTED).is_file():
            self._promoted = tomllib.loads((folder / _PROMOTED).read_text())["promoted"]

    def promoted(self) -> dict[str, str]:
        """Return the promoted adapter of each task."""
        return dict(self._promoted)

    def open(self, task: str, name: str | None, template: Template) -> Adapter:
        """Return the adapter ``name``, or the promoted one of ``task``; raise ``AdapterError``."""
        wanted = name if name is not None else self._promoted.get(task)
        if wanted is None or wanted not in self._names():
            raise AdapterUnknown("there is no such adapter" if wanted else "no adapter is promoted for this task")
        folder = self._folder / wanted
        try:
            manifest = Manifest.read(folder)
            digest = digest_of_files(folder, ADAPTER_FILES)
        except (OSError, ValidationError):
            raise _refused("the adapter's files cannot be read") from None
        if digest != manifest.adapter_digest or manifest.adapter != wanted:
            raise _refused("the adapter's files are not those of its manifest")
        if manifest.base_digest != self._base.digest:
            raise _refused("the adapter was made for another base model")
        if manifest.task != task:
            raise _refused("the adapter was made for another task")
        if (manifest.template, manifest.template_version) != (template.name, template.version):
            raise _refused("the adapter was made for another template")
        return Adapter(folder, manifest)

    def _names(self) -> set[str]:
        # Names come from the folder, so that a name in a request is never made into a path.
        return {entry.name for entry in self._folder.iterdir() if entry.is_dir()} if self._folder.is_dir() else set()


def _refused(reason: str) -> AdapterRefused:
    log(LogCode.ADAPTER_REFUSED, level=logging.ERROR, reason=reason)
    return AdapterRefused(reason)
