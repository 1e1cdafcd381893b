"""A hospital's own policies: PDF, DOCX and HTML by their headings and pages; what cannot be read is said in a sentence."""

# ruff: noqa: E501  small inputs are written as they come

import io
import shutil
import zlib
from zipfile import ZIP_DEFLATED, ZipFile

import pytest
from pypdf import PdfReader, PdfWriter
from retrieval.importers import pdf_text
from retrieval.importers.guidelines import GuidelinePages, Provenance
from retrieval.importers.records import RecordRefused
from retrieval.ingest import ingest
from service_contracts.evidence import PassageQuery

HOSPITAL = Provenance("City Hospital", version="3", kind="policy")


def read(folder, name, data):
    """Return the document, and what was refused of it."""
    (folder / name).write_bytes(data)
    (path,) = GuidelinePages(HOSPITAL).inputs(folder / name)
    document, refused = None, []
    for record in GuidelinePages(HOSPITAL).records(path):
        try:
            document = record.convert() or document
        except RecordRefused as refusal:
            refused.append(f"{record.place}: {refusal}")
    return document, refused


def said(document):
    return [(one.section, one.text) for one in document.passages]


# PDF: written by hand, so that every page is known.


def pdf(*pages, title=None, picture=(), extra=b""):
    """Each page is lines of (size, bold, text) from the top; pages in ``picture`` hold an image beside them."""
    objects = [b"<</Type/Catalog/Pages 2 0 R>>", b""]
    objects += [f"<</Type/Font/Subtype/Type1/BaseFont/{name}>>".encode() for name in ("Helvetica", "Helvetica-Bold")]
    image = zlib.compress(bytes(100))
    objects.append(
        b"<</Type/XObject/Subtype/Image/Width 10/Height 10/ColorSpace/DeviceGray/BitsPerComponent 8/Filter/FlateDecode"
        + f"/Length {len(image)}>>stream\n".encode() + image + b"\nendstream"
    )  # fmt: skip
    kids = []
    for number, lines in enumerate(pages, start=1):
        content, y = [], 780
        for size, bold, text in lines:
            escaped = text.replace("\\", r"\\").replace("(", r"\(").replace(")", r"\)")
            content.append(f"BT /F{2 if bold else 1} {size} Tf 72 {y} Td ({escaped}) Tj ET")
            y -= size + 6
        if number in picture:
            content.append("q 100 0 0 100 72 300 cm /I Do Q")
        stream = zlib.compress("\n".join(content).encode("latin-1"))
        objects.append(f"<</Filter/FlateDecode/Length {len(stream)}>>stream\n".encode() + stream + b"\nendstream")
        objects.append(
            f"<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Contents {len(objects)} 0 R"
            "/Resources<</Font<</F1 3 0 R/F2 4 0 R>>/XObject<</I 5 0 R>>>>>>".encode()
        )
        kids.append(len(objects))
    objects[1] = f"<</Type/Pages/Count {len(kids)}/Kids[{' '.join(f'{one} 0 R' for one in kids)}]>>".encode()
    info = ""
    if title:
        objects.append(f"<</Title({title})>>".encode())
        info = f"/Info {len(objects)} 0 R"
    out, places = bytearray(b"%PDF-1.7\n"), []
    for number, one in enumerate(objects, start=1):
        places.append(len(out))
        out += f"{number} 0 obj\n".encode() + one + b"\nendobj\n"
    table = len(out)
    out += f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n".encode()
    out += b"".join(f"{place:010} 00000 n \n".encode() for place in places)
    out += f"trailer<</Size {len(objects) + 1}/Root 1 0 R{info}>>\nstartxref\n{table}\n%%EOF".encode()
    return bytes(out) + extra


def plain(*texts):
    return [(11, False, text) for text in texts]


def page(number, *lines):
    return [(8, False, "City Hospital - Heparin policy"), *lines, (8, False, f"Page {number} of 4")]


HEPARIN = [
    page(1, (18, True, "Heparin infusion"), *plain("This policy holds on all wards."), (13, False, "1. Dosing"),
         *plain("Give an initial bolus of 80 units/kg (at most 5000), then", "infuse 18 units/kg/h. Check the aPTT after six hours.")),
    page(2, *plain("Adjust the rate by the table of the laboratory and")),
    page(3, *plain("tell the physician."), (11, True, "Monitoring"), *plain("Platelets are counted on day three of all"),
         *plain("low-", "molecular-weight heparins.")),
    page(4, *plain("REVERSAL", "Protamine 1 mg for each 100 units.")),
]  # fmt: skip


def test_a_pdf_is_read_by_its_headings_and_pages_without_what_stands_on_every_page(tmp_path):
    document, refused = read(tmp_path, "heparin.pdf", pdf(*HEPARIN, title="Heparin"))
    assert refused == []
    assert (document.kind, document.source.title, document.source.publisher) == ("policy", "Heparin", "City Hospital")
    assert document.version == "3"
    assert said(document) == [
        ("Heparin infusion, page 1", "This policy holds on all wards."),
        (
            "1. Dosing, page 1",
            "Give an initial bolus of 80 units/kg (at most 5000), then infuse 18 units/kg/h. Check the aPTT after six hours.",
        ),
        ("1. Dosing, pages 2-3", "Adjust the rate by the table of the laboratory and tell the physician."),
        ("Monitoring, page 3", "Platelets are counted on day three of all low-molecular-weight heparins."),
        ("REVERSAL, page 4", "Protamine 1 mg for each 100 units."),
    ]


def test_doses_that_differ_in_their_numbers_are_no_header(tmp_path):
    pages = [plain(f"Give {dose} mg.", "Wait.", f"Then {dose} mg.") for dose in (5, 10, 20, 40)]
    document, _ = read(tmp_path, "a.pdf", pdf(*pages[:2]))
    assert [text for _, text in said(document)] == ["Give 5 mg. Wait. Then 5 mg.", "Give 10 mg. Wait. Then 10 mg."]
    document, _ = read(tmp_path, "b.pdf", pdf(*pages))
    assert [text for _, text in said(document)][3] == "Give 40 mg. Wait. Then 40 mg."


@pytest.mark.parametrize("title", ["Microsoft Word - heparin_v2.docx", "untitled", None])
def test_a_title_that_is_none_gives_way_to_the_file_s_name(tmp_path, title):
    document, _ = read(tmp_path, "Heparin infusion.pdf", pdf(*HEPARIN, title=title))
    assert document.source.title == "Heparin infusion"


def test_a_scanned_pdf_is_refused_and_scanned_pages_are_reported(tmp_path):
    document, refused = read(tmp_path, "scan.pdf", pdf([], [], picture=(1, 2)))
    assert document is None and refused == ["scan.pdf: no text: it needs OCR"]
    document, refused = read(tmp_path, "part.pdf", pdf(plain("Read me."), [], [], plain("And me."), picture=(3,)))
    assert refused == ["part.pdf, page 3: no text: it needs OCR"]
    assert [section for section, _ in said(document)] == ["page 1", "page 4"]
    assert read(tmp_path, "empty.pdf", pdf([])) == (None, ["empty.pdf: no text in it"])


def locked(user="secret"):
    writer = PdfWriter(clone_from=PdfReader(io.BytesIO(pdf(plain("Text.")))))
    writer.encrypt(user_password=user, owner_password="owner", algorithm="RC4-128")
    out = io.BytesIO()
    writer.write(out)
    return out.getvalue()


def bomb():
    """A page of one kilobyte that unpacks to a gigabyte of operators, compressed twice."""
    inner = zlib.compress(zlib.compress(b"BT /F1 9 Tf (x) Tj ET\n" * 10_000_000, 1), 9)
    whole = pdf(plain("Text."))
    start = whole.index(b"<</Filter/FlateDecode/Length")
    end = whole.index(b"endstream", start)
    stream = f"<</Filter[/FlateDecode/FlateDecode]/Length {len(inner)}>>stream\n".encode() + inner + b"\n"
    return whole[:start] + stream + whole[end:]


def circle():
    return pdf(plain("Text.")).replace(b"/Kids[7 0 R]", b"/Kids[2 0 R]")


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"no", "not a PDF"),
        (b"%PDF-1.7\n", "damaged"),
        (pdf(plain("Text."))[:400], "damaged"),
        (locked(), "locked"),
        (locked(user=""), "locked"),
        (pdf(*[plain("x")] * 2001), "more than 2000 pages"),
        (circle(), "damaged|nested|no text"),
    ],
    ids=["none", "empty", "cut", "locked", "restricted", "long", "circle"],
)
def test_a_pdf_that_cannot_be_read_is_refused_in_a_sentence(tmp_path, data, why):
    document, refused = read(tmp_path, "a.pdf", data)
    assert document is None
    assert len(refused) == 1 and any(one in refused[0] for one in why.split("|"))


def test_a_pdf_that_unpacks_without_end_does_not_take_the_machine_with_it(tmp_path):
    document, refused = read(tmp_path, "bomb.pdf", bomb())
    assert document is None and len(refused) == 1


def test_a_pdf_that_takes_too_long_is_ended(tmp_path, monkeypatch):
    monkeypatch.setattr(pdf_text, "_TIME_S", 0.05)
    assert "takes longer" in read(tmp_path, "a.pdf", pdf(*HEPARIN))[1][0]


# DOCX: the parts that Word writes, by hand.

W = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
STYLES = f"""<w:styles {W}><w:style w:styleId="berschrift1"><w:name w:val="heading 1"/></w:style>
<w:style w:styleId="Titel"><w:name w:val="Title"/></w:style><w:style w:styleId="TOC1"><w:name w:val="toc 1"/></w:style>
<w:style w:styleId="Own"><w:name w:val="Own heading"/><w:pPr><w:outlineLvl w:val="1"/></w:pPr></w:style></w:styles>"""
CORE = (
    '<cp:coreProperties xmlns:cp="x" xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:title>Falls</dc:title>'
    "</cp:coreProperties>"
)


def paragraph(text, style=None, inner=""):
    marked = f'<w:pPr><w:pStyle w:val="{style}"/></w:pPr>' if style else ""
    return f"<w:p>{marked}<w:r><w:t>{text}</w:t></w:r>{inner}</w:p>"


def docx(body, styles=STYLES, core=CORE, compression=ZIP_DEFLATED, head=""):
    out = io.BytesIO()
    with ZipFile(out, "w", compression) as made:
        made.writestr("[Content_Types].xml", "<Types/>")
        made.writestr("word/document.xml", f"{head}<w:document {W}><w:body>{body}</w:body></w:document>")
        for name, content in (("word/styles.xml", styles), ("docProps/core.xml", core)):
            if content:
                made.writestr(name, content)
    return out.getvalue()


def test_a_word_document_is_read_by_its_headings_in_any_language_of_word(tmp_path):
    row = "".join(f"<w:tc>{paragraph(one)}</w:tc>" for one in ("aPTT", "below 35 s", "+4 units"))
    body = (
        paragraph("Contents 1", "TOC1") + paragraph("Before.") + paragraph("Scope", "berschrift1")
        + paragraph("All wards.") + f"<w:sdt><w:sdtContent>{paragraph('In a field.')}</w:sdtContent></w:sdt>"
        + paragraph("Rates", "Own") + f"<w:tbl><w:tr>{row}</w:tr></w:tbl>"
    )  # fmt: skip
    document, refused = read(tmp_path, "Falls policy.DOCX", docx(body))
    assert refused == [] and document.source.title == "Falls"
    assert said(document) == [
        ("Falls", "Before."),
        ("Scope", "All wards. In a field."),
        ("Rates", "aPTT | below 35 s | +4 units"),
    ]


def test_a_word_document_reads_as_with_all_changes_accepted(tmp_path):
    changed = (
        "<w:del><w:r><w:delText>10</w:delText></w:r></w:del><w:ins><w:r><w:t> 5 mg</w:t></w:r></w:ins>"
        "<w:moveFrom><w:r><w:t>moved</w:t></w:r></w:moveFrom><w:r><w:rPr><w:vanish/></w:rPr><w:t>hidden</w:t></w:r>"
        "<w:r><w:instrText>PAGE</w:instrText></w:r><w:r><w:tab/><w:t>daily</w:t></w:r>"
    )
    document, _ = read(tmp_path, "a.docx", docx(paragraph("Give", inner=changed), core="", styles=""))
    assert said(document) == [("a", "Give 5 mg daily")]


def test_a_text_box_is_read_once(tmp_path):
    box = f'<wps:txbx xmlns:wps="urn:x"><w:txbxContent>{paragraph("Boxed.")}</w:txbxContent></wps:txbx>'
    both = (
        '<w:r><mc:AlternateContent xmlns:mc="http://schemas.openxmlformats.org/markup-compatibility/2006">'
        f"<mc:Choice>{box}</mc:Choice><mc:Fallback>{box}</mc:Fallback></mc:AlternateContent></w:r>"
    )
    document, _ = read(tmp_path, "a.docx", docx(paragraph("Before", inner=both)))
    assert said(document) == [("Falls", "Before Boxed.")]


ENTITIES = '<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]>'


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), "locked with a password, or in Word's old format"),
        (b"PK", "not a zip"),
        (docx("")[:-40], "not a zip"),
        (docx(""), "pictures need OCR"),
        (docx(paragraph("&a;"), head=ENTITIES), "entities"),
        (docx(paragraph("x"), styles="<broken"), "not well-formed"),
        (docx("<w:sdt>" * 300 + paragraph("x") + "</w:sdt>" * 300), "nested without end|not well-formed"),
        (docx(" " * 80_000_000), "swells"),
    ],
    ids=["ole", "no zip", "cut", "empty", "entities", "styles", "nested", "bomb"],
)
def test_a_word_document_that_cannot_be_read_is_refused_in_a_sentence(tmp_path, data, why):
    document, refused = read(tmp_path, "a.docx", data)
    assert document is None and any(one in refused[0] for one in why.split("|"))


def test_a_zip_that_is_no_word_document_is_refused(tmp_path):
    out = io.BytesIO()
    with ZipFile(out, "w") as made:
        made.writestr("xl/workbook.xml", "<x/>")
    assert "no Word document" in read(tmp_path, "a.docx", out.getvalue())[1][0]


# HTML and text.


def test_html_is_read_wherever_its_text_stands_and_hidden_text_is_not(tmp_path):
    page = (
        "<html><head><title>Falls</title></head><body>Loose.<div>In a <span>div</span>.<h2>Scope <i>of it</i></h2>All"
        "<br>wards.</div><p style='color:red; display: none'>Hidden.</p><div hidden>Hidden.</div><h6>Table</h6><table>"
        "<tr><th>aPTT</th><td>35 s</td></tr></table>After<dl><dt>Bolus</dt><dd>80 units</dd></dl></body></html>"
    )
    document, _ = read(tmp_path, "a.html", page.encode())
    assert said(document) == [
        ("Falls", "Loose. In a div."),
        ("Scope of it", "All wards."),
        ("Table", "aPTT 35 s After Bolus 80 units"),
    ]


@pytest.mark.parametrize(
    ("name", "data", "text"),
    [
        ("a.txt", "Gib 5 µg.".encode(), "Gib 5 µg."),
        ("a.txt", "\ufeffGib 5 µg.".encode(), "Gib 5 µg."),
        ("a.md", "Gib 5 µg.".encode("utf-16"), "Gib 5 µg."),
        ("a.txt", "Gib 5 µg.".encode("cp1252"), "not UTF-8"),
        ("a.txt", b"\0\0PNG", "not text"),
        ("a.rtf", b"{\\rtf1}", ".rtf is not read: save it as DOCX or PDF"),
        ("a.DOC", b"x", ".doc is not read: save it as DOCX or PDF"),
        ("scan.tiff", b"II*", ".tiff is not read: save it as DOCX or PDF"),
    ],
)
def test_text_is_read_as_unicode_and_nothing_is_guessed(tmp_path, name, data, text):
    document, refused = read(tmp_path, name, data)
    assert text in (document.passages[0].text if document else refused[0])


async def test_a_folder_of_policies_is_searched_by_heading_and_page_and_what_is_left_out_is_said(index, tmp_path):
    folder = tmp_path / "policies"
    folder.mkdir()
    (folder / "heparin.pdf").write_bytes(pdf(*HEPARIN))
    (folder / "falls.docx").write_bytes(docx(paragraph("Scope", "berschrift1") + paragraph("Beds are lowered.")))
    (folder / "~$falls.docx").write_bytes(b"lock")
    (folder / "old.doc").write_bytes(b"old")
    (folder / "notes.xlsx").write_bytes(b"not a policy")
    reports = [await ingest(index, GuidelinePages(HOSPITAL), one) for one in GuidelinePages(HOSPITAL).inputs(folder)]
    assert sum(one.counts.added for one in reports) == 2
    assert [one.place for report in reports for one in report.refused] == ["old.doc"]
    await index.refresh()
    query = PassageQuery(text="bolus of heparin", limit=1, budget_ms=1000, source_kinds=("policy",))
    (found,) = await index.passages(query)
    assert (found.source.section, found.source.version) == ("1. Dosing, page 1", "3")
    # The same file with other words about its version is read again, without being asked to.
    later = GuidelinePages(Provenance("City Hospital", version="4", kind="policy"))
    assert (await ingest(index, later, folder / "falls.docx")).counts.added == 1
    assert (await ingest(index, later, folder / "falls.docx")).skipped == 1


def test_guidelines_of_others_are_read_from_pdf_too(tmp_path):
    (tmp_path / "a.pdf").write_bytes(pdf(plain("Text.")))
    shutil.copy(tmp_path / "a.pdf", tmp_path / "old.doc")
    found = GuidelinePages(Provenance("CDC")).inputs(tmp_path)
    assert [one.name for one in found] == ["a.pdf"]
