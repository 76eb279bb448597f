"""Merkle trees over SHA-256, as RFC 6962 has them in section 2.1."""

from collections.abc import Iterable, Sequence
from hashlib import sha256


def entry_hash(entry: bytes) -> bytes:
    """The hash of one entry, a leaf of the tree."""
    return sha256(b"\0" + entry).digest()


class GrowingTree:
    """The root of a tree to which hashes of entries are added, in memory of the logarithm of its size."""

    def __init__(self, leaves: Iterable[bytes] = ()) -> None:
        self.size = 0
        self._complete: list[bytes] = []  # the roots of the complete subtrees, the largest first
        for leaf in leaves:
            self.add(leaf)

    def add(self, leaf: bytes) -> None:
        """Add the hash of the next entry."""
        node, size = leaf, self.size
        while size & 1:
            node, size = _node(self._complete.pop(), node), size >> 1
        self._complete.append(node)
        self.size += 1

    @property
    def root(self) -> bytes:
        """The hash of the whole tree."""
        if not self._complete:
            return sha256(b"").digest()
        *larger, node = self._complete
        for complete in reversed(larger):
            node = _node(complete, node)
        return node


def inclusion_proof(leaves: Sequence[bytes], index: int) -> list[bytes]:
    """The nodes that lead from the leaf at `index` (from 0) to the root, the lowest first."""
    if len(leaves) == 1:
        return []
    left, right = _halves(leaves)
    if index < len(left):
        return [*inclusion_proof(left, index), GrowingTree(right).root]
    return [*inclusion_proof(right, index - len(left)), GrowingTree(left).root]


def consistency_proof(leaves: Sequence[bytes], size: int, *, known: bool = True) -> list[bytes]:
    """The nodes that show that the tree of the first `size` leaves, 1 or more, is the beginning of this one.

    `known`: whoever reads the proof has the root of these first leaves.
    """
    if size == len(leaves):
        return [] if known else [GrowingTree(leaves).root]
    left, right = _halves(leaves)
    if size <= len(left):
        return [*consistency_proof(left, size, known=known), GrowingTree(right).root]
    return [*consistency_proof(right, size - len(left), known=False), GrowingTree(left).root]


def _halves(leaves: Sequence[bytes]) -> tuple[Sequence[bytes], Sequence[bytes]]:
    """The leaves of the left subtree, the largest complete one that is not the whole, and of the right one."""
    middle = 1 << (len(leaves) - 1).bit_length() - 1
    return leaves[:middle], leaves[middle:]


def _node(left: bytes, right: bytes) -> bytes:
    return sha256(b"\1" + left + right).digest()
