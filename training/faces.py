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
ROOM = 0.25  # added on each side, as a share of the longest side
MIN_SCORE = 0.75
_local = threading.local()


@dataclass(frozen=True)
class Face:
    """box: fractions of the picture, beyond 0-1 where the picture cuts the face. is_cut: an eye, nose or mouth corner, or a fifth
    of the face, lies outside.
    """

    box: Box
    score: float
    is_cut: bool


def find_faces(rgb: np.ndarray) -> tuple[Face, ...]:
    """Faces, the largest first."""
    height, width = rgb.shape[:2]
    scale = SIDE_PX / max(height, width)
    small = cv2.resize(rgb, (max(1, round(width * scale)), max(1, round(height * scale))), interpolation=cv2.INTER_AREA)
    room = round(ROOM * SIDE_PX)
    wide = cv2.copyMakeBorder(small, room, room, room, room, cv2.BORDER_CONSTANT, value=(127, 127, 127))
    detector = _detector()
    detector.setInputSize((wide.shape[1], wide.shape[0]))
    _, rows = detector.detect(cv2.cvtColor(wide, cv2.COLOR_RGB2BGR))
    faces = [_face(row, room, small.shape) for row in (rows if rows is not None else ())]
    return tuple(sorted(faces, key=lambda face: -(face.box[2] - face.box[0]) * (face.box[3] - face.box[1])))


def _face(row: np.ndarray, room: int, shape: tuple[int, ...]) -> Face:
    height, width = shape[:2]
    left, top = (row[0] - room) / width, (row[1] - room) / height
    right, bottom = left + row[2] / width, top + row[3] / height
    marks = (row[4:14].reshape(5, 2) - room) / (width, height)
    inside = max(0.0, min(right, 1) - max(left, 0)) * max(0.0, min(bottom, 1) - max(top, 0))
    share = inside / max((right - left) * (bottom - top), 1e-6)
    is_cut = bool(share < 0.8 or (marks < 0).any() or (marks > 1).any())
    return Face((float(left), float(top), float(right), float(bottom)), float(row[14]), is_cut)


def _detector() -> cv2.FaceDetectorYN:
    """One detector per thread: OpenCV's keep state between calls."""
    if not hasattr(_local, "detector"):
        cv2.utils.logging.setLogLevel(
            cv2.utils.logging.LOG_LEVEL_ERROR
        )  # OpenCV 5 warns at each detector that its new graph engine has no targets
        _local.detector = cv2.FaceDetectorYN.create(str(MODEL), "", (SIDE_PX, SIDE_PX), MIN_SCORE)
    return _local.detector
