"""The single measures, on features and pictures whose truth is known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageOps
from skimage.color import deltaE_ciede2000, rgb2lab

from pipelines.events import Step, Validated
from training.scores import closeness, colour, copying, health, leak

CHANCE = np.random.default_rng(3)


def rows(count: int, width: int = 32) -> np.ndarray:
    features = CHANCE.standard_normal((count, width)).astype(np.float32)
    return features / np.linalg.norm(features, axis=1, keepdims=True)


def picture(*, ground: str = "white", mark: str = "#255e7c", at: int = 10) -> Image.Image:
    image = Image.new("RGB", (64, 64), ground)
    ImageDraw.Draw(image).rectangle((at, 12, at + 24, 52), fill=mark)
    return image


def test_delta_e_is_the_standards():
    left, right = CHANCE.random((200, 3)), CHANCE.random((200, 3))
    ours = colour.delta_e(colour.srgb_to_lab(left), colour.srgb_to_lab(right))
    assert ours == pytest.approx(deltaE_ciede2000(rgb2lab(left), rgb2lab(right)), abs=0.02)
    assert colour.lab_to_srgb(colour.srgb_to_lab(left)) == pytest.approx(left, abs=1e-6)


def test_the_palette_is_what_most_pictures_show_and_backgrounds_fall_out():
    grounds = ["white", "black", "#ff0000", "#00aa00", "#ffff00", "#8800ff"]
    palette = colour.palette_of([picture(ground=ground) for ground in grounds])
    assert len(palette.hex) == 1
    assert palette.distance(picture(ground="pink")) < 3
    assert palette.distance(picture(ground="pink", mark="#c04020")) > 25


def test_a_set_without_common_colours_has_no_palette():
    palette = colour.palette_of(
        [picture(ground=ground, mark=mark) for ground, mark in (("white", "red"), ("black", "blue"), ("green", "yellow"))]
    )
    assert palette.hex == () and palette.distance(picture()) == 0


def test_caption_match_is_one_for_the_right_pairs_and_chance_for_shuffled_ones():
    real = rows(12)
    noisy = real + 0.1 * rows(12)
    assert closeness.caption_match(noisy, real).mean() > 0.95
    shuffled = closeness.caption_match(rows(12), real)
    assert 0.3 < shuffled.mean() < 0.7
    assert closeness.obedience_of(np.array([0.5, 1.0])) == pytest.approx([0, 1])


def test_fidelity_is_nought_at_the_base_and_one_at_the_ceiling():
    scale = closeness.Scale(base=0.2, ceiling=0.7)
    assert scale.of(np.array([0.2, 0.7, 0.45])) == pytest.approx([0, 1, 0.5])


def test_a_restyled_thing_is_itself_moved_by_the_way_from_the_base_to_the_set():
    things, by_base, style = rows(6), rows(9), rows(1)
    wanted = closeness.restyled(things, real=by_base + 0.5 * style, by_base=by_base)
    assert np.linalg.norm(wanted, axis=1) == pytest.approx(1)
    assert (closeness.paired(wanted, np.repeat(style, 6, axis=0)) > closeness.paired(things, np.repeat(style, 6, axis=0))).all()
    assert (wanted @ things.T).argmax(axis=1).tolist() == list(range(6))
    assert closeness.restyled(things, real=by_base, by_base=by_base) == pytest.approx(things, abs=1e-6)


def test_spread_of_equal_pictures_is_nothing():
    one = rows(1)
    assert closeness.spread(np.repeat(one, 4, axis=0)) == pytest.approx(0, abs=1e-6)
    assert closeness.spread(rows(8)) > 0.5


def scenes(count: int) -> list[Image.Image]:
    """Pictures that differ, for their hashes."""
    return [Image.fromarray((np.kron(CHANCE.random((6, 6, 3)), np.ones((12, 12, 1))) * 255).astype(np.uint8)) for _ in range(count)]


def test_copies_lie_beyond_the_sets_own_limit_and_new_pictures_do_not():
    originals, pictures, plain = rows(40), scenes(40), closeness.unit
    hashes = copying.perceptual_hashes(pictures)
    limit = copying.copy_limit(plain(originals + 0.15 * rows(40)), originals, hashes)
    fresh = copying.neighbours(rows(10), scenes(10), originals, hashes, limit=limit)
    taken = copying.neighbours(plain(originals[:10] + 0.1 * rows(10)), pictures[:10], originals, hashes, limit=limit)
    assert not fresh.is_copy.any()
    assert taken.is_copy.all() and (taken.index == np.arange(10)).all()


def test_a_mirrored_copy_is_a_copy_though_its_features_differ():
    originals, pictures = rows(12), scenes(12)
    hashes = copying.perceptual_hashes(pictures)
    limit = copying.CopyLimit(similarity=0.99, hash_bits=4, natural=0.0)
    beside = copying.neighbours(rows(1), [ImageOps.mirror(pictures[3])], originals, hashes, limit=limit)
    assert beside.is_copy.all() and beside.index[0] == 3 and beside.hash_bits[0] <= 4


def test_likeness_that_the_set_shows_among_itself_is_no_copying():
    index, near = np.zeros(16, np.int64), np.zeros(16, np.float32)
    beside = copying.Neighbours(index, near, index, np.arange(16) < 3)
    assert copying.copied_beyond(beside, copying.CopyLimit(0.7, 9, natural=0.0625)) == pytest.approx(0.125)
    assert copying.copied_beyond(beside, copying.CopyLimit(0.7, 9, natural=0.3)) == 0


def test_soft_and_slightly_turned_copies_count_by_their_hash_alone():
    """What a small base draws of pictures learnt by heart: the composition is right, the details are gone, and features find little alike."""
    files = sorted((Path(__file__).parents[3] / "sample_data" / "product").glob("*.webp"))[::17][:12]
    pictures = [Image.open(file).convert("RGB") for file in files]
    soft = [picture.resize((20, 20)).resize(picture.size).rotate(6, fillcolor=picture.getpixel((2, 2))) for picture in pictures]
    hashes, unlike = copying.perceptual_hashes(pictures), np.eye(24, dtype=np.float32)
    limit = copying.copy_limit(unlike[:12], unlike[:12], hashes)
    assert copying.neighbours(unlike[12:], soft, unlike[:12], hashes, limit=limit).is_copy.mean() > 0.7


def test_a_set_of_near_doubles_has_a_tighter_limit():
    apart = rows(40)
    doubles = np.concatenate([apart[:20], apart[:20] + 0.05 * rows(20)])
    hashes = CHANCE.random((40, 64)) < 0.5
    assert (
        copying.copy_limit(closeness.unit(doubles), closeness.unit(doubles), hashes).similarity
        > copying.copy_limit(apart, apart, hashes).similarity - 1e-6
    )


def test_leak_is_one_where_the_noun_becomes_the_subject_and_nought_where_it_stays():
    subject, base = rows(6) * 0.1 + rows(1), rows(3)
    assert leak.leak_of(bare_noun=subject[:3], bare_noun_by_base=base, called=subject[3:], subject=subject) == pytest.approx(1, abs=0.2)
    assert leak.leak_of(bare_noun=base, bare_noun_by_base=base, called=subject[3:], subject=subject) == pytest.approx(0)


def test_nothing_can_leak_that_was_not_learnt():
    base = rows(3)
    assert leak.leak_of(bare_noun=base, bare_noun_by_base=base, called=base, subject=rows(4)) == 0


def test_drift_is_measured_in_units_of_another_seed():
    base, other = rows(4), rows(4)
    assert leak.drift_of(unrelated=base, unrelated_by_base=base, other_seeds=other) == pytest.approx(0, abs=1e-5)
    assert leak.drift_of(unrelated=other, unrelated_by_base=base, other_seeds=other) == pytest.approx(1)


def test_noise_and_empty_sheets_are_broken_and_drawings_are_not():
    look = health.usual_look([picture(), picture(ground="#ddeeff", at=20)], side_px=64)
    assert not look.is_broken(picture(ground="black", mark="yellow"))
    assert look.is_broken(Image.new("RGB", (64, 64), "#804020"))
    assert look.is_broken(Image.fromarray((CHANCE.random((64, 64, 3)) * 255).astype(np.uint8)))


def test_the_curve_of_a_run_knows_its_best_step_and_its_rise():
    events = [Step(step, 1.0 / step, 1e-4, 0.1) for step in range(1, 101)] + [
        Validated(step, loss, 2.0) for step, loss in ((25, 1.6), (50, 1.4), (75, 1.5), (100, 1.75))
    ]
    curve = health.curve_of(events)
    assert curve.best == (50, 0.7)
    assert curve.rise == pytest.approx(0.25)
    assert curve.at(60) == 0.7
    assert curve.gap > 0.5
    assert health.curve_of([]).rise == 0
