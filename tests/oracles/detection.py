"""Average precision of detections in plain Python, one category, image and threshold at a time."""

from fractions import Fraction

GRID = [k / 100 for k in range(101)]


def iou(found, truth, crowd):
    w = min(found[0] + found[2], truth[0] + truth[2]) - max(found[0], truth[0])
    h = min(found[1] + found[3], truth[1] + truth[3]) - max(found[1], truth[1])
    if w <= 0 or h <= 0:
        return 0
    union = found[2] * found[3]
    if not crowd:
        union += truth[2] * truth[3] - w * h
    return Fraction(w * h, union)


def match(objects, found, threshold, limits):
    """Verdict of each detection of one image and category: "hit", "miss" or "ignored"."""
    low, high = limits
    ignored = [o["ignored"] or not low <= o["area"] <= high for o in objects]
    order = sorted(range(len(objects)), key=lambda g: ignored[g])
    taken = set()
    verdicts = []
    for item in sorted(found, key=lambda d: -d["score"]):
        best, held = threshold, None
        for g in order:
            if g in taken and not objects[g]["crowd"]:
                continue
            if held is not None and not ignored[held] and ignored[g]:
                break
            overlap = iou(item["box"], objects[g]["box"], objects[g]["crowd"])
            if overlap >= best:
                best, held = overlap, g
        if held is not None:
            taken.add(held)
            verdict = "ignored" if ignored[held] else "hit"
        else:
            inside = low <= item["box"][2] * item["box"][3] <= high
            verdict = "miss" if inside else "ignored"
        verdicts.append((item, verdict))
    n = sum(not flag for flag in ignored)
    return verdicts, n


def curve(entries, n, weights, ties):
    """Interpolated average precision and recall of entries (score, image, verdict) in order."""
    if n == 0:
        return None, None
    ranked = sorted(entries, key=lambda entry: -entry[0])
    hits = misses = 0
    points = []
    for k, (score, image, verdict) in enumerate(ranked):
        hits += weights[image] * (verdict == "hit")
        misses += weights[image] * (verdict == "miss")
        last = k + 1 == len(ranked) or ranked[k + 1][0] != score
        if (ties == "reference" or last) and hits + misses > 0:
            points.append((Fraction(hits, n), Fraction(hits, hits + misses)))
    total = 0
    for recall in range(101):
        total += max((p for r, p in points if r * 100 >= recall), default=0)
    return Fraction(total, 101), Fraction(hits, n)


def average_precision(
    images, categories, objects, found, weights, threshold, *, cap=None, ties="reference", limits
):
    """(AP, recall) of each category, and of all categories in one pool."""
    results, pool, pooled_n = {}, [], 0
    entries = {c: [] for c in categories}
    counts = dict.fromkeys(categories, 0)
    for image in images:
        for c in categories:
            here = [d for d in found if (d["image"], d["category"]) == (image, c)]
            here = sorted(here, key=lambda d: -d["score"])[:cap]
            there = [o for o in objects if (o["image"], o["category"]) == (image, c)]
            verdicts, n = match(there, here, threshold, limits)
            rows = [(d["score"], image, verdict) for d, verdict in verdicts]
            entries[c] += rows
            pool += rows
            counts[c] += weights[image] * n
            pooled_n += weights[image] * n
    for c in categories:
        results[c] = curve(entries[c], counts[c], weights, ties)
    return results, curve(pool, pooled_n, weights, ties)
