"""What the character wears: SVG pieces in the figure's own coordinates.

In: nothing. Out: the table WEAR, each entry drawn to fit the one body. Does not know poses.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Wear:
    """words: as the caption says it, empty for nothing. head_rise lifts the sprout above a hat, in units."""

    words: str = ""
    behind: str = ""
    on_body: str = ""
    around: str = ""
    on_head: str = ""
    on_face: str = ""
    head_rise: float = 0.0


def scarf(words: str, color: str, dark: str) -> Wear:
    band = f'<path d="M-84,-92 Q0,-58 84,-92 L87,-72 Q0,-36 -87,-72 Z" fill="{color}"/><path d="M-87,-72 Q0,-36 87,-72 L87,-77 Q0,-42 -87,-77 Z" fill="{dark}"/>'
    tail = f'<path d="M34,-66 L62,-72 L70,-14 L40,-10 Z" fill="{color}"/><path d="M40,-10 L70,-14 L69,-22 L39,-18 Z" fill="{dark}"/><circle cx="46" cy="-66" r="15" fill="{dark}"/>'
    return Wear(words, around=band + tail)


def beanie(words: str, color: str, dark: str) -> Wear:
    cap = f'<path d="M-62,-186 C-56,-246 56,-246 62,-186 Z" fill="{color}"/><rect x="-68" y="-198" width="136" height="24" rx="12" fill="{dark}"/>'
    return Wear(words, on_head=cap, head_rise=14)


STRAW = (
    '<ellipse cx="0" cy="-186" rx="100" ry="17" fill="#e0b35a"/><path d="M-50,-190 C-48,-236 48,-236 50,-190 Z" fill="#f2cd7c"/>'
    '<path d="M-51,-198 L51,-198 L50,-186 Q0,-178 -50,-186 Z" fill="#d2453f"/>'
)
CHEF = (
    '<path d="M-46,-190 C-84,-206 -74,-252 -36,-246 C-26,-274 26,-274 36,-246 C74,-252 84,-206 46,-190 Z" fill="#ffffff"/>'
    '<rect x="-50" y="-204" width="100" height="26" rx="6" fill="#e9e7ef"/>'
)
CROWN = '<path d="M-46,-188 L-54,-236 L-26,-214 L0,-246 L26,-214 L54,-236 L46,-188 Q0,-176 -46,-188 Z" fill="#ffc933"/><circle cx="0" cy="-204" r="8" fill="#d9365e"/>'
PARTY = '<path d="M-44,-186 L0,-268 L44,-186 Q0,-172 -44,-186 Z" fill="#7a5cd6"/><g fill="#ffd84a"><circle cx="-14" cy="-202" r="7"/><circle cx="12" cy="-220" r="7"/><circle cx="20" cy="-194" r="6"/></g>'
ROUND_GLASSES = '<g fill="#ffffff" fill-opacity="0.28" stroke="#2d1b3d" stroke-width="5.5"><circle cx="-25" cy="-142" r="22"/><circle cx="25" cy="-142" r="22"/></g>'
SUNGLASSES = (
    '<path d="M-52,-158 L52,-158 L50,-146 Q46,-122 26,-122 Q8,-122 4,-146 L-4,-146 Q-8,-122 -26,-122 Q-46,-122 -50,-146 Z" fill="#23202b"/>'
    '<path d="M-40,-150 L-22,-150 L-34,-132 Z M14,-150 L32,-150 L20,-132 Z" fill="#6f6a85" opacity="0.8"/>'
)
HEADPHONES = (
    '<path d="M-76,-142 C-80,-240 80,-240 76,-142" stroke="#2f3a56" stroke-width="12" fill="none"/>'
    '<g fill="#3f7de0"><rect x="-94" y="-164" width="30" height="50" rx="14"/><rect x="64" y="-164" width="30" height="50" rx="14"/></g>'
)
APRON = '<path d="M-50,-92 L50,-92 L72,-40 Q0,-14 -72,-40 Z" fill="#3f7de0"/><path d="M-30,-72 L30,-72 L30,-48 Q0,-38 -30,-48 Z" fill="#7fb0f5"/><path d="M-50,-92 L-78,-112 M50,-92 L78,-112" stroke="#3f7de0" stroke-width="8"/>'
BOW_TIE = '<path d="M0,-80 L-36,-98 L-36,-60 Z M0,-80 L36,-98 L36,-60 Z" fill="#7a4fd0"/><circle cx="0" cy="-80" r="10" fill="#5b34ad"/>'
CAPE = '<path d="M-70,-112 C-120,-60 -126,-30 -130,-8 Q-60,-26 0,-14 Q60,-26 130,-8 C126,-30 120,-60 70,-112 Z" fill="#d9304f"/>'
CAPE_KNOT = '<path d="M-78,-100 Q0,-70 78,-100 L80,-88 Q0,-56 -80,-88 Z" fill="#b31f3e"/><circle cx="0" cy="-74" r="9" fill="#ffd23f"/>'
BACKPACK = '<rect x="-98" y="-150" width="196" height="112" rx="40" fill="#2f9e5b"/><rect x="-98" y="-100" width="196" height="18" fill="#237a45"/>'
STRAPS = (
    '<path d="M-58,-104 Q-66,-70 -54,-40 M58,-104 Q66,-70 54,-40" stroke="#237a45" stroke-width="14" fill="none" stroke-linecap="round"/>'
)

NOTHING = Wear()
WEAR: tuple[Wear, ...] = (
    scarf("red scarf", "#d6293b", "#a81c2c"),
    scarf("blue scarf", "#2f6fdb", "#2152a8"),
    scarf("yellow scarf", "#ffcb2e", "#dba012"),
    beanie("blue beanie", "#3b82e6", "#2459ad"),
    beanie("green beanie", "#3fae5a", "#2a7d3f"),
    Wear("straw hat", on_head=STRAW, head_rise=6),
    Wear("chef's hat", on_head=CHEF, head_rise=42),
    Wear("gold crown", on_head=CROWN, head_rise=14),
    Wear("purple party hat", on_head=PARTY, head_rise=42),
    Wear("round glasses", on_face=ROUND_GLASSES),
    Wear("sunglasses", on_face=SUNGLASSES),
    Wear("blue headphones", on_head=HEADPHONES, head_rise=4),
    Wear("blue apron", on_body=APRON),
    Wear("purple bow tie", around=BOW_TIE),
    Wear("red cape", behind=CAPE, around=CAPE_KNOT),
    Wear("green backpack", behind=BACKPACK, around=STRAPS),
)
