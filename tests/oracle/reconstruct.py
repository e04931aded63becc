"""The weights of `src/method/reconstruct.rs`'s test case by numpy's least squares, row by row, on the weights that remain and
a bias, with the ridge towards the pruned weights as extra equations. Prints the golden values of the test."""
import numpy as np

TOKENS, INPUTS, OUTPUTS, DAMP = 40, 6, 3, 1e-2


def values(seed, count):
    state = (seed * 2_654_435_761 + 12_345) % 2**32
    out = []
    for _ in range(count):
        state = (state * 1_664_525 + 1_013_904_223) % 2**32
        out.append((state >> 8) / (1 << 24) - 0.5)
    return np.array(out)


x = values(1, TOKENS * INPUTS).reshape(TOKENS, INPUTS) + 0.3
unpruned_x = x + 0.2 * values(2, TOKENS * INPUTS).reshape(TOKENS, INPUTS)
unpruned = values(3, OUTPUTS * INPUTS).reshape(OUTPUTS, INPUTS)
mask = np.array([k * 7 % 5 < 2 for k in range(OUTPUTS * INPUTS)]).reshape(OUTPUTS, INPUTS)
pruned = unpruned * mask
damp = DAMP * ((x - x.mean(0)) ** 2).sum() / INPUTS
for o in range(OUTPUTS):
    kept = mask[o].nonzero()[0]
    ridge = np.sqrt(damp) * np.eye(len(kept))
    left = np.block([[x[:, kept], np.ones((TOKENS, 1))], [ridge, np.zeros((len(kept), 1))]])
    right = np.concatenate([unpruned_x @ unpruned[o], np.sqrt(damp) * pruned[o, kept]])
    solution = np.linalg.lstsq(left, right, rcond=None)[0]
    row = np.zeros(INPUTS)
    row[kept] = solution[:-1]
    print("weight", [round(float(v), 6) for v in row], "bias", round(float(solution[-1]), 6))
