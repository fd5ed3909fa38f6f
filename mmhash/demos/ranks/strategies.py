"""The ways to give every rank a hash: where it is computed, and how it gets to the others.

A strategy is used on both sides. The sender calls `items`, `begin`, and `finish` before it sends
them; every rank calls `build` and then reads each item's `pad_value`. What torch or threads are
needed for begins in `open`, in the sender only: a strategy itself is pickled into every process.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mmhash import HashExecutor
    from mmhash.demos.ranks.stopwatch import Stopwatch


class Strategy:
    """What is common to all of them.

    name: on the command line; what: one line for people, in which {algorithm} is mmhash's.
    """

    name: ClassVar[str]
    what: ClassVar[str]
    #: How many requests the sender may begin before it finishes and sends the oldest.
    ahead: ClassVar[int] = 0

    def described(self, algorithm: str) -> str:
        """`what`, with that algorithm."""
        return self.what.format(algorithm=algorithm)

    def open(self) -> None:
        """In the sender, before the first request."""

    def close(self) -> None:
        """In the sender, after the last request."""

    def items(self, features: Sequence[Any]) -> list[Any]:
        """On the sender: the items of a request."""
        raise NotImplementedError

    def begin(self, number: int, items: list[Any]) -> None:
        """On the sender: the request with this number is there."""

    def finish(self, number: int, items: list[Any]) -> None:
        """On the sender: it is sent next."""

    def build(
        self, mm_inputs: dict[str, Any], request: int, rank: int, watch: Stopwatch
    ) -> list[Any]:
        """On a rank: the items, whose `pad_value` can be read."""
        raise NotImplementedError


class Eager(Strategy):
    """As SGLang does by default, with the faster of the two SHA-256 hashes that it had."""

    name = "eager"
    what = "every rank hashes every image when it builds its inputs: SHA-256, as SGLang does"

    def items(self, features: Sequence[Any]) -> list[Any]:  # noqa: D102
        from mmhash.demos.ranks.engine_item import EngineItem

        return [EngineItem("IMAGE", feature) for feature in features]

    def build(  # noqa: D102
        self, mm_inputs: dict[str, Any], request: int, rank: int, watch: Stopwatch
    ) -> list[Any]:
        with watch.stage("hash", request):
            items: list[Any] = [item for item in mm_inputs["mm_items"] if item.is_valid()]
            for item in items:
                item.set_pad_value()
            return items


class Broadcast(Eager):
    """As SGLang does with --enable-broadcast-mm-inputs-process, and 0.5.5 always."""

    name = "broadcast"
    what = "rank 0 alone hashes (SHA-256) and sends its inputs, features too, to the others"

    def build(  # noqa: D102
        self, mm_inputs: dict[str, Any], request: int, rank: int, watch: Stopwatch
    ) -> list[Any]:
        import torch.distributed as dist

        box: list[Any] = [None]
        if rank == 0:
            box = [super().build(mm_inputs, request, rank, watch)]
        with watch.stage("send" if rank == 0 else "wait", request):
            dist.broadcast_object_list(box, src=0)
        built: list[Any] = box[0]
        return built


class Nothing(Eager):
    """What remains when nothing is hashed: no strategy can be faster."""

    name = "nothing"
    what = "nobody hashes, the sender numbers the images: the ceiling"

    def finish(self, number: int, items: list[Any]) -> None:  # noqa: D102
        for index, item in enumerate(items):
            item.hash = number * len(items) + index


class Lazy(Strategy):
    """mmhash's items: pickling would resolve them, and the sender does it just before."""

    name = "lazy"
    what = (
        "the sender hashes (mmhash, {algorithm}) as it sends; the hash travels, ranks only read it"
    )

    def items(self, features: Sequence[Any]) -> list[Any]:  # noqa: D102
        import mmhash

        image = mmhash.Modality.IMAGE
        return [mmhash.MultimodalDataItem(modality=image, feature=f) for f in features]

    def finish(self, number: int, items: list[Any]) -> None:  # noqa: D102
        for item in items:
            item.resolve()

    def build(  # noqa: D102
        self, mm_inputs: dict[str, Any], request: int, rank: int, watch: Stopwatch
    ) -> list[Any]:
        import mmhash

        with watch.stage("hash", request):
            items: list[Any] = mmhash.MultimodalInputs.from_dict(mm_inputs).mm_items
            if not all(item.is_resolved for item in items):
                raise RuntimeError(f"request {request}: expected every hash to come with its item")
            return items


class Async(Lazy):
    """The same hash, computed in threads of the sender while it sends the requests before."""

    name = "async"
    what = "threads of the sender (HashExecutor, mmhash, {algorithm}) hash ahead; the hash travels"
    ahead = 2

    def __init__(self) -> None:
        self._executor: HashExecutor | None = None

    def open(self) -> None:  # noqa: D102
        import mmhash

        self._executor = mmhash.HashExecutor(max_workers=self.ahead)

    def close(self) -> None:  # noqa: D102
        assert self._executor is not None
        self._executor.shutdown()

    def begin(self, number: int, items: list[Any]) -> None:  # noqa: D102
        assert self._executor is not None
        self._executor.submit(number, items)

    def finish(self, number: int, items: list[Any]) -> None:  # noqa: D102
        assert self._executor is not None
        self._executor.get_result(number)


#: All of them by name, in the order in which they are reported.
STRATEGIES: dict[str, Strategy] = {
    strategy.name: strategy for strategy in (Eager(), Broadcast(), Async(), Lazy(), Nothing())
}
