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
    "verdict.unreadable": "The verdict cannot be read: verdict.json is damaged. “brandprint verdict” makes it again; until then the last checkpoint counts.",
    # frame
    "frame.switch": "Switch project", "frame.none": "Choose a project", "frame.all": "All projects", "frame.dark": "Light or dark", "frame.steps": "Steps",
    "frame.lost": "The server does not answer. What you typed is kept here; running jobs go on. Trying again …",
    "step.pictures": "Pictures", "step.teach": "Teach", "step.compare": "Compare", "step.handover": "Hand over", "step.library": "Library",
    "rail.pictures.one": "1 picture", "rail.pictures.many": "{n} pictures", "rail.scored": "{n} · score {score}", "rail.empty": "empty", "rail.unreadable": "cannot be read", "rail.ready": "ready", "rail.handed": "zip made",
    "state.queued": "waiting", "state.running": "running", "state.stopped": "stopped", "state.interrupted": "interrupted", "state.finished": "taught", "state.failed": "failed",
    "job.train": "training", "job.preview": "drawing", "job.board": "drawing the board", "job.export": "making files", "job.judge": "choosing the best checkpoint", "queue.title": "Queue", "queue.more": "+{n}", "queue.now": "at work", "queue.place": "number {n} in the queue", "queue.cancel": "Cancel {name}",
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
    "pictures.choose": "Choose pictures", "pictures.choose_folder": "Choose a folder", "pictures.add": "Add", "pictures.search": "Search captions and names", "pictures.search.short": "Search", "pictures.filter": "Show",
    "pictures.filter.all": "All ({n})", "pictures.filter.nocaption": "Without caption", "pictures.filter.out": "Left out ({n})", "pictures.filter.shown": "This finding",
    "pictures.all": "Select all", "pictures.none": "Select none", "pictures.picked": "{n} selected", "pictures.leave_out": "Leave out", "pictures.take_back": "Take back in", "pictures.rotate": "Turn", "pictures.remove": "Remove", "pictures.removed.one": "1 picture is in the bin.", "pictures.removed.many": "{n} pictures are in the bin.", "pictures.restored": "They are back.",
    "pictures.hold_out": "Keep for checking", "pictures.bulk": "Edit captions", "pictures.zoom": "Look at {name}", "pictures.pick": "Select {name}", "pictures.caption_of": "Caption of {name}", "pictures.caption": "Caption",
    "pictures.no_caption": "What varies here?", "pictures.badge.out": "left out", "pictures.badge.held_out": "kept for checking",
    "pictures.state.saving": "Saving", "pictures.state.saved": "Saved", "pictures.state.failed": "Not saved yet, trying again",
    "pictures.uploading": "Adding pictures: {done} of {n}", "pictures.added.one": "1 picture added", "pictures.added.many": "{n} pictures added", "pictures.doubles": "{n} were here already", "pictures.texts": "{n} caption files",
    "pictures.refused.one": "1 file could not be used", "pictures.refused.many": "{n} files could not be used", "pictures.too_large": "is larger than {size}", "pictures.not_sent": "did not arrive: the connection broke off",
    "pictures.nothing_found": "No picture fits. Clear the search, or show all.", "pictures.few": "20 or more pictures teach better.", "pictures.focus.says": "Drag the point that every crop keeps in view.",
    "pictures.seen": "The dashed part is what is taught, at {w} × {h} px.", "pictures.seen.enlarged": "The dashed part is what is taught, enlarged to {w} × {h} px.",
    "pictures.next.product": "Teach this product", "pictures.next.character": "Teach this character", "pictures.next.style": "Teach this style",
    "pictures.captions_changed.one": "1 caption changed.", "pictures.captions_changed.many": "{n} captions changed.", "pictures.left_out_now.one": "1 picture left out.", "pictures.left_out_now.many": "{n} pictures left out.",
    "pictures.back.one": "1 picture is back.", "pictures.back.many": "{n} pictures are back.", "pictures.held_out_now.one": "1 picture kept for checking.", "pictures.held_out_now.many": "{n} pictures kept for checking.",
    "pictures.fixed.one": "1 change made. Originals stay as they are.", "pictures.fixed.many": "{n} changes made. Originals stay as they are.", "pictures.undo": "Undo last: {what}", "pictures.undone": "Undone: {what}.", "pictures.nothing_to_undo": "There is nothing to undo.",
    "action.caption": "caption", "action.bulk": "caption edit", "action.leave_out": "leave out", "action.hold_out": "keep for checking", "action.rotate": "turn", "action.focus": "focal point", "action.crop": "crop", "action.fix": "the doctor's fix", "action.dismiss": "no fault",
    "bulk.title": "Edit {n} captions", "bulk.how": "What to do", "bulk.replace": "Find and replace", "bulk.prefix": "Put words before", "bulk.suffix": "Put words behind", "bulk.remove": "Remove a word",
    "bulk.replace.first": "Find", "bulk.replace.second": "Replace by", "bulk.prefix.first": "Words", "bulk.suffix.first": "Words", "bulk.remove.first": "Word or phrase", "bulk.says": "Only the selected pictures, or those shown now. One click undoes it.", "bulk.do": "Change {n} captions",
    "bulk.trigger_in": "Put the trigger in once", "bulk.trigger_out": "Take the trigger out", "bulk.trigger_in.says": "Brandprint says “{trigger}” by itself when it teaches, exactly once. Put it in only if you take the captions to another tool.", "bulk.trigger_out.says": "“{trigger}” is said by Brandprint itself when it teaches: captions read better without it.", "bulk.no_trigger": "There is no trigger yet: name it in the Teach step.",
    "action.write": "written captions", "write.open": "Write captions", "write.title": "Write captions for {n} pictures", "write.from": "Where from", "write.models": "Models to download", "write.mode": "Which captions", "write.mode.empty": "Only where nothing stands", "write.mode.replace": "Replace what stands", "write.mode.behind": "Add behind what stands",
    "write.names": "File names", "write.names.says": "red_bottle-on-snow_03.jpg becomes “red bottle on snow”. Camera names such as IMG_2041 say nothing.", "write.folders": "Folder names", "write.folders.says": "The name of the folder in which the picture came.", "write.embedded": "Descriptions inside the files", "write.embedded.says": "What a photographer or agency wrote into the file (IPTC, XMP, EXIF).",
    "write.template": "A template", "write.template.says": "Write {name}, {folder} or {caption} where file name, folder name or the present caption belong.", "write.template.field": "Template", "write.seen": "What Brandprint sees", "write.seen.says": "Only what was measured and is sure: the colour behind the thing. It does not name things.",
    "write.hub.says": "Looks at each picture and writes what it sees. Downloads {hub} (about {gb} GB, licence {licence}) to this machine; your pictures stay here.", "write.agree": "Yes, download and write", "write.start": "Write", "write.at_work": "{title}: {done} of {total}", "write.waits": "{title} loads or waits for the device …", "write.stop": "Stop", "write.stopped": "Stopped. What was written until then is listed.",
    "write.none": "This source says nothing new about these pictures.", "write.unseen": "{n} pictures have not been looked at yet: the check is at it.", "write.old": "now", "write.new": "Proposed caption of {name}", "write.empty": "nothing", "write.tick": "Take the caption of {name}", "write.apply.one": "Use 1 caption", "write.apply.many": "Use {n} captions", "write.not_yet": "Its captions will stand here, before anything is changed.", "write.more": "Show more",
    "words.title": "Words in the captions", "words.constant": "What is the same in all pictures?", "words.constant.example": "orange cap, steel", "words.constant.says": "It belongs to the trigger; captions need not say it.", "words.constant.none": "No caption says it. Good.", "words.constant.out.one": "Take it out of 1 caption", "words.constant.out.many": "Take it out of {n} captions", "words.varies": "What changes from picture to picture?", "words.silent.one": "1 caption says nothing about {what}", "words.silent.many": "{n} captions say nothing about {what}", "words.told": "Every caption speaks about {what}.",
    "words.bars": "How many captions say it", "words.with": "{word}: {n} of {total} captions. Show these pictures", "words.everywhere": "In nearly every caption: belongs to the trigger", "words.without": "Show the pictures without “{word}”", "words.shown": "With “{word}”", "words.shown_without": "Without “{word}”", "words.shown_silent": "Nothing about {what}", "words.none": "There are no captions yet.",
    "aspect.view": "view", "aspect.place": "place", "aspect.light": "light", "aspect.pose": "pose", "aspect.background": "background", "aspect.mood": "mood", "aspect.colours": "colours",
    "fix.preview": "Preview", "fix.all": "Fix all", "fix.title": "What this would change", "fix.apply.one": "Make 1 change", "fix.apply.many": "Make {n} changes", "fix.out": "left out", "fix.double": "left out; {name} stays", "fix.before": "before", "fix.after": "after", "fix.stays": "stays", "fix.take": "Change {name}", "fix.says": "Untick what should stay. Originals are never touched.",
    "changes.open.one": "The one change", "changes.open.many": "All {n} changes", "changes.title": "Changes in force", "changes.says": "Each can be taken back alone, whatever came after it.", "changes.none": "Nothing was changed.", "changes.undone": "Taken back.", "changes.undo_all": "Undo all", "changes.undone_all.one": "1 change taken back.", "changes.undone_all.many": "{n} changes taken back.", "pictures.release": "Teach again", "pictures.released.one": "1 picture is taught again.", "pictures.released.many": "{n} pictures are taught again.", "pictures.filter.held": "Kept for checking", "pictures.badge.repeats": "shown {n}×", "job.caption": "writing captions",
    "doctor.title": "Picture check", "doctor.looking": "Looking at your pictures …", "doctor.progress": "Looking at {done} of {total}", "doctor.of": "of 100. Higher teaches better.", "doctor.score": "Score {n} of 100",
    "doctor.great": "Very good set", "doctor.good": "Good set", "doctor.fair": "Fair set", "doctor.poor": "Needs work", "doctor.top": "What would help most", "doctor.show": "Show {n}", "doctor.fix": "Fix", "doctor.gain": "+{n}", "doctor.nothing": "Nothing to mend. Teach it.", "doctor.all": "All {n} findings", "doctor.dismiss": "No fault", "doctor.broke": "The check broke off because of a fault of ours. Your pictures are untouched.", "doctor.again": "Check again", "pictures.dismissed": "It will not be reported again.",
    "yes": "yes", "no": "no", "automatic": "automatic", "about": "about {time}", "download": "Download",
    # teach
    "intent.product": "Product", "intent.character": "Character", "intent.style": "Style", "dial.quick": "Quick", "dial.balanced": "Balanced", "dial.thorough": "Thorough",
    "teach.title.product": "Teach this product", "teach.title.character": "Teach this character", "teach.title.style": "Teach this style", "teach.says": "Three answers are enough. The rest is advice that you may change.",
    "teach.what": "What is it?", "teach.called": "What is it called?", "teach.thorough": "How thorough?", "teach.trigger": "Trigger: a rare word that calls it up", "teach.trigger.example": "fjordbottle", "teach.noun": "Kind of thing", "teach.noun.example": "bottle",
    "teach.called.says": "In a prompt you will write “{phrase}”.", "teach.called.empty": "Without a trigger every prompt would change.", "teach.base": "Base to teach", "teach.base.other": "Another hub id …", "teach.base.id": "Hub id", "teach.starter": "Starter · ships with Brandprint, runs anywhere",
    "teach.no_pictures": "First the pictures:", "teach.plan": "The plan", "teach.why": "why", "teach.changed": "changed", "teach.time": "Time", "teach.time.guess": "estimated for {device}", "teach.time.measured": "timed on this device",
    "teach.memory": "Memory", "teach.memory.of": "{n} % of the memory", "teach.memory.device": "of {size}", "teach.disk": "Disk", "teach.disk.says": "checkpoints and cache",
    "teach.advanced": "All settings", "teach.changes": "{n} changed", "teach.advanced.says": "Every setting, as advised. Changes are marked; experts will find the usual terms here.", "teach.back": "Back to advice", "teach.back.one": "back to advice",
    "group.loop": "Length and memory", "group.adapter": "Adapter", "group.optim": "Learning", "group.pictures": "Pictures", "group.loss": "Loss",
    "teach.start": "Start teaching", "teach.started": "It is in the queue and begins at once when the device is free.", "teach.stopping": "It finishes its step, saves and stops.", "teach.resumed": "It goes on from where it was saved last.",
    "teach.run.title": "Teaching {name}", "teach.run.says": "You may close this page: the training goes on. Come back at any time.", "teach.run.over": "Look at the previews, then compare.", "teach.again": "Teach again", "teach.to_run": "Back to the training", "teach.next": "Compare", "teach.runs": "Training", "teach.run": "Training {n}",
    "plan.loop.steps": "{value} steps", "plan.adapter.rank": "Room for what is learnt: rank {value}", "plan.pictures.resolution_px": "Trained at {value} px", "plan.pictures.flip": "Mirrored pictures too: {value}", "plan.pictures.held_out": "Kept aside for checking: {value}",
    "plan.adapter.text_encoder": "Teach the text encoder too: {value}", "plan.loop.checkpoints": "{value} checkpoints to choose from",
    # run
    "run.title": "Training", "run.training": "{percent} %", "run.starting": "Starting …", "run.waits": "Waiting, number {n} in the queue", "run.stopping": "Stopping after this step …", "run.stopped": "Stopped", "run.interrupted": "Interrupted", "run.finished": "Taught", "run.failed": "It broke off", "run.running": "Running",
    "run.judging": "Choosing the best checkpoint …", "run.step_of": "step {step} of {total}", "run.speed.fast": "{n} steps a second", "run.speed.slow": "{n} s a step", "run.on_cpu": "on the CPU", "run.steps": "{n} steps",
    "run.pause": "Pause", "run.keep": "Stop and keep", "run.resume": "Resume", "run.first": "Do this first", "advice.to_pictures": "Go to the pictures", "advice.quick": "Choose quick", "advice.trigger": "Name it", "advice.no_flip": "Turn flip off", "advice.keep": "Stop and keep it", "run.saved_until": "Everything up to step {n} is safe.", "run.interrupted.says": "Its worker is gone. Everything up to step {n} is safe: resume it.",
    "run.curves": "How well it learns", "run.loss": "error on the pictures it learns from", "run.held_out": "error on pictures kept aside", "run.base": "the base without it", "run.pick": "best", "run.chart.soon": "The curve begins with the first steps", "run.chart.says": "Error from {first} to {last}; on pictures kept aside {held}",
    "run.previews": "Previews", "run.no_previews": "The first previews come with the first checkpoint.", "run.at_step": "step {n}", "run.preview_of": "Step {n}: {prompt}", "run.log": "Log",
    "run.preparing.reading": "Reading pictures", "run.preparing.pictures": "Reading pictures", "run.preparing.encoding": "Preparing pictures", "run.preparing.captions": "Preparing captions", "run.preparing.prior": "Drawing class pictures", "run.preparing.judging": "Choosing the best checkpoint",
    # compare
    "compare.title": "Compare", "compare.says": "Left the base alone, right with what you taught it. Same words, same seed.", "compare.nothing": "Nothing has been taught yet", "compare.nothing.says": "A quick training takes a few minutes.", "compare.empty": "Nothing drawn yet", "compare.empty.says": "Write what you want to see and press Draw.",
    "compare.base": "Base", "compare.taught": "Taught", "compare.slider": "Slide between base and taught", "compare.slider.value": "{n} % taught shown", "compare.alt.base": "Base: {prompt}", "compare.alt.taught": "Taught: {prompt}", "compare.made": "checkpoint {step} · strength {strength} · seed {seed} · {width} × {height} px", "compare.made.whole": "strength {strength} · seed {seed} · {width} × {height} px",
    "compare.queued": "Next in turn …", "compare.waits": "Waits for the training of {name}", "compare.waits.says": "A training and a drawing never share a device. Pause the training to draw now.", "compare.warming": "Loading the base …", "compare.drawing": "Drawing {percent} %",
    "compare.strength": "How strongly", "compare.checkpoint": "Checkpoint", "compare.picked": "{n} · best", "compare.training": "Training", "compare.use": "Use this from now on", "compare.used": "Hand over uses this checkpoint and strength.",
    "compare.prompt": "What to draw", "compare.chips": "Words to add", "compare.shape": "Shape", "compare.seed": "Seed", "compare.lock": "Keep the seed", "compare.count": "Variations", "compare.negative": "What to keep away from", "compare.draw": "Draw", "compare.film": "Everything drawn", "compare.starred": "Starred only", "compare.star": "Star this picture", "compare.show": "Show: {prompt}, seed {seed}",
    "shape.square": "Square", "shape.portrait": "Post 4:5", "shape.story": "Story 9:16", "shape.banner": "Banner 16:9", "shape.headshot": "Headshot", "shape.white": "On white",
    "board.title": "Board", "board.says": "Checkpoints below each other, strengths side by side, always the same words and seed.", "board.lay": "Lay the board", "board.again": "Lay it anew", "compare.board.started": "The board is being drawn.", "board.drawing": "{done} of {total} drawn", "board.blind": "Blind vote", "board.blind.says": "Headings are hidden and columns mixed. Click the best of each row; switch it off to see which strength won.", "board.voted": "Vote counted.", "board.checkpoint": "Checkpoint", "board.cell": "Checkpoint {step}, strength {strength}: {prompt}", "board.cell.whole": "Strength {strength}: {prompt}",
    # hand over
    "handover.title": "Hand over", "handover.says": "Choose the apps. Each file is made, loaded back and compared before you get it.", "handover.nothing": "Nothing to hand over yet", "handover.apps": "Which apps is it for?", "handover.make": "Make the files", "handover.again": "Make them again", "handover.making": "Making files …", "handover.queued": "Waits for its turn …", "handover.waits": "Waits for the training of {name}",
    "handover.files": "Files", "handover.zip": "Download everything", "handover.name": "File name", "handover.licence": "Licence", "handover.licence.example": "All rights reserved, Fjord Ltd", 
    "rights.title": "Rights in the pictures", "rights.none": "Nothing is stated yet. A line on the card tells later users what they may do.", "rights.uncovered.many": "{n} pictures: nothing is stated about them.", "rights.uncovered.one": "1 picture: nothing is stated about it.", "rights.owner": "Who owns them?", "rights.owner.example": "Fjord Ltd", "rights.ground": "On what ground may you use them?", "rights.note": "In your words", "rights.note.example": "all media, until 2030",
    "rights.pictures": "Which pictures?", "rights.pictures.example": "all, or names such as studio*", "rights.proofs": "Contract, release or licence", "rights.add": "State it", "rights.more": "Add a statement", "rights.stated": "Stated. It goes onto the card of the files you make from now on.", "rights.withdrawn": "Taken back.", "rights.withdraw": "Take back the statement of {owner}", "rights.proofs.count.many": "{n} files attached", "rights.proofs.count.one": "1 file attached",
    "ground.own work": "own work", "ground.licence": "a licence", "ground.consent": "consent of those shown", "ground.release": "a signed release", "ground.public domain": "public domain", "ground.other": "another",
    "handover.facts": "What goes with it", "handover.trigger": "Trigger", "handover.strength": "Strength", "handover.base": "Base", "handover.checkpoint": "Checkpoint", "handover.do": "Do", "handover.dont": "Don't", "handover.do.says": "{phrase} in new places, light and angles", "handover.dont.says": "Strength above {n}; prompts without the trigger",
    "handover.install": "How to use it", "handover.report": "Page for the client", "handover.copied": "Copied to {folder}.", "handover.copy": "Copy to {folder}", "handover.checked": "checked: same picture as here", "handover.started": "The files are being made.", "handover.effect": "It changes the base by {n} %.",
    "file.kohya": "for ComfyUI, A1111, Forge, InvokeAI", "file.diffusers": "for Python with diffusers", "file.merged": "whole model with it merged in", "file.settings": "trigger and strength for A1111 and InvokeAI", "file.preview": "thumbnail", "file.notes": "install notes", "file.card": "facts for people and programs",
    "app.comfyui": "ComfyUI", "app.comfyui.says": "Put the file into models/loras, add a “Load LoRA” node and set the strength to {strength}.", "app.a1111": "A1111, Forge", "app.a1111.says": "Put file, .json and .png into models/Lora; write <lora:{name}:{strength}> in the prompt.", "app.invokeai": "InvokeAI", "app.invokeai.says": "Model Manager, Import; then add it under Concepts.",
    "app.diffusers": "Python, diffusers", "app.diffusers.says": "pipe.load_lora_weights(\"diffusers\"), then set_adapters with {strength}.", "app.merged": "Whole model", "app.merged.says": "The base with the adapter merged in, as a diffusers folder. Large.",
    # library
    "library.title": "Library", "library.says": "Every adapter of this studio.", "library.empty.says": "Teach a project, or import a LoRA file.", "library.import": "Import a LoRA file", "library.import.says": "ComfyUI, A1111, kohya, diffusers and PEFT files are read. Nothing is loaded in half.", "library.importing": "{name} is being read.", "library.delete": "Delete", "library.deleted": "{name} is in the bin.", "library.restored": "It is back.",
    "library.mix": "Mix", "library.mix.title": "Mix two adapters", "library.mix.says": "Both act together, each as strongly as you say. They must belong to the same base.", "library.mix.first": "First", "library.mix.second": "Second", "library.mix.do": "Mix them", "library.mixed": "{name} is being mixed.", "library.all_bases": "All bases", "library.all_intents": "All kinds", "library.filter.base": "Base", "library.filter.intent": "Kind", "library.score": "closeness {n} %", "library.reading": "being read …", "library.failed": "could not be read", "library.more": "More for {name}", "library.download": "Download",
}  # fmt: skip

CONTEXTS: dict[str, tuple[str, ...]] = {
    "product": (
        "on a wooden table",
        "on a plain white background",
        "on a blue background",
        "seen from above",
        "in soft morning light",
        "beside a cup",
    ),
    "character": ("waving", "running", "sitting", "with a red scarf", "on a mint background", "smiling"),
    "style": ("a red apple", "a fox", "a sailing boat", "a cup of coffee", "on a yellow background", "a small house"),
}


def words(key: str, **values: Any) -> str:
    """The text of a key, values filled in. Raises KeyError for a key that is not there: a fault of ours."""
    text = EN[key]
    return text.format(**values) if values else text


def counted(key: str, number: int) -> str:
    """The text for one or for many."""
    return words(f"{key}.one" if number == 1 else f"{key}.many", n=number)
