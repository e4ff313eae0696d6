"""Every kind of file comes out upright, sRGB, 8 bit; every broken one is named with its reason."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, ImageCms

from pipelines.errors import DatasetError
from training.decode import check_whole, jpeg_quality, open_alpha, open_image, read_header

# EXIF orientation -> what turns an upright picture into what is stored
TURNS = {2: "FLIP_LEFT_RIGHT", 3: "ROTATE_180", 4: "FLIP_TOP_BOTTOM", 5: "TRANSPOSE", 6: "ROTATE_90", 7: "TRANSVERSE", 8: "ROTATE_270"}
RED, GREEN, BLUE, WHITE = (200, 30, 40), (20, 160, 60), (30, 60, 190), (255, 255, 255)


def quarters() -> Image.Image:
    """96 x 64, one colour per quarter: any turn, mirror or swapped channel shows."""
    image = Image.new("RGB", (96, 64), RED)
    image.paste(GREEN, (48, 0, 96, 32))
    image.paste(BLUE, (0, 32, 48, 64))
    image.paste(WHITE, (48, 32, 96, 64))
    return image


def corners(image: Image.Image) -> list[tuple[int, ...]]:
    w, h = image.size
    return [image.getpixel(point) for point in ((w // 4, h // 4), (3 * w // 4, h // 4), (w // 4, 3 * h // 4), (3 * w // 4, 3 * h // 4))]


def is_close(found, wanted, tolerance: int) -> bool:
    return bool(np.abs(np.array(found, int) - np.array(wanted, int)).max() <= tolerance)


@pytest.mark.parametrize(
    ("name", "options", "tolerance"),
    [
        ("a.jpg", {"quality": 95, "subsampling": 0}, 4),
        ("a.png", {}, 0),
        ("a.webp", {"lossless": True}, 0),
        ("a.avif", {"quality": 95}, 6),
        ("a.heic", {"quality": 95}, 6),
        ("a.tif", {"compression": "tiff_lzw"}, 0),
        ("a.bmp", {}, 0),
        ("a.gif", {}, 8),
    ],
)
def test_every_format_keeps_its_colours(tmp_path, name, options, tolerance):
    if name.endswith("heic"):
        import pillow_heif

        pillow_heif.from_pillow(quarters()).save(tmp_path / name, quality=95)
    else:
        quarters().save(tmp_path / name, **options)
    header = read_header(tmp_path / name)
    check_whole(tmp_path / name, header)
    picture = open_image(tmp_path / name)
    assert (header.width_px, header.height_px) == picture.size == (96, 64)
    assert picture.mode == "RGB"
    assert is_close(corners(picture), [RED, GREEN, BLUE, WHITE], tolerance)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_exif_orientation_comes_out_upright(tmp_path, orientation):
    stored = quarters() if orientation == 1 else quarters().transpose(Image.Transpose[TURNS[orientation]])
    exif = Image.Exif()
    exif[0x0112] = orientation
    for name, tolerance in (("a.jpg", 6), ("a.png", 0), ("a.webp", 0), ("a.avif", 6)):
        options = {"quality": 95} if name == "a.avif" else {"quality": 95, "lossless": True, "subsampling": 0}
        stored.save(tmp_path / name, exif=exif.tobytes(), **options)
        picture = open_image(tmp_path / name)
        header = read_header(tmp_path / name)
        assert (header.width_px, header.height_px) == (96, 64) == picture.size
        assert is_close(corners(picture), [RED, GREEN, BLUE, WHITE], tolerance)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("compression", ["raw", "tiff_lzw"])
@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "CMYK", "I;16"])
def test_a_tiff_comes_out_upright(tmp_path, orientation, compression, mode):
    upright = quarters().convert("L").convert(mode) if mode == "I;16" else quarters().convert(mode)
    stored = upright if orientation == 1 else upright.transpose(Image.Transpose[TURNS[orientation]])
    stored.save(tmp_path / "a.tif", tiffinfo={0x0112: orientation}, compression=compression)
    upright.save(tmp_path / "upright.tif")
    header, picture = read_header(tmp_path / "a.tif"), open_image(tmp_path / "a.tif")
    assert (header.width_px, header.height_px) == (96, 64) == picture.size
    assert np.array_equal(np.asarray(picture), np.asarray(open_image(tmp_path / "upright.tif")))


def test_the_alpha_of_a_turned_tiff_is_turned_once(tmp_path):
    image = Image.new("RGBA", (32, 16), (*RED, 255))
    image.paste((0, 0, 0, 0), (0, 0, 8, 8))
    image.transpose(Image.Transpose.ROTATE_90).save(tmp_path / "a.tif", tiffinfo={0x0112: 6})
    assert np.array_equal(np.asarray(open_alpha(tmp_path / "a.tif")), np.asarray(image.getchannel("A")))


def test_alpha_is_laid_over_the_background_and_hidden_colour_stays_hidden(tmp_path):
    image = Image.new("RGBA", (32, 32), (255, 0, 0, 0))  # red, but wholly transparent
    image.paste((0, 0, 255, 128), (0, 0, 16, 32))
    image.save(tmp_path / "a.png")
    assert open_image(tmp_path / "a.png").getpixel((24, 8)) == (255, 255, 255)
    over_green = open_image(tmp_path / "a.png", background="#00ff00")
    assert over_green.getpixel((24, 8)) == (0, 255, 0)
    assert is_close(over_green.getpixel((8, 8)), (0, 127, 128), 1)
    assert open_alpha(tmp_path / "a.png").getpixel((8, 8)) == 128


@pytest.mark.parametrize("mode", ["LA", "PA", "P-transparent", "RGB-transparent"])
def test_rarer_kinds_of_transparency(tmp_path, mode):
    if mode == "LA":
        image = Image.new("LA", (16, 16), (10, 0))
        image.save(tmp_path / "a.png")
    elif mode == "PA":
        Image.new("RGBA", (16, 16), (9, 9, 9, 0)).convert("PA").convert("RGBA").save(tmp_path / "a.png")
    elif mode == "P-transparent":
        Image.new("P", (16, 16), 0).save(tmp_path / "a.png", transparency=0)
    else:
        Image.new("RGB", (16, 16), (1, 2, 3)).save(tmp_path / "a.png", transparency=(1, 2, 3))
    assert open_image(tmp_path / "a.png", background="#336699").getpixel((8, 8)) == (0x33, 0x66, 0x99)


def test_an_opaque_picture_has_no_alpha(tmp_path):
    Image.new("RGBA", (16, 16), (1, 2, 3, 255)).save(tmp_path / "a.png")
    assert open_alpha(tmp_path / "a.png") is None
    assert open_image(tmp_path / "a.png", background="#ff0000").getpixel((3, 3)) == (1, 2, 3)


def test_sixteen_bit_grey_is_scaled_not_clipped(tmp_path):
    ramp = np.linspace(0, 65535, 256).astype(np.uint16)[None].repeat(16, 0)
    Image.fromarray(ramp).save(tmp_path / "a.png")
    Image.fromarray(ramp).save(tmp_path / "a.tif")
    for name in ("a.png", "a.tif"):
        found = np.asarray(open_image(tmp_path / name))[8, :, 0].astype(int)
        assert np.abs(found - np.arange(256)).max() <= 1, name


@pytest.mark.parametrize("compression", ["raw", "tiff_lzw"])
def test_sixteen_bit_grey_that_counts_down_from_white(tmp_path, compression):
    ramp = np.linspace(65535, 0, 256).astype(np.uint16)[None].repeat(16, 0)
    Image.fromarray(ramp).save(tmp_path / "a.tif", tiffinfo={262: 0}, compression=compression)
    found = np.asarray(open_image(tmp_path / "a.tif"))[8, :, 0].astype(int)
    assert np.abs(found - np.arange(256)).max() <= 1


@pytest.mark.parametrize("top", [255, 65535, 2**31 - 1])
def test_whole_numbers_of_a_tiff_span_the_smallest_range_that_holds_them(tmp_path, top):
    Image.fromarray(np.linspace(0, top, 256).astype(np.int32)[None].repeat(16, 0)).save(tmp_path / "a.tif")
    found = np.asarray(open_image(tmp_path / "a.tif"))[8, :, 0].astype(int)
    assert np.abs(found - np.arange(256)).max() <= 1


def test_a_transparent_shade_of_sixteen_bit_grey(tmp_path):
    grey = np.full((16, 16), 30000, np.uint16)
    grey[:, :8] = 30001  # the same shade in 8 bits
    Image.fromarray(grey).save(tmp_path / "a.png", transparency=30000)
    picture = open_image(tmp_path / "a.png", background="#336699")
    assert picture.getpixel((12, 8)) == (0x33, 0x66, 0x99)
    assert is_close(picture.getpixel((3, 8)), (117, 117, 117), 1)
    alpha = open_alpha(tmp_path / "a.png")
    assert (alpha.getpixel((12, 8)), alpha.getpixel((3, 8))) == (0, 255)


def sixteen_bit_png(path, colour16):
    """A 16 bit RGB PNG, written by hand: Pillow cannot."""
    width = height = 8
    rows = b"".join(b"\0" + struct.pack(">HHH", *colour16) * width for _ in range(height))

    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    head = struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))


def test_sixteen_bit_colour(tmp_path):
    sixteen_bit_png(tmp_path / "a.png", (200 * 257, 30 * 257, 40 * 257))
    assert is_close(open_image(tmp_path / "a.png").getpixel((4, 4)), RED, 1)


def test_float_tiff(tmp_path):
    Image.fromarray(np.full((8, 8), 0.5, np.float32)).save(tmp_path / "a.tif")
    assert is_close(open_image(tmp_path / "a.tif").getpixel((4, 4)), (128, 128, 128), 1)


def lab_profile_bytes() -> bytes:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()


def wide_gamut_profile() -> bytes:
    """A matrix profile with sRGB's curve and its red and green primaries swapped: wrong handling cannot go unseen."""
    data = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    count = struct.unpack(">I", data[128:132])[0]
    tags = {bytes(data[132 + 12 * i : 136 + 12 * i]): 136 + 12 * i for i in range(count)}
    red, green = tags[b"rXYZ"], tags[b"gXYZ"]
    data[red : red + 8], data[green : green + 8] = data[green : green + 8], data[red : red + 8]
    start, length = struct.unpack(">II", data[tags[b"desc"] : tags[b"desc"] + 8])
    data[start + 12 : start + length] = bytes(data[start + 12 : start + length]).replace(
        "sRGB".encode("utf-16-be"), "tess".encode("utf-16-be")
    )
    return bytes(data)


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.webp", "a.tif", "a.avif"])
def test_an_embedded_profile_is_honoured(tmp_path, name):
    image = Image.new("RGB", (32, 32), (200, 30, 40))
    image.save(tmp_path / name, icc_profile=wide_gamut_profile(), quality=98)
    assert is_close(open_image(tmp_path / name).getpixel((16, 16)), (30, 200, 40), 5)
    assert "icc_profile" not in open_image(tmp_path / name).info


def test_a_profile_is_honoured_beneath_transparency(tmp_path):
    image = Image.new("RGBA", (32, 32), (200, 30, 40, 255))
    image.paste((0, 0, 0, 0), (0, 0, 16, 32))
    image.save(tmp_path / "a.png", icc_profile=wide_gamut_profile())
    picture = open_image(tmp_path / "a.png", background="#c81e28")
    assert is_close(picture.getpixel((24, 16)), (30, 200, 40), 3)
    assert picture.getpixel((8, 16)) == (0xC8, 0x1E, 0x28)  # the background is sRGB already


def test_a_broken_or_foreign_profile_is_passed_over(tmp_path):
    for profile in (b"nonsense", lab_profile_bytes()):
        Image.new("RGB", (32, 32), RED).save(tmp_path / "a.png", icc_profile=profile)
        assert open_image(tmp_path / "a.png").getpixel((8, 8)) == RED


def test_cmyk_without_a_profile(tmp_path):
    Image.new("RGB", (32, 32), RED).convert("CMYK").save(tmp_path / "a.jpg", quality=98)
    Image.new("RGB", (32, 32), RED).convert("CMYK").save(tmp_path / "a.tif")
    assert is_close(open_image(tmp_path / "a.jpg").getpixel((8, 8)), RED, 4)
    assert is_close(open_image(tmp_path / "a.tif").getpixel((8, 8)), RED, 1)


def test_lab_and_grey_and_bilevel(tmp_path):
    lab = ImageCms.buildTransform(ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), "RGB", "LAB")
    ImageCms.applyTransform(Image.new("RGB", (16, 16), GREEN), lab).save(tmp_path / "lab.tif")
    Image.new("L", (16, 16), 99).save(tmp_path / "grey.jpg", quality=98)
    Image.new("1", (16, 16), 1).save(tmp_path / "one.png")
    assert is_close(open_image(tmp_path / "lab.tif").getpixel((8, 8)), GREEN, 8)
    assert is_close(open_image(tmp_path / "grey.jpg").getpixel((8, 8)), (99, 99, 99), 1)
    assert open_image(tmp_path / "one.png").getpixel((8, 8)) == (255, 255, 255)


def test_the_first_frame_of_an_animation_is_taken(tmp_path):
    frames = [Image.new("RGB", (16, 16), colour) for colour in (RED, GREEN, BLUE)]
    for name in ("a.gif", "a.webp", "a.png", "a.tif"):
        frames[0].save(tmp_path / name, save_all=True, append_images=frames[1:])
        assert is_close(open_image(tmp_path / name).getpixel((8, 8)), RED, 12), name


def test_a_jpeg_is_decoded_smaller_when_less_is_needed_but_never_below(tmp_path):
    quarters().resize((960, 640)).save(tmp_path / "a.jpg", quality=90)
    picture = open_image(tmp_path / "a.jpg", at_least_px=100)
    assert 100 <= min(picture.size) < 640
    assert is_close(corners(picture), [RED, GREEN, BLUE, WHITE], 8)
    assert open_image(tmp_path / "a.jpg", at_least_px=2000).size == (960, 640)


def noisy(size=(300, 200)) -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (size[1], size[0], 3), np.uint8)).save(file, "JPEG", quality=90)
    return file.getvalue()


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "avif", "gif", "tif", "bmp", "heic"])
@pytest.mark.parametrize("share", [0.5, 0.9])
def test_a_cut_off_file_is_named_as_such(tmp_path, suffix, share):
    picture = Image.open(io.BytesIO(noisy()))
    if suffix == "heic":
        import pillow_heif

        pillow_heif.from_pillow(picture).save(tmp_path / "whole.heic")
    else:
        picture.save(tmp_path / f"whole.{suffix}")
    content = (tmp_path / f"whole.{suffix}").read_bytes()
    path = tmp_path / f"cut.{suffix}"
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(DatasetError) as caught:
        check_whole(path, read_header(path))
    assert "cut" in caught.value.message and caught.value.fix


@pytest.mark.parametrize(("box", "opened"), [(b"iloc", read_header), (b"iloc", open_image), (b"mdat", open_image), (b"mdat", open_alpha)])
def test_a_damaged_avif_is_named(tmp_path, box, opened):
    image = quarters()
    image.putalpha(128)
    image.save(tmp_path / "a.avif")
    content = bytearray((tmp_path / "a.avif").read_bytes())
    at = content.index(box) + (4 if box == b"mdat" else 0)
    content[at : at + 4] = b"junk"
    (tmp_path / "a.avif").write_bytes(content)
    with pytest.raises(DatasetError, match=r"a\.avif cannot be"):
        opened(tmp_path / "a.avif")


def test_the_quality_of_a_jpeg_is_told_from_its_first_table_if_it_has_one(tmp_path):
    Image.new("L", (32, 32), 99).save(tmp_path / "a.jpg", quality=80)
    assert jpeg_quality(tmp_path / "a.jpg") == 80
    content = bytearray((tmp_path / "a.jpg").read_bytes())
    content[content.index(b"\xff\xdb") + 4] = 1  # the table's number ...
    content[content.index(b"\xff\xc0") + 12] = 1  # ... and that of the table that the only channel uses
    (tmp_path / "a.jpg").write_bytes(content)
    assert open_image(tmp_path / "a.jpg").getpixel((8, 8)) == (99, 99, 99)
    assert jpeg_quality(tmp_path / "a.jpg") is None


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "0 bytes"),
        (b"just some words\n" * 20, "text"),
        (b"\0" * 4000, "only zeros"),
        (bytes(range(256)) * 9, "not a picture"),
        (b"\x00\x00\x00\x0cJXL \r\n\x87\n", "JPEG XL"),
    ],
)
def test_what_is_no_picture_is_called_what_it_is(tmp_path, content, words):
    (tmp_path / "a.jpg").write_bytes(content)
    with pytest.raises(DatasetError, match=words):
        read_header(tmp_path / "a.jpg")


@pytest.mark.parametrize(("side", "megapixels"), [(20_000, 400), (11_000, 121)])
def test_a_bomb_is_refused_before_it_is_decoded(tmp_path, side, megapixels):
    head = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    chunk = struct.pack(">I", 13) + b"IHDR" + head + struct.pack(">I", zlib.crc32(b"IHDR" + head))
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + chunk + struct.pack(">I", 0) + b"IDAT" + struct.pack(">I", zlib.crc32(b"IDAT")))
    with pytest.raises(DatasetError, match=f"{megapixels} megapixels"):
        read_header(tmp_path / "a.png")
