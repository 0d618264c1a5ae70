"""Simulates PyTorch's caching allocator for GPU memory: a process reserves more than
its tensors use.

`nvidia-smi` shows the memory that the allocator has reserved, not what the tensors
need; the difference can reach a third. The rules are those of
c10/cuda/CUDACachingAllocator.cpp (PyTorch 2.10 to 2.14, default settings): sizes round
up to 512 bytes; requests up to 1 MiB come from 2 MiB segments, below 10 MiB from 20 MiB
segments, larger ones from their own segment, rounded up to 2 MiB; a request gets the
smallest free block that fits (among equal ones, the one at the lowest address) and
leaves the rest as a free block; adjacent free blocks are merged; segments are never
freed.

Addresses: the driver places each new segment below the earlier ones. With this order
the simulation reproduces the reserved memory of the unquantized runs in
tests/data/measured_vram_t4.json within 0.2%; the other order is off by up to 9%.
"""

from bisect import bisect_left, insort

from backend.records.units import MIB

_ROUND = 512
_SMALL = MIB
_SMALL_SEGMENT = 2 * MIB
_LARGE_SEGMENT = 20 * MIB
_OWN_SEGMENT = 10 * MIB
_SEGMENT_ROUND = 2 * MIB

_MAPPED = 32 * MIB


class Block:
    """A part of a segment, in use or free; `before` and `after` are its neighbors in
    the segment. Segment numbers decrease in order of creation, like their addresses.
    """

    __slots__ = ("after", "before", "free", "offset", "segment", "size")

    def __init__(self, segment: int, offset: int, size: int) -> None:
        self.segment, self.offset, self.size = segment, offset, size
        self.free = False
        self.before: Block | None = None
        self.after: Block | None = None


class _Pool:
    """The free blocks of the small or the large segments, sorted by size and address."""

    def __init__(self, small: bool) -> None:
        self.smallest_rest = _ROUND if small else _SMALL + 1
        self._blocks: list[tuple[int, int, int, Block]] = []

    def add(self, block: Block) -> None:
        insort(self._blocks, (block.size, block.segment, block.offset, block))

    def remove(self, block: Block) -> None:
        del self._blocks[
            bisect_left(self._blocks, (block.size, block.segment, block.offset))
        ]

    def best_fit(self, size: int) -> Block | None:
        """Remove and return the smallest block of at least `size`; among equal ones,
        that at the lowest address.
        """
        index = bisect_left(self._blocks, (size,))
        return self._blocks.pop(index)[3] if index < len(self._blocks) else None


class Allocator:
    """Counts bytes `allocated` (in use) and `reserved` (on the GPU), and the peak of
    each.
    """

    def __init__(self) -> None:
        self.allocated = self.peak_allocated = 0
        self.reserved = self.peak_reserved = 0
        self._segments = 0
        self._small, self._large = _Pool(small=True), _Pool(small=False)

    def allocate(self, size: int) -> Block:
        """A block of at least `size` bytes, in use until `release`."""
        size = -(-size // _ROUND) * _ROUND or _ROUND
        pool = self._small if size <= _SMALL else self._large
        block = pool.best_fit(size) or self._new_segment(size)
        block.free = False
        if block.size - size >= pool.smallest_rest:
            self._split(block, size, pool)
        self.allocated += block.size
        if self.allocated > self.peak_allocated:
            self.peak_allocated = self.allocated
        return block

    def release(self, block: Block) -> None:
        """Free a block, and merge it with free neighbors."""
        self.allocated -= block.size
        pool = (
            self._small if block.segment % 2 == 1 else self._large
        )  # see `_new_segment`
        before, after = block.before, block.after
        if before is not None and before.free:
            pool.remove(before)
            before.size += block.size
            before.after = after
            if after is not None:
                after.before = before
            block = before
        if after is not None and after.free:
            pool.remove(after)
            block.size += after.size
            block.after = after.after
            if after.after is not None:
                after.after.before = block
        block.free = True
        pool.add(block)

    def _new_segment(self, size: int) -> Block:
        large = (
            _LARGE_SEGMENT
            if size < _OWN_SEGMENT
            else -(-size // _SEGMENT_ROUND) * _SEGMENT_ROUND
        )
        whole, kind = (_SMALL_SEGMENT, 1) if size <= _SMALL else (large, 0)
        self._segments += 1
        self.reserved += whole
        self.peak_reserved = max(self.peak_reserved, self.reserved)
        return Block(
            -2 * self._segments - kind, 0, whole
        )  # odd numbers: small segments

    @staticmethod
    def _split(block: Block, size: int, pool: _Pool) -> None:
        rest = Block(block.segment, block.offset + size, block.size - size)
        rest.free = True
        rest.before, rest.after = block, block.after
        if block.after is not None:
            block.after.before = rest
        block.after = rest
        block.size = size
        pool.add(rest)


class Heap:
    """Counts what `Allocator` counts (of `reserved` only the peak) for main memory, by
    the rules of glibc's malloc (mallopt(3), M_MMAP_THRESHOLD). Blocks over 32 MiB go
    back to the system when they are freed; smaller ones stay with the process.
    """

    def __init__(self) -> None:
        self.allocated = self.peak_allocated = self.peak_reserved = 0
        self._small = self._kept = 0

    def allocate(self, size: int) -> Block:
        """A block of `size` bytes, in use until `release`."""
        if size <= _MAPPED:
            self._small += size
            if self._small > self._kept:
                self._kept = self._small
        self.allocated += size
        if self.allocated > self.peak_allocated:
            self.peak_allocated = self.allocated
        reserved = self._kept + self.allocated - self._small
        if reserved > self.peak_reserved:
            self.peak_reserved = reserved
        return Block(0, 0, size)

    def release(self, block: Block) -> None:
        if block.size <= _MAPPED:
            self._small -= block.size
        self.allocated -= block.size
