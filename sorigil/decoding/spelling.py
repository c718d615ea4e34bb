"""Words as a trie of their letters, in arrays: what a word that is being spelled can still become."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

NONE = -1
_LETTERS = 0x110000  # more than there are code points


@dataclass(frozen=True, kw_only=True, slots=True)
class Spelling:
    """M nodes by depth, then by letters; 0 is no letter yet, a node's children stand side by side, their letters ascending."""

    letter_M: NDArray[np.int64]  # code points
    first_child_M: NDArray[np.int64]  # M + 1 of them: a node's children end where the next one's begin
    word_M: NDArray[np.int64]  # the place of the word that ends here, or NONE

    @classmethod
    def of(cls, words: Sequence[str]) -> Spelling:
        """The trie of these words, none of them twice or empty."""
        longest = max(map(len, words), default=1)
        letters_WL = np.array(words, dtype=f"U{longest}").view(np.uint32).reshape(len(words), longest).astype(np.int64)
        parents, letters = [np.zeros(1, dtype=np.int64)], [np.zeros(1, dtype=np.int64)]
        node_W = np.zeros(len(words), dtype=np.int64)  # of each word's letters up to here
        n_nodes = 1
        for depth in range(longest):
            longer = np.flatnonzero(letters_WL[:, depth])
            keys, place = np.unique(node_W[longer] * _LETTERS + letters_WL[longer, depth], return_inverse=True)
            parents.append(keys // _LETTERS)
            letters.append(keys % _LETTERS)
            node_W[longer] = n_nodes + place
            n_nodes += len(keys)
        word_M = np.full(n_nodes, NONE)
        word_M[node_W] = np.arange(len(words))
        parent_M = np.concatenate(parents)
        first_child_M = np.searchsorted(parent_M[1:], np.arange(n_nodes + 1)) + 1
        return cls(letter_M=np.concatenate(letters), first_child_M=first_child_M, word_M=word_M)

    def best_below(self, score_M: NDArray[np.float64]) -> NDArray[np.float64]:
        """The largest score of each node and of all below it."""
        parent_M = np.repeat(np.arange(len(score_M)), np.diff(self.first_child_M))  # of each node but the first
        levels = [(0, 1)]
        while levels[-1][1] < len(score_M):
            levels.append((levels[-1][1], int(self.first_child_M[levels[-1][1]])))
        best_M = score_M.copy()
        for low, high in reversed(levels[1:]):
            np.maximum.at(best_M, parent_M[low - 1 : high - 1], best_M[low:high])
        return best_M
