"""What the report on interactions says of label text: the NLM's pairs, and labels that were held out."""

from collections.abc import Mapping

from benchmarks.interaction_labels import Half
from benchmarks.interaction_phrases import Phrases
from benchmarks.interaction_shares import interval, percent

__all__ = ["labels_report", "phrases_report"]


# What the reader before these rules resolved, of how many: True is the quarter held out.
_BEFORE = {True: (735, 1039), False: (3045, 4190)}
# Read by the developer: 60 phrases of labels held out, and pairs that these labels are read to state, right and drawn.
_READ_PHRASES = {"right": 46, "missed": 8, "wrong": 1, "none": 5}
_READ_FACTS = (41, 60)
# In 80 sentences of their sections on interactions, pairs that the developer read as stated: found, and stated.
_READ_STATED = (92, 95)


def labels_report(halves: Mapping[bool, Half]) -> str:
    """Return what is said of the NLM's corpus; True is the half that was developed on first."""
    whole = halves[True].add(halves[False])
    rows = [_row(what, half) for what, half in (("second", halves[False]), ("first", halves[True]), ("whole", whole))]
    unread = sum(count for why, count in whole.missed.items() if why.startswith("both"))
    words = [f"{why.partition(': ')[2]}" for why, _ in whole.missed.most_common() if not why.startswith("both")]
    return "\n".join(
        (
            "## Pairs in label text",
            "",
            "The NLM's corpus of 122 cardiovascular labels (2014): the text alone goes into an index of its own, "
            "with no other source, and each distinct pair that annotators marked in a label is asked of it. Found "
            "means that this very label is cited, for each ingredient meant and for up to three members of a "
            "class. What the marked words mean is read by the reader itself, in their sentence: a class that it "
            "misreads in both places counts as found, and two wordings of one pair are asked once. Labels of one "
            "first substance are all in one half. Baseline: the narrow grammar alone (bans that fill a sentence). "
            "Precision: of the pairs that annotators looked at and the text is read to state, those marked as stated; "
            "what is read widely never interrupts.",
            "",
            "**Neither half is unseen.** Classes and rules were first written with the first half; the second then "
            "stood at 85.9 % (524 of 610; precision of the halves 53.5 % and 60.4 %). The words and sentences missed "
            "in both halves, and pairs wrongly read in them, were looked at before and while the present rules were "
            "written. The rules are general ones, and openFDA's labels and pharmacology were read for their words, but "
            "these figures say how well this corpus is read, not how well another label is: see the next part.",
            "",
            "| half | labels | pairs | found | of pairs whose words are known | baseline | precision |",
            "| --- | --- | --- | --- | --- | --- | --- |",
            *rows,
            "",
            f"Missed: {sum(whole.missed.values())} pairs, {unread} of them because the sentence is not read as a "
            f"statement. Words that name no known drug or class: {', '.join(words)}.",
            "",
        )
    )


def _row(what: str, half: Half) -> str:
    judged = half.stated_right + half.stated_wrong
    return (
        f"| {what} | {half.documents} | {half.pairs:,} | **{interval(half.found, half.pairs)}** | "
        f"{interval(half.found, half.pairs - half.unknown)} | {percent(half.narrow, half.pairs)} | "
        f"{interval(half.stated_right, judged)} |"
    )


def phrases_report(found: Mapping[bool, Phrases]) -> str:
    """Return what is said of openFDA's labels; True is the quarter that was held out."""
    rows = []
    for what, held in (("held out", True), ("read for the rules", False)):
        one = found[held]
        rows.append(
            f"| {what} | {one.labels} | {one.found:,} | {percent(*_BEFORE[held])} | "
            f"**{interval(one.resolved, one.found)}** | {interval(one.stated, one.resolved)} |"
        )
    return "\n".join(
        (
            "## Labels that were not looked at",
            "",
            "openFDA's labels of drugs that the NLM's corpus does not hold are split by a digest of their first "
            "substance. A quarter was held out: none of its words was looked at while classes and rules were "
            "written, only its totals; the other labels were read for them. (Some sentences of all labels were seen "
            "when the causes of warnings on random pairs were looked for.) In the sections on drug interactions, a "
            "phrase that says which medicines it means (a noun such as drugs or inhibitors with the words that tell "
            "them apart) is found by a rule of its own, which does not know the reader's words; each distinct one of "
            "a label counts once. It is resolved where some of it is read as a class, rightly or not. Some name none "
            "(laboratory or dosing language), so that 100 % is not to be had. Last column: of those resolved, where "
            "the label is read to state an interaction with the class.",
            "",
            "| labels | with such a section | phrases | resolved before these rules | resolved | stated |",
            "| --- | --- | --- | --- | --- | --- |",
            *rows,
            "",
            _by_hand(),
            "",
        )
    )


def _by_hand() -> str:
    named = _READ_PHRASES["right"] + _READ_PHRASES["missed"] + _READ_PHRASES["wrong"]
    return (
        "By hand (the developer, who is no pharmacist; once, after the rules were done; drawn with the seed 20261201 "
        f"from the labels held out): of {named + _READ_PHRASES['none']} phrases {_READ_PHRASES['none']} name no class; "
        f"of the other {named}, **{interval(_READ_PHRASES['right'], named)}** are read as the class they name, "
        f"{_READ_PHRASES['missed']} are not read and {_READ_PHRASES['wrong']} is read as another (protease inhibitors "
        f"of hepatitis C as those of HIV, corrected since). Of {_READ_FACTS[1]} pairs that these labels are read to "
        f"state, from any section, **{interval(*_READ_FACTS)}** are stated by the sentence that is quoted. The wrong "
        "ones are mostly two others of one list or table, what is given for an adverse reaction or mixed in one bag, "
        'and denials in words that are not known ("is very unlikely to inhibit"). None of them interrupts. The other '
        "way round, of 80 sentences of 60 to 500 letters from these sections (seed 20261202) the developer read "
        f"{_READ_STATED[1]} pairs of the label's drug with a drug or class that the sentence names, and "
        f"**{interval(*_READ_STATED)}** of them are found; who wrote the rules also said what is stated. The names "
        "missed there, substances no longer sold, and the end of a denial were added afterwards."
    )
