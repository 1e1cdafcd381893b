"""The model card of an adapter, written from its manifest so that the two cannot disagree."""

from adapter_serving.manifest import Manifest, Rate

__all__ = ["model_card"]

_MEASURES = {
    "medicine-named": "The sentence names the medicine",
    "dose-and-numbers-faithful": "Every number of the order, and no other (dose, times, days)",
    "frequency-faithful": "How often, as ordered",
    "take-or-stop-faithful": "Start, keep, change or stop, as in the chart",
    "exact-medicine": "Medicine sentence word for word as wanted",
    "exact-activity": "Activity sentence word for word as wanted",
    "exact-diet": "Diet sentence word for word as wanted",
    "exact-visit": "Follow-up sentence word for word as wanted",
    "exact-reason": "Reason sentence word for word as wanted",
    "exact-procedure": "Procedure sentence word for word as wanted",
    "exact-warning": "Warning sentence word for word as wanted",
    "finished": "Sentence finished within the token limit",
    "document-at-grade-6.9-or-lower": "Document at reading grade 6.9 or lower",
}


def model_card(manifest: Manifest) -> str:
    """Return the card as Markdown."""
    data = manifest.trained_on
    rows = "\n".join(
        f"| {_MEASURES[name]} | {value.value:.1%} | {value.low:.1%} to {value.high:.1%} | {value.of} |"
        for name, value in ((name, manifest.metrics.get(name)) for name in _MEASURES)
        if isinstance(value, Rate)
    )
    recipe = ", ".join(f"{name.replace('_', ' ')} {value:g}" for name, value in manifest.recipe.items())
    return f"""# Adapter `{manifest.adapter}`, version {manifest.version}

A LoRA adapter for {manifest.base} that turns one item of a hospital chart (an order for a medicine, an activity,
diet or follow-up order, the reason for the stay) into one plain sentence for the patient. It fills the template
`{manifest.template}` version {manifest.template_version}.

| | |
| --- | --- |
| base | {manifest.base} (Apache-2.0), `{manifest.base_digest}` |
| adapter | `{manifest.adapter_digest}` |
| trained on | {data.stays} synthetic stays, {data.examples} items, seed {data.seed}, `{data.digest}` |
| recipe | LoRA on all linear layers; {recipe} |
| licence | {manifest.licence} |

It is served only while both digests are those of the files that are loaded.

## Intended use

Drafting discharge instructions in English inside Preceptor, where every sentence is compared with the chart and with
evidence and a clinician signs. It repeats orders, right or wrong: an order for too high a dose becomes a sentence with
too high a dose, and it is the reconciliation that flags it.

Not for use without that check, without a clinician, for advice, for triage, for other languages, or for text that
reaches a patient unread.

## How it was measured

On {manifest.held_out_stays} held-out synthetic stays (seed {manifest.held_out_seed}) of the same generator. Their
medicines given by mouth and their rare conditions are in no training stay; the ways of writing orders are the same as
in training. Greedy decoding. Intervals are 95 % Wilson score intervals.

| measure | value | interval | of |
| --- | --- | --- | --- |
{rows}

Mean Flesch-Kincaid grade of the generated sentences of a document: {_grade(manifest, "reading-grade-mean")} with names
of medicines counted as two-syllable words, {_grade(manifest, "reading-grade-mean-names-as-spelled")} with names as they
are spelled.

## Limits

* The generator is ours: orders written in ways it does not know are outside of what was measured. Figures on synthetic
  stays say nothing certain about real charts.
* A small model copies long unseen names and rare shorthand less reliably than common ones.
* It knows nothing of interactions, limits or allergies, and its warning signs are general ones for the condition.
* No data of patients was used, and no text of others: orders, sentences and word lists were written for this project.
"""


def _grade(manifest: Manifest, name: str) -> str:
    value = manifest.metrics.get(name)
    return f"{value:g}" if isinstance(value, float) else "not measured"
