"""The loops of the prefix beam search, compiled (`beam` is what others call).

Prefixes are numbered nodes of a trie: a node is its parent and one token more, 0 is the empty prefix, and the same
prefix is always the same node. Shapes: T frames, V tokens, K prefixes in the beam, C tokens worth growing by.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from sorigil.compiled import compiled

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

NONE = -1
BLANK = 0  # of the tokens
ROOT = 0  # of the nodes: the empty prefix
IMPOSSIBLE = -math.inf


@compiled
def _add(a: float, b: float) -> float:
    """log(exp(a) + exp(b))"""
    high, low = max(a, b), min(a, b)
    return high if low == IMPOSSIBLE else high + math.log1p(math.exp(low - high))


@compiled
def _kth_largest(values: Floats, k: int) -> float:
    """Quickselect (Hoare 1961); numpy's `partition` takes the compiler 5 seconds."""
    values, place = values.copy(), k - 1
    left, right = 0, len(values) - 1
    while left < right:
        pivot = values[(left + right) // 2]
        i, j = left, right
        while i <= j:
            while values[i] > pivot:
                i += 1
            while values[j] < pivot:
                j -= 1
            if i <= j:
                values[i], values[j] = values[j], values[i]
                i, j = i + 1, j - 1
        if place <= j:
            right = j
        elif place >= i:
            left = i
        else:
            break
    return float(values[place])


@compiled
def _tokens_worth_growing_by(log_probs_V: Floats, width: int, threshold: float) -> Ints:
    """Ascending, never the blank: those within `threshold` of the frame's best, and of these the best 2·`width` + 1.

    A prefix's growths rank as the tokens do, save its last token and those that lead into the beam, fewer than `width`:
    so many tokens hold whatever can reach the next beam.
    """
    floor = log_probs_V.max() - threshold
    n_most = 2 * width + 1
    if len(log_probs_V) - 1 > n_most:
        floor = max(floor, _kth_largest(log_probs_V[1:], n_most))
    return np.flatnonzero(log_probs_V[1:] >= floor) + 1


@compiled
def _best(scores_S: Floats, width: int, threshold: float) -> Ints:
    """The places of the `width` best scores within `threshold` of the best, ascending; of equal ones the first.

    There is always one, and but for it none that is impossible.
    """
    floor = max(scores_S.max() - threshold, np.finfo(np.float64).min)
    if len(scores_S) > width:
        floor = max(floor, _kth_largest(scores_S, width))
    n_equal = width - np.count_nonzero(scores_S > floor)
    chosen_K = np.zeros(width, dtype=np.int64)
    n_chosen = 0
    for place in range(len(scores_S)):
        equal = scores_S[place] == floor
        if scores_S[place] > floor or (equal and n_equal > 0):
            chosen_K[n_chosen] = place
            n_chosen += 1
            n_equal -= equal
    return chosen_K[: max(n_chosen, 1)]


@compiled
def _child(node: int, token: int, parents_N: Ints, tokens_N: Ints, children_N: Ints, siblings_N: Ints, n: int) -> int:
    """The node of this prefix and one token more, found or made as node `n`."""
    child = int(children_N[node])
    while child != NONE and tokens_N[child] != token:
        child = int(siblings_N[child])
    if child == NONE:
        child = n
        parents_N[child], tokens_N[child] = node, token
        siblings_N[child], children_N[node] = children_N[node], child
    return child


@compiled
def search(
    log_probs_TV: Floats, width: int, token_threshold: float, beam_threshold: float
) -> tuple[Ints, Ints, Ints, Floats]:
    """Return each node's parent and token, and the last beam's nodes with their log probabilities, in no order."""
    n_frames, n_tokens = log_probs_TV.shape
    most = 1 + n_frames * width
    parents_N, tokens_N = np.full(most, NONE), np.full(most, BLANK)
    children_N, siblings_N = np.full(most, NONE), np.full(most, NONE)
    place_N = np.full(most, NONE)  # in the beam
    n_nodes = 1

    nodes_K = np.full(1, ROOT)
    blank_K, token_K = np.zeros(1), np.full(1, IMPOSSIBLE)  # log probability of paths that end in a blank, in a token
    into_KV = np.zeros((width, n_tokens), dtype=np.bool_)  # growths that lead into the beam

    for t in range(n_frames):
        frame_V = log_probs_TV[t]
        n_beam = len(nodes_K)
        grow_C = _tokens_worth_growing_by(frame_V, width, token_threshold)
        total_K = np.array([_add(blank_K[k], token_K[k]) for k in range(n_beam)])
        place_N[nodes_K] = np.arange(n_beam)

        # a prefix stays as it is: a blank follows, or its last token goes on (the root has none, its token_K is -inf)
        stay_blank_K = total_K + frame_V[BLANK]
        stay_token_K = token_K + frame_V[tokens_N[nodes_K]]
        into_KV[:] = False
        for k in range(n_beam):
            node = nodes_K[k]
            parent = NONE if node == ROOT else place_N[parents_N[node]]
            if parent != NONE:  # a prefix that grows into one already in the beam adds to it
                last = tokens_N[node]
                before = blank_K[parent] if last == tokens_N[nodes_K[parent]] else total_K[parent]
                stay_token_K[k] = _add(stay_token_K[k], before + frame_V[last])
                into_KV[parent, last] = True

        # or it grows by one token; the same token again is a new one after a blank only
        scores_S = np.empty(n_beam * (1 + len(grow_C)))
        for k in range(n_beam):
            scores_S[k] = _add(stay_blank_K[k], stay_token_K[k])
            last = tokens_N[nodes_K[k]]
            for c in range(len(grow_C)):
                token = grow_C[c]
                score = (blank_K[k] if token == last else total_K[k]) + frame_V[token]
                scores_S[n_beam + k * len(grow_C) + c] = IMPOSSIBLE if into_KV[k, token] else score

        place_N[nodes_K] = NONE
        chosen_K = _best(scores_S, width, beam_threshold)
        next_K = np.empty(len(chosen_K), dtype=np.int64)
        next_blank_K, next_token_K = np.full(len(chosen_K), IMPOSSIBLE), np.empty(len(chosen_K))
        for k in range(len(chosen_K)):
            chosen = chosen_K[k]
            if chosen < n_beam:
                next_K[k], next_blank_K[k], next_token_K[k] = (
                    nodes_K[chosen],
                    stay_blank_K[chosen],
                    stay_token_K[chosen],
                )
                continue
            grown, c = divmod(chosen - n_beam, len(grow_C))
            next_K[k] = _child(nodes_K[grown], grow_C[c], parents_N, tokens_N, children_N, siblings_N, n_nodes)
            n_nodes += next_K[k] == n_nodes
            next_token_K[k] = scores_S[chosen]
        nodes_K, blank_K, token_K = next_K, next_blank_K, next_token_K

    score_K = np.array([_add(blank_K[k], token_K[k]) for k in range(len(nodes_K))])
    return parents_N[:n_nodes], tokens_N[:n_nodes], nodes_K, score_K
