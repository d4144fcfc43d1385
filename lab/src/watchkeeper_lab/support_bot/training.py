"""Trains the support-bot: `python -m watchkeeper_lab.support_bot.training FOLDER`, with scikit-learn on the path.

The same data give the same model. Writes what `bot/model.py` reads, and `card.json`: what it learnt from, and how right
it is on questions that were kept from it.
"""

import json
import sys
from pathlib import Path

import numpy as np
import sklearn
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsRestClassifier

from watchkeeper_lab.support_bot.bot.answer import ESCALATE_BELOW, GOOD
from watchkeeper_lab.support_bot.bot.model import Model
from watchkeeper_lab.support_bot.questions import held_out, questions

SEED = 7
C = 50.0
"""Inverse strength of regularisation: of 1, 10, 50 and 200 the best on a tenth of the training questions; 200 is as
often right, and surer than that."""
ROUNDING = 1e-4
"""By which a probability may differ from scikit-learn's, which computes in double precision."""


def main(folder: Path) -> None:
    """Train, write, and make sure that what was written answers as what was trained."""
    unknown = held_out()
    learnt = [one for one in questions("train") if one.intent not in unknown]
    kept = [one for one in questions("test") if one.intent not in unknown]
    vectors = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, min_df=2)
    each = OneVsRestClassifier(LogisticRegression(solver="liblinear", C=C, random_state=SEED))
    each.fit(vectors.fit_transform([one.text for one in learnt]), [one.intent for one in learnt])

    model = Model(
        GOOD,
        [str(name) for name in each.classes_],
        [str(term) for term in vectors.get_feature_names_out()],
        np.ascontiguousarray(np.vstack([one.coef_[0] for one in each.estimators_]).T, np.float32),
        np.array([one.intercept_[0] for one in each.estimators_], np.float32),
        vectors.idf_.astype(np.float32),
    )
    model.save(folder)
    served = Model.load(folder)
    wanted = each.predict_proba(vectors.transform([one.text for one in kept]))
    given = np.array([served.shares(one.text) for one in kept])
    if (apart := float(np.abs(wanted - given).max())) > ROUNDING:
        raise SystemExit(f"what was written differs from what was trained by {apart}")

    right = np.array([served.intents[place] for place in given.argmax(1)]) == [one.intent for one in kept]
    sure = given.max(1) >= ESCALATE_BELOW
    card = {
        "model": "support-bot",
        "version": GOOD,
        "trained_with": f"scikit-learn {sklearn.__version__}",
        "data": "banking77 (Casanueva et al., 2020; CC BY 4.0)",
        "questions_learnt": len(learnt),
        "intents": len(served.intents),
        "never_learnt": sorted(unknown),
        "questions_tested": len(kept),
        "accuracy": round(float(right.mean()), 4),
        "accuracy_where_not_escalated": round(float(right[sure].mean()), 4),
        "confidence_mean": round(float(given.max(1).mean()), 4),
        "escalated": round(float(1 - sure.mean()), 4),
    }
    (folder / "card.json").write_text(json.dumps(card, indent=2) + "\n")
    print(json.dumps(card))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
