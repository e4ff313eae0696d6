"""Every sentence of the page, in one place, ready to be translated.

In: a key and values. Out: English text. The page's JavaScript gets the same table. Texts that come from the library (reasons, errors) stand there.
Keys ending in .one and .many belong to `counted`.
"""

from __future__ import annotations

from typing import Any

EN: dict[str, str] = {
    "close": "Close", "cancel": "Cancel", "undo": "Undo", "previous": "Previous", "next": "Next", "left": "{time} left",
    "time.seconds": "{n} s", "time.minutes": "{n} min", "time.hours": "{n} h",
    "error.ours": "That did not work because of a fault of ours ({what}). Nothing was lost.", "error.ours.fix": "Try again; the server's log holds the details.",
    # frame
    "frame.switch": "Switch project", "frame.none": "Choose a project", "frame.all": "All projects", "frame.dark": "Light or dark", "frame.steps": "Steps",
    "frame.lost": "The server does not answer. What you typed is kept here; running jobs go on. Trying again …",
    "step.pictures": "Pictures", "step.teach": "Teach", "step.compare": "Compare", "step.handover": "Hand over", "step.library": "Library",
    "rail.pictures.one": "1 picture", "rail.pictures.many": "{n} pictures", "rail.score": "score {score}", "rail.empty": "empty", "rail.ready": "ready", "rail.handed": "zip made",
    "state.queued": "waiting", "state.running": "running", "state.stopped": "stopped", "state.interrupted": "interrupted", "state.finished": "taught", "state.failed": "failed",
    "job.train": "training", "job.preview": "drawing", "job.board": "drawing the board", "job.export": "making files",
    "job.training": "training {percent} %", "job.waiting": "{kind} waits", "job.cancelled": "Taken out of the queue.",
    # home
    "home.title": "Projects", "home.says": "One project is one thing to teach: a product, a character or a style.", "home.open": "Open {name}", "home.more": "More for {name}",
    "home.sample": "Sample", "home.trained": "taught", "home.no_pictures": "no pictures yet", "home.new": "New project", "home.new.says": "Click, or drop pictures here",
    "home.name": "Name", "home.name.example": "Fjord bottle", "home.create": "Create", "home.rename": "Rename", "home.renamed": "Renamed.", "home.duplicate": "Duplicate",
    "home.duplicated": "{name} is ready.", "home.delete": "Delete", "home.deleted": "{name} is in the bin.", "home.restore": "Bring back", "home.restored": "{name} is back.", "home.bin": "Bin ({n})",
    "home.untitled": "New project",
    # pictures
    "pictures.says": "Look them through and say under each what varies: angle, place, light. The thing itself needs no words.",
    "pictures.says.empty": "Begin with the pictures. More kinds of views teach more than more of the same.",
    "pictures.drop": "Drop 20–500 pictures of one product, character or style", "pictures.drop.says": "Zip files and folders work too. Captions in .txt files beside the pictures are read.",
    "pictures.choose": "Choose pictures", "pictures.choose_folder": "Choose a folder", "pictures.add": "Add", "pictures.search": "Search captions and names", "pictures.filter": "Show",
    "pictures.filter.all": "All ({n})", "pictures.filter.nocaption": "Without caption", "pictures.filter.out": "Left out ({n})", "pictures.filter.shown": "This finding",
    "pictures.all": "Select all", "pictures.none": "Select none", "pictures.picked": "{n} selected", "pictures.leave_out": "Leave out", "pictures.take_back": "Take back in", "pictures.rotate": "Turn",
    "pictures.hold_out": "Keep for checking", "pictures.bulk": "Edit captions", "pictures.zoom": "Look at {name}", "pictures.pick": "Select {name}", "pictures.caption_of": "Caption of {name}", "pictures.caption": "Caption",
    "pictures.no_caption": "What varies here?", "pictures.badge.out": "left out", "pictures.badge.held_out": "kept for checking",
    "pictures.state.saving": "Saving", "pictures.state.saved": "Saved", "pictures.state.failed": "Not saved yet, trying again",
    "pictures.uploading": "Adding pictures: {done} of {n}", "pictures.added.one": "1 picture added", "pictures.added.many": "{n} pictures added", "pictures.doubles": "{n} were here already", "pictures.texts": "{n} caption files",
    "pictures.refused.one": "1 file could not be used", "pictures.refused.many": "{n} files could not be used", "pictures.too_large": "is larger than {size}", "pictures.not_sent": "did not arrive: the connection broke off",
    "pictures.nothing_found": "No picture fits. Clear the search, or show all.", "pictures.few": "20 or more pictures teach better.", "pictures.focus.says": "Click the picture to set the point that every crop keeps in view.",
    "pictures.next.product": "Teach this product", "pictures.next.character": "Teach this character", "pictures.next.style": "Teach this style",
    "pictures.captions_changed.one": "1 caption changed.", "pictures.captions_changed.many": "{n} captions changed.", "pictures.left_out_now.one": "1 picture left out.", "pictures.left_out_now.many": "{n} pictures left out.",
    "pictures.back.one": "1 picture is back.", "pictures.back.many": "{n} pictures are back.", "pictures.held_out_now.one": "1 picture kept for checking.", "pictures.held_out_now.many": "{n} pictures kept for checking.",
    "pictures.fixed.one": "1 change made. Originals stay as they are.", "pictures.fixed.many": "{n} changes made. Originals stay as they are.", "pictures.undo": "Undo last: {what}", "pictures.undone": "Undone: {what}.", "pictures.nothing_to_undo": "There is nothing to undo.",
    "action.caption": "caption", "action.bulk": "caption edit", "action.leave_out": "leave out", "action.hold_out": "keep for checking", "action.rotate": "turn", "action.focus": "focal point", "action.crop": "crop", "action.fix": "the doctor's fix",
    "bulk.title": "Edit {n} captions", "bulk.how": "What to do", "bulk.replace": "Find and replace", "bulk.prefix": "Put words before", "bulk.suffix": "Put words behind", "bulk.remove": "Remove a word",
    "bulk.replace.first": "Find", "bulk.replace.second": "Replace by", "bulk.prefix.first": "Words", "bulk.suffix.first": "Words", "bulk.remove.first": "Word or phrase", "bulk.says": "Only the selected pictures, or those shown now. One click undoes it.", "bulk.do": "Change {n} captions",
    "doctor.title": "Picture check", "doctor.looking": "Looking at your pictures …", "doctor.progress": "Looking at {done} of {total}", "doctor.of": "of 100. Higher teaches better.", "doctor.score": "Score {n} of 100",
    "doctor.great": "Very good set", "doctor.good": "Good set", "doctor.fair": "Fair set", "doctor.poor": "Needs work", "doctor.top": "What would help most", "doctor.show": "Show {n}", "doctor.fix": "Fix", "doctor.gain": "+{n}", "doctor.nothing": "Nothing to mend. Teach it.", "doctor.all": "All {n} findings",
}  # fmt: skip

BADGES: dict[str, str] = {
    "blurred": "blurred", "dark": "too dark", "bright": "too bright", "grey": "no colour", "small": "small", "double": "double", "near-double": "near double", "border": "border", "letterbox": "letterbox",
    "no-caption": "no caption", "empty-caption": "no caption", "long-caption": "long caption", "same-caption": "same caption", "rotated": "turned", "transparent": "see-through", "watermark": "watermark", "text": "lettering",
}  # fmt: skip


def words(key: str, **values: Any) -> str:
    """The text of a key, values filled in. Raises KeyError for a key that is not there: a fault of ours."""
    text = EN[key]
    return text.format(**values) if values else text


def counted(key: str, number: int) -> str:
    """The text for one or for many."""
    return words(f"{key}.one" if number == 1 else f"{key}.many", n=number)


def badge(code: str) -> str:
    """A finding in a word or two, for a card."""
    return BADGES.get(code, code.replace("_", " ").replace("-", " "))
