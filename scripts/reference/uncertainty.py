"""Fixtures for the evaluation of uncertainty, from NumPy, SciPy and scikit-learn.

Writes test/fixtures/uncertainty.json and test/fixtures/uncertainty.safetensors (stored heatmaps in the
format of docs/heatmap-files.md, all tiles of the first landmark and only some of the second).
Run: python3 scripts/reference/uncertainty.py
"""

import json
import math
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file
from scipy import optimize, stats
from sklearn.metrics import roc_auc_score, roc_curve

folder = Path(__file__).parents[2] / "test" / "fixtures"
random = np.random.default_rng(2407)


def errors_and_expectations():
    n = 400
    expected = np.round(random.gamma(2.0, 0.8, n), 2)  # rounded: there are equal ones
    errors = np.round(expected * random.rayleigh(0.9, n), 6)
    order = np.lexsort((errors, expected))
    size = 36
    blocks = [order[k * size : (k + 1) * size] for k in range(n // size)]
    block_expected = [float(np.mean(expected[b])) for b in blocks]
    block_errors = [float(np.mean(errors[b])) for b in blocks]
    outliers = errors > 2
    fpr, tpr, thresholds = roc_curve(outliers, expected, drop_intermediate=False)
    half = int(np.argmax(tpr >= 0.5))
    # Points of equal expectation count as their mean: the mean over many random orders among them.
    groups = [np.mean(errors[expected == e]) for e in np.sort(expected)]
    risks = np.cumsum(groups) / np.arange(1, n + 1)
    # Inside a group the running mean is linear in the group's mean, so this is exact.
    return {
        "expected": expected.tolist(),
        "errors": errors.tolist(),
        "pearson": stats.pearsonr(expected, errors).statistic,
        "spearman": stats.spearmanr(expected, errors).statistic,
        "blocks": {
            "expected": block_expected,
            "error": block_errors,
            "pearson": np.corrcoef(block_expected, block_errors)[0, 1],
        },
        "auc": roc_auc_score(outliers, expected),
        "threshold": thresholds[half],
        "tpr": tpr[half],
        "fpr": fpr[half],
        "aurc": float(np.mean(risks)),
        "oracleAurc": float(np.mean(np.cumsum(np.sort(errors)) / np.arange(1, n + 1))),
        "conformal": [
            float(np.quantile(errors, min(1, math.ceil((n + 1) * c) / n), method="inverted_cdf"))
            for c in (0.8, 0.9, 0.95)
        ],
    }


def reliability():
    """As jfm15's plots.py computes it: histogram over linspace with an open last bin."""
    n, area = 300, 0.3**2
    confidence = np.round(random.beta(2, 20, n), 6)
    errors = np.round(random.rayleigh(0.4, n), 6)
    correct = errors < math.sqrt(area / math.pi)
    edges = np.linspace(0, 0.15, 11)
    edges[-1] = 1.1
    which = np.digitize(confidence, edges) - 1
    ece = 0.0
    for b in range(10):
        own = which == b
        if own.any():
            ece += own.sum() / n * abs(correct[own].mean() - confidence[own].mean())
    return {
        "confidence": confidence.tolist(),
        "errors": errors.tolist(),
        "pixelArea": area,
        "ece": 100 * ece,
        "counts": [int((which == b).sum()) for b in range(10)],
    }


def stored_heatmaps():
    """Two landmarks on 21 x 13 pixels, tiles of 4: what a reader should make of them."""
    width, height, tile = 21, 13, 4
    rows, columns = math.ceil(height / tile), math.ceil(width / tile)
    y, x = np.mgrid[0:height, 0:width]
    first = np.exp(-((x - 6.3) ** 2) / 8 - (y - 4.6) ** 2 / 3 - (x - 6.3) * (y - 4.6) / 6)
    second = np.exp(-np.hypot(x - 15.2, y - 8.1)) + 0.4 * np.exp(-np.hypot(x - 3, y - 10))
    coarse = np.empty((2, rows, columns), np.float16)
    index, values, dense = [], [], []
    for n, heat in enumerate((first, second)):
        logs = np.log(heat / heat.max())
        whole = np.empty((height, width))
        sums = np.empty((rows, columns))
        for r in range(rows):
            for c in range(columns):
                part = np.exp(logs[r * tile : (r + 1) * tile, c * tile : (c + 1) * tile])
                sums[r, c] = part.sum()
                coarse[n, r, c] = np.float16(np.log(part.mean()))
        stored = np.ones_like(sums, bool) if n == 0 else sums >= np.sort(sums.ravel())[-7]
        for r in range(rows):
            for c in range(columns):
                place = (slice(r * tile, (r + 1) * tile), slice(c * tile, (c + 1) * tile))
                if not stored[r, c]:
                    whole[place] = float(coarse[n, r, c])
                    continue
                full = np.full((tile, tile), -np.inf, np.float16)
                part = logs[place].astype(np.float16)
                full[: part.shape[0], : part.shape[1]] = part
                index.append((n * rows + r) * columns + c)
                values.append(full)
                whole[place] = part.astype(np.float64)
        p = np.exp(whole)
        dense.append(p / p.sum())
    description = {
        "landmarks": ["S", "N"],
        "width": width,
        "height": height,
        "tile": tile,
        "origin": [1.5, 1.25],
        "step": [3, 2.5],
    }
    save_file(
        {
            "coarse": coarse,
            "index": np.array(index, np.int32),
            "values": np.stack(values),
        },
        folder / "uncertainty.safetensors",
        {
            "format": "landmark-diffusion/heatmaps",
            "version": "1",
            "description": json.dumps(description),
        },
    )
    unit = (0.3, 0.25)
    truths = [(7, 5), (14, 7)]
    return {
        "unit": unit,
        "truths": truths,
        "figures": [figures(p, unit, x, y, truth) for p, truth in zip(dense, truths)],
        "temperature": temperature(dense[0], truths[0], [(5, 4), (9, 6), (2, 2)]),
    }


def figures(p, unit, x, y, truth):
    peak = np.unravel_index(np.argmax(p), p.shape)
    core = np.where(p > 0.05 * p.max(), p, 0)
    distance = np.hypot(unit[0] * (x - peak[1]), unit[1] * (y - peak[0]))
    mx, my = (p * x).sum(), (p * y).sum()
    at = p[truth[1], truth[0]]
    descending = np.sort(p.ravel())[::-1]
    cumulative = np.cumsum(descending)
    soft = p ** (1 / 2.5)
    soft /= soft.sum()
    return {
        "ere": (core * distance).sum() / core.sum(),
        "confidence": p.max(),
        "mean": [mx, my],
        "nll": -math.log(at / (unit[0] * unit[1])),
        "above": p[p > at].sum(),
        "upTo": p[p >= at].sum(),
        "pixels90": int(np.searchsorted(cumulative, 0.9)),
        "softConfidence": soft.max(),
        "softAt": soft[truth[1], truth[0]],
        "covariance": [
            [unit[0] ** 2 * ((p * (x - mx) ** 2).sum() + 1 / 12),
             unit[0] * unit[1] * (p * (x - mx) * (y - my)).sum()],
            [unit[0] * unit[1] * (p * (x - mx) * (y - my)).sum(),
             unit[1] ** 2 * ((p * (y - my) ** 2).sum() + 1 / 12)],
        ],
    }


def temperature(p, truth, others):
    points = [truth, *others]

    def nll(log_t):
        soft = p ** math.exp(-log_t)
        soft /= soft.sum()
        return -np.mean([math.log(soft[y, x]) for x, y in points])

    found = optimize.minimize_scalar(nll, bounds=(-2, 2), method="bounded", options={"xatol": 1e-10})
    return {"points": points, "value": math.exp(found.x)}


def ellipses():
    covariance = [[1.3, 0.4], [0.4, 0.7]]
    deviation = [0.9, -1.1]
    inverse = np.linalg.inv(covariance)
    return {
        "covariance": covariance,
        "deviation": deviation,
        "squared": float(np.array(deviation) @ inverse @ np.array(deviation)),
        "limits": [float(stats.chi2(2).ppf(c)) for c in (0.05, 0.5, 0.95)],
        "axes": np.sqrt(np.linalg.eigvalsh(covariance))[::-1].tolist(),
    }


(folder / "uncertainty.json").write_text(
    json.dumps(
        {
            "errors": errors_and_expectations(),
            "reliability": reliability(),
            "heatmaps": stored_heatmaps(),
            "ellipses": ellipses(),
        },
        default=float,
    )
    + "\n"
)
