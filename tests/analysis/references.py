"""Prints what other packages compute on random data, which the tests compare with.

    python -m venv /tmp/references
    /tmp/references/bin/pip install rliable==1.2.0 statsmodels==0.15.0 baycomp==1.0.3 "pandas<3"
    /tmp/references/bin/python tests/analysis/references.py > tests/golden/references.json

They are no dependencies of the tests: together they are 300 MB.
"""

from __future__ import annotations

import importlib.metadata
import json

import numpy as np

RESAMPLES = 4_000


def main() -> None:
    rng = np.random.default_rng(7)
    made = {
        "versions": {
            name: importlib.metadata.version(name)
            for name in ("rliable", "statsmodels", "baycomp", "scipy", "arch")
        },
        "nadeau_bengio": nadeau_bengio(rng),
        "holm": holm(rng),
        "equivalence": equivalence(rng),
        "random_effects": random_effects(rng),
        "rliable": rliable(rng),
    }
    print(json.dumps(made, indent=1))


def nadeau_bengio(rng: np.random.Generator) -> dict:
    from baycomp.single import CorrelatedTTest

    values = rng.normal(0.03, 0.02, 10).round(4)
    # Of ten folds: as many test examples as a ninth of the training examples.
    posterior = CorrelatedTTest(values, np.zeros(10), 0, runs=1)
    return {
        "values": values.tolist(),
        "ratio": 1 / 9,
        "variance": float(posterior.var),
        "degrees": int(posterior.df),
    }


def holm(rng: np.random.Generator) -> dict:
    from statsmodels.stats.multitest import multipletests

    p_values = (rng.random(8) ** 2).round(6)
    return {
        "p_values": p_values.tolist(),
        "adjusted": multipletests(p_values, method="holm")[1].tolist(),
    }


def equivalence(rng: np.random.Generator) -> dict:
    from statsmodels.stats.weightstats import ttost_paired

    values = rng.normal(0.004, 0.01, 8).round(5)
    found = [
        {"margin": margin, "p_value": float(ttost_paired(values, np.zeros(8), -margin, margin)[0])}
        for margin in (0.01, 0.02)
    ]
    return {"values": values.tolist(), "found": found}


def random_effects(rng: np.random.Generator) -> dict:
    from statsmodels.stats.meta_analysis import combine_effects

    means = rng.normal(0.02, 0.02, 5).round(4)
    variances = (rng.uniform(0.004, 0.02, 5) ** 2).round(7)
    found = combine_effects(means, variances, method_re="iterated", use_t=True)
    equal = combine_effects(means, np.full(5, 1e-4), method_re="iterated", use_t=True)
    return {
        "means": means.tolist(),
        "variances": variances.tolist(),
        "between": float(found.tau2),
        "mean": float(found.mean_effect_re),
        "error": float(found.sd_eff_w_re_hksj),
        # With equal variances, weights are equal: the interval that regbench has.
        "interval_of_equal_weights": [float(each) for each in equal.conf_int(use_t=True)[3]],
    }


def rliable(rng: np.random.Generator) -> dict:
    from rliable import library, metrics

    first = rng.normal(0.70, 0.03, (6, 4)).round(4)
    second = rng.normal(0.69, 0.03, (5, 4)).round(4)
    second[0, 0] = first[0, 0]  # a tie

    def interval(scores, metric):
        found = library.get_interval_estimates(
            {"it": scores}, lambda *each: np.array([metric(*each)]), reps=RESAMPLES,
            random_state=np.random.RandomState(0),
        )  # fmt: skip
        return found[1]["it"].ravel().tolist()

    return {
        "first": first.tolist(),
        "second": second.tolist(),
        "iqm": float(metrics.aggregate_iqm(first)),
        "iqm_interval": interval(first, metrics.aggregate_iqm),
        "improvement": float(metrics.probability_of_improvement(first, second)),
        "improvement_interval": interval((first, second), metrics.probability_of_improvement),
    }


if __name__ == "__main__":
    main()
