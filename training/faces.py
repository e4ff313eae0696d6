"""Faces in a picture, offline, by the YuNet detector (Wu et al. 2023, doi 10.1007/s11633-023-1423-y; weights MIT, shipped in
training/models).

In: rgb [H, W, 3] uint8. Out: boxes and landmarks in fractions; a face that is cut by the picture's edge is found too, because it is
looked for in a picture with room around it. Does not tell who it is.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from training.edits import Box

MODEL = Path(__file__).parent / "models" / "face_detection_yunet_2023mar.onnx"
SIDE_PX = 320  # longest side at which faces are looked for
MIRRORED_PX = 160  # the same for faces of which half or more is missing
ROOM = 0.25  # added on each side, as a share of the longest side
MIN_SCORE = 0.75
MIN_MIRRORED_SCORE = 0.8
WHOLE = 0.92  # share of a face's box that lies in the picture: 0.97 and more of uncut faces, up to 0.92 where a fifth is missing
LEAST = 0.25  # below, what the mirror shows is no face
_local = threading.local()


@dataclass(frozen=True)
class Face:
    """box: fractions of the picture, beyond 0-1 where the picture cuts the face. is_cut: an eye, nose or mouth corner, or more than
    about a tenth of the face, lies outside.
    """

    box: Box
    score: float
    is_cut: bool

    @property
    def width(self) -> float:
        """As a share of the picture's."""
        return self.box[2] - self.box[0]


def find_faces(rgb: np.ndarray) -> tuple[Face, ...]:
    """Faces, the largest first."""
    faces = _found(rgb, SIDE_PX, cv2.BORDER_CONSTANT)
    halves = [face for face in _found(rgb, MIRRORED_PX, cv2.BORDER_REFLECT) if _is_half(face)]
    faces += [Face(half.box, half.score, True) for half in halves if not any(_overlap(half.box, face.box) for face in faces)]
    return tuple(sorted(faces, key=lambda face: -_area(face.box)))


def _found(rgb: np.ndarray, side_px: int, rim: int) -> list[Face]:
    """Faces in the picture with room around it, filled as OpenCV's border type `rim` says: a plain rim lets cut faces be found, a
    mirror makes those whole that the edge cuts in half.
    """
    height, width = rgb.shape[:2]
    scale = side_px / max(height, width)
    small = cv2.resize(rgb, (max(1, round(width * scale)), max(1, round(height * scale))), interpolation=cv2.INTER_AREA)
    room = round(ROOM * side_px)
    wide = cv2.copyMakeBorder(small, room, room, room, room, rim, value=(127, 127, 127))
    detector = _detector()
    detector.setInputSize((wide.shape[1], wide.shape[0]))
    _, rows = detector.detect(cv2.cvtColor(wide, cv2.COLOR_RGB2BGR))
    return [_face(row, room, small.shape) for row in (rows if rows is not None else ())]


def _face(row: np.ndarray, room: int, shape: tuple[int, ...]) -> Face:
    height, width = shape[:2]
    left, top = (row[0] - room) / width, (row[1] - room) / height
    right, bottom = left + row[2] / width, top + row[3] / height
    box = (float(left), float(top), float(right), float(bottom))
    marks = (row[4:14].reshape(5, 2) - room) / (width, height)
    is_cut = bool(_share_inside(box) < WHOLE or (marks < 0).any() or (marks > 1).any())
    return Face(box, float(row[14]), is_cut)


def _is_half(face: Face) -> bool:
    """True for a face that the edge runs through; what lies in the mirror only is none."""
    return face.score >= MIN_MIRRORED_SCORE and LEAST <= _share_inside(face.box) < WHOLE


def _share_inside(box: Box) -> float:
    left, top, right, bottom = box
    return _area((max(left, 0.0), max(top, 0.0), min(right, 1.0), min(bottom, 1.0))) / max(_area(box), 1e-6)


def _area(box: Box) -> float:
    return max(0.0, box[2] - box[0]) * max(0.0, box[3] - box[1])


def _overlap(one: Box, other: Box) -> bool:
    return _area((max(one[0], other[0]), max(one[1], other[1]), min(one[2], other[2]), min(one[3], other[3]))) > 0


def _detector() -> cv2.FaceDetectorYN:
    """One detector per thread: OpenCV's keep state between calls."""
    if not hasattr(_local, "detector"):
        cv2.utils.logging.setLogLevel(
            cv2.utils.logging.LOG_LEVEL_ERROR
        )  # OpenCV 5 warns at each detector that its new graph engine has no targets
        _local.detector = cv2.FaceDetectorYN.create(str(MODEL), "", (SIDE_PX, SIDE_PX), MIN_SCORE)
    return _local.detector
