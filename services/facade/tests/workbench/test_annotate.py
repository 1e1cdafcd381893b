"""Cutting text for the page never loses, doubles or reorders a character of it."""

from facade.decisions import Replacement
from facade.workbench.annotate import Marked, annotate
from hypothesis import given
from hypothesis import strategies as st
from service_contracts.drafts import SectionKey
from service_contracts.evidence import Severity
from service_contracts.reconciliation import Claim, ClaimKind, NotCheckedReason, Section, Span, Verdict

TEXT = "Take metformin 1500 mg.\nTake aspirin."


def section(text=TEXT):
    return Section(key=SectionKey.MEDICATIONS, title="Your medicines", text=text)


def unchecked(start, end):
    return Claim(
        id="c",
        kind=ClaimKind.DOSE,
        assertion="a",
        span=Span(section=SectionKey.MEDICATIONS, start=start, end=end, quote="q"),
        verdict=Verdict.NOT_CHECKED,
        reason=NotCheckedReason.DEADLINE,
    )


def joined(lines):
    return "\n".join("".join(piece.text for piece in line) for line in lines)


places = st.tuples(st.integers(-3, 60), st.integers(-3, 60)).map(sorted)


@given(
    text=st.text(alphabet="ab \n<é", max_size=50),
    flags=st.lists(st.tuples(places, st.sampled_from(Severity), st.booleans()), max_size=5),
    changes=st.lists(places, max_size=3),
    quiet=st.lists(places, max_size=3),
)
def test_put_together_again_it_is_the_text(text, flags, changes, quiet):
    marked = [Marked(n, severity, *place, decided) for n, (place, severity, decided) in enumerate(flags, 1)]
    replaced = [Replacement(f"f{n}", SectionKey.MEDICATIONS, "new", *place) for n, place in enumerate(changes)]

    lines = annotate(section(text), marked, replaced, [unchecked(*place) for place in quiet])

    assert joined(lines) == text


def test_a_flag_marks_its_own_words_and_ends_where_they_end():
    (first, second) = annotate(section(), [Marked(1, Severity.HIGH, 5, 22, False)], [], [])

    assert [(piece.text, piece.severity, piece.ends) for piece in first] == [
        ("Take ", None, ()),
        ("metformin 1500 mg", Severity.HIGH, (1,)),
        (".", None, ()),
    ]
    assert [piece.numbers for piece in second] == [()]


def test_where_flags_overlap_the_worst_open_one_gives_the_colour():
    flags = [Marked(1, Severity.LOW, 5, 22, False), Marked(2, Severity.HIGH, 15, 22, False)]

    pieces = annotate(section(), flags, [], [])[0]

    assert [(piece.numbers, piece.severity) for piece in pieces if piece.numbers] == [
        ((1,), Severity.LOW),
        ((1, 2), Severity.HIGH),
    ]


def test_a_decided_flag_has_no_colour_left():
    pieces = annotate(section(), [Marked(1, Severity.HIGH, 5, 22, True)], [], [])[0]

    assert [piece.severity for piece in pieces] == [None, None, None]


def test_a_replacement_strikes_the_old_words_and_adds_the_new_after_them():
    change = Replacement("f", SectionKey.MEDICATIONS, "metformin 500 mg", 5, 22)

    pieces = annotate(section(), [], [change], [])[0]

    assert [(piece.text, piece.removed, piece.added) for piece in pieces] == [
        ("Take ", False, None),
        ("metformin 1500 mg", True, "metformin 500 mg"),
        (".", False, None),
    ]


def test_a_replacement_that_was_not_applied_changes_nothing():
    change = Replacement("f", SectionKey.MEDICATIONS, "x", 5, 22, applied=False)

    assert not any(piece.removed or piece.added for piece in annotate(section(), [], [change], [])[0])


def test_words_that_were_not_checked_are_marked_so():
    pieces = annotate(section(), [], [], [unchecked(5, 14)])[0]

    assert [piece.text for piece in pieces if piece.unchecked] == ["metformin"]
