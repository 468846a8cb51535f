"""The utterances that systems got wrong and were most certain of."""

from collections.abc import Sequence
from dataclasses import dataclass

from sertk.evaluation.runs import DecodedRun


@dataclass(frozen=True)
class Mistake:
    """An utterance that was not recognised, as by the run that was most certain of its mistake."""

    utterance: str
    speaker: str
    reference: str
    predicted: str
    posterior: float  # of the predicted class, 0..1
    of_reference: float  # posterior of the reference class
    wrong: int  # runs that did not recognise it
    decoded: int  # runs that had it in their test split


def confident_mistakes(runs: Sequence[DecodedRun], classes: Sequence[str], most: int) -> list[Mistake]:
    """At most `most` `Mistake`s of decoded runs, an utterance once, by falling posterior and then by name."""
    decoded, wrong = {}, {}
    found: dict[str, tuple[str, str, str, float, float]] = {}  # the fields of its Mistake up to `of_reference`
    for run in runs:
        own = run.predictions
        rows = zip(own.utterances, own.speakers, own.reference, own.predicted, own.posteriors, strict=True)
        for utterance, speaker, reference, predicted, posteriors in rows:
            decoded[utterance] = decoded.get(utterance, 0) + 1
            if reference == predicted:
                continue
            wrong[utterance] = wrong.get(utterance, 0) + 1
            best = found.get(utterance)
            if best is None or posteriors[predicted] > best[3]:
                names = speaker, classes[int(reference)], classes[int(predicted)]
                found[utterance] = *names, float(posteriors[predicted]), float(posteriors[reference])
    mistakes = [Mistake(name, *facts, wrong[name], decoded[name]) for name, facts in found.items()]
    return sorted(mistakes, key=lambda each: (-each.posterior, each.utterance))[:most]
