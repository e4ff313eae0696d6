"""A recording gives every bit that the work gives, or is not used."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F

from training.recording import Recorded, record


def _drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def _taught(model: nn.Module) -> Callable[[Tensor], list[Tensor | None]]:
    def work(x: Tensor) -> list[Tensor | None]:
        model.zero_grad()
        loss = model(x).square().mean()
        loss.backward()
        return [loss.detach(), *(parameter.grad for parameter in model.parameters())]

    return work


MODELS: dict[str, Callable[[], tuple[nn.Module, tuple[int, ...]]]] = {
    "linear": lambda: (nn.Sequential(nn.Linear(8, 16), nn.SiLU(), nn.LayerNorm(16), nn.Linear(16, 4)), (3, 8)),
    "convolution": lambda: (nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.GroupNorm(2, 8), nn.Conv2d(8, 4, 3, stride=2)), (2, 3, 9, 7)),
    "attention": lambda: (nn.TransformerEncoderLayer(16, 2, 32, dropout=0.0, batch_first=True), (2, 5, 16)),
}


@pytest.mark.parametrize("kind", MODELS)
def test_forward_and_backward_come_out_the_same_to_the_bit_also_after_the_weights_have_moved(kind: str) -> None:
    model, shape = MODELS[kind]()
    work = _taught(model)
    results, replay = record(work, [_drawn(*shape)])
    assert replay is not None
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.1)
    optimizer.step()
    for seed in (1, 2):
        x = _drawn(*shape, seed=seed)
        expected, seen = work(x), replay(x)
        assert all(torch.equal(a, b) for a, b in zip(expected, seen, strict=True))
        assert not torch.equal(results[0], seen[0])
        optimizer.step()


STEPS: dict[str, Callable[[Tensor], Tensor]] = {
    "t": lambda x: x.transpose(0, 1), "flat": lambda x: x.reshape(x.shape[1], x.shape[0]), "half": lambda x: x[:, ::2].repeat_interleave(2, dim=1),
    "chunks": lambda x: torch.cat(list(x.chunk(2, dim=1))[::-1], dim=1), "add_": lambda x: x.clone().add_(1), "grown": lambda x: x[:1].expand(x.shape) * 2,
    "into": lambda x: _written_into(x), "sum": lambda x: x + x.sum(0), "half precision": lambda x: x.to(torch.bfloat16).float(), "same": lambda x: x.detach(),
}  # fmt: skip


def _written_into(x: Tensor) -> Tensor:
    whole = torch.zeros(2 * x.shape[0], x.shape[1])
    first, second = whole.chunk(2)
    first.copy_(x)
    torch.mul(first, 2, out=second)
    second[:, 0] += first[:, 1]
    return whole[x.shape[0] :] - first


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from(sorted(STEPS)), min_size=1, max_size=8))
def test_views_and_writes_into_them_in_any_order(names: list[str]) -> None:
    def work(x: Tensor) -> list[Tensor]:
        for name in names:
            x = STEPS[name](x)
        return [x, x.sum(1)]

    _, replay = record(work, [_drawn(4, 6)])
    assert replay is not None
    x = _drawn(4, 6, seed=3)
    kept = x.clone()
    assert all(torch.equal(a, b) for a, b in zip(work(x), replay(x), strict=True))
    assert torch.equal(x, kept)


def test_several_results_and_what_is_absent_keep_their_places() -> None:
    def work(x: Tensor, nothing: None, y: Tensor) -> list[Tensor | None]:
        biggest, where = (x * y).max(dim=1)
        (x,) = torch.ops.aten._foreach_neg([x])
        x = -x
        return [biggest, None, where, *torch.split(x, [1, 3])]

    _, replay = record(work, [_drawn(4, 6), None, _drawn(4, 6, seed=1)])
    assert replay is not None
    x, y = _drawn(4, 6, seed=2), _drawn(4, 6, seed=3)
    expected, seen = work(x, None, y), replay(x, None, y)
    assert seen[1] is None and all(a is b or torch.equal(a, b) for a, b in zip(expected, seen, strict=True))


@pytest.mark.parametrize(
    "work",
    [
        lambda x: [F.dropout(x, 0.5)],
        lambda x: [x * x.sum().item()],
        lambda x: [x if x.sum() > 0 else -x],
        lambda x: [x.view(torch.int32).float()],
        lambda x: [x.to_mkldnn().to_dense()],
    ],
    ids=["chance", "number", "branch", "other format", "other layout"],
)
def test_what_cannot_be_told_from_operations_is_not_recorded(work: Callable[[Tensor], Sequence[Tensor]]) -> None:
    x = _drawn(4, 6)
    results, replay = record(work, [x])
    assert replay is None and results[0].shape == x.shape


def test_inputs_that_share_memory_are_not_recorded_and_another_place_in_it_is_another_kind() -> None:
    whole = _drawn(4, 6)
    assert record(lambda x, y: [x + y], [whole[:2], whole[2:]])[1] is None
    recorded = Recorded(lambda x: [x.t() * 2])
    for _ in range(4):
        assert torch.equal(recorded(whole[:2])[0], whole[:2].t() * 2)
    assert recorded.is_sure and torch.equal(recorded(whole[2:])[0], whole[2:].t() * 2)


def test_a_recording_that_cannot_be_run_costs_nothing(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    recorded = Recorded(lambda x: [x * 2])
    monkeypatch.delattr(torch._C, "_AutoDispatchBelowAutograd")
    assert [recorded(torch.ones(2))[0].tolist() for _ in range(4)] == [[2.0, 2.0]] * 4
    assert recorded.replay is None and "cannot be run" in caplog.text


def test_a_recording_that_gives_other_numbers_is_not_used(caplog: pytest.LogCaptureFixture) -> None:
    calls = [0]

    def work(x: Tensor) -> list[Tensor]:
        calls[0] += 1
        return [x * calls[0]]  # a number that changes

    recorded = Recorded(work)
    assert [recorded(torch.ones(2))[0][0].item() for _ in range(6)] == [1, 2, 3, 4, 5, 6]
    assert recorded.replay is None and "not used" in caplog.text


def test_the_work_itself_is_not_called_again_once_it_is_sure_but_for_other_kinds_of_input() -> None:
    calls = [0]

    def work(x: Tensor) -> list[Tensor]:
        calls[0] += 1
        return [x * 2]

    recorded = Recorded(work)
    for number in range(8):
        assert recorded(torch.full((2,), float(number)))[0].tolist() == [2.0 * number] * 2
    assert calls == [3]
    assert recorded(torch.ones(3))[0].tolist() == [2.0] * 3
    assert recorded(torch.ones(2, dtype=torch.float64))[0].dtype == torch.float64
    assert recorded(torch.ones(4)[::2])[0].tolist() == [2.0, 2.0]
    assert calls == [6]


def test_a_recording_keeps_nothing_of_the_inputs_that_it_was_made_with() -> None:
    x = _drawn(64, 64)
    gone = weakref.ref(x)
    _, replay = record(lambda x: [(x * 2).relu().sum()], [x])
    del x
    assert gone() is None and replay is not None
