"""The textbook: each loss as plain loops over samples, classes and features.

These functions are the formulas and nothing else. Python runs them as they stand
(``implementation="loop"``); ``lanes.py`` compiles the very same source (``"jit"``). They import no numba.

Both take the rows ``start..stop`` of ``X`` and

- return the sum of their losses as float64,
- add ``X_iᵀ · dscores_i`` to ``dWt``, unless it is empty (``dW`` is not wanted),
- write ``dX_i = W · dscores_i``, unless ``dX`` is empty (not wanted).

==========  =======================  ======================================================================
``Wt``      (C, at least D)          the weights, **one row a class**, so that the innermost loop runs over
                                     neighbours in memory; rows may be padded beyond the D features
``X``       (N, D)                   one sample a row
``y``       (N,)                     the class of each sample, 0 … C − 1
``scale``   number                   factor on every dscores: 1 / N for the mean over N samples
``scores``  (at least C,)            scratch: first the scores of a row, then its dscores in their place
``dWt``     like ``Wt``, or empty    the gradient's sum, one row a class
``dX``      (N, D), or empty         the gradient with respect to X
==========  =======================  ======================================================================
"""

from math import exp, log


def svm_rows(Wt, X, y, start, stop, scale, scores, dWt, dX):
    """Sum over j ≠ y of max(0, s_j − s_y + 1): the multiclass SVM of Weston and Watkins (1999)."""
    n_classes, n_features = Wt.shape[0], X.shape[1]
    zero = scores.dtype.type(0)
    total = 0.0
    for i in range(start, stop):
        # s_j = Σ_k x_ik w_kj
        for j in range(n_classes):
            score = zero
            for k in range(n_features):
                score += X[i, k] * Wt[j, k]
            scores[j] = score

        # Each class that comes within the margin of the right one costs what it lacks; NaN, which is not <= 0,
        # stays. An infinite score of the right class is no answer either: 0 times infinity is NaN.
        correct = scores[y[i]]
        total += 0.0 * float(correct)
        violations = 0
        for j in range(n_classes):
            margin = scores[j] - correct + 1
            hinge = zero if margin <= 0 else margin
            violated = hinge != 0 and j != y[i]
            scores[j] = scale * violated
            if violated:
                total += float(hinge)
                violations += 1
        scores[y[i]] = -scale * violations

        # dW += x_iᵀ dscores: classes that cost nothing have nothing to add
        if len(dWt) > 0:
            for j in range(n_classes):
                if scores[j] != 0:
                    dscore = scores[j]
                    for k in range(n_features):
                        dWt[j, k] += dscore * X[i, k]

        # dx_i = W dscores
        if len(dX) > 0:
            for k in range(n_features):
                dX[i, k] = 0
            for j in range(n_classes):
                if scores[j] != 0:
                    dscore = scores[j]
                    for k in range(n_features):
                        dX[i, k] += dscore * Wt[j, k]
    return total


def softmax_rows(Wt, X, y, start, stop, scale, scores, dWt, dX):
    """log Σ_j exp(s_j) − s_y, the cross entropy of the softmax, shifted by the row's largest score."""
    n_classes, n_features = Wt.shape[0], X.shape[1]
    zero = scores.dtype.type(0)
    total = 0.0
    for i in range(start, stop):
        # s_j = Σ_k x_ik w_kj
        for j in range(n_classes):
            score = zero
            for k in range(n_features):
                score += X[i, k] * Wt[j, k]
            scores[j] = score

        # With the largest score at 0 no exponential overflows and their sum is at least 1.
        largest = scores[0]
        for j in range(1, n_classes):
            if scores[j] > largest:
                largest = scores[j]
        for j in range(n_classes):
            scores[j] -= largest
        correct = scores[y[i]]
        normaliser = zero
        for j in range(n_classes):
            scores[j] = exp(scores[j])
            normaliser += scores[j]
        total += float(log(normaliser) - correct)

        # dscores = p − onehot(y)
        for j in range(n_classes):
            scores[j] = scale * (scores[j] / normaliser - (j == y[i]))

        # dW += x_iᵀ dscores
        if len(dWt) > 0:
            for j in range(n_classes):
                dscore = scores[j]
                for k in range(n_features):
                    dWt[j, k] += dscore * X[i, k]

        # dx_i = W dscores
        if len(dX) > 0:
            for k in range(n_features):
                dX[i, k] = 0
            for j in range(n_classes):
                dscore = scores[j]
                for k in range(n_features):
                    dX[i, k] += dscore * Wt[j, k]
    return total


ROWS = {"svm": svm_rows, "softmax": softmax_rows}
