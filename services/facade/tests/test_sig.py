"""Reading a sig: what it states, and None for what it states in two ways or not at all."""

import pytest
from facade.gather.sig import Sig, parse_sig
from service_contracts.quantity import Quantity


def dose(value, unit):
    return Quantity(value=value, unit=unit)


@pytest.mark.parametrize(
    ("text", "wanted", "states"),
    [
        ("500mg PO BID", dose(500, "mg"), True),
        ("500 mg by mouth twice a day", dose(500, "mg"), True),
        ("1,000 mg daily", dose(1000, "mg"), True),
        ("0.5 mcg", dose(0.5, "ug"), True),
        ("20 meq daily", dose(20, "meq"), True),
        ("10 units SC", dose(10, "[iU]"), True),
        ("2 tablets daily", dose(2, "{tablet}"), True),
        ("1 puff inhaled", dose(1, "{puff}"), True),
        ("40-50mg daily", None, True),
        ("875/125mg BID", None, True),
        ("500mg then 250mg", None, True),
        ("75 mg/m2 IV", dose(75, "mg/m2"), True),
        ("take as directed", None, False),
        ("", None, False),
        (None, None, False),
    ],
)
def test_a_dose_is_read_only_when_there_is_one(text, wanted, states):
    sig = parse_sig(text)
    assert (sig.dose, sig.states_dose) == (wanted, states)


@pytest.mark.parametrize(
    ("text", "wanted", "states"),
    [
        ("once daily", 1, True),
        ("daily", 1, True),
        ("twice a day", 2, True),
        ("3 times daily", 3, True),
        ("TID", 3, True),
        ("q6h", 4, True),
        ("every 8 hours", 3, True),
        ("q4-6h", None, True),
        ("every other day", 0.5, True),
        ("once weekly", 1 / 7, True),
        ("at bedtime", 1, True),
        ("BID and q6h", None, True),
        ("as directed", None, False),
    ],
)
def test_a_rhythm_is_read_only_when_there_is_one(text, wanted, states):
    sig = parse_sig(text)
    assert (sig.times_per_day, sig.states_rhythm) == (wanted, states)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("500mg PO daily", "oral"),
        ("5000 units SC", "subcutaneous"),
        ("1g IV q8h", "intravenous"),
        ("500mg PO or IV", None),
        ("apply topically", "topical"),
        ("500mg daily", None),
        ("portable", None),
    ],
)
def test_a_route_is_a_whole_word(text, wanted):
    assert parse_sig(text).route == wanted


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("BID for 10 days", dose(10, "d")),
        ("BID x 2 weeks", dose(2, "wk")),
        ("daily for 3 months", dose(3, "mo")),
        ("daily for 5-7 days", None),
        ("daily", None),
    ],
)
def test_a_duration_is_a_single_time(text, wanted):
    assert parse_sig(text).duration == wanted


def test_as_needed_is_seen_and_nothing_else_is_made_of_it():
    assert parse_sig("500mg PO q6h PRN") == Sig(
        dose=dose(500, "mg"), states_dose=True, route="oral", times_per_day=4, states_rhythm=True, as_needed=True
    )
