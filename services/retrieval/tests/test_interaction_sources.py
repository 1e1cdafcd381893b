"""Interaction sources on small inputs: what is read, under which severity, and what is refused with which words."""

import json

import pytest
from retrieval.importers.ansm_english import AnsmEnglish
from retrieval.importers.interaction_sets import AnsmThesaurus, NdfRtPairs
from retrieval.importers.nlm_corpus import NlmLabelTexts, NlmMarkedPairs
from retrieval.importers.records import RecordRefused
from retrieval.interaction_severity import LEVELS, level_of, strictest
from service_contracts.evidence import Severity


def read(importer, folder):
    """Return the facts and names of what is read, and the places and reasons of what is refused."""
    facts, names, refused = [], [], []
    for path in importer.inputs(folder):
        for record in importer.records(path):
            try:
                document = record.convert()
            except RecordRefused as error:
                refused.append((record.place, str(error)))
                continue
            facts += document.facts if document else []
            names += document.names if document else []
    return facts, names, refused


def pairs(facts):
    return {(fact.body.a, fact.body.b, str(fact.body.severity)) for fact in facts}


# The table of severities


def test_every_level_has_its_reason_and_stands_once():
    assert all(level.reason and level.words for level in LEVELS)
    assert len({(level.source, level.published) for level in LEVELS}) == len(LEVELS)


@pytest.mark.parametrize(
    ("source", "published", "severity"),
    [
        ("ansm", "CONTRE-INDICATION", "high"),
        ("ansm", "Association DECONSEILLEE", "moderate"),
        ("ansm", "Précaution d’emploi", "moderate"),
        ("ansm", "A prendre en compte", "low"),
        ("ansm", "C0NTRAINDICATION", "high"),
        ("ansm", "Not recommended:", "moderate"),
        ("ansm", "Precautions for use ", "moderate"),
        ("ansm", "Tale into account", "low"),
        ("ansm", "With doses of methotrexate > 20 mg/week", "moderate"),
        ("ndf-rt", "Critical", "high"),
        ("ndf-rt", "Significant", "moderate"),
        ("nlm", "Caution_Interaction", "moderate"),
        ("nlm", "Increase_Interaction", "low"),
    ],
)
def test_a_level_as_it_is_printed_has_one_severity(source, published, severity):
    assert str(level_of(source, published).severity) == severity


@pytest.mark.parametrize(("source", "published"), [("ansm", "Autre niveau"), ("ansm", ""), ("ndf-rt", "high")])
def test_a_level_that_is_not_in_the_table_has_no_severity(source, published):
    assert level_of(source, published) is None


def test_the_strictest_decides():
    assert strictest([Severity.LOW, Severity.HIGH, Severity.MODERATE]) is Severity.HIGH


# ANSM 2020, French


def ansm(folder, *entries, classes=(), codes=()):
    thesaurus = [
        {
            "main_drug": a,
            "plus_drug": b,
            "severity_levels": [{"level": one, "info": ""} for one in level.split(" | ")],
            "interaction_mechanism": "Risque.",
        }
        for a, b, level in entries
    ]
    (folder / "thesaurus-des-interactions-20102020.json").write_text(json.dumps(thesaurus))
    index = [{"substance": name, "drug_classes": list(groups)} for name, groups in classes]
    (folder / "index-des-substances-20102020.json").write_text(json.dumps(index))
    (folder / "rxnorm_mappings.tsv").write_text("\n".join(["substance\tRxNorm", *codes]))


KNOWN = frozenset({"warfarin", "amoxicillin", "methotrexate", "ibuprofen", "aspirin"})


@pytest.mark.parametrize(
    ("level", "severity"),
    [
        ("CONTRE-INDICATION", "high"),
        ("Association DECONSEILLEE", "moderate"),
        ("A prendre en compte", "low"),
        ("CONTRE-INDICATION | Association DECONSEILLEE", "moderate"),
        ("Association DECONSEILLEE | A prendre en compte", "moderate"),
    ],
)
def test_levels_of_the_thesaurus_are_severities(tmp_path, level, severity):
    ansm(tmp_path, ("AMOXICILLINE", "METHOTREXATE", level))
    assert pairs(read(AnsmThesaurus(KNOWN), tmp_path)[0]) == {("amoxicillin", "methotrexate", severity)}


def test_a_class_of_the_thesaurus_is_a_class_of_that_edition_with_the_members_of_its_index(tmp_path):
    ansm(
        tmp_path,
        ("ANTI-INFLAMMATOIRES NON STEROIDIENS", "METHOTREXATE", "CONTRE-INDICATION"),
        classes=[
            ("ibuprofène", ["anti-inflammatoires non stéroïdiens"]),
            ("nimésulide", ["anti-inflammatoires non stéroïdiens"]),
        ],
        codes=["nimésulide\t7443"],
    )
    facts, names, refused = read(AnsmThesaurus(KNOWN), tmp_path)
    group = "class:ansm 2020: anti-inflammatoires non steroidiens"
    assert (pairs(facts), refused) == ({(group, "methotrexate", "high")}, [])
    assert (group, ("ibuprofen", "nimesulide")) in [(one.name, one.ingredients) for one in names]
    assert ("nimesulide", ("7443",)) in [(one.name, one.rxcuis) for one in names]


def test_what_holds_for_some_doses_never_interrupts(tmp_path):
    ansm(tmp_path, ("METHOTREXATE À DES DOSES SUPÉRIEURES À 20 MG/SEMAINE", "AMOXICILLINE", "CONTRE-INDICATION"))
    (fact,) = read(AnsmThesaurus(KNOWN), tmp_path)[0]
    assert pairs([fact]) == {("methotrexate", "amoxicillin", "moderate")}
    assert "for the doses, routes or uses that it names" in fact.statement


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        (("CONNAIS PAS", "AMOXICILLINE", "CONTRE-INDICATION"), "'CONNAIS PAS' is neither a substance nor a class"),
        (("AMOXICILLINE", "METHOTREXATE", "Autre niveau"), "a level that is not in the table of severities"),
        (("AMOXICILLINE", "AMOXICILLINE", "CONTRE-INDICATION"), "the same substance on both sides"),
    ],
)
def test_what_is_not_understood_is_refused_by_name(tmp_path, entry, reason):
    ansm(tmp_path, entry)
    facts, _, refused = read(AnsmThesaurus(KNOWN), tmp_path)
    assert facts == []
    ((place, said),) = refused
    assert place.endswith("#1") and reason in said


def test_the_thesaurus_is_cited_with_its_edition_and_in_our_words(tmp_path):
    ansm(tmp_path, ("AMOXICILLINE", "METHOTREXATE", "CONTRE-INDICATION"))
    (fact,) = read(AnsmThesaurus(KNOWN), tmp_path)[0]
    assert (fact.source.version, fact.source.section) == ("2020-10-20", "AMOXICILLINE + METHOTREXATE")
    assert not fact.verbatim and "amoxicillin and methotrexate must not be used together" in fact.statement


# ANSM 2016, English


def entry(a, b, severity="Contraindication", *, effect="Risk.", comment=""):
    return (
        f"<INTERACTION>\n<DRUG1>{a}</DRUG1>\n<DRUG2>{b}</DRUG2>\n<DESCRIPTION>{effect}</DESCRIPTION>\n"
        f"<SEVERITY>{severity}</SEVERITY>{f'<COMMENT>{comment}</COMMENT>' if comment else ''}\n</INTERACTION>"
    )


def drug(name, code="1"):
    return f'<DRUG name="{name}" rxcui="{code}"></DRUG>'


def english(folder, *entries, classes=""):
    head = '<?xml version="1.0" encoding="utf-8" ?>\n'
    (folder / "tables.xml").write_text(head + "<INTERACTIONS>\n" + "\n".join(entries) + "\n</INTERACTIONS>")
    (folder / "classes.xml").write_text(head + "<CLASSES>\n" + classes + "\n</CLASSES>")
    return read(AnsmEnglish(), folder)


def test_the_english_edition_is_read_with_its_classes_and_codes(tmp_path):
    facts, names, refused = english(
        tmp_path,
        entry(
            drug("PIMOZIDE ", "8331"),
            '<CLASS name="OTHER  MACROLIDES" code="x" />',
            "CONTRAINDICATON",
            comment="Watch.",
        ),
        classes='<CLASS name="MACROLIDES " code="x">\n<DRUG name="Erythromycin" rxnorm="4053">\n</DRUG>\n</CLASS>',
    )
    assert refused == []
    assert pairs(facts) == {("pimozide", "class:ansm 2016: macrolides", "high")}
    assert facts[0].statement == "PIMOZIDE + OTHER MACROLIDES: CONTRAINDICATON. Risk. Watch."
    assert facts[0].body.management == "Watch."
    assert {(one.name, one.ingredients, one.rxcuis) for one in names} == {
        ("class:ansm 2016: macrolides", ("erythromycin",), ()),
        ("erythromycin", ("erythromycin",), ("4053",)),
        ("pimozide", ("pimozide",), ("8331",)),
    }


def test_a_line_that_is_not_well_formed_is_reported_and_the_rest_is_read(tmp_path):
    classes = (
        '<CLASS name="AMINES" code="x">\n<DRUG name="" rxnorm="3992">\n<DRUG name="Dopamine" rxnorm="3628">\n</DRUG>\n'
        '</CLASS>\n<CLASS name="OTHERS" code="y">\n<DRUG name="Lithium" rxnorm="6448">\n</DRUG>\n</CLASS>'
    )
    _, names, refused = english(tmp_path, classes=classes)
    assert refused == [
        ("classes.xml:7", "not well-formed XML (Opening and ending tag mismatch: DRUG line 4 and CLASS)")
    ]
    found = {one.name: one.ingredients for one in names if one.name.startswith("class:")}
    assert found == {
        "class:ansm 2016: amines": ("dopamine", "rxnorm 3992"),
        "class:ansm 2016: others": ("lithium",),
    }


@pytest.mark.parametrize(
    ("one", "reason"),
    [
        (entry(drug("A"), '<CLASS name="NOBODY KNOWS" code="x" />'), "'NOBODY KNOWS' is neither a drug nor a class"),
        (entry(drug("WARFARIN"), drug("ASPIRIN"), "See elsewhere"), "the level 'See elsewhere' is not in the table"),
        (entry(drug("WARFARIN"), drug("Warfarin ")), "the same drug on both sides"),
        (entry(drug("WARFARIN"), "<DRUG name='LATEX CONDOMS'></DRUG>"), "neither a drug nor a class"),
    ],
)
def test_an_entry_that_is_not_understood_is_refused_with_its_line(tmp_path, one, reason):
    facts, _, refused = english(tmp_path, entry(drug("LITHIUM"), drug("IBUPROFEN")), one)
    assert len(facts) == 1
    ((place, said),) = refused
    assert place == "tables.xml:9" and reason in said


def test_an_english_side_of_some_routes_never_interrupts(tmp_path):
    facts, _, _ = english(
        tmp_path,
        entry(drug("SELEGILINE"), '<CLASS name="AMINES (IV ROUTE)" code="x" />'),
        classes='<CLASS name="AMINES (IV ROUTE)" code="x"><DRUG name="Dopamine" rxnorm="3628"></DRUG></CLASS>',
    )
    assert [str(fact.body.severity) for fact in facts] == ["moderate"]


def test_xml_with_a_document_type_is_refused_whole(tmp_path):
    (tmp_path / "tables.xml").write_text('<!DOCTYPE x [<!ENTITY a "b">]><INTERACTIONS></INTERACTIONS>')
    with pytest.raises(RecordRefused, match="DTD or entities"):
        read(AnsmEnglish(), tmp_path)


def test_bytes_that_are_not_of_the_stated_encoding_are_reported(tmp_path):
    english(tmp_path, entry(drug("LITHIUM"), drug("IBUPROFEN")))
    (tmp_path / "groups.xml").write_bytes(
        b'<CLASSES>\n<CLASS name="A"><DRUG name="Amidotrizo\xefque" rxnorm="5"/></CLASS>'
    )
    _, names, refused = read(AnsmEnglish(), tmp_path)
    assert refused == [("groups.xml:2", "not UTF-8 as it says: read as Windows-1252")]
    assert "amidotrizoïque" in {one.name for one in names}


# NDF-RT


def test_ndf_rt_pairs_are_cited_as_withdrawn_and_what_is_not_understood_is_refused(tmp_path):
    (tmp_path / "ndfrt.csv").write_text(
        "drug1,drug2,severity,label\nIrbesartan,Amiloride,Significant,A/I\nWARFARIN,Acetylsalicylic_acid,Critical,W/A\n"
        "X,,Critical,\nA,B,Odd,\n"
    )
    facts, _, refused = read(NdfRtPairs(), tmp_path)
    assert pairs(facts) == {
        ("irbesartan", "amiloride", "moderate"),
        ("warfarin", "acetylsalicylic acid", "high"),
    }
    assert "withdrawn by the VA in 2014" in facts[0].source.title
    assert refused == [("ndfrt.csv:5", "'Odd' is not in the table of severities")]


def test_a_table_with_other_columns_is_refused(tmp_path):
    (tmp_path / "ndfrt.csv").write_text("a,b\n1,2\n")
    with pytest.raises(RecordRefused, match="columns"):
        read(NdfRtPairs(), tmp_path)


# The NLM's corpus


def corpus(folder, text, *pairs, brand="Testor", generic="testadrine"):
    """Write one label of the corpus: its text, and a sentence for each pair (first, second, kind, marked)."""
    sentences = "".join(
        f'<sentence id="s{number}" text="{first} and {second}."><entity id="e{number}a" text="{first}" type="Drug"/>'
        f'<entity id="e{number}b" text="{second}" type="Drug"/>'
        f'<pair ddi="{marked}" e1="e{number}a" e2="e{number}b" type="{kind}"/></sentence>'
        for number, (first, second, kind, marked) in enumerate(pairs)
    )
    (folder / "one.xml").write_text(
        f'<document setID="set-1"><labelDrug name="{brand}"/><generic name="{generic}"/>{sentences}</document>'
    )
    (folder / "one.txt").write_text(text)


def test_marked_pairs_are_facts_where_both_sides_are_known(tmp_path):
    corpus(
        tmp_path,
        "Text.",
        ("TESTOR", "warfarin", "Caution_Interaction", "true"),
        ("NSAIDs", "testadrine", "Increase_Interaction", "true"),
        ("testadrine", "other agents", "Specific_Interaction", "true"),
        ("testadrine", "digoxin", "", "false"),
    )
    facts, _, refused = read(NlmMarkedPairs(frozenset({"warfarin", "digoxin"})), tmp_path)
    assert pairs(facts) == {("testadrine", "warfarin", "moderate"), ("class:nsaid", "testadrine", "low")}
    assert refused == []
    assert {fact.source.identifier for fact in facts} == {"nlm-cv-ddi:set-1"}


def test_what_a_marked_pair_points_back_to_is_meant(tmp_path):
    corpus(
        tmp_path,
        "Text.",
        ("digoxin", "testadrine", "", "false"),
        ("testadrine", "these agents", "Specific_Interaction", "true"),
    )
    facts, _, _ = read(NlmMarkedPairs(frozenset({"digoxin"})), tmp_path)
    assert pairs(facts) == {("testadrine", "digoxin", "low")}


def test_the_text_of_the_corpus_is_read_without_its_marks(tmp_path):
    text = "TESTOR tablets\n\n7 DRUG INTERACTIONS\n\n<item>\n<item>Avoid use of Testor with warfarin.\n"
    corpus(tmp_path, text, ("TESTOR", "digoxin", "Caution_Interaction", "true"))
    facts, names, _ = read(NlmLabelTexts(frozenset({"warfarin", "digoxin"})), tmp_path)
    assert pairs(facts) == {("testadrine", "warfarin", "moderate")}
    (fact,) = facts
    assert (fact.statement, fact.source.identifier) == ("Avoid use of Testor with warfarin.", "set-1")
    assert ("testor", ("testadrine",)) in [(one.name, one.ingredients) for one in names]


@pytest.mark.parametrize(
    ("marks", "reason"),
    [
        ("<!DOCTYPE x><document setID='1'/>", "DTD or entities"),
        ("<document setID='1'>", "not well-formed XML"),
        ("<other/>", "not a document of the corpus"),
    ],
)
def test_a_file_that_is_not_of_the_corpus_is_refused(tmp_path, marks, reason):
    corpus(tmp_path, "Text.")
    (tmp_path / "one.xml").write_text(marks)
    ((_, said),) = read(NlmMarkedPairs(), tmp_path)[2]
    assert reason in said


def test_marks_without_their_text_are_refused(tmp_path):
    corpus(tmp_path, "Text.")
    (tmp_path / "one.txt").unlink()
    ((_, said),) = read(NlmLabelTexts(), tmp_path)[2]
    assert "cannot be read" in said
