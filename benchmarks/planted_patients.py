"""Twenty made-up patients with fifty sentences each, and questions about them in other words. Nobody is real."""

import random
from dataclasses import dataclass

from service_contracts.evidence import Source
from service_contracts.patient_texts import PatientText

__all__ = ["Planted", "planted"]

_PATIENTS = 20
_SEED = 5
# A topic: how it is asked for, and five ways in which a note speaks of it. {n} is a number, {w} a word of one sentence.
_TOPICS = (
    ("How does the patient sleep?", (
        "Lies awake until {n} in the night with {w} thoughts about the ward.",
        "Wakes {n} times a night and naps on the {w} chair after lunch.",
        "Insomnia since the {w} operation, {n} weeks now.",
        "Snores loudly, the {w} bed partner counted {n} pauses in breathing.",
        "Took {n} drops of valerian at bedtime without any {w} effect.",
    )),
    ("Is there pain in the chest?", (
        "Pressure behind the breastbone after {n} stairs, gone with {w} rest.",
        "Angina on the {w} treadmill at minute {n}.",
        "Stabbing left thoracic ache when breathing in, {n} out of ten, {w} in character.",
        "No further cardiac tightness since the {w} stent {n} days ago.",
        "Burning retrosternal discomfort after {w} meals, {n} evenings a week.",
    )),
    ("How is the blood sugar?", (
        "Fasting glucose of {n} this morning, noted in the {w} diary.",
        "HbA1c fell by {n} tenths under the {w} regimen.",
        "Two hypoglycaemic episodes near {w} street, lowest value {n}.",
        "Diabetes for {n} years, injects into the {w} thigh.",
        "Forgot insulin on {n} days of the {w} holiday.",
    )),
    ("What about mood and anxiety?", (
        "Feels empty and tearful since the {w} funeral {n} months ago.",
        "Panic in the {w} lift, {n} attacks this month.",
        "Depression score {n}, no {w} plans of self-harm.",
        "Worries about the {w} mortgage for {n} hours a day.",
        "More cheerful, went dancing at the {w} club {n} times.",
    )),
    ("How does the wound heal?", (
        "The {w} incision is dry, {n} stitches removed.",
        "Redness of {n} millimetres around the {w} drain site.",
        "Ulcer on the {w} heel, {n} centimetres, clean granulation.",
        "Dressing changed {n} times by the {w} district nurse.",
        "Pus from the {w} scar, swab number {n} sent.",
    )),
    ("Is there cough or breathlessness?", (
        "Coughs up {w} phlegm each morning for {n} weeks.",
        "Short of breath after {n} metres on the {w} hill.",
        "Wheezing at night, used the {w} inhaler {n} times.",
        "Oxygen saturation {n} percent on {w} room air.",
        "Pneumonia of the {w} lobe, day {n} of antibiotics.",
    )),
    ("Did the patient fall?", (
        "Slipped on the {w} carpet and lay there {n} hours.",
        "Tripped over the {w} dog, {n} bruises.",
        "Unsteady, walks {n} metres with a {w} frame.",
        "Third tumble in {n} weeks, this time in the {w} bath.",
        "Dizzy on standing, pressure drops by {n}, nearly collapsed by the {w} stove.",
    )),
    ("What does the patient eat and weigh?", (
        "Lost {n} kilograms since the {w} harvest without dieting.",
        "Appetite poor, lives on {w} soup, {n} spoons a meal.",
        "Vegetarian for {n} years, likes {w} lentils.",
        "Gained weight on the {w} cruise, now {n} above the target.",
        "Swallows only {w} purees, {n} sips of thickened water.",
    )),
    ("Are there problems with passing urine?", (
        "Burning on micturition for {n} days after the {w} catheter.",
        "Gets up {n} times to void into the {w} bottle.",
        "Incontinent when laughing at the {w} theatre, {n} pads daily.",
        "Bladder scan showed {n} millilitres left, {w} stream.",
        "Haematuria once, {w} cystoscopy planned in {n} weeks.",
    )),
    ("What work and home life does the patient have?", (
        "Worked {n} years at the {w} foundry, now retired.",
        "Lives alone on floor {n} above the {w} bakery.",
        "Looks after {n} grandchildren with a {w} neighbour.",
        "Divorced, {n} cats, plays the {w} accordion.",
        "Lost the {w} driving licence {n} months ago and needs a lift.",
    )),
)  # fmt: skip
_SYLLABLES = (
    "zan",
    "qui",
    "bar",
    "lum",
    "tro",
    "vek",
    "sil",
    "mor",
    "pax",
    "dri",
    "gul",
    "hef",
    "jot",
    "nim",
    "rak",
    "wos",
    "fyl",
    "cep",
    "dut",
    "bix",
)


@dataclass(frozen=True)
class Planted:
    """A patient; ``questions`` have the ids of the five texts that speak of what they ask."""

    reference: str
    texts: tuple[PatientText, ...]
    questions: tuple[tuple[str, frozenset[str]], ...]


def planted() -> list[Planted]:
    """Return the patients, the same each time."""
    chosen = random.Random(_SEED)
    return [_patient(number, chosen) for number in range(_PATIENTS)]


def _patient(number: int, chosen: random.Random) -> Planted:
    source = Source(title="Course", publisher="A ward", identifier=f"note-{number}", version="1", section="Course")
    texts, questions = [], []
    for topic, (question, ways) in enumerate(_TOPICS):
        ids = []
        for place, way in enumerate(ways):
            # A word of this sentence only: the patient, topic and way in it are told by its first syllables.
            spelt = (number, topic, place)
            word = "".join(_SYLLABLES[one % len(_SYLLABLES)] for one in spelt) + "".join(
                chosen.choices(_SYLLABLES, k=2)
            )
            ids.append(f"{topic}-{place}")
            texts.append(PatientText(id=ids[-1], source=source, text=way.format(n=chosen.randint(2, 99), w=word)))
        questions.append((question, frozenset(ids)))
    return Planted(f"https://ehr.example/fhir/Patient/planted-{number}", tuple(texts), tuple(questions))
