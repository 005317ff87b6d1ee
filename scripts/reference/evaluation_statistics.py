"""Reference values of the evaluation's statistics from SciPy, scikit-learn, statsmodels and pingouin.

Writes test/fixtures/statistics.json: for each case the inputs and what these libraries answer. The bootstrap cases repeat
the generator of lib/evaluation/statistics/random.ts, so that both sides see the same resamples.
"""

import json
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pingouin
from scipy import stats
from scipy.stats._resampling import BootstrapResult
from sklearn.calibration import calibration_curve
from sklearn.metrics import brier_score_loss, cohen_kappa_score, roc_auc_score
from statsmodels.stats.multitest import multipletests

warnings.filterwarnings("ignore")
pingouin.options["round.column.CI95"] = None  # else intervals come with two decimals
rng = np.random.default_rng(2015)


def rounded(count, scale=1.0, digits=4):
    """Normal numbers with few digits, so that the fixture is short and both sides read the same doubles."""
    return np.round(rng.normal(size=count) * scale, digits)


def distributions():
    families = {
        "normal": ([[]], stats.norm, [-9, -6, -3, -0.1, 0, 0.5, 1.96, 4, 12]),
        "studentT": ([[1], [2.5], [9], [99], [149]], stats.t, [-12, -5, -1.9, -0.2, 0, 0.7, 2, 6, 30]),
        "chiSquared": ([[1], [2], [7], [149.5]], stats.chi2, [0.001, 0.3, 1, 2, 9, 40, 150, 260]),
        "fisherF": ([[1, 200], [3, 7], [2.5, 3.7], [149, 149], [99, 104.3]], stats.f, [0.01, 0.4, 0.9, 1, 1.4, 3, 25]),
    }
    levels = [1e-12, 1e-6, 0.025, 0.3, 0.5, 0.75, 0.975, 0.999999]
    return [
        {
            "family": name,
            "parameters": parameters,
            "x": xs,
            "cdf": list(family.cdf(xs, *parameters)),
            "survival": list(family.sf(xs, *parameters)),
            "p": levels,
            "quantile": list(family.ppf(levels, *parameters)),
        }
        for name, (sets, family, xs) in families.items()
        for parameters in sets
    ]


def correlations():
    cases = []
    for count, step in [(5, 0), (40, 0), (60, 0.5)]:
        x = rounded(count)
        y = np.round(0.6 * x + rounded(count), 4)
        if step:  # ties
            x, y = np.round(x / step) * step, np.round(y / step) * step
        line = stats.linregress(x, y)
        half = stats.t.ppf(0.975, count - 2) * line.stderr
        cases.append({
            "x": list(x), "y": list(y),
            "pearson": stats.pearsonr(x, y).statistic, "spearman": stats.spearmanr(x, y).statistic,
            "slope": line.slope, "intercept": line.intercept, "p": line.pvalue,
            "slopeCi95": [line.slope - half, line.slope + half],
        })
    return cases


def wilcoxons():
    plain = [rounded(n) + 0.3 for n in (6, 20, 50)]
    large = [rounded(80) + 0.1]
    tied = [np.round(rounded(n) * 2) / 2 for n in (8, 13, 30, 70)]  # zeros too
    return [
        {"differences": list(d), "statistic": (result := stats.wilcoxon(d)).statistic, "p": result.pvalue}
        for d in [*plain, *large, *tied]
    ]


def aucs():
    cases = []
    for count, step in [(12, 0), (200, 0), (200, 0.5)]:
        scores = rounded(count)
        positive = rng.random(count) < 1 / (1 + np.exp(-scores))
        if step:
            scores = np.round(scores / step) * step
        cases.append({"scores": list(scores), "positive": [bool(p) for p in positive], "auc": roc_auc_score(positive, scores)})
    return cases


def kappas():
    cases = []
    for classes, count in [(2, 30), (3, 150), (5, 100)]:
        truth = rng.integers(0, classes, count)
        other = np.where(rng.random(count) < 0.6, truth, rng.integers(0, classes, count))
        matrix = np.zeros((classes, classes), int)
        np.add.at(matrix, (truth, other), 1)
        cases.append({
            "confusion": matrix.tolist(),
            "none": cohen_kappa_score(truth, other),
            "linear": cohen_kappa_score(truth, other, weights="linear"),
            "quadratic": cohen_kappa_score(truth, other, weights="quadratic"),
        })
    return cases


def agreements():
    """Intraclass correlations by pingouin; Bland and Altman's limits from their definition in SciPy's terms."""
    cases = []
    for count, bias, noise in [(10, 0, 1), (100, 0.5, 0.4), (150, -2, 3)]:
        truth = np.round(80 + rounded(count, 3), 4)
        measured = np.round(truth + bias + rounded(count, noise), 4)
        table = pd.DataFrame({
            "target": np.tile(np.arange(count), 2),
            "rater": np.repeat(["measured", "truth"], count),
            "rating": np.concatenate([measured, truth]),
        })
        icc = pingouin.intraclass_corr(table, "target", "rater", "rating").set_index("Type")
        d = measured - truth
        sd = np.std(d, ddof=1)
        low, high = stats.t.interval(0.95, count - 1, d.mean(), stats.sem(d))
        half = stats.t.ppf(0.975, count - 1) * sd * np.sqrt(1 / count + 1.96**2 / (2 * (count - 1)))
        limits = [d.mean() - 1.96 * sd, d.mean() + 1.96 * sd]
        line = stats.linregress((measured + truth) / 2, d)
        cases.append({
            "measured": list(measured), "truth": list(truth),
            "icc21": icc.loc["ICC(A,1)", "ICC"], "icc21Ci95": list(icc.loc["ICC(A,1)", "CI95"]),
            "icc31": icc.loc["ICC(C,1)", "ICC"], "icc31Ci95": list(icc.loc["ICC(C,1)", "CI95"]),
            "bias": d.mean(), "biasCi95": [low, high], "sd": sd, "limits": limits,
            "limitsCi95": [[limit - half, limit + half] for limit in limits],
            "slope": line.slope, "p": line.pvalue,
        })
    return cases


def mulberry32(seed):
    state = seed
    while True:
        state = (state + 0x6D2B79F5) % 2**32
        bits = state
        bits = (bits ^ (bits >> 15)) * (bits | 1) % 2**32
        bits ^= (bits + (bits ^ (bits >> 7)) * (bits | 61)) % 2**32
        yield ((bits ^ (bits >> 14)) % 2**32) / 2**32


def bootstraps():
    cases = []
    for count, resamples, seed in [(20, 500, 1), (60, 1000, 2015)]:
        a = np.round(np.exp(rounded(count, 0.7)), 4)
        b = np.round(a * 0.9 + 0.3 * np.abs(rounded(count)), 4)
        uniform = mulberry32(seed)
        drawn = np.array([[int(next(uniform) * count) for _ in range(count)] for _ in range(resamples)])
        case = {"a": list(a), "b": list(b), "resamples": resamples, "seed": seed}
        for name, values in [("mean", a), ("difference", a - b)]:
            distribution = values[drawn].mean(axis=1)
            known = BootstrapResult(None, distribution, None)
            for method in ("percentile", "bca"):
                interval = stats.bootstrap((values,), np.mean, n_resamples=0, bootstrap_result=known, method=method).confidence_interval
                case[f"{name}-{method}"] = [interval.low, interval.high]
        case["p"] = min(1, 2 * min(np.mean(distribution <= 0), np.mean(distribution >= 0)))
        cases.append(case)
    return cases


def calibrations():
    """Brier score and expected calibration error of class probabilities that are shares of 20 draws."""
    cases = []
    for classes, count in [(3, 40), (4, 150)]:
        true = rng.dirichlet(np.ones(classes), count)
        draws = np.array([rng.multinomial(20, p) for p in true])
        truth = np.array([rng.choice(classes, p=p) for p in true])
        p = draws / 20
        top = p.argmax(axis=1)
        confidence = p[np.arange(count), top]
        accuracy, mean_confidence = calibration_curve(top == truth, confidence, n_bins=10)
        bins = np.clip(np.searchsorted(np.linspace(0, 1, 11)[1:-1], confidence), 0, 9)
        sizes = np.bincount(bins, minlength=10)
        sizes = sizes[sizes > 0]
        cases.append({
            "draws": draws.tolist(), "truth": truth.tolist(),
            "brier": brier_score_loss(truth, p, labels=list(range(classes)), scale_by_half=False),
            "ece": 100 * np.sum(sizes / count * np.abs(accuracy - mean_confidence)),
        })
    return cases


def corrections():
    return [
        {"p": list(p), "holm": list(multipletests(p, method="holm")[1])}
        for p in ([0.01, 0.04, 0.03, 0.005], np.round(rng.random(19) ** 3, 5), [0.5])
    ]


def comparisons():
    """Two detectors on the same images. Errors in mm [image][landmark]: NaN (null) not annotated, Infinity (-1) not found."""
    images, landmarks = 40, 4
    first = np.round(np.exp(rng.normal(size=(images, landmarks)) * 0.6), 3)
    second = np.round(first * np.exp(rng.normal(size=first.shape) * 0.2 - [0, 0.1, 0.2, 0]), 3)
    second[rng.random(first.shape) < 0.1] = np.inf
    first[rng.random(first.shape) < 0.05] = np.inf
    absent = rng.random(first.shape) < 0.05
    first[absent] = second[absent] = np.nan
    second[:, 3] = first[:, 3]  # a landmark on which nothing differs
    both = np.isfinite(first) & np.isfinite(second)
    difference = np.where(both, second, np.nan) - np.where(both, first, np.nan)
    of_image = np.nanmean(difference, axis=1)
    tests = [stats.wilcoxon(column[np.isfinite(column)]).pvalue for column in difference.T[:3]]
    rate = lambda errors, limit: 100 * np.sum(errors <= limit) / np.sum(~np.isnan(errors))
    annotated = ~np.isnan(first)
    encoded = lambda errors: [[None if np.isnan(e) else -1 if np.isinf(e) else e for e in row] for row in errors]
    return {
        "first": encoded(first), "second": encoded(second),
        "points": int(both.sum()),
        "mre": second[both].mean() - first[both].mean(),
        "sdr": {str(limit): rate(second, limit) - rate(first, limit) for limit in (2, 2.5, 3, 4)},
        "wilcoxon": stats.wilcoxon(of_image[np.isfinite(of_image)]).pvalue,
        "perLandmark": list(np.nanmean(difference, axis=0)),
        "p": tests, "pHolm": list(multipletests(tests, method="holm")[1]),
        "nearer": [
            {"first": int(np.sum(a < b)), "second": int(np.sum(b < a)), "ties": int(np.sum(a == b))}
            for a, b in zip(first.T, second.T)
        ],
        "gained2": int(np.sum((second <= 2) & ~(first <= 2) & annotated)),
        "lost2": int(np.sum((first <= 2) & ~(second <= 2) & annotated)),
    }


def main():
    makers = [
        distributions, correlations, wilcoxons, aucs, kappas, agreements, bootstraps, calibrations, corrections,
        comparisons,
    ]
    fixture = {maker.__name__: maker() for maker in makers}
    path = Path(__file__).parents[2] / "test" / "fixtures" / "statistics.json"
    path.write_text(json.dumps(fixture, default=float) + "\n")
    print(f"{path}: {path.stat().st_size} bytes")


main()
