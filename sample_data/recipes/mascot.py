"""The character: Sprigli, a coral egg of a creature with a cream face, a teal sprout of two leaves and plum boots.

In: a pose, an expression, a turn of the head, what it wears. Out: SVG text, its feet around (0, 0), about 280 units tall.
Proportions and colours never change; clothes are in `mascot_wear.py`, places in `mascot_places.py`.
"""

from __future__ import annotations

from dataclasses import dataclass

from sample_data.recipes.mascot_wear import Wear

CORAL, CORAL_LIGHT, CORAL_DARK, CORAL_EDGE = "#ff6b4a", "#ff9272", "#e04f31", "#c9412a"
CREAM, CREAM_SHADE = "#fff3df", "#f7dcbc"
TEAL, TEAL_DARK = "#18b09c", "#0d8375"
PLUM, PLUM_LIGHT = "#4b2a63", "#6d4488"
INK = "#2d1b3d"

BODY = "M0,-218 C56,-218 86,-140 86,-98 C86,-50 50,-26 0,-26 C-50,-26 -86,-50 -86,-98 C-86,-140 -56,-218 0,-218 Z"
FACE_Y = -136
Point = tuple[float, float]

GRADIENTS = f"""<radialGradient id="body" cx="0.36" cy="0.26" r="0.85">
<stop offset="0" stop-color="{CORAL_LIGHT}"/><stop offset="0.42" stop-color="{CORAL}"/><stop offset="1" stop-color="{CORAL_DARK}"/></radialGradient>
<radialGradient id="face" cx="0.42" cy="0.3" r="0.8">
<stop offset="0" stop-color="#fffaf0"/><stop offset="0.6" stop-color="{CREAM}"/><stop offset="1" stop-color="{CREAM_SHADE}"/></radialGradient>
<linearGradient id="leaf" x1="0" y1="0" x2="0" y2="1">
<stop offset="0" stop-color="#35d6bd"/><stop offset="1" stop-color="{TEAL}"/></linearGradient>
<radialGradient id="boot" cx="0.4" cy="0.25" r="0.9">
<stop offset="0" stop-color="{PLUM_LIGHT}"/><stop offset="1" stop-color="{PLUM}"/></radialGradient>"""


@dataclass(frozen=True)
class Limb:
    """From where it leaves the body, bent past a point, to the hand or foot."""

    start: Point
    bend: Point
    end: Point


@dataclass(frozen=True)
class Pose:
    """words: as the caption says it. lean in degrees; lift is how high the feet are off the ground."""

    words: str
    left_arm: Limb
    right_arm: Limb
    left_leg: Limb
    right_leg: Limb
    lean: float = 0.0
    lift: float = 0.0
    is_sitting: bool = False
    expressions: tuple[str, ...] = ("happy", "laughing", "surprised", "winking", "curious")


def arm(side: int, bend: Point, end: Point) -> Limb:
    """side -1 is the picture's left; bend and end as for the right side."""
    return Limb((side * 72, -98), (side * bend[0], bend[1]), (side * end[0], end[1]))


def leg(side: int, bend: Point = (36, -22), end: Point = (38, -8)) -> Limb:
    return Limb((side * 34, -40), (side * bend[0], bend[1]), (side * end[0], end[1]))


LEFT, RIGHT = -1, 1
DOWN = ((96, -84), (94, -58))
HIP = ((132, -78), (74, -56))
UP = ((122, -118), (116, -186))
FRONT = ((98, -56), (34, -62))
STAND = (leg(LEFT), leg(RIGHT))

POSES: tuple[Pose, ...] = (
    Pose("standing", arm(LEFT, *DOWN), arm(RIGHT, *DOWN), *STAND),
    Pose("waving", arm(LEFT, *DOWN), arm(RIGHT, *UP), *STAND, expressions=("happy", "laughing", "winking")),
    Pose("cheering with both arms up", arm(LEFT, *UP), arm(RIGHT, *UP), *STAND, expressions=("laughing", "happy", "excited")),
    Pose("hands on hips", arm(LEFT, *HIP), arm(RIGHT, *HIP), *STAND, expressions=("happy", "angry", "winking", "curious")),
    Pose("arms crossed", arm(LEFT, (84, -46), (-28, -62)), arm(RIGHT, (84, -62), (-34, -74)), *STAND, expressions=("angry", "curious", "happy")),
    Pose("pointing to the right", arm(LEFT, *HIP), arm(RIGHT, (100, -112), (136, -122)), *STAND),
    Pose("thinking", arm(LEFT, *FRONT), arm(RIGHT, (112, -50), (36, -92)), *STAND, expressions=("curious", "sleepy")),
    Pose(
        "running", arm(LEFT, (116, -70), (104, -34)), arm(RIGHT, (124, -66), (116, -112)),
        leg(LEFT, (74, -30), (104, -44)), leg(RIGHT, (70, -34), (62, -6)), lean=12, lift=8, expressions=("happy", "laughing", "excited", "surprised"),
    ),
    Pose(
        "walking", arm(LEFT, (104, -76), (112, -52)), arm(RIGHT, (92, -66), (66, -44)),
        leg(LEFT, (48, -24), (60, -12)), leg(RIGHT, (44, -26), (50, -8)), lean=4,
    ),
    Pose(
        "jumping", arm(LEFT, (124, -112), (126, -166)), arm(RIGHT, (124, -112), (126, -166)),
        leg(LEFT, (60, -22), (54, -2)), leg(RIGHT, (60, -22), (54, -2)), lift=46, expressions=("laughing", "excited", "happy"),
    ),
    Pose(
        "dancing", arm(LEFT, (128, -96), (128, -150)), arm(RIGHT, (124, -70), (130, -40)),
        leg(LEFT), leg(RIGHT, (72, -34), (88, -30)), lean=-9, expressions=("laughing", "happy", "winking"),
    ),
    Pose(
        "sitting", arm(LEFT, (98, -70), (84, -34)), arm(RIGHT, (98, -70), (84, -34)),
        leg(LEFT, (54, -30), (56, -14)), leg(RIGHT, (54, -30), (56, -14)), is_sitting=True,
    ),
    Pose(
        "falling over", arm(LEFT, (120, -110), (132, -140)), arm(RIGHT, (122, -110), (140, -136)),
        leg(LEFT, (52, -22), (66, -4)), leg(RIGHT, (60, -30), (84, -24)), lean=-24, lift=10, expressions=("surprised", "sad"),
    ),
    Pose("looking tired", arm(LEFT, (90, -70), (80, -36)), arm(RIGHT, (90, -70), (80, -36)), *STAND, lean=3, expressions=("sleepy", "sad")),
)  # fmt: skip

HOLD_FRONT = Pose("holding {}", arm(LEFT, (104, -56), (48, -46)), arm(RIGHT, (104, -56), (48, -46)), *STAND)
HOLD_HIGH = Pose("holding up {}", arm(LEFT, *DOWN), arm(RIGHT, (118, -92), (112, -132)), *STAND)


def draw_arm(limb: Limb) -> str:
    """A soft thick stroke with a round hand."""
    path = f"M{limb.start[0]},{limb.start[1]} Q{limb.bend[0]},{limb.bend[1]} {limb.end[0]},{limb.end[1]}"
    x, y = limb.end
    return (
        f'<path d="{path}" stroke="{CORAL_EDGE}" stroke-width="29" fill="none" stroke-linecap="round"/>'
        f'<circle cx="{x}" cy="{y}" r="17" fill="{CORAL_EDGE}"/><circle cx="{x}" cy="{y}" r="15" fill="{CORAL}"/>'
        f'<path d="{path}" stroke="{CORAL}" stroke-width="25" fill="none" stroke-linecap="round"/>'
        f'<circle cx="{x - 4}" cy="{y - 5}" r="6" fill="{CORAL_LIGHT}" opacity="0.8"/>'
    )


def draw_leg(limb: Limb, *, is_sitting: bool) -> str:
    """A short leg and a plum boot; sitting shows the sole."""
    path = f"M{limb.start[0]},{limb.start[1]} Q{limb.bend[0]},{limb.bend[1]} {limb.end[0]},{limb.end[1]}"
    x, y = limb.end
    side = 1 if x > 0 else -1
    if is_sitting:
        boot = f'<ellipse cx="{x}" cy="{y}" rx="25" ry="28" fill="url(#boot)"/><ellipse cx="{x}" cy="{y + 2}" rx="14" ry="17" fill="{PLUM_LIGHT}"/>'
    else:
        boot = f'<ellipse cx="{x + side * 7}" cy="{y}" rx="29" ry="17" fill="url(#boot)"/>'
    return f'<path d="{path}" stroke="{CORAL_DARK}" stroke-width="28" fill="none" stroke-linecap="round"/>' + boot


def draw_sprout(turn: float, rise: float) -> str:
    """The stalk and its two leaves, `rise` units above the bare head (a hat lifts it)."""
    x, y = 10 * turn, -214 - rise
    left = "M0,-26 C-10,-58 -46,-62 -62,-50 C-52,-26 -22,-16 0,-26 Z"
    right = "M0,-26 C6,-66 44,-76 64,-64 C56,-34 26,-18 0,-26 Z"
    return (
        f'<g transform="translate({x},{y}) rotate({8 * turn})"><path d="M0,6 Q-2,-12 0,-28" stroke="{TEAL_DARK}" stroke-width="9" fill="none" stroke-linecap="round"/>'
        f'<path d="{left}" fill="{TEAL}"/><path d="{right}" fill="url(#leaf)"/>'
        f'<path d="M-2,-28 Q-26,-34 -50,-46 M4,-30 Q28,-40 50,-58" stroke="{TEAL_DARK}" stroke-width="3" fill="none" stroke-linecap="round" opacity="0.7"/></g>'
    )


def draw_eyes(expression: str, x: float) -> str:
    """Both eyes around x, with brows where the expression needs them."""
    y, gap = FACE_Y - 6, 25
    if expression == "laughing":
        return "".join(
            f'<path d="M{x + s * gap - 12},{y + 4} Q{x + s * gap},{y - 14} {x + s * gap + 12},{y + 4}" class="line"/>' for s in (-1, 1)
        )
    shapes = []
    for side in (-1, 1):
        cx = x + side * gap
        if expression == "winking" and side == 1:
            shapes.append(f'<path d="M{cx - 12},{y} Q{cx},{y + 9} {cx + 12},{y}" class="line"/>')
            continue
        wide = 1.2 if expression in ("surprised", "excited") else 1.0
        shapes.append(f'<ellipse cx="{cx}" cy="{y}" rx="{12 * wide}" ry="{16 * wide}" fill="{INK}"/>')
        shapes.append(
            f'<circle cx="{cx - 4}" cy="{y - 6}" r="{5 * wide}" fill="#fff"/><circle cx="{cx + 4}" cy="{y + 6}" r="2.6" fill="#fff" opacity="0.8"/>'
        )
        if expression == "sleepy":
            shapes.append(f'<path d="M{cx - 16},{y + 1} L{cx - 16},{y - 20} L{cx + 16},{y - 20} L{cx + 16},{y + 1} Z" fill="{CREAM}"/>')
            shapes.append(f'<path d="M{cx - 14},{y + 1} L{cx + 14},{y + 1}" class="line"/>')
        if expression == "angry":
            shapes.append(f'<path d="M{cx - side * 14},{y - 12} L{cx + side * 14},{y - 24}" class="line"/>')
        if expression == "sad":
            shapes.append(f'<path d="M{cx - side * 12},{y - 25} L{cx + side * 13},{y - 18}" class="line"/>')
        if expression == "curious" and side == 1:
            shapes.append(f'<path d="M{cx - 10},{y - 24} Q{cx + 2},{y - 32} {cx + 14},{y - 24}" class="line"/>')
    return "".join(shapes)


def draw_mouth(expression: str, x: float) -> str:
    y = FACE_Y + 19
    if expression in ("laughing", "excited"):
        return (
            f'<path d="M{x - 17},{y - 4} Q{x},{y - 1} {x + 17},{y - 4} Q{x + 14},{y + 18} {x},{y + 18} Q{x - 14},{y + 18} {x - 17},{y - 4} Z" fill="{INK}"/>'
            f'<path d="M{x - 9},{y + 13} Q{x},{y + 5} {x + 9},{y + 13} Q{x},{y + 20} {x - 9},{y + 13} Z" fill="#ff7d8a"/>'
        )
    if expression == "surprised":
        return f'<ellipse cx="{x}" cy="{y + 6}" rx="8" ry="10" fill="{INK}"/>'
    curve = {"sad": -9, "angry": -6, "sleepy": 2, "curious": 3}.get(expression, 11)
    tilt = 4 if expression == "curious" else 0
    return f'<path d="M{x - 13},{y + 2 + tilt} Q{x},{y + 2 + curve * 1.3} {x + 13},{y + 2 - tilt}" class="line"/>'


def draw_face(expression: str, turn: float) -> str:
    """The cream mask with eyes, cheeks and mouth, moved towards where it looks."""
    x = 26 * turn
    inner = x * 1.25
    cheeks = "".join(f'<ellipse cx="{inner + s * 43}" cy="{FACE_Y + 17}" rx="11" ry="7.5" fill="#ff8f86" opacity="0.75"/>' for s in (-1, 1))
    mask = f'<ellipse cx="{x}" cy="{FACE_Y}" rx="{62 - 8 * abs(turn)}" ry="46" fill="url(#face)"/>'
    return mask + cheeks + draw_eyes(expression, inner) + draw_mouth(expression, inner)


def draw_body() -> str:
    """The egg with its shine and three spots at the flank."""
    return (
        f'<path d="{BODY}" fill="url(#body)"/>'
        f'<g fill="{CORAL_EDGE}" opacity="0.45"><circle cx="54" cy="-62" r="8"/><circle cx="38" cy="-46" r="5.5"/><circle cx="-56" cy="-60" r="7"/></g>'
        '<ellipse cx="-34" cy="-190" rx="13" ry="20" fill="#fff" opacity="0.35" transform="rotate(28 -34 -190)"/>'
    )


def draw_back() -> str:
    """Seen from behind: no face, a stripe of spots and a round cream tail."""
    spots = "".join(
        f'<ellipse cx="0" cy="{y}" rx="{r}" ry="{r * 0.75}" fill="{CORAL_EDGE}" opacity="0.5"/>'
        for y, r in ((-172, 13), (-142, 17), (-108, 20))
    )
    return spots + '<circle cx="0" cy="-58" r="19" fill="url(#face)"/>'


def draw_mascot(pose: Pose, expression: str, *, turn: float, wear: Wear, is_behind: bool, held: str) -> str:
    """The whole figure. turn -1..1 moves the face to the picture's left or right; held is SVG placed at the right hand."""
    hands = draw_arm(pose.left_arm) + draw_arm(pose.right_arm)
    legs = draw_leg(pose.left_leg, is_sitting=pose.is_sitting) + draw_leg(pose.right_leg, is_sitting=pose.is_sitting)
    front = draw_back() if is_behind else wear.on_body + draw_face(expression, turn)
    over = wear.behind if is_behind else f'<g transform="translate({26 * turn * 1.25},0)">{wear.on_face}</g>'
    behind = "" if is_behind else wear.behind
    wrap = wear.around + f'<g transform="translate({8 * turn},0)">{wear.on_head}</g>'
    trunk = draw_body() + front + wrap + over + draw_sprout(turn, wear.head_rise)
    parts = behind + trunk + legs + held + hands if pose.is_sitting else behind + legs + trunk + held + hands
    drop = 16 if pose.is_sitting else 0
    return f'<g transform="translate(0,{drop - pose.lift}) rotate({pose.lean} 0 -60)">{parts}</g>'
