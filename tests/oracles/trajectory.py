"""The definitions in plain Python, as slow as they like."""

import numpy as np
from scipy.integrate import quad


def path_distance(weights, means, covariances, truth, *, density=False):
    """Distance with the share of each component integrated numerically along the segment."""
    centre = np.average(means, axis=0, weights=weights)
    v = centre - truth
    above = below = 0.0
    for w, mean, covariance in zip(weights, means, covariances, strict=True):
        precision = np.linalg.inv(covariance)
        u = mean - truth

        def height(r, u=u, precision=precision):
            return np.exp(-0.5 * (u - r * v) @ precision @ (u - r * v))

        share = w * quad(height, 0.0, 1.0, epsabs=1e-13, epsrel=1e-12)[0]
        if density:
            share /= np.sqrt(np.linalg.det(covariance))
        above += share * (v @ precision @ v)
        below += share
    return np.sqrt(above / below)


def amd_of_gaussians(truth, samples, scene, reg):
    """AMD of one-component cells: mean over scenes of mean Mahalanobis distances."""
    _, steps, agents, _ = samples.shape
    distance = np.empty((steps, agents))
    for t in range(steps):
        for a in range(agents):
            cloud = samples[:, t, a]
            covariance = np.cov(cloud.T, bias=True) + reg * np.eye(cloud.shape[1])
            v = cloud.mean(axis=0) - truth[t, a]
            distance[t, a] = np.sqrt(v @ np.linalg.solve(covariance, v))
    return np.mean([distance[:, scene == s].mean() for s in np.unique(scene)])


def energy_score(samples, y, *, fair, weights=None):
    """Definition with all pairs."""
    n = len(samples)
    w = np.full(n, 1 / n) if weights is None else weights / weights.sum()
    near = sum(w[i] * np.linalg.norm(samples[i] - y) for i in range(n))
    pairs = sum(
        w[i] * w[j] * np.linalg.norm(samples[i] - samples[j]) for i in range(n) for j in range(n)
    )
    return near - 0.5 * pairs / (1 - np.sum(w**2) if fair else 1)


def variogram_score(samples, y):
    """Order 1/2, all ordered pairs of coordinates."""
    p = len(y)
    score = 0.0
    for i in range(p):
        for j in range(p):
            mean = np.mean(np.abs(samples[:, i] - samples[:, j]) ** 0.5)
            score += (np.abs(y[i] - y[j]) ** 0.5 - mean) ** 2
    return score


def amv(samples, scene, reg):
    """Largest eigenvalue of the mean covariance of a scene's cells, averaged over scenes."""
    _, steps, agents, d = samples.shape
    tops = []
    for s in np.unique(scene):
        cells = [
            np.cov(samples[:, t, a].T, bias=True) + reg * np.eye(d)
            for t in range(steps)
            for a in range(agents)
            if scene[a] == s
        ]
        tops.append(np.linalg.eigvalsh(np.mean(cells, axis=0))[-1])
    return np.mean(tops)
