"""The loops of the prefix beam search, compiled (`beam` is what others call).

Prefixes are numbered nodes of a trie: a node is its parent and one token more, 0 is the empty prefix, and the same
prefix is always the same node. Shapes: T frames, V tokens, K prefixes in the beam, C tokens worth growing by.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from sorigil.compiled import compiled
from sorigil.decoding.fusion import ALONE, NO_LM, OF_TOKENS, OF_WORDS, Fusion
from sorigil.lm.ngram import END, UNKNOWN
from sorigil.lm.recurrent import EDGE

Floats = npt.NDArray[np.float64]
Singles = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]

NONE = -1
BLANK = 0  # of the tokens
ROOT = 0  # of the nodes: the empty prefix; of a spelling: between words
IMPOSSIBLE = -math.inf
Said = tuple[int, int, float]  # node of the language model, of the spelling, and what is settled of the score


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

    Without a language model a prefix's growths rank as the tokens do, save its last token and those that lead into the
    beam, fewer than `width`: so many tokens hold whatever can reach the next beam.
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
def _find(values: Ints, low: int, high: int, wanted: int) -> int:
    """The place of a value among those from `low` to `high`, which ascend; or NONE."""
    end = high
    while low < high:
        middle = (low + high) // 2
        if values[middle] < wanted:
            low = middle + 1
        else:
            high = middle
    return low if low < end and values[low] == wanted else NONE


@compiled
def _predict(by: Fusion, node: int, unit: int) -> tuple[int, float]:
    """The node after this unit, and its log probability after `node`."""
    backed_off = 0.0
    child = _find(by.unit_N, by.first_child_N[node], by.first_child_N[node + 1], unit)
    while child == NONE:
        backed_off += by.backoff_N[node]
        node = by.suffix_N[node]
        child = _find(by.unit_N, by.first_child_N[node], by.first_child_N[node + 1], unit)
    return child if child < by.n_contexts else by.suffix_N[child], backed_off + by.log_prob_N[child]


@compiled
def _end_word(by: Fusion, node: int, spelled: int, settled: float) -> tuple[int, float]:
    """The word that was being spelled is whole."""
    word = NONE if spelled == NONE else by.word_M[spelled]
    if by.lexicon and word == NONE:
        return node, IMPOSSIBLE
    if spelled != NONE and by.hot_M[spelled]:
        settled += by.hot_word_weight * by.hot_letters_M[spelled]
    if by.units == OF_WORDS:
        node, log_prob = _predict(by, node, UNKNOWN if word == NONE else word)
        settled += by.lm_weight * log_prob
    return node, settled if by.units == OF_TOKENS else settled + by.insertion


@compiled
def _say(by: Fusion, node: int, spelled: int, settled: float, next_V: Floats, token: int) -> tuple[Said, float]:
    """What a prefix is after one token more; and its score, in which the word that is being spelled is not settled: it has
    its insertion bonus, its hot letters so far, and the language model's score of the likeliest word that it can become
    (look-ahead, Ortmanns et al. 1996; an unknown word's own), or a beam would be full of beginnings of unlikely words."""
    if by.starts_word_V[token] and spelled != ROOT:
        node, settled = _end_word(by, node, spelled, settled)
        spelled = ROOT
    if by.units == OF_TOKENS:
        if by.recurrent:
            log_prob = next_V[token]
        else:
            node, log_prob = _predict(by, node, by.unit_V[token])
        settled += by.lm_weight * log_prob + by.insertion
    for letter in by.letters[by.first_letter_V[token] : by.first_letter_V[token + 1]]:
        if spelled != NONE:
            spelled = _find(by.letter_M, by.first_child_M[spelled], by.first_child_M[spelled + 1], letter)
    score = settled if spelled == ROOT or by.units == OF_TOKENS else settled + by.insertion
    if spelled != NONE:
        score += by.hot_word_weight * by.hot_letters_M[spelled]
        if by.units == OF_WORDS and spelled != ROOT:
            score += by.lm_weight * by.ahead_M[spelled]
    elif by.lexicon:
        score = IMPOSSIBLE
    elif by.units == OF_WORDS:
        score += by.lm_weight * _predict(by, node, UNKNOWN)[1]
    return (node, spelled, settled), score


@compiled
def _end(by: Fusion, node: int, spelled: int, settled: float, next_V: Floats) -> float:
    """The score of a prefix that is the whole text."""
    if spelled != ROOT:
        node, settled = _end_word(by, node, spelled, settled)
    if by.units == NO_LM:
        return settled
    return settled + by.lm_weight * (next_V[EDGE] if by.recurrent else _predict(by, node, END)[1])


@compiled
def _go_on(by: Fusion, token_S: Ints, hidden_SH: Singles, cell_SH: Singles) -> Floats:
    """Take the recurrent model's states (hidden and cell, changed in place) one token further; what comes next, next_SV."""
    gates_SG = np.dot(hidden_SH, by.hidden_HG)
    size = hidden_SH.shape[1]
    for s in range(len(token_S)):
        gates_SG[s] += by.input_VG[token_S[s]]
        for h in range(size):
            keep, put = _share(gates_SG[s, size + h]), _share(gates_SG[s, h])
            cell_SH[s, h] = keep * cell_SH[s, h] + put * math.tanh(gates_SG[s, 2 * size + h])
            hidden_SH[s, h] = _share(gates_SG[s, 3 * size + h]) * math.tanh(cell_SH[s, h])
    next_SV: Floats = (np.dot(hidden_SH, by.output_HV) + by.bias_V).astype(np.float64)
    for s in range(len(token_S)):
        highest = next_SV[s].max()
        next_SV[s] -= highest + math.log(np.exp(next_SV[s] - highest).sum())
    return next_SV


@compiled
def _share(x: np.float32) -> np.float32:
    """The logistic function."""
    return np.float32(1) / (np.float32(1) + math.exp(-x))


@compiled
def search(
    log_probs_TV: Floats, width: int, token_threshold: float, beam_threshold: float, by: Fusion
) -> tuple[Ints, Ints, Ints, Floats, Floats]:
    """Return each node's parent and token; and the last beam's nodes, in no order, with their log probabilities and what
    is said of their texts besides."""
    n_frames, n_tokens = log_probs_TV.shape
    most = 1 + n_frames * width
    parents_N, tokens_N = np.full(most, NONE), np.full(most, BLANK)
    children_N, siblings_N = np.full(most, NONE), np.full(most, NONE)
    place_N = np.full(most, NONE)  # in the beam
    lm_N, spelled_N, settled_N, said_N = np.zeros(most, np.int64), np.full(most, ROOT), np.zeros(most), np.zeros(most)
    lm_N[ROOT] = by.start
    n_nodes = 1

    nodes_K = np.full(1, ROOT)
    blank_K, token_K = np.zeros(1), np.full(1, IMPOSSIBLE)  # log probability of paths that end in a blank, in a token
    into_KV = np.zeros((width, n_tokens), dtype=np.bool_)  # growths that lead into the beam
    said_KV = np.full((width, n_tokens), math.nan)  # of growths, where it has been asked: most prefixes stay for frames
    hidden_KH, cell_KH = np.zeros((1, len(by.hidden_HG)), np.float32), np.zeros((1, len(by.hidden_HG)), np.float32)
    next_KV = np.zeros((1, 0))  # of a recurrent language model, by which the tree keeps nothing
    if by.recurrent:
        next_KV = _go_on(by, np.full(1, EDGE), hidden_KH, cell_KH)

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
        grown_KC = np.full((n_beam, len(grow_C)), IMPOSSIBLE)
        ranks_S = np.full(n_beam * (1 + len(grow_C)), IMPOSSIBLE)
        for k in range(n_beam):
            node = nodes_K[k]
            ranks_S[k] = _add(stay_blank_K[k], stay_token_K[k]) + said_N[node]
            for c in range(len(grow_C)):
                token = grow_C[c]
                grown_KC[k, c] = (blank_K[k] if token == tokens_N[node] else total_K[k]) + frame_V[token]
                if into_KV[k, token] or grown_KC[k, c] == IMPOSSIBLE:
                    continue
                said = 0.0
                if by.units != ALONE:
                    if math.isnan(said_KV[k, token]):
                        said_KV[k, token] = _say(by, lm_N[node], spelled_N[node], settled_N[node], next_KV[k], token)[1]
                    said = said_KV[k, token]
                ranks_S[n_beam + k * len(grow_C) + c] = grown_KC[k, c] + said

        place_N[nodes_K] = NONE
        chosen_K = _best(ranks_S, width, beam_threshold)
        next_K = np.empty(len(chosen_K), dtype=np.int64)
        next_blank_K, next_token_K = np.full(len(chosen_K), IMPOSSIBLE), np.empty(len(chosen_K))
        next_said_KV = np.full((width, n_tokens), math.nan)
        before_K = np.empty(len(chosen_K), dtype=np.int64)  # where each was in the beam, it or what it grew from
        for k in range(len(chosen_K)):
            chosen = chosen_K[k]
            if chosen < n_beam:
                next_K[k], next_blank_K[k], next_token_K[k] = (
                    nodes_K[chosen],
                    stay_blank_K[chosen],
                    stay_token_K[chosen],
                )
                next_said_KV[k] = said_KV[chosen]
                before_K[k] = chosen
                continue
            before, c = divmod(chosen - n_beam, len(grow_C))
            before_K[k] = before
            node, token = nodes_K[before], grow_C[c]
            child = _child(node, token, parents_N, tokens_N, children_N, siblings_N, n_nodes)
            if child == n_nodes and by.units != ALONE:
                after, said_N[child] = _say(by, lm_N[node], spelled_N[node], settled_N[node], next_KV[before], token)
                lm_N[child], spelled_N[child], settled_N[child] = after
            n_nodes += child == n_nodes
            next_K[k], next_token_K[k] = child, grown_KC[before, c]
        if by.recurrent:
            hidden_KH, cell_KH, next_KV = hidden_KH[before_K], cell_KH[before_K], next_KV[before_K]
            new_S = np.flatnonzero(chosen_K >= n_beam)
            hidden_SH, cell_SH = hidden_KH[new_S], cell_KH[new_S]
            next_KV[new_S] = _go_on(by, tokens_N[next_K[new_S]], hidden_SH, cell_SH)
            hidden_KH[new_S], cell_KH[new_S] = hidden_SH, cell_SH
        nodes_K, blank_K, token_K, said_KV = next_K, next_blank_K, next_token_K, next_said_KV

    score_K, end_K = np.empty(len(nodes_K)), np.zeros(len(nodes_K))
    for k in range(len(nodes_K)):
        node = nodes_K[k]
        score_K[k] = _add(blank_K[k], token_K[k])
        if by.units != ALONE:
            end_K[k] = _end(by, lm_N[node], spelled_N[node], settled_N[node], next_KV[k])
    return parents_N[:n_nodes], tokens_N[:n_nodes], nodes_K, score_K, end_K
