"""Drug names as charts and people write them: what two spellings have in common, and where one stands in a text."""

import re
from functools import lru_cache

__all__ = ["name_parts", "name_pattern", "plain_name", "same_drug_name"]

_BRACKETS = re.compile(r"\[([^\]]+)\]|\(([^)]+)\)")
_STRENGTH = re.compile(
    r"\b\d[\d,.]*(?:\s*/\s*\d[\d,.]*)*\s*(?:mg|mcg|ug|µg|g|ml|iu|units?|unt|meq|%|hr|actuat)(?:/[\w.]+)*\b", re.I
)
_FORM = re.compile(
    r"\b(?:oral|tablets?|tabs?|capsules?|caps?|extended|delayed|immediate|release|er|xr|sr|xl|ec|dr|odt|enteric|coated"
    r"|chewable|solution|suspension|syrup|injectable|injection|prefilled|syringe|pen|inhaler|inhalation|metered|dose"
    r"|powder|spray|nasal|topical|cream|ointment|gel|patch|transdermal|system|ophthalmic|otic|drops?|pack|product"
    r"|disintegrating|film|kit|hfa|diskus|respimat|handihaler)\b",
    re.I,
)
# Salts and hydrates do not make another drug. Never stripped from the front: sodium bicarbonate, potassium chloride.
_SALT = re.compile(
    r"(?<=\w)\s+(?:hydrochloride|hcl|hydrobromide|sodium|potassium|calcium|magnesium|succinate|tartrate|bitartrate"
    r"|maleate"
    r"|besylate|mesylate|tosylate|fumarate|acetate|sulfate|sulphate|phosphate|citrate|bromide|nitrate|gluconate|lactate"
    r"|dihydrate|monohydrate|trihydrate|anhydrous|etexilate|medoxomil|cilexetil|axetil|proxetil|xinafoate|propionate"
    r"|furoate|disodium|dipropionate|valerate|palmitate|decanoate|pamoate|oxalate|mononitrate|dinitrate)\b",
    re.I,
)
_SEPARATOR = re.compile(r"\s*(?:/|\+|,|;|\band\b|\bwith\b|(?<=[a-z]{5})-(?=[a-z]{5}))\s*", re.I)


@lru_cache(maxsize=16384)
def plain_name(name: str) -> str:
    """Return the name without strengths, forms and brackets: what a patient calls the drug, lower case."""
    text = _FORM.sub(" ", _STRENGTH.sub(" ", _BRACKETS.sub(" ", name)))
    text = re.sub(r"\b\d+(?:\.\d+)?\b(?!-)", " ", text)
    return re.sub(r"\s+", " ", text).strip(" ,;:.-/").lower() or name.strip().lower()


@lru_cache(maxsize=4096)
def name_parts(name: str) -> tuple[str, ...]:
    """Return the ingredient-like parts of a name in the order written, without salts."""
    parts = (_SALT.sub("", part).strip(" .-") for part in _SEPARATOR.split(plain_name(name)))
    return tuple(part for part in parts if part)


@lru_cache(maxsize=4096)
def _also_called(name: str) -> tuple[str, ...]:
    words = (match[1] or match[2] for match in _BRACKETS.finditer(name))
    return tuple(word.strip().lower() for word in words if re.fullmatch(r"[A-Za-z][\w' -]+", word.strip()))


@lru_cache(maxsize=16384)
def same_drug_name(a: str, b: str) -> bool:
    """Whether two names are the same by their letters alone: same parts in any order, or one the other's brand."""
    first, second = set(name_parts(a)), set(name_parts(b))
    if not first or not second:
        return False
    if first == second:
        return True
    brands_a, brands_b = set(_also_called(a)), set(_also_called(b))
    return bool((brands_a & (second | brands_b)) or (brands_b & first))


@lru_cache(maxsize=4096)
def name_pattern(name: str) -> re.Pattern[str]:
    """Return a pattern that finds ``name`` in a sentence however its parts are joined, or by its brand."""
    joints = r"\s*(?:/|\+|-|,|\band\b|\bwith\b)\s*"
    whole = joints.join(_words(part) + rf"(?:{_SALT.pattern})?" for part in name_parts(name)) or r"(?!)"
    options = [_words(plain_name(name)), whole, *(_words(brand) for brand in _also_called(name))]
    return re.compile(rf"(?<![\w-])(?:{'|'.join(options)})(?![\w-])", re.I)


def _words(text: str) -> str:
    return r"\s+".join(re.escape(word) for word in text.split())
