"""The 31 source attributes of the model, written from its manifest and report so that they cannot disagree."""

from typing import Any

from service_contracts.triage import SourceAttribute

from triage.manifest import Manifest

__all__ = ["source_attributes"]

_DETAILS = "Details and output of the intervention"
_PURPOSE = "Purpose of the intervention"
_CAUTION = "Cautioned out-of-scope use"
_INPUTS = "Development details and input features"
_FAIR = "Process used to ensure fairness in development"
_EXTERNAL = "External validation process"
_MEASURES = "Quantitative measures of performance"
_UPKEEP = "Ongoing maintenance of implementation and use"
_UPDATES = "Update and continued validation or fairness assessment schedule"


def source_attributes(manifest: Manifest, report: dict[str, Any]) -> tuple[SourceAttribute, ...]:
    """Return the attributes in the order of 45 CFR 170.315(b)(11)(iv)(B)(1) to (9)."""
    data, year = manifest.trained_on, report["report-year"]
    years = f"{data.years[0]} to {data.years[-1]}"
    rows: list[tuple[str, str, str, str | None]] = [
        (
            "1.i",
            _DETAILS,
            "Developer and contact",
            "The Preceptor project; contact: the issue tracker of its repository.",
        ),
        ("1.ii", _DETAILS, "Funding of the technical implementation", "No funding from outside the project."),
        (
            "1.iii",
            _DETAILS,
            "Value produced as output",
            "An acuity level from 1 (most urgent) to 5 with a probability for each level and a set of levels that"
            f" covers {manifest.calibration.coverage:.0%} of visits, the estimated probabilities of a critical outcome"
            " (critical-care admission or death) and of hospitalisation, the three inputs that moved the level most,"
            " and the published rules that raised it.",
        ),
        ("1.iv", _DETAILS, "Type of output", "Prediction (outcomes) and classification (level)."),
        (
            "2.i",
            _PURPOSE,
            "Intended use",
            "A second opinion for the triage nurse at arrival in an emergency department, where the site has decided to"
            " run it as time-critical decision support. It is off otherwise.",
        ),
        (
            "2.ii",
            _PURPOSE,
            "Intended patients",
            "Patients of any age who have arrived in an emergency department of the United States. The outcomes were"
            " measured in adults; in children they are rarer and less certain.",
        ),
        ("2.iii", _PURPOSE, "Intended users", "Registered nurses who are trained in triage with ESI."),
        (
            "2.iv",
            _PURPOSE,
            "Decision-making role",
            "Informs. The nurse decides; a different decision with its reason is kept as feedback.",
        ),
        (
            "3.i",
            _CAUTION,
            "Tasks, situations or populations to be cautious about",
            _cautions(manifest),
        ),
        (
            "3.ii",
            _CAUTION,
            "Known risks, inappropriate settings or uses, limitations",
            "Not for telephone triage, mass casualties, mental-health risk, or for deciding that somebody may leave."
            " The recorded levels it learnt from are those nurses gave, with their errors and biases. The survey knows"
            " neither mental status nor the nurse's impression. Complaints in other languages than English are not"
            " understood. A patient whose problem list is empty is treated as one of whom nothing is known.",
        ),
        (
            "4.i",
            _INPUTS,
            "Inclusion and exclusion of training data",
            f"{data.visits:,} visits of {data.name} of {years}. Excluded: dead on arrival, and left without being seen."
            f" Levels were learnt from the {data.levels_recorded:,} visits with a recorded level of 1 to 5.",
        ),
        (
            "4.ii",
            _INPUTS,
            "Use of race, ethnicity, language, sexual orientation, gender identity, sex, date of birth, social"
            " determinants and health status assessments",
            "Used: sex, and the age that follows from the date of birth. Not used: race, ethnicity, language, sexual"
            " orientation, gender identity, social determinants (payer included), health status assessments.",
        ),
        (
            "4.iii",
            _INPUTS,
            "Demographic representativeness",
            "The survey samples visits to emergency departments of non-federal general and short-stay hospitals of all"
            f" states, and is weighted to be representative of them. In the visits of {year}: {_shares(report)}.",
        ),
        (
            "4.iv",
            _INPUTS,
            "Relevance of the training data to the deployed setting",
            "The inputs are those a nurse has at triage in such a department. Reasons for visit were coded afterwards"
            " by abstractors; a nurse writes her own words, which is why a shared text encoder reads them.",
        ),
        (
            "5.i",
            _FAIR,
            "Approach to fair output",
            "Performance is reported by age band, sex, arrival, region and complaint group, and every answer about a"
            " patient of a group in which an outcome is told apart clearly less well says so.",
        ),
        (
            "5.ii",
            _FAIR,
            "Approaches to manage, reduce or eliminate bias",
            "Race, ethnicity and payer are no inputs. Outcomes of the visit are learnt beside the recorded level, so"
            " that the level is not the only teacher. The safety floor treats all patients of an age alike.",
        ),
        ("6.i", _EXTERNAL, "Data source, setting or environment", None),
        ("6.ii", _EXTERNAL, "Party that conducted the external testing", None),
        ("6.iii", _EXTERNAL, "Demographic representativeness of the external data", None),
        ("6.iv", _EXTERNAL, "Description of the external validation", None),
        ("7.i", _MEASURES, "Validity in test data of the same source", _validity(report)),
        ("7.ii", _MEASURES, "Fairness in test data of the same source", _fairness(report)),
        ("7.iii", _MEASURES, "Validity in data of another source", None),
        ("7.iv", _MEASURES, "Fairness in data of another source", None),
        ("7.v", _MEASURES, "References to evaluations of its use on outcomes", None),
        (
            "8.i",
            _UPKEEP,
            "How and how often validity is monitored",
            "Each week, from the levels nurses gave and the outcomes that are reported back: under- and over-triage,"
            " calibration and drift, as metrics and by `preceptor monitor triage`.",
        ),
        (
            "8.ii",
            _UPKEEP,
            "Validity in local data",
            "Shown by `preceptor monitor triage` once a site has feedback.",
        ),
        (
            "8.iii",
            _UPKEEP,
            "How and how often fairness is monitored",
            "The same measures each week by age band and sex.",
        ),
        (
            "8.iv",
            _UPKEEP,
            "Fairness in local data",
            "Shown by `preceptor monitor triage` by age band and sex once a site has feedback.",
        ),
        (
            "9.i",
            _UPDATES,
            "How and how often it is updated",
            "When a new year of the survey is published, by `preceptor train triage`, with the report on a year that no"
            " training saw. A site decides when to serve another model.",
        ),
        (
            "9.ii",
            _UPDATES,
            "How often performance is corrected when risks are identified",
            "A week with under-triage above that of the nurses, or a calibration error above 0.05, is a reason to set"
            " the posture to non-device at once, which turns the score off; correction is a new model.",
        ),
    ]
    return tuple(
        SourceAttribute(
            number=number,
            category=category,
            name=name,
            text=text if text is not None else _NOT_AVAILABLE[number],
            available=text is not None,
        )
        for number, category, name, text in rows
    )


_NOT_AVAILABLE = {
    "6.i": "Not available: the model has not been validated outside of the survey.",
    "6.ii": "Not available: no external testing has been done.",
    "6.iii": "Not available: there are no external data.",
    "6.iv": "Not available: no external testing has been done.",
    "7.iii": "Not available: it has been measured on no other source.",
    "7.iv": "Not available: it has been measured on no other source.",
    "7.v": "Not available: no evaluation of its use on outcomes is known.",
}


def _cautions(manifest: Manifest) -> str:
    groups = [f"{one.dimension} {one.group} ({one.outcome}, AUC {one.auc:.2f})" for one in manifest.warnings]
    listed = f" Outcomes are told apart clearly less well in: {'; '.join(groups)}." if groups else ""
    return (
        "Newborns and children, pregnant patients, and patients whose complaint was not understood or whose vital signs"
        f" are missing.{listed}"
    )


def _shares(report: dict[str, Any]) -> str:
    rows = [row for row in report["subgroups"] if row["outcome"] == "critical" and row["dimension"] in ("age", "sex")]
    return ", ".join(f"{row['group']}: {row['visits']:,} visits" for row in rows)


def _validity(report: dict[str, Any]) -> str:
    areas, errors = report["area"]["model"], report["calibration-error"]
    boosted, recorded = report["area"]["gradient-boosting"], report["area"]["recorded-level"]
    return (
        f"Visits of {report['report-year']}, which no training saw. Adults: AUC {_range(areas['critical'])} for a"
        f" critical outcome and {_range(areas['hospitalisation'])} for hospitalisation (gradient boosting"
        f" {_range(boosted['critical'])} and {_range(boosted['hospitalisation'])}; the recorded level alone"
        f" {_range(recorded['critical'])} and {_range(recorded['hospitalisation'])}). Quadratic kappa with the recorded"
        f" level {_range(report['kappa']['model'])}. Expected calibration error {errors['critical']:.3f},"
        f" {errors['hospitalisation']:.3f} and {errors['level']:.3f} (critical, hospitalisation, level). Sets of levels"
        f" cover {report['sets']['coverage']['value']:.1%} of the recorded ones."
    )


def _fairness(report: dict[str, Any]) -> str:
    rows = [row for row in report["subgroups"] if row["dimension"] in ("age", "sex") and "area" in row]
    return "AUC by group: " + "; ".join(f"{row['group']} {row['outcome']} {_range(row['area'])}" for row in rows)


def _range(value: dict[str, float]) -> str:
    return f"{value['value']:.3f} ({value['low']:.3f} to {value['high']:.3f})"
