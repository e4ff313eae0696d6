"""The table of checks: adding one is a function and a line here (and a picture in the tests).

weight: what a fault takes from one picture's worth (1: the picture counts for nothing), or from the score where the whole set is meant.
Order is order of report.
"""

from __future__ import annotations

from training.checks.base import Check
from training.checks.files import compressed, exact_double, extreme_shape, near_double, too_small, unreadable
from training.checks.light import blurred, low_contrast, too_bright, too_dark
from training.checks.overlays import border, lettering, screenshot, transparent
from training.checks.several import several_subjects
from training.checks.subjects import face_cut, one_background, one_view, unlike_rest
from training.checks.wording import (
    caption_identical,
    caption_language,
    caption_missing,
    caption_names_subject,
    caption_too_long,
    constant_word,
    trigger_fused,
    trigger_missing,
)

# fmt: off
CHECKS: tuple[Check, ...] = (
    Check("unreadable", "serious", 1.0, unreadable, "{name} cannot be read.", "{count} files cannot be read.", "They are not trained on."),
    Check("exact_double", "serious", 1.0, exact_double, "{name} is there twice.", "{count} pictures are there twice.", "Doubles are learned by heart and come back in results."),
    Check("near_double", "serious", 1.0, near_double, "{name} is nearly the same as another.", "{count} pictures are nearly the same as others.", "What is repeated is copied instead of understood."),
    Check("too_small", "serious", 1.0, too_small, "{name} is too small for the base.", "{count} pictures are too small for the base.", "Their softness is learned as part of the look."),
    Check("blurred", "serious", 1.0, blurred, "{name} is blurred.", "{count} pictures are blurred.", "Results become soft."),
    Check("too_dark", "serious", 1.0, too_dark, "{name} is too dark.", "{count} pictures are too dark.", "Details are missing and colours go muddy."),
    Check("too_bright", "serious", 1.0, too_bright, "{name} is overexposed.", "{count} pictures are overexposed.", "Lost highlights are learned as white patches."),
    Check("low_contrast", "warning", 0.4, low_contrast, "{name} has hardly any contrast.", "{count} pictures have hardly any contrast.", "Results look washed out."),
    Check("border", "serious", 0.8, border, "{name} has a border.", "{count} pictures have a border or black bars.", "Borders come back in results."),
    Check("transparent", "warning", 0.2, transparent, "{name} has transparent parts.", "{count} pictures have transparent parts.", "What lies beneath them is chance."),
    Check("compressed", "warning", 0.4, compressed, "{name} is heavily compressed.", "{count} pictures are heavily compressed.", "Blocks and halos are learned as texture."),
    Check("screenshot", "serious", 1.0, screenshot, "{name} looks like a screenshot.", "{count} pictures look like screenshots.", "Buttons and text come back in results."),
    Check("lettering", "warning", 0.5, lettering, "{name} has text or a watermark laid over.", "{count} pictures have text or a watermark laid over.", "Scribbles like it appear in results."),
    Check("extreme_shape", "warning", 0.5, extreme_shape, "{name} is very long and narrow.", "{count} pictures are very long and narrow.", "Most of such a picture is cut away in training."),
    Check("face_cut", "serious", 1.0, face_cut, "{name} cuts a face off.", "{count} pictures cut a face off.", "Cut faces come back in results."),
    Check("several_subjects", "hint", 0.1, several_subjects, "{name} shows the subject more than once.", "{count} pictures show the subject more than once.", "Results may show it in pairs."),
    Check("unlike_rest", "serious", 1.0, unlike_rest, "{name} shows something else than the rest.", "{count} pictures show something else than the rest.", "Other things mix into what is learned."),
    Check("caption_missing", "warning", 0.4, caption_missing, "{name} has no caption.", "{count} pictures have no caption.", "Background and pose are learned as part of the subject."),
    Check("caption_identical", "warning", 0.3, caption_identical, "{name} shares its caption.", "{count} pictures share their captions with others.", "Prompts cannot tell them apart."),
    Check("caption_too_long", "warning", 0.3, caption_too_long, "The caption of {name} is too long.", "{count} captions are too long for the text encoder.", "The end is never read."),
    Check("caption_language", "warning", 0.4, caption_language, "The caption of {name} is not in English.", "{count} captions are not in English.", "The text encoder reads them as noise."),
    Check("caption_names_subject", "warning", 0.2, caption_names_subject, "The caption of {name} names what is constant.", "{count} captions name what is constant.", "The ordinary word learns it instead of the trigger."),
    Check("trigger_fused", "warning", 0.4, trigger_fused, "The trigger is fused with another word in {name}.", "The trigger is fused with another word in {count} captions.", "Neither word is read."),
    Check("trigger_missing", "warning", 0.1, trigger_missing, "", "", "Nothing calls it up in a prompt.", of_set=True),
    Check("constant_word", "hint", 0.03, constant_word, "", "", "It learns a part of what the trigger should.", of_set=True),
    Check("one_background", "warning", 0.2, one_background, "", "", "The background is learned as part of the subject.", of_set=True),
    Check("one_view", "warning", 0.2, one_view, "", "", "Other angles and poses will fail.", of_set=True),
)
# fmt: on
