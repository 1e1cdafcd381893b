"""Drug names: what charts, drafts, labels and formularies call a drug, and the ingredients that stand for it."""

import re
from collections.abc import Iterable
from functools import lru_cache
from itertools import chain

from service_contracts.evidence import Subject

from retrieval.documents import DrugName

__all__ = [
    "CLASS_PREFIX",
    "RXNORM",
    "NameTable",
    "brand_words",
    "class_key",
    "combination_class",
    "combined",
    "ingredient_names",
    "spoken_name",
]

CLASS_PREFIX = "class:"
_COMBINED = "product of: "
RXNORM = "http://www.nlm.nih.gov/research/umls/rxnorm"


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_NUMBER = r"\d[\d,.]*"
_UNIT = r"(?:mg|mcg|ug|µg|ng|g|gm|ml|l|iu|unt|units?|meq|mmol|mci|%|hr|h|actuat|vial|bau|amb)"
_STRENGTH = re.compile(
    rf"(?<![\w-]){_NUMBER}(?:\s*[-/]\s*{_NUMBER})*\s*{_UNIT}(?:\s*/\s*(?:{_NUMBER}\s*)?{_UNIT})?(?!\w)", re.I
)
_FORMS = _words(
    """
    oral tablet tablets tab tabs capsule capsules cap caps caplet caplets extended delayed immediate modified
    controlled sustained release er xr xl sr cr dr ec la ir odt enteric coated film chewable orally disintegrating
    solution suspension syrup elixir concentrate injectable injection intravenous subcutaneous intramuscular
    prefilled pre-filled syringe pen cartridge autoinjector auto-injector vial inhaler inhalation inhalant metered
    dose dry powder aerosol spray nasal topical cream ointment lotion gel foam shampoo patch transdermal system
    ophthalmic otic drops drop rectal vaginal suppository enema sublingual buccal lozenge granules packet pack kit
    product pill 12 24 hour hr hfa diskus respimat handihaler ellipta flexpen kwikpen solostar for usp nf
    """
)
# Salts, esters and hydrates of the substances that go by their base's name. Only taken from the end, and never the
# whole name: "potassium chloride" and "sodium bicarbonate" are drugs of their own.
_SALTS = _words(
    """
    benzoate dimeglumine camsylate propanediol sesquihydrate hemitartrate salicylate hydrochloride hcl
    dihydrochloride hydrobromide sodium disodium potassium calcium magnesium zinc succinate tartrate bitartrate
    maleate besylate besilate mesylate tosylate fumarate hemifumarate acetate sulfate sulphate phosphate diphosphate
    citrate bromide chloride iodide nitrate mononitrate dinitrate gluconate lactate oxalate malate bisulfate pamoate
    palmitate decanoate enanthate valerate propionate dipropionate furoate xinafoate medoxomil cilexetil etexilate
    kamedoxomil mofetil axetil proxetil pivoxil alafenamide trometamol tromethamine meglumine lysine arginine erbumine
    edisylate napsylate stearate ethylsuccinate saccharate hyclate monohydrate dihydrate trihydrate hemihydrate
    anhydrous hydrate
    """
)
# Where the last word names the drug as much as the first: another salt is another drug.
_KEPT = _words(
    """
    lithium potassium sodium calcium magnesium zinc iron ferrous ferric aluminum bismuth silver barium ammonium
    sevelamer isosorbide methenamine mycophenolate lanthanum nitrous selenium copper chromic
    """
)
_JOINT = re.compile(
    r"\s+/\s+|(?<=[a-z)\]])/(?=[a-z])|\s*\+\s*|\s*;\s*|\s*,\s*(?=[a-z])|\s+and\s+|\s+with\s+|(?<=[a-z]{5})-(?=[a-z]{5})",
    re.I,
)
_BRACKETED = re.compile(r"\[([^\]]*)\]|\(([^)]*)\)")


@lru_cache(maxsize=65536)
def spoken_name(name: str) -> str:
    """Return the name without strengths, dose forms and what is bracketed, lower case."""
    text = _BRACKETED.sub(" ", name)
    text = _STRENGTH.sub(" ", text)
    words = [word for word in re.split(r"\s+", text.lower()) if word.strip(",.;:") not in _FORMS]
    text = re.sub(r"(?<![\w-])\d[\d.,]*(?![\w-])", " ", " ".join(words))
    return re.sub(r"\s+", " ", text).strip(" ,;:.-/{}®™")


@lru_cache(maxsize=65536)
def _base(part: str) -> str:
    """Return one ingredient's name without its salt."""
    words = [word for word in part.lower().replace("®", "").replace("™", "").split() if word]
    while len(words) > 1 and words[-1].strip(".,") in _SALTS and words[0] not in _KEPT:
        words.pop()
    return " ".join(words).strip(" .,-")


@lru_cache(maxsize=65536)
def ingredient_names(name: str) -> tuple[str, ...]:
    """Return the ingredient-like parts of a name, without salts, in the order written."""
    parts = (_base(spoken_name(part)) for part in _JOINT.split(_STRENGTH.sub(" ", _BRACKETED.sub(" ", name))))
    return tuple(dict.fromkeys(part for part in parts if part))


def brand_words(name: str) -> tuple[str, ...]:
    """Return what stands in brackets in a name, where it can be a name itself: ``[Triderm]``, ``(Tylenol)``."""
    found = (first or second for first, second in _BRACKETED.findall(name))
    return tuple(one.strip().lower() for one in found if re.fullmatch(r"[A-Za-z][\w' -]{2,}", one.strip()))


def combination_class(ingredients: Iterable[str]) -> str:
    """Return the side of a fact that is about all of ``ingredients`` together, as in one product."""
    return f"{CLASS_PREFIX}{_COMBINED}{' + '.join(sorted(ingredients))}"


def combined(side: str) -> tuple[str, ...]:
    """Return the ingredients that a side of ``combination_class`` asks for together, none for any other side."""
    name = side.lower().removeprefix(CLASS_PREFIX)
    return tuple(name.removeprefix(_COMBINED).split(" + ")) if name.startswith(_COMBINED) else ()


@lru_cache(maxsize=4096)
def class_key(name: str) -> str:
    """Return how classes are compared: lower case, without the prefix, in the singular."""
    text = name.lower().removeprefix(CLASS_PREFIX).replace("-", " ").replace("_", " ")
    words = [_singular(word) for word in text.split()]
    return " ".join(words)


def _singular(word: str) -> str:
    if len(word) > 4 and word.endswith("ies"):
        return word[:-3] + "y"
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith("ss") else word


class NameTable:
    """Resolves names and RxNorm codes to ingredients, and knows the members of classes.

    ``known`` are ingredient names that are known because facts speak of them, as those of classes are. A name of which
    any part is unknown resolves to nothing: half a product understood would look like all of it. A class with a colon
    in its name (``ansm 2020: antiagregants``) is one of one publication only.
    """

    def __init__(self, names: Iterable[DrugName], known: Iterable[str] = ()) -> None:
        self._names: dict[str, tuple[str, ...]] = {}
        self._codes: dict[str, tuple[str, ...]] = {}
        self._classes: dict[str, set[str]] = {}
        self._class_names: dict[str, str] = {}
        aliases: dict[str, str] = {}
        seen: set[str] = set()
        products = []
        by_code: dict[str, list[str]] = {}
        for one in names:
            if one.name.startswith(CLASS_PREFIX):
                self._classes.setdefault(class_key(one.name), set()).update(one.ingredients)
                self._class_names.setdefault(class_key(one.name), one.name.removeprefix(CLASS_PREFIX))
                continue
            products.append(one)
            key = one.name.strip().lower()
            if one.ingredients == (key,):
                for code in one.rxcuis:
                    by_code.setdefault(code, []).append(key)
            seen.update(one.ingredients)
            # What is an ingredient by itself is no other name of another one, whatever a later source calls so.
            if len(one.ingredients) == 1 and key not in seen:
                aliases.setdefault(key, one.ingredients[0])
        for group in by_code.values():
            # One RxNorm code of a substance is one substance, in whatever language its name is.
            target = next((aliases[name] for name in group if name in aliases), group[0])
            for name in group:
                if name != target:
                    aliases.setdefault(name, target)
        self._aliases = {name: aliases.get(of, of) for name, of in aliases.items()}
        for one in products:
            ingredients = tuple(sorted({self._canonical(ingredient) for ingredient in one.ingredients}))
            if not ingredients:
                continue
            for ingredient in ingredients:
                self._names.setdefault(ingredient, (ingredient,))
            # The first to claim a name keeps it: the starter table comes before what is ingested.
            self._names.setdefault(one.name.strip().lower(), ingredients)
            for code in one.rxcuis:
                self._codes.setdefault(code, ingredients)
        for ingredient in chain(known, *self._classes.values()):
            name = ingredient.strip().lower()
            if not name.startswith(CLASS_PREFIX):
                self._names.setdefault(name, (self._canonical(name),))
        self._classes_of: dict[str, set[str]] = {}
        for key, members in self._classes.items():
            for member in members:
                if ":" not in key:
                    self._classes_of.setdefault(self._canonical(member), set()).add(self._class_names[key])
        self._members: dict[str, frozenset[str]] = {}

    def _canonical(self, ingredient: str) -> str:
        name = ingredient.strip().lower()
        return self._aliases.get(name, name)

    def canonical(self, ingredient: str) -> str:
        """Return the one name under which facts about an ingredient are kept."""
        return self._canonical(ingredient)

    def resolve(self, name: str, codes: Iterable[str] = ()) -> tuple[str, ...]:
        """Return the ingredients of what ``name`` names, else of what an RxNorm code names, else nothing."""
        found = self._by_name(name)
        if found:
            return found
        for code in codes:
            if code in self._codes:
                return self._codes[code]
        return ()

    def resolve_subject(self, subject: Subject) -> tuple[str, ...]:
        """Return the ingredients of a drug or allergen as a chart codes it."""
        return self.resolve(subject.text, (coding.code for coding in subject.codes if coding.system == RXNORM))

    def _by_name(self, name: str) -> tuple[str, ...]:
        spoken = spoken_name(name)
        for whole in (name.strip().lower(), spoken, _base(spoken)):
            if whole in self._names:
                return self._names[whole]
        parts = [self._names.get(part) for part in ingredient_names(name)]
        if parts and all(part is not None for part in parts):
            return tuple(sorted({ingredient for part in parts if part is not None for ingredient in part}))
        for brand in brand_words(name):
            if brand in self._names:
                return self._names[brand]
        return ()

    def members(self, class_name: str) -> frozenset[str]:
        """Return the ingredients of a class, none when the class is unknown."""
        key = class_key(class_name)
        if key not in self._members:
            self._members[key] = frozenset(self._canonical(one) for one in self._classes.get(key, ()))
        return self._members[key]

    def classes_of(self, ingredients: Iterable[str]) -> tuple[str, ...]:
        """Return the names of the classes that any of ``ingredients`` belongs to, but for those of one publication."""
        return tuple(sorted({name for one in ingredients for name in self._classes_of.get(one, ())}))
