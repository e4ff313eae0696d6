"""The order of pictures: complete, of one bucket a batch, and the same whenever it is asked for."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from training.batches import BatchOrder

orders = st.builds(
    lambda shapes, repeats, batch, seed: BatchOrder(tuple(shapes), tuple(repeats[: len(shapes)]), batch, seed),
    st.lists(st.sampled_from(["square", "wide", "tall"]), min_size=1, max_size=30),
    st.lists(st.integers(1, 4), min_size=30, max_size=30),
    st.integers(1, 7),
    st.integers(0, 2**32 - 1),
)


@given(orders, st.integers(0, 5))
def test_every_epoch_shows_every_picture_as_often_as_it_repeats(order: BatchOrder, epoch: int) -> None:
    shown = Counter(index for number in range(order.per_epoch) for index in order.at(epoch * order.per_epoch + number))
    assert shown == Counter(dict(enumerate(order.repeats)))


@given(orders, st.integers(0, 500))
def test_a_batch_holds_one_bucket_and_is_never_larger_than_asked(order: BatchOrder, number: int) -> None:
    batch = order.at(number)
    assert 1 <= len(batch) <= order.batch
    assert len({order.buckets[index] for index in batch}) == 1


@given(orders, st.integers(0, 500))
def test_the_same_number_gives_the_same_batch_in_a_new_process(order: BatchOrder, number: int) -> None:
    again = BatchOrder(order.buckets, order.repeats, order.batch, order.seed)
    assert order.at(number) == again.at(number)


def test_epochs_differ() -> None:
    order = BatchOrder(("square",) * 20, (1,) * 20, 4, 0)
    assert order.epoch(0) != order.epoch(1)
