"""Drawing on tiny random bases: the same pictures as the stock pipeline, in any grouping, and a base that stays as it was."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from pipelines import adapter, quicken
from pipelines.card import Card
from pipelines.errors import AdapterError, OutOfMemory
from pipelines.families.base import load_base
from pipelines.generation import compare, decode, draw, drawing_advice, fitting_part, generate, is_out_of_memory, wishes
from pipelines.sampling import SCHEDULERS, build_scheduler, passes
from pipelines.settings import AdapterSettings, DrawSettings

SMALL = DrawSettings(prompt="a photo of a red mug", seed=7, steps=4, guidance=4.0)


@pytest.fixture(scope="module")
def sd1(tiny_sd1):
    return load_base(str(tiny_sd1))


@pytest.fixture(scope="module")
def starter_like(tiny_starter):
    return load_base(str(tiny_starter))


@pytest.fixture(scope="module")
def sdxl(tiny_sdxl):
    return load_base(str(tiny_sdxl))


@pytest.fixture
def taught(sd1):
    """The base with an adapter strong enough to be seen, on the denoiser and the text encoder."""
    adapter.attach(sd1, some_adapter(sd1, text_encoder=True), name="one")
    yield sd1
    adapter.detach(sd1, "one")


def some_adapter(base, **options) -> adapter.Adapter:
    settings = AdapterSettings(rank=4, **options)
    adapter.create(base, settings, seed=3, name="new")
    made = adapter.read(base, settings, Card(), name="new")
    adapter.detach(base, "new")
    noise = torch.Generator().manual_seed(1)
    return adapter.Adapter(
        {key: torch.randn(value.shape, generator=noise) * 0.3 for key, value in made.tensors.items()}, settings, made.card
    )


def pixels(picture) -> np.ndarray:
    return np.asarray(picture, dtype=np.int16)


def apart(one, other) -> int:
    """Largest difference of two pictures, in 255ths."""
    return int(np.abs(pixels(one.image) - pixels(other.image)).max())


def stock(base, settings: DrawSettings):
    pipe = base.pipeline()
    pipe.scheduler = build_scheduler(base, settings.scheduler)
    drawn = pipe(
        settings.prompt, num_inference_steps=settings.steps, guidance_scale=settings.guidance, generator=torch.Generator("cpu").manual_seed(settings.seed),
        width=settings.width_px, height=settings.height_px,
    )  # fmt: skip
    return drawn.images[0]


@pytest.mark.parametrize("scheduler", SCHEDULERS)
@pytest.mark.parametrize("kind", ["sd1", "starter_like", "sdxl"])
def test_a_picture_is_the_stock_pipelines_picture(kind, scheduler, request):
    base = request.getfixturevalue(kind)
    settings = SMALL.model_copy(update={"scheduler": scheduler, "width_px": 96, "height_px": 64})
    ours = next(generate(base, settings)).image
    assert ours.size == (96, 64)
    assert np.abs(pixels(ours) - pixels(stock(base, settings))).max() <= 2


def test_v_prediction_of_sd2_is_drawn_as_the_stock_pipeline_draws_it(tiny_sd2):
    base = load_base(str(tiny_sd2))
    assert np.abs(pixels(next(generate(base, SMALL)).image) - pixels(stock(base, SMALL))).max() <= 2


@pytest.mark.parametrize("scheduler", ["ddim", "euler_a"])
def test_a_seed_gives_the_same_picture_alone_and_among_others(starter_like, scheduler):
    settings = SMALL.model_copy(update={"scheduler": scheduler})
    several = list(generate(starter_like, settings.model_copy(update={"pictures": 4})))
    alone = list(generate(starter_like, settings.model_copy(update={"seed": 9})))
    assert [drawn.seed for drawn in several] == [7, 8, 9, 10]
    assert apart(several[2], alone[0]) <= 1
    assert apart(several[2], several[1]) > 3


def test_wishes_with_other_prompts_share_a_group_and_keep_their_order(starter_like):
    wanted = [*wishes(SMALL), *wishes(SMALL.model_copy(update={"prompt": "a blue robot", "negative_prompt": "white background"}))]
    drawn = list(draw(starter_like, SMALL, wanted))
    alone = next(generate(starter_like, drawn[1].settings.model_copy(update={"prompt": "a blue robot"})))
    assert [one.prompt for one in drawn] == ["a photo of a red mug", "a blue robot"]
    assert apart(drawn[1], alone) <= 1


def test_strengths_are_obeyed_for_the_picture_and_then_put_back(taught):
    as_attached, plain, half = (next(generate(taught, SMALL, strengths=wanted)) for wanted in (None, {}, {"one": 0.5}))
    assert (as_attached.strengths, plain.strengths, half.strengths) == ({"one": 1.0}, {"one": 0.0}, {"one": 0.5})
    assert apart(as_attached, plain) > 5 and apart(half, plain) > 0 and apart(half, as_attached) > 0
    assert adapter.strengths(taught) == {"one": 1.0}


def test_the_base_beside_its_adapter_is_the_base_without_one(sd1):
    before = next(generate(sd1, SMALL))
    adapter.attach(sd1, some_adapter(sd1), name="one")
    plain, taught = next(compare(sd1, SMALL, strengths={"one": 1.0}))
    adapter.detach(sd1, "one")
    assert apart(before, plain) == 0
    assert apart(plain, taught) > 5


def test_folding_draws_what_live_layers_draw(taught):
    live_pixels = pixels(stock(taught, SMALL))
    assert np.abs(pixels(next(generate(taught, SMALL)).image) - live_pixels).max() <= 2


def test_nothing_of_the_base_changes_even_when_drawing_is_broken_off(taught):
    before = {name: value.clone() for name, value in taught.unet.state_dict().items()}
    processors = dict(taught.unet.attn_processors)
    taught.unet.train()

    def stop(done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        next(generate(taught, SMALL, strengths={}, on_step=stop))
    assert taught.unet.training and all(module.training for module in taught.unet.modules())
    taught.unet.eval()
    assert all(torch.equal(value, before[name]) for name, value in taught.unet.state_dict().items())
    assert {name: type(value) for name, value in taught.unet.attn_processors.items()} == {
        name: type(value) for name, value in processors.items()
    }
    assert not any("forward" in vars(module) for module in taught.unet.modules())
    assert adapter.strengths(taught) == {"one": 1.0}


def test_steps_of_all_pictures_are_counted_together(starter_like):
    told = []
    list(generate(starter_like, SMALL.model_copy(update={"pictures": 3}), on_step=lambda done, total: told.append((done, total))))
    assert told[0] == (1, 12) and told[-1] == (12, 12) and told == sorted(told)


def test_fast_guides_every_second_step_until_only_detail_is_left(starter_like):
    fast = SMALL.model_copy(update={"steps": 20, "speed": "fast"})
    scheduler = build_scheduler(starter_like, "ddim")
    scheduler.set_timesteps(20)
    plan = passes(scheduler, fast)
    assert plan[0] == "guided" and plan[-1] == "plain"
    assert 4 <= plan.count("guided") <= 10 and plan.count("held") in (plan.count("guided"), plan.count("guided") - 1)
    assert set(passes(scheduler, fast.model_copy(update={"guidance": 1.0}))) == {"plain"}
    assert next(generate(starter_like, fast)).image.size == next(generate(starter_like, SMALL)).image.size


def test_sizes_become_multiples_of_the_stride_and_it_is_said(starter_like):
    odd = SMALL.model_copy(update={"width_px": 136, "height_px": 120})
    assert next(generate(starter_like, odd)).image.size == (128, 128)
    assert "size_rounded" in [advice.code for advice in drawing_advice(starter_like, odd)]
    assert drawing_advice(starter_like, SMALL) == ()


def test_a_prompt_that_is_too_long_is_named_with_what_is_lost(sd1):
    long = SMALL.model_copy(update={"prompt": "red mug " * 50 + "tinbot at the end"})
    (advice,) = drawing_advice(sd1, long, trigger="tinbot")
    assert advice.code == "trigger_cut" and "tinbot at the end" in advice.message
    kept = fitting_part(sd1, long.prompt)
    assert long.prompt.startswith(kept) and 70 <= sd1.token_count(kept) <= 75
    assert [found.code for found in drawing_advice(sd1, long)] == ["prompt_cut"]


def test_an_adapter_that_makes_nan_is_named(taught):
    with torch.no_grad():
        taught.unet.get_submodule("down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_v").lora_B["one"].weight.fill_(float("nan"))
    with pytest.raises(AdapterError, match="one at 1"):
        next(generate(taught, SMALL))


def test_an_unknown_adapter_is_refused(sd1):
    with pytest.raises(AdapterError, match="nobody"):
        next(generate(sd1, SMALL, strengths={"nobody": 1.0}))


def test_out_of_memory_splits_the_group_and_then_says_what_to_do(starter_like, monkeypatch):
    real, sizes = starter_like.predict, []

    def tight(noisy, *rest, **named):
        sizes.append(len(noisy))
        if len(noisy) > limit:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory")
        return real(noisy, *rest, **named)

    monkeypatch.setattr(starter_like, "predict", tight)
    limit = 2
    assert len(list(draw(starter_like, SMALL, wishes(SMALL.model_copy(update={"pictures": 3}))))) == 3
    assert max(sizes) == 6 and sizes[-1] == 2
    limit = 1
    with pytest.raises(OutOfMemory, match=r"\d+ x \d+ px"):
        next(generate(starter_like, SMALL))


def test_decoding_goes_over_to_tiles_where_memory_is_short(sd1, monkeypatch):
    real = sd1.decode_latents

    def tight(latents):
        if not sd1.vae.use_tiling:
            raise MemoryError
        return real(latents)

    whole = decode(sd1, torch.zeros(1, 4, 8, 8))
    monkeypatch.setattr(sd1, "decode_latents", tight)
    assert decode(sd1, torch.zeros(1, 4, 8, 8)).size == whole.size
    assert not sd1.vae.use_tiling
    assert not is_out_of_memory(RuntimeError("shapes do not match"))


def test_laid_out_weights_are_made_anew_when_a_weight_changes(sd1):
    layer = sd1.unet.conv_in
    original = layer.weight.data.clone()
    before = next(generate(sd1, SMALL))
    with torch.no_grad():
        layer.weight.mul_(3)
    changed = next(generate(sd1, SMALL))
    with torch.no_grad():
        layer.weight.copy_(original)
    assert apart(before, changed) > 0
    assert apart(before, next(generate(sd1, SMALL))) == 0
    assert layer in quicken._packed_weights[torch.float32]


def test_an_adapter_in_training_is_drawn_as_it_is_now(tiny_sd1):
    """A 16-bit base cannot be folded, and a fused optimizer does not raise the version of the weights that it writes to."""
    base = load_base(str(tiny_sd1), dtype=torch.bfloat16)
    parameters = adapter.create(base, AdapterSettings(rank=4, targets="all"), seed=0)
    optimizer = torch.optim.AdamW(parameters, lr=0.02, fused=True)
    settings = DrawSettings(prompt="a mug", seed=1, steps=2, width_px=256, height_px=256)
    for _ in range(2):
        for parameter in parameters:
            parameter.grad = torch.ones_like(parameter)
        optimizer.step()
        drawn = next(iter(generate(base, settings))).image
    for kept in quicken._packed_weights.values():
        kept.clear()
    assert drawn.tobytes() == next(iter(generate(base, settings))).image.tobytes()
