"""Deep blocks answer again what they answered, halves are told apart, and the denoiser stays as it was."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch

from pipelines.deep_features import deep_features
from pipelines.families.base import Base, Conditioning, load_base
from pipelines.generation import generate
from pipelines.sampling import FEWEST_REUSING_STEPS, reuses
from pipelines.settings import DrawSettings

FAST = DrawSettings(prompt="a red mug", seed=7, steps=12, guidance=4.0, speed="fast")
PLAN = ["plain", "plain", "plain", "guided", "held", "guided", "held", "guided", "plain", "plain", "plain", "plain"]


@pytest.fixture(scope="module", params=["tiny_sd1", "tiny_sdxl", "tiny_starter"])
def base(request: pytest.FixtureRequest) -> Base:
    return load_base(str(request.getfixturevalue(request.param)))


def told(base: Base, *prompts: str) -> Conditioning:
    return base.encode_prompts(prompts)


@torch.no_grad()
def test_the_same_input_gives_the_same_output_from_kept_features(base: Base) -> None:
    noisy, timesteps = torch.randn(1, base.unet.config.in_channels, 8, 8), torch.tensor([300])
    with deep_features(base.unet) as deep:
        first = base.predict(noisy, timesteps, told(base, "a mug"))
        deep.is_reused = True
        assert torch.equal(base.predict(noisy, timesteps, told(base, "a mug")), first)
        deeper = base.predict(noisy, timesteps, told(base, "a hat"))
        deep.is_reused = False
        assert not torch.equal(base.predict(noisy, timesteps, told(base, "a hat")), deeper)


@torch.no_grad()
def test_after_a_guided_pass_the_prompts_half_is_kept(base: Base) -> None:
    noisy, timesteps = torch.randn(2, base.unet.config.in_channels, 8, 8), torch.tensor([300, 300])
    with deep_features(base.unet) as deep:
        both = base.predict(noisy, timesteps, told(base, "", "a mug"))
        deep.keep_second_half()
        deep.is_reused = True
        half = base.predict(noisy[1:], timesteps[1:], told(base, "a mug"))
    assert torch.allclose(half, both[1:], atol=1e-5)


def test_afterwards_no_block_is_changed(base: Base) -> None:
    with pytest.raises(KeyError), deep_features(base.unet):
        raise KeyError("an error inside the block")
    assert not [block for block in base.unet.modules() if "forward" in vars(block)]


def test_no_guided_step_and_no_two_in_a_row_reuse() -> None:
    reused = reuses(PLAN, FAST)  # type: ignore[arg-type]
    assert reused[1] and reused[4] and reused[6] and not reused[0]
    assert not any(again and kind == "guided" for again, kind in zip(reused, PLAN, strict=True))
    assert not any(one and following for one, following in pairwise(reused))


def test_exact_pictures_and_short_runs_never_reuse() -> None:
    assert not any(reuses(PLAN, FAST.model_copy(update={"speed": "exact"})))  # type: ignore[arg-type]
    assert not any(reuses(["plain"] * (FEWEST_REUSING_STEPS - 1), FAST))


def test_a_fast_picture_computes_the_deep_blocks_less_often(base: Base) -> None:
    computed: dict[str, list[object]] = {"exact": [], "fast": []}
    for speed, seen in computed.items():
        hook = base.unet.mid_block.resnets[0].register_forward_hook(lambda *_, seen=seen: seen.append(True))
        next(generate(base, FAST.model_copy(update={"speed": speed})))
        hook.remove()
    assert len(computed["exact"]) == FAST.steps and len(computed["fast"]) <= FAST.steps * 2 // 3
