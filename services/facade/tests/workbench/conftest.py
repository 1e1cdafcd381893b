"""The clinician of the launch tests, with a document to review."""

import importlib.util
from pathlib import Path

_SPEC = importlib.util.spec_from_file_location("facade_clinician", Path(__file__).parents[1] / "smart" / "conftest.py")
assert _SPEC is not None and _SPEC.loader is not None
_SMART = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(_SMART)

clinician = _SMART.clinician
new_browser = _SMART.new_browser
