"""What the keys, shapes and metadata of a LoRA file tell before a tensor is read: dialect, kind of adapter, family of its base.

In: an opened `Source`. Out: names, or an AdapterError for kinds that are no plain LoRA. Does not know the base at hand.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from pipelines.adapter import HEADER
from pipelines.errors import AdapterError, BrandprintError
from pipelines.families.base import FamilyName
from pipelines.formats.source import Source, read_json

FACTOR = re.compile(
    r"^(?P<stem>.+?)(?:\.lora_|_lora\.|\.lora\.|\.lora_linear_layer\.)(?P<part>down|up|mid|A|B)(?:\.(?!bias)[\w-]+)?(?:\.weight)?$"
)
NUMBER = re.compile(r"^(?P<stem>.+)\.(?P<part>alpha|scale)$")
PRODUCT = re.compile(r"^(?P<stem>.+)\.(?P<part>hada_(?:w[12]_[ab]|t[12])|lokr_(?:w[12](?:_[ab])?|t2))$")
PART_NAMES = {"A": "down", "B": "up"}
BUNDLED = "bundle_emb."  # textual inversions that some tools pack into a LoRA file
WIDTHS: dict[int, FamilyName] = {768: "sd1", 1024: "sd2", 2048: "sdxl"}  # of the text that attn2 reads
VERSIONS: tuple[tuple[str, FamilyName], ...] = (
    ("sdxl", "sdxl"), ("sd_v2", "sd2"), ("sd_v1", "sd1"),
    ("stable-diffusion-xl", "sdxl"), ("stable-diffusion-v2", "sd2"), ("stable-diffusion-v1", "sd1"),
)  # fmt: skip
OTHER_KINDS = (
    (re.compile(r"\.b?oft_"), "OFT", "it turns the base's weights instead of adding to them"),
    (re.compile(r"dora_scale|lora_magnitude_vector"), "DoRA", "it also rescales the base's weights, and tools disagree on how"),
    (re.compile(r"\.(diff|diff_b|set_weight)$"), "full differences (diff)", "they are whole weights, not small factors"),
    (re.compile(r"\.(w_norm|b_norm)$"), "trained norms", "they replace weights that a LoRA leaves alone"),
    (re.compile(r"\.(a1|a2|b1|b2|bm1|bm2)\.weight$"), "GLoRA", "it also rescales the base's weights"),
    (re.compile(r"\.on_input$|\.ia3_"), "IA3", "it rescales activations instead of adding to weights"),
    (re.compile(r"^unet:\d+:(up|down)"), "LoRA files of 2022", "they name layers by position only, which differs between programs"),
)
OTHER_ARCHITECTURES = re.compile(
    r"^((base_model\.model\.|diffusion_model\.)?(transformer\.|transformer_blocks\.)|lora_transformer_|.*(double_blocks|single_blocks|joint_blocks|single_transformer_blocks))"
)


def parse_key(key: str) -> tuple[str, str] | None:
    """A key's module and part: down, up, mid, alpha, scale, or a factor of LoHa or LoKr. None for anything that is no part of one."""
    found = NUMBER.match(key) or PRODUCT.match(key) or FACTOR.match(key)
    return (found["stem"], PART_NAMES.get(found["part"], found["part"])) if found else None


def refuse_other_kinds(sources: Sequence[Source]) -> None:
    """Raises AdapterError naming each kind of adapter in the files that is no plain LoRA, and why it cannot be read."""
    keys = [key for source in sources for key in source.shapes]
    for pattern, kind, reason in OTHER_KINDS:
        if any(pattern.search(key) for key in keys):
            raise _refused(sources[0], kind, reason)
    for source in sources:
        kind = str((source.config or {}).get("peft_type", "LORA"))
        if kind.upper() != "LORA":
            raise _refused(source, kind, "only LoRA is read from PEFT folders")
        if (source.config or {}).get("use_dora"):
            raise _refused(source, "DoRA", "it also rescales the base's weights, and tools disagree on how")
    if any(OTHER_ARCHITECTURES.match(key) for key in keys):
        raise AdapterError(
            f"{sources[0].path.name} is made for a transformer model such as FLUX or SD 3.", fix="Use a LoRA for SD 1.x, SD 2.x or SDXL."
        )


def dialect_of(sources: Sequence[Source]) -> str:
    """Whose spelling it is, in a word for the report."""
    keys = [key for source in sources for key in source.shapes]
    if any(HEADER in source.metadata for source in sources):
        return "brandprint"
    if any(source.config is not None for source in sources) or _any_starts(keys, ("base_model.model.",)):
        return "peft"
    if _any_starts(keys, ("lora_unet_", "lora_te")):
        return "kohya"
    if _any_starts(keys, ("lycoris_",)):
        return "lycoris"
    if any(".processor." in key or "lora_linear_layer" in key or ".lora." in key or "_lora." in key for key in keys):
        return "diffusers 0.2x"
    return "comfyui" if _any_starts(keys, ("diffusion_model.", "model.diffusion_model.")) else "diffusers"


def text_width_of(sources: Sequence[Source]) -> int | None:
    """Width of the text that the adapted cross-attention reads; None if the file adapts none of it."""
    for source in sources:
        for key, shape in source.shapes.items():
            parsed = parse_key(key)
            if (
                parsed
                and parsed[1] in ("down", "hada_w1_b")
                and "attn2" in parsed[0]
                and re.search(r"to_[kv]$", parsed[0])
                and len(shape) >= 2
            ):
                return shape[1]
    return None


def family_of(sources: Sequence[Source]) -> FamilyName | None:
    """The family that the file was made for: by its shapes, else by what it says, else by its second text encoder."""
    width = text_width_of(sources)
    if width in WIDTHS:
        return WIDTHS[width]
    for source in sources:
        for said in _versions_said(source):
            for start, family in VERSIONS:
                if said.startswith(start):
                    return family
    second = _any_starts((key for source in sources for key in source.shapes), ("lora_te2_", "text_encoder_2."))
    return "sdxl" if second else None


def _versions_said(source: Source) -> Iterable[str]:
    said = [source.metadata.get(key, "").lower() for key in ("ss_base_model_version", "modelspec.architecture")]
    if HEADER in source.metadata:
        try:
            card = read_json(source.metadata[HEADER], where=source.path.name).get("card")
        except BrandprintError:  # a damaged header tells nothing here; loading the file says so
            card = None
        said.append(
            {"sd1": "sd_v1", "sd2": "sd_v2", "sdxl": "sdxl"}.get(str(card.get("base_family")), "") if isinstance(card, dict) else ""
        )
    return [text for text in said if text]


def _any_starts(keys: Iterable[str], prefixes: tuple[str, ...]) -> bool:
    return any(key.startswith(prefixes) for key in keys)


def _refused(source: Source, kind: str, reason: str) -> AdapterError:
    return AdapterError(
        f"{source.path.name} holds {kind}, which cannot be imported: {reason}.",
        fix="Use a plain LoRA, or a whole model with this one merged into it as the base.",
    )
