"""The utterances that systems got wrong and were most certain of."""

from dataclasses import dataclass


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


def confident_mistakes(runs, classes, most):
    """At most `most` `Mistake`s of decoded runs, an utterance once, by falling posterior and then by name."""
    decoded, wrong, found = {}, {}, {}
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
                values = float(posteriors[predicted]), float(posteriors[reference])
                found[utterance] = speaker, classes[reference], classes[predicted], *values
    mistakes = [Mistake(name, *facts, wrong[name], decoded[name]) for name, facts in found.items()]
    return sorted(mistakes, key=lambda each: (-each.posterior, each.utterance))[:most]
