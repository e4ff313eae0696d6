"""The plan: advice by intent, set, base and device; what the user changes is kept and taken up; hopeless plans are refused with a way out."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import dataclass, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.errors import ConfigError
from training.base_facts import BaseFacts, Denoiser, family_facts
from training.batches import BatchOrder
from training.config import TrainSettings, value_at
from training.device import DeviceFacts
from training.images import bucket_of
from training.plan import Plan, make_plan
from training.recipes import held_out_count

GIB = 2**30
GPU = DeviceFacts("cuda", "NVIDIA GeForce RTX 4090", 24 * GIB, 23 * GIB, 16, True, 58e12)
CPU = DeviceFacts("cpu", "x86_64", 24 * GIB, 20 * GIB, 2, False, 80e9)
SD1, SDXL = family_facts("owner/sd", "sd1"), family_facts("owner/xl", "sdxl")
STARTER = replace(
    SD1, source="starter", native_size_px=256, stride_px=16, latent_channels=16, prediction="v_prediction", zero_terminal_snr=True, is_starter=True,
    denoiser=Denoiser(25_000_000, 4e9, 5e7, 8e6, {"attention": 20_000, "attention+ff": 40_000, "all": 100_000}, 282), text_parameters=4_000_000,
    vae_parameters=1_500_000,
)  # fmt: skip


@dataclass(frozen=True)
class Shot:
    caption: str = "standing on a table, warm light"
    size_hw: tuple[int, int] = (768, 768)
    repeats: int = 1
    held_out: bool = False


def planned(count: int = 40, *, base: BaseFacts = SD1, device: DeviceFacts = GPU, shot: Shot = Shot(), **answers) -> Plan:
    told = {"intent": "product", "trigger": "fjordbottle", "noun": "bottle", "dial": "balanced", "overrides": {}} | answers
    return make_plan(pictures=[shot] * count, base_facts=base, device=device, **told)


def line(plan: Plan, name: str):
    return next(line for line in plan.lines if line.name == name)


def test_every_line_gives_a_reason_in_one_sentence_and_the_value_in_force():
    plan = planned()
    for each in plan.lines:
        assert each.reason.strip().endswith("."), each
        assert value_at(plan.settings, each.path) == each.value
        assert not each.changed and each.mark == "unchanged from advice"


@pytest.mark.parametrize(("count", "repeats", "shapes"), [(11, 1, 1), (20, 1, 7), (20, 10, 7), (40, 1, 7), (3, 1, 1)])
def test_pictures_are_seen_as_often_as_the_plan_says(count, repeats, shapes):
    """Pictures of one shape go together, so batches are not full: the order that the trainer keeps is the truth."""
    sizes = [(1000, 1000), (1000, 800), (800, 1000), (1200, 800), (800, 1200), (1600, 900), (900, 1600)][:shapes]
    shots = [Shot(size_hw=sizes[place % shapes], repeats=repeats) for place in range(count)]
    plan = make_plan(intent="product", trigger="fjordbottle", noun="bottle", pictures=shots, base_facts=STARTER, device=CPU)
    side, loop = plan.settings.pictures.resolution_px, plan.settings.loop
    taught = shots[: count - held_out_count(count, share=0.05)]
    buckets = tuple(bucket_of(shot.size_hw, side, base_stride_px=STARTER.stride_px) for shot in taught)
    order = BatchOrder(buckets, tuple(shot.repeats for shot in taught), loop.batch, seed=0)
    seen = sum(len(order.at(number)) for number in range(loop.steps * loop.accumulation)) / len(taught)
    assert seen == pytest.approx(plan.exposures, rel=0.15)
    assert str(round(plan.exposures)) in line(plan, "loop.steps").reason
    assert (f"steps of {loop.batch} pictures" in plan.words) == (plan.pictures_a_batch > 0.9 * loop.batch)


def test_pictures_that_the_user_keeps_aside_are_not_counted_as_taught():
    shots = [Shot(held_out=place % 2 == 0) for place in range(40)]
    plan = make_plan(intent="product", trigger="fjordbottle", noun="bottle", pictures=shots, base_facts=SD1, device=GPU)
    assert line(plan, "pictures.held_out").reason.startswith("20 of 40 ") and line(plan, "loop.steps").reason.startswith("Each of 20 ")


@given(st.integers(3, 40), st.sampled_from([SD1, SDXL]), st.sampled_from(["cpu", "mps"]), st.sampled_from([1, 4, 8]))
def test_what_a_refusal_advises_is_not_refused_again(gigabytes, base, kind, batch):
    device = DeviceFacts(kind, kind, gigabytes * GIB, gigabytes * GIB, 8, False, 80e12)
    refusal = planned(base=base, device=device, overrides={("loop", "batch"): batch}).refusal
    advised = {}
    if refusal and "batch 1" in refusal.fix:
        advised |= {("loop", "batch"): 1, ("loop", "gradient_checkpointing"): True}
    if refusal and (side := re.match(r"Train at (\d+) px", refusal.fix)):
        advised |= {("pictures", "resolution_px"): int(side[1])}
    if advised:
        again = planned(base=base, device=device, overrides={("loop", "batch"): batch} | advised).refusal
        assert again is None or again.code == "too-slow"


def test_automatic_precision_is_counted_as_what_the_device_will_use():
    device = replace(GPU, kind="mps", memory_bytes=16 * GIB)
    auto, full = (planned(base=SDXL, device=device, overrides={("loop", "precision"): kind}).forecast for kind in ("auto", "fp32"))
    assert auto.memory_bytes == full.memory_bytes


def test_the_plan_needs_no_torch():
    code = "import sys, training.plan, training.device; training.device.find_device('cpu'); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("intent", ["product", "character"])
def test_subjects_are_never_mirrored(intent):
    assert not planned(intent=intent).settings.pictures.flip


def test_a_style_is_mirrored_unless_captions_mention_lettering():
    assert planned(intent="style", noun="").settings.pictures.flip
    lettered = planned(intent="style", noun="", shot=Shot("a poster with a large Logo"))
    assert not lettered.settings.pictures.flip
    assert "logo" in line(lettered, "pictures.flip").reason


def test_min_snr_is_left_out_where_its_weight_would_be_zero_at_the_last_step():
    assert planned(base=SD1).settings.loss.weighting == "min_snr"
    zero = planned(base=replace(SD1, prediction="v_prediction", zero_terminal_snr=True))
    assert zero.settings.loss.weighting == "none"
    assert "zero" in line(zero, "loss.weighting").reason
    assert zero.settings.loss.noise_offset == 0


def test_small_sets_of_a_subject_get_class_pictures_and_large_ones_do_not():
    assert planned(20).settings.loss.prior_weight == 1
    assert planned(200).settings.loss.prior_weight == 0
    assert planned(20, noun="").settings.loss.prior_weight == 0
    assert planned(20, intent="style", noun="").settings.loss.prior_weight == 0


def test_held_out_pictures_are_counted_as_the_trainer_will():
    from training.latents import split_held_out

    @dataclass(frozen=True)
    class Kept:
        content: str
        held_out: bool = False

    for count in (3, 7, 8, 12, 39, 40, 100, 216, 400, 1000):
        items = [Kept(str(number)) for number in range(count)]
        assert held_out_count(count, share=0.05) == len(split_held_out(items, 0.05, seed=0)), count


def test_many_shapes_take_more_memory_on_a_cpu_unless_all_are_cut_to_one():
    sizes = [(512, 512), (400, 640), (640, 400), (360, 720)]
    one, four = ([Shot(size_hw=size) for size in chosen] * 10 for chosen in (sizes[:1], sizes))
    told = {"intent": "style", "trigger": "zop", "noun": "", "base_facts": STARTER}
    need = [make_plan(pictures=shots, device=CPU, **told).forecast.memory_bytes for shots in (one, four)]
    assert need[1] == pytest.approx(1.16 * need[0], rel=1e-3)
    cut = make_plan(pictures=four, device=CPU, overrides={("pictures", "buckets"): False}, **told)
    assert cut.forecast.memory_bytes == need[0]
    assert len({make_plan(pictures=shots, device=GPU, **told).forecast.memory_bytes for shots in (one, four)}) == 1


def test_a_change_is_marked_and_the_lines_below_take_it_up():
    plan = planned(200, overrides={("loop", "batch"): 1, ("adapter", "rank"): 8})
    assert plan.settings.loop.batch == 1 and plan.settings.loop.accumulation == 4
    assert line(plan, "loop.batch").changed and line(plan, "loop.batch").advice == 4
    assert line(plan, "loop.batch").mark == "changed by you (advice: 4)"
    assert "8" in line(plan, "adapter.alpha").reason
    assert plan.exposures == pytest.approx(planned(200).exposures, rel=0.05)


def test_a_change_equal_to_the_advice_is_not_marked():
    advice = planned().settings.adapter.rank
    assert not line(planned(overrides={("adapter", "rank"): advice}), "adapter.rank").changed


def test_a_setting_without_advice_can_be_changed_too():
    plan = planned(overrides={("loss", "kind"): "huber"})
    assert plan.settings.loss.kind == "huber" and line(plan, "loss.kind").changed


def test_prodigy_gets_its_neutral_rate():
    assert planned(overrides={("optim", "optimizer"): "prodigy"}).settings.optim.learning_rate == 1


def test_values_out_of_range_and_unknown_names_are_refused_by_name():
    with pytest.raises(ConfigError, match=r"adapter\.rank cannot be 0"):
        planned(overrides={("adapter", "rank"): 0})
    with pytest.raises(ConfigError, match=r"no setting named loop\.stepps"):
        planned(overrides={("loop", "stepps"): 3})
    with pytest.raises(ConfigError, match="there are none"):
        make_plan(intent="style", trigger="x", noun="", pictures=[], base_facts=SD1, device=GPU)


def test_a_plan_that_cannot_fit_is_refused_with_an_alternative():
    tiny = replace(GPU, memory_bytes=4 * GIB)
    plan = planned(base=SDXL, device=tiny)
    assert plan.refusal is not None and plan.refusal.code == "too-big"
    with pytest.raises(ConfigError) as caught:
        plan.check()
    assert "memory" in caught.value.message and caught.value.fix


def test_a_large_base_on_a_cpu_is_refused_for_time_and_points_to_the_starter():
    plan = planned(base=SDXL, device=CPU)
    assert plan.refusal is not None and plan.refusal.code == "too-slow"
    assert "starter" in plan.refusal.fix


def test_tight_memory_brings_checkpointing_before_smaller_batches():
    roomy, tight = planned(base=SDXL, device=GPU), planned(base=SDXL, device=replace(GPU, memory_bytes=11 * GIB))
    assert tight.settings.loop.gradient_checkpointing and tight.forecast.fits
    assert tight.settings.loop.batch * tight.settings.loop.accumulation == roomy.settings.loop.batch * roomy.settings.loop.accumulation
    assert roomy.refusal is None and tight.refusal is None


def test_small_pictures_lower_the_size_but_not_below_what_the_base_bears():
    assert planned(shot=Shot(size_hw=(400, 600))).settings.pictures.resolution_px == 384
    assert planned(base=SDXL, shot=Shot(size_hw=(300, 300))).settings.pictures.resolution_px == 768
    assert planned(base=STARTER, device=CPU).settings.pictures.resolution_px == 256


def test_preview_prompts_are_varied_and_carry_the_trigger():
    shots = [
        Shot(text)
        for text in ("on snow, cool light", "on sand, warm light", "on snow, warm light", "in a kitchen at night", "held in a hand")
    ]
    plan = make_plan(intent="product", trigger="fjordbottle", noun="bottle", pictures=shots * 8, base_facts=SD1, device=GPU)
    prompts = plan.settings.loop.preview_prompts
    assert len(prompts) == len(set(prompts)) == 4
    assert all(prompt.startswith("fjordbottle bottle") for prompt in prompts)
    assert sum("snow" in prompt for prompt in prompts) <= 2


def test_the_dial_orders_length_and_the_starter_stays_short():
    for base, device in ((SD1, GPU), (SDXL, GPU), (STARTER, CPU)):
        steps = [planned(100, base=base, device=device, dial=dial).settings.loop.steps for dial in ("quick", "balanced", "thorough")]
        assert steps == sorted(steps) and steps[0] < steps[2]


@settings(max_examples=60, deadline=None)
@given(
    count=st.integers(1, 1500), intent=st.sampled_from(["style", "character", "product"]), dial=st.sampled_from(["quick", "balanced", "thorough"]),
    base=st.sampled_from([SD1, SDXL, STARTER, family_facts("o/sd2", "sd2")]), device=st.sampled_from([GPU, CPU, replace(GPU, memory_bytes=8 * GIB)]),
    side=st.integers(64, 4000),
)  # fmt: skip
def test_any_answers_give_valid_settings_that_fit_or_are_refused(count, intent, dial, base, device, side):
    plan = planned(count, intent=intent, dial=dial, base=base, device=device, shot=Shot(size_hw=(side, side)))
    assert TrainSettings.model_validate(plan.settings.model_dump()) == plan.settings
    assert plan.refusal is not None or (plan.forecast.fits and plan.forecast.seconds <= 24 * 3600)
    assert plan.settings.loop.checkpoints == 10
    assert plan.settings.pictures.resolution_px % base.stride_px == 0


@given(smaller=st.integers(1, 900), more=st.integers(0, 900), intent=st.sampled_from(["style", "product"]))
@settings(max_examples=80, deadline=None)
def test_more_pictures_never_mean_more_looks_at_each(smaller, more, intent):
    from training.recipes import exposures

    at = {count: exposures(SD1, intent, pictures=count, dial="balanced") for count in (smaller, smaller + more)}
    assert at[smaller + more] <= at[smaller]


def test_warnings_name_what_the_user_should_know():
    codes = {advice.code for advice in planned(5, trigger="", shot=Shot("")).warnings}
    assert {"few-pictures", "empty-captions", "no-trigger"} <= codes
    assert planned(1).warnings[0].message == "One picture is few."
    assert [advice.code for advice in planned(60).warnings] == ["same-captions"]
    varied = make_plan(
        intent="product",
        trigger="zop",
        noun="mug",
        pictures=[Shot(f"on shelf {number}") for number in range(60)],
        base_facts=SD1,
        device=GPU,
    )
    assert varied.warnings == ()
