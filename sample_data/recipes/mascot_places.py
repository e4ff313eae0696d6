"""Where the character is and what it holds: plain backgrounds, simple places, props, as SVG on a 400 x 400 canvas.

In: nothing. Out: the tables PLAIN, PLACES, FRONT_PROPS and HIGH_PROPS. The ground the character stands on is at y = 340.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Place:
    """words: as the caption says it."""

    words: str
    svg: str


@dataclass(frozen=True)
class Prop:
    """Drawn around the point where the hands meet (front) or around the raised right hand (high)."""

    words: str
    svg: str


COLORS = {
    "mint": ("#c4f0da", "#9fdcc0"), "light blue": ("#c3e5fb", "#98cdf0"), "yellow": ("#ffe27a", "#fbc93a"),
    "white": ("#ffffff", "#eceaf0"), "lavender": ("#dccff7", "#bda8ea"), "pink": ("#ffd0e0", "#f7a9c4"),
    "beige": ("#f5e6cc", "#e6cda4"), "grey": ("#d6d9de", "#b4bac3"), "navy blue": ("#2c3f73", "#1c2a52"),
    "green": ("#8fd07f", "#62b257"), "purple": ("#8f6fd6", "#6d4cb8"), "black": ("#3a3942", "#222129"),
}  # fmt: skip


def plain(name: str) -> Place:
    """An even backdrop, a little darker below."""
    light, dark = COLORS[name]
    svg = (
        f'<defs><radialGradient id="bg" cx="0.5" cy="0.42" r="0.8"><stop offset="0.25" stop-color="{light}"/><stop offset="1" stop-color="{dark}"/></radialGradient></defs>'
        '<rect width="400" height="400" fill="url(#bg)"/>'
    )
    return Place(f"on {'an' if name[0] in 'aeiou' else 'a'} {name} background", svg)


def sky(high: str, low: str) -> str:
    return (
        f'<defs><linearGradient id="sky" x1="0" y1="0" x2="0" y2="1"><stop offset="0" stop-color="{high}"/><stop offset="0.8" stop-color="{low}"/></linearGradient></defs>'
        '<rect width="400" height="400" fill="url(#sky)"/>'
    )


def cloud(x: float, y: float, size: float) -> str:
    return (
        f'<g transform="translate({x},{y}) scale({size})" fill="#fff" opacity="0.9"><circle r="18"/><circle cx="22" cy="-8" r="22"/>'
        '<circle cx="48" r="18"/><rect x="-18" width="84" height="18" rx="9"/></g>'
    )


def pine(x: float, y: float, size: float, color: str = "#2f7d55") -> str:
    return (
        f'<g transform="translate({x},{y}) scale({size})"><rect x="-6" y="-14" width="12" height="18" fill="#7a4b2d"/>'
        f'<path d="M0,-120 L34,-60 L20,-60 L44,-12 L-44,-12 L-20,-60 L-34,-60 Z" fill="{color}"/></g>'
    )


MEADOW = (
    sky("#8fd0f7", "#e4f6ff") + cloud(60, 80, 1) + cloud(290, 56, 0.8)
    + '<path d="M0,270 Q110,210 230,262 T400,240 V400 H0 Z" fill="#9ad66b"/><path d="M0,312 Q160,280 400,306 V400 H0 Z" fill="#76c052"/>'
    + "".join(f'<circle cx="{x}" cy="{y}" r="6" fill="{c}"/>' for x, y, c in ((40, 340, "#fff"), (88, 376, "#ffd84a"), (336, 346, "#fff"), (370, 380, "#ffd84a"), (300, 384, "#fff")))
)  # fmt: skip
BEACH = (
    sky("#7cc9f2", "#d7f2fb") + '<circle cx="330" cy="70" r="34" fill="#ffe27a"/><rect y="210" width="400" height="80" fill="#3fa9d8"/>'
    + '<path d="M0,226 Q50,216 100,226 T200,226 T300,226 T400,226" stroke="#a8e0f5" stroke-width="5" fill="none"/>'
    + '<path d="M0,282 Q200,262 400,282 V400 H0 Z" fill="#f3d9a0"/><path d="M0,282 Q200,262 400,282 V290 Q200,270 0,290 Z" fill="#fff" opacity="0.8"/>'
)  # fmt: skip
SNOW = (
    sky("#9dbfe3", "#e2edf8") + pine(62, 300, 1.2, "#4a8577") + pine(344, 292, 1.0, "#4a8577")
    + '<path d="M0,290 Q120,262 240,288 T400,276 V400 H0 Z" fill="#f6faff"/>'
    + "".join(f'<circle cx="{(i * 97) % 400}" cy="{(i * 61) % 270}" r="{3 + i % 3}" fill="#fff"/>' for i in range(26))
)  # fmt: skip
NIGHT = (
    sky("#141a44", "#3a3f86") + '<circle cx="84" cy="84" r="40" fill="#fff2b8"/><circle cx="102" cy="74" r="34" fill="#1d2350"/>'
    + "".join(f'<circle cx="{(i * 89 + 30) % 400}" cy="{(i * 53 + 20) % 250}" r="{2 + i % 2}" fill="#fff"/>' for i in range(24))
    + '<path d="M0,300 Q200,262 400,300 V400 H0 Z" fill="#2a2f66"/>'
)  # fmt: skip
CITY = (
    sky("#bfe2f7", "#f6f3ea")
    + "".join(f'<rect x="{x}" y="{y}" width="{w}" height="300" fill="{c}"/>' for x, y, w, c in ((0, 120, 70, "#a9bdd6"), (66, 60, 76, "#c2cfe0"), (142, 150, 60, "#b3c4d9"), (262, 90, 66, "#c2cfe0"), (326, 40, 80, "#a9bdd6")))
    + "".join(f'<rect x="{x}" y="{y}" width="14" height="18" fill="#fff5c9"/>' for x in (14, 40, 82, 110, 276, 302, 342, 372) for y in (150, 190, 230))
    + '<rect y="300" width="400" height="100" fill="#8d94a3"/><rect y="296" width="400" height="12" fill="#c9cdd6"/>'
)  # fmt: skip
FOREST = (
    sky("#bfe6c8", "#eaf6dc") + "".join(pine(x, y, s, c) for x, y, s, c in ((40, 290, 1.9, "#5c9f72"), (360, 290, 2.0, "#5c9f72"), (120, 284, 1.3, "#7db78d"), (288, 284, 1.4, "#7db78d"), (204, 280, 1.1, "#96c9a2")))
    + '<path d="M0,296 Q200,272 400,296 V400 H0 Z" fill="#6f9e55"/>'
)  # fmt: skip
ROOM = (
    '<rect width="400" height="400" fill="#f3dfc4"/><rect x="40" y="40" width="110" height="130" rx="6" fill="#fff"/><rect x="50" y="50" width="90" height="110" fill="#aee0f7"/>'
    '<path d="M95,50 V160 M50,105 H140" stroke="#fff" stroke-width="8"/><rect x="280" y="60" width="86" height="66" fill="#7aa7d6"/><path d="M280,126 L312,88 L334,110 L346,98 L366,126 Z" fill="#4f7fb3"/>'
    '<rect y="296" width="400" height="104" fill="#c98f5c"/><rect y="290" width="400" height="10" fill="#fff5e6"/><ellipse cx="200" cy="350" rx="160" ry="34" fill="#5fa8a0"/>'
)
KITCHEN = (
    '<rect width="400" height="400" fill="#e6f1ee"/><g stroke="#cfe0dc" stroke-width="4">'
    + "".join(f'<path d="M{x},0 V230"/>' for x in range(0, 401, 50)) + "".join(f'<path d="M0,{y} H400"/>' for y in range(30, 231, 50))
    + '</g><rect y="226" width="400" height="18" fill="#b77b4a"/><rect y="244" width="400" height="70" fill="#7fb8ad"/>'
    + '<rect x="286" y="180" width="80" height="48" rx="8" fill="#6b7280"/><rect x="270" y="190" width="112" height="9" rx="4" fill="#4b5563"/><rect y="312" width="400" height="88" fill="#e0c9a6"/>'
)  # fmt: skip
DESERT = (
    sky("#ffd79a", "#fff0cf")
    + '<circle cx="80" cy="86" r="36" fill="#fff6d6"/><path d="M0,282 Q100,232 220,276 T400,256 V400 H0 Z" fill="#eab36b"/>'
    '<path d="M0,320 Q200,292 400,318 V400 H0 Z" fill="#dc9a4e"/><path d="M342,300 V206 M342,262 H318 V232 M342,250 H366 V220" stroke="#3f9a5c" stroke-width="17" stroke-linecap="round" stroke-linejoin="round" fill="none"/>'
)
STAGE = (
    '<rect width="400" height="400" fill="#5a1230"/>' + "".join(f'<path d="M{x},0 Q{x + 10},150 {x},300 L{x + 26},300 Q{x + 32},150 {x + 26},0 Z" fill="#7c1a42"/>' for x in range(-10, 400, 44))
    + '<path d="M140,0 L260,0 L330,340 L70,340 Z" fill="#fff4c4" opacity="0.22"/><rect y="296" width="400" height="104" fill="#a8683a"/><ellipse cx="200" cy="342" rx="140" ry="30" fill="#d99a5f"/>'
)  # fmt: skip

PLAIN: tuple[Place, ...] = tuple(plain(name) for name in COLORS)
PLACES: tuple[Place, ...] = (
    Place("in a green meadow", MEADOW), Place("on a beach", BEACH), Place("in the snow", SNOW), Place("at night under the moon", NIGHT),
    Place("in a city street", CITY), Place("in a forest", FOREST), Place("in a living room", ROOM), Place("in a kitchen", KITCHEN),
    Place("in the desert", DESERT), Place("on a stage", STAGE),
)  # fmt: skip

FRONT_PROPS: tuple[Prop, ...] = (
    Prop("a gift box", '<rect x="-38" y="-44" width="76" height="60" rx="5" fill="#3f7de0"/><rect x="-8" y="-44" width="16" height="60" fill="#ffd23f"/><rect x="-42" y="-54" width="84" height="17" rx="5" fill="#5a95f0"/><path d="M0,-54 C-26,-84 -40,-60 0,-54 C26,-84 40,-60 0,-54" stroke="#ffd23f" stroke-width="7" fill="none"/>'),
    Prop("an open book", '<path d="M0,-34 Q-26,-48 -54,-38 L-54,12 Q-26,2 0,14 Q26,2 54,12 L54,-38 Q26,-48 0,-34 Z" fill="#fff" stroke="#7a4fd0" stroke-width="6" stroke-linejoin="round"/><path d="M0,-34 V12" stroke="#cdbdf0" stroke-width="4"/>'),
    Prop("a mug of tea", '<rect x="-26" y="-36" width="52" height="50" rx="9" fill="#2fa57d"/><path d="M26,-24 Q50,-24 46,-8 Q42,2 26,0" stroke="#2fa57d" stroke-width="8" fill="none"/><path d="M-8,-44 q-6,-9 0,-17 M10,-44 q-6,-9 0,-17" stroke="#fff" stroke-width="5" fill="none" stroke-linecap="round" opacity="0.9"/>'),
    Prop("a red heart", '<path d="M0,18 C-66,-22 -40,-70 0,-42 C40,-70 66,-22 0,18 Z" fill="#e0264a"/><ellipse cx="-20" cy="-36" rx="8" ry="6" fill="#fff" opacity="0.5"/>'),
    Prop("a football", '<circle cy="-16" r="34" fill="#fff" stroke="#2d2b38" stroke-width="4"/><path d="M0,-31 L14,-20 L9,-4 L-9,-4 L-14,-20 Z" fill="#2d2b38"/><path d="M0,-31 V-48 M14,-20 L31,-27 M9,-4 L20,10 M-9,-4 L-20,10 M-14,-20 L-31,-27" stroke="#2d2b38" stroke-width="4"/>'),
    Prop("a blank white sign", '<rect x="-62" y="-62" width="124" height="72" rx="8" fill="#fff" stroke="#8a5a36" stroke-width="6"/>'),
    Prop("a slice of watermelon", '<path d="M-56,-34 A56,56 0 0 0 56,-34 Z" fill="#2f9e4f"/><path d="M-46,-34 A46,46 0 0 0 46,-34 Z" fill="#f5f0d0"/><path d="M-41,-34 A41,41 0 0 0 41,-34 Z" fill="#e8344e"/><g fill="#2d1b3d"><circle cx="-18" cy="-22" r="4"/><circle cx="2" cy="-14" r="4"/><circle cx="20" cy="-23" r="4"/></g>'),
    Prop("a laptop", '<rect x="-52" y="-56" width="104" height="64" rx="7" fill="#b9c0cc"/><circle cy="-24" r="9" fill="#fff"/><rect x="-60" y="6" width="120" height="11" rx="5" fill="#8f97a6"/>'),
)  # fmt: skip
HIGH_PROPS: tuple[Prop, ...] = (
    Prop("a blue balloon", '<path d="M0,0 Q10,-30 2,-56" stroke="#555" stroke-width="3" fill="none"/><ellipse cx="2" cy="-96" rx="34" ry="41" fill="#2f6fdb"/><ellipse cx="-10" cy="-112" rx="8" ry="12" fill="#fff" opacity="0.5"/><path d="M-5,-54 L9,-54 L2,-62 Z" fill="#2f6fdb"/>'),
    Prop("a yellow umbrella", '<path d="M0,14 V-96" stroke="#6b4a2f" stroke-width="7"/><path d="M-84,-78 C-76,-150 76,-150 84,-78 Q63,-94 42,-78 Q21,-94 0,-78 Q-21,-94 -42,-78 Q-63,-94 -84,-78 Z" fill="#ffc933"/>'),
    Prop("a sunflower", '<path d="M0,20 Q-4,-30 0,-66" stroke="#3f9a4c" stroke-width="8" fill="none"/><g fill="#ffc933">' + "".join(f'<ellipse cx="0" cy="-112" rx="10" ry="22" transform="rotate({a} 0 -84)"/>' for a in range(0, 360, 36)) + '</g><circle cy="-84" r="19" fill="#7a4a24"/>'),
    Prop("a magnifying glass", '<path d="M0,10 L0,-40" stroke="#6b4a2f" stroke-width="13" stroke-linecap="round"/><circle cy="-72" r="34" fill="#d7f0ff" fill-opacity="0.85" stroke="#3c4356" stroke-width="9"/>'),
    Prop("a white flag", '<path d="M0,24 V-112" stroke="#8a5a36" stroke-width="7" stroke-linecap="round"/><path d="M2,-110 Q28,-122 48,-108 T86,-110 V-60 Q66,-48 48,-60 T2,-60 Z" fill="#fff" stroke="#d9d6e2" stroke-width="2"/>'),
    Prop("an ice cream", '<path d="M-18,-30 L18,-30 L0,22 Z" fill="#d99a4e"/><circle cx="0" cy="-44" r="25" fill="#ffb3cf"/><circle cx="0" cy="-72" r="19" fill="#fff6e0"/><circle cx="4" cy="-92" r="7" fill="#d6293b"/>'),
    Prop("a gold star", '<path d="M0,-98 L13,-62 L51,-60 L21,-37 L32,-1 L0,-22 L-32,-1 L-21,-37 L-51,-60 L-13,-62 Z" fill="#ffc933" stroke="#e09a12" stroke-width="4" stroke-linejoin="round"/>'),
    Prop("a paintbrush", '<path d="M0,24 L0,-52" stroke="#c98f5c" stroke-width="11" stroke-linecap="round"/><rect x="-9" y="-70" width="18" height="20" fill="#b9c0cc"/><path d="M-11,-70 Q-13,-100 2,-112 Q13,-96 11,-70 Z" fill="#2f6fdb"/>'),
)  # fmt: skip
