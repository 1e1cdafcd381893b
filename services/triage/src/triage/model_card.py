"""The model card as Markdown, written from the manifest and the report."""

from typing import Any

from triage.manifest import Manifest
from triage.source_attributes import source_attributes

__all__ = ["model_card"]


def model_card(manifest: Manifest, report: dict[str, Any]) -> str:
    """Return the card."""
    data = manifest.trained_on
    recipe = ", ".join(f"{name.replace('_', ' ')} {value:g}" for name, value in manifest.recipe.items())
    parts = [
        f"# Triage model `{manifest.name}`, version {manifest.version}",
        "Proposes an acuity level (ESI, 1 to 5) for a patient who has just arrived in an emergency department, with the"
        " risks of a critical outcome (critical-care admission or death) and of hospitalisation.",
        "\n".join(
            (
                "| | |",
                "| --- | --- |",
                f"| model | `{manifest.digest}` |",
                f"| trained adapter | `{manifest.adapter_digest}` |",
                f"| shared encoder | {manifest.encoder}, `{manifest.encoder_digest}` (Apache-2.0), not changed |",
                f"| trained on | {data.name}, {data.years[0]} to {data.years[-1]}: {data.visits:,} visits |",
                f"| digest of the data | `{data.digest}` |",
                f"| recipe | {recipe} |",
                f"| licence | {manifest.licence} |",
            )
        ),
        "It is served only while the digests are those of the files that are loaded.",
        f"## Notice on the data\n\n{data.notice}",
        f"## How it was measured\n\n{_measured(report)}",
        f"## Missed outcomes at the over-triage of the recorded level\n\n{_missed(report)}",
        f"## Groups\n\n{_groups(report)}",
        f"## Which choices were made on which data\n\n{_choices(report)}",
        "## Limits\n\n" + "\n".join(f"* {line}" for line in _LIMITS),
        "## Source attributes\n\nOf a predictive decision support intervention, 45 CFR 170.315(b)(11)(iv)(B).\n\n"
        + "\n".join(
            (
                "| | attribute | |",
                "| --- | --- | --- |",
                *(f"| {one.number} | {one.name} | {one.text} |" for one in source_attributes(manifest, report)),
            )
        ),
    ]
    return "\n\n".join(parts) + "\n"


_LIMITS = (
    "The recorded level is what nurses gave, not what would have been right. Agreement with it is no proof of safety;"
    " the outcomes are the better yardstick, and they too depend on what hospitals admit.",
    "A visit that was treated well may have had no bad outcome because it was triaged as urgent.",
    "Training knows reasons for visit as abstractors coded them. Words that are far from all of them are left out, and"
    " the answer says so.",
    "Long-term conditions were recorded from the whole record of the visit, so that some may not have been known at"
    " triage.",
    "The survey masks hospitals and has no race- or language-specific validation here; those are no inputs either.",
    "Temperature, blood pressure and oxygen were not measured in every visit; which are missing is itself a sign of how"
    " urgent the nurse thought the patient was.",
)


def _range(value: dict[str, float]) -> str:
    return f"{value['value']:.3f} ({value['low']:.3f} to {value['high']:.3f})"


def _measured(report: dict[str, Any]) -> str:
    areas, kappa, levels = report["area"], report["kappa"], report["levels"]
    levelled = areas["model-where-level-recorded"]
    rows = (
        ("AUC, critical outcome, adults", "critical", areas),
        ("AUC, hospitalisation, adults", "hospitalisation", areas),
    )
    lines = [
        f"On the {report['visits']:,} visits of {report['report-year']}, which no training saw"
        f" ({report['adults']:,} adults, {report['adults-with-critical-outcome']} with a critical outcome,"
        f" {report['adults-hospitalised']:,} hospitalised; {report['with-recorded-level']:,} with a recorded level)."
        " Intervals are 95 %, by bootstrap over hospitals.",
        "",
        "| measure | this model | gradient boosting | recorded level alone |",
        "| --- | --- | --- | --- |",
    ]
    lines += [
        f"| {words} | {_range(of['model'][name])} | {_range(of['gradient-boosting'][name])}"
        f" | {_range(of['recorded-level'][name])} |"
        for words, name, of in rows
    ]
    lines += [
        f"| the same where a level was recorded, critical | {_range(levelled['critical'])} | | |",
        f"| the same where a level was recorded, hospitalisation | {_range(levelled['hospitalisation'])} | | |",
        f"| quadratic kappa with the recorded level | {_range(kappa['model'])}"
        f" | {_range(kappa['gradient-boosting'])} | 1 |",
        "",
        f"Children: AUC {_range(areas['model-children']['critical'])} for a critical outcome,"
        f" {_range(areas['model-children']['hospitalisation'])} for hospitalisation. Weighted to the visits of the"
        f" country, adults: {areas['model-weighted']['critical']:.3f} and"
        f" {areas['model-weighted']['hospitalisation']:.3f}.",
        "",
        "Expected calibration error (ten bins of equal size): critical"
        f" {report['calibration-error']['critical']:.3f}, hospitalisation"
        f" {report['calibration-error']['hospitalisation']:.3f}, the probability of each level"
        f" {report['calibration-error']['level']:.3f}, that of the most probable one"
        f" {report['calibration-error']['most-probable-level']:.3f}.",
        "",
        f"Sets of levels, stated to cover 90 %: cover {_range(report['sets']['coverage'])}, mean size"
        f" {report['sets']['mean-size']}, a single level in {report['sets']['single']:.0%} of visits.",
        "",
        f"The proposed level is the recorded one in {levels['same']:.1%} of visits and within one of it in"
        f" {levels['within-one']:.1%}; it is less urgent in {levels['proposed-less-urgent']:.1%} and more urgent in"
        f" {levels['proposed-more-urgent']:.1%}. The safety floor is not part of these figures.",
    ]
    return "\n".join(lines)


def _missed(report: dict[str, Any]) -> str:
    lines = [
        "Urgent is level 1 or 2. The model's risk is cut where as many visits without the outcome are urgent as by the"
        " recorded level.",
        "",
        "| outcome | over-triage | missed by the recorded level | missed by the model | difference |",
        "| --- | --- | --- | --- | --- |",
    ]
    lines += [
        f"| {name} | {row['over-triage']:.1%} | {_range(row['recorded'])} | {_range(row['model'])}"
        f" | {_range(row['difference'])} |"
        for name, row in report["under-triage"].items()
    ]
    if "urgent" in report:
        lines += [
            "",
            "The levels as they are proposed, in adults with a recorded level:",
            "",
            "| level | urgent | critical outcome, not urgent | hospitalised, not urgent | urgent without outcome |",
            "| --- | --- | --- | --- | --- |",
        ]
        lines += [
            f"| {words} | {row['urgent']:.1%} | {row['critical-not-urgent']:.1%} | {row['hospitalised-not-urgent']:.1%}"
            f" | {row['urgent-without-outcome']:.1%} |"
            for words, row in (
                ("recorded", report["urgent"]["recorded-level"]),
                ("the model's", report["urgent"]["model"]),
                ("the model's above the safety floor", report["urgent"]["model-above-floor"]),
            )
        ]
        raised = report["urgent"]["floor-raised"]
        lines += [
            "",
            f"The floor (vital signs alone; the survey has no others of its signs) raised {raised:.1%} of them.",
        ]
    return "\n".join(lines)


def _groups(report: dict[str, Any]) -> str:
    lines = [
        "Adults, except in the age bands below 18. A group is marked where its AUC is more than 0.05 below that of all"
        " adults; answers about its patients say so. Without 20 visits with and without the outcome no AUC is given.",
        "",
        "| group | outcome | visits | cases | AUC | mean risk | rate | |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for row in report["subgroups"]:
        given = "area" in row
        lines.append(
            f"| {row['dimension']}: {row['group']} | {row['outcome']} | {row['visits']:,} | {row['cases']} |"
            f" {_range(row['area']) if given else 'too few'} | {row['mean-risk'] if given else ''} |"
            f" {row['rate'] if given else ''} | {'warning' if row.get('warning') else ''} |"
        )
    return "\n".join(lines)


def _choices(report: dict[str, Any]) -> str:
    lines = [
        "Inputs, recipe, calibration, cuts and the size of the sets were chosen on the training years alone, by"
        " networks that had not seen the year they were judged on. The report year was used for the report and for the"
        " warnings about groups.",
        "",
        "| year left out | AUC critical | AUC hospitalisation | kappa of the most probable level |",
        "| --- | --- | --- | --- |",
    ]
    lines += [
        f"| {year} | {row['critical']:.3f} | {row['hospitalisation']:.3f} | {row['kappa-of-most-probable']:.3f} |"
        for year, row in report["cross-fitted"].items()
    ]
    return "\n".join(lines)
