/* The Pictures step: drop zone, grid of cards with captions edited in place, the doctor's drawer, one picture large. */
"use strict";
(() => {
  const { t, count, html, flag, icon, file, go, place, patch, patchList, define, dialog, size, captions, fixes } = brandprint;
  const DRAFTS = "brandprint.drafts";
  const PAUSE_MS = 450;

  /* What is typed is kept in the browser until the server has said "saved": a crash or a lost connection costs no letter. */
  const drafts = () => JSON.parse(localStorage.getItem(DRAFTS) || "{}");
  function keepDraft(project, key, text) { const all = drafts(); (all[project] ||= {})[key] = text; localStorage.setItem(DRAFTS, JSON.stringify(all)); }
  function dropDraft(project, key, text) { const all = drafts(); if (all[project]?.[key] === text) { delete all[project][key]; localStorage.setItem(DRAFTS, JSON.stringify(all)); } }

  function chosen(part) {
    const { search, filter } = part.ui, needle = search.trim().toLowerCase();
    return part.view.items.filter((item) => (!needle || item.caption.toLowerCase().includes(needle) || item.key.toLowerCase().includes(needle))
      && (!filter || (filter === "-out" ? item.is_out : filter === "-nocaption" ? !item.caption && !item.is_out : filter === "-held" ? item.is_held_out : filter === "-picked" ? part.ui.picked.has(item.key) : filter.startsWith("#") ? part.ui.shown.has(item.key) : item.badges.some((badge) => badge.code === filter))));
  }
  function card(part, item) {
    const name = item.key.split("/").pop(), state = part.ui.saving[item.key] || "";
    const stated = state ? t("pictures.state." + state) : "";
    return html`<article class="card ${item.is_out ? "out" : ""} ${part.ui.picked.has(item.key) ? "picked" : ""}" data-key="${item.key}">
      <button type="button" class="shot" data-do="zoom" data-item="${item.key}" aria-label="${t("pictures.zoom", { name })}">${item.has_thumb || part.ui.made.has(item.key) ? html`<img src="${file(item.thumb)}" alt="${item.caption || name}" loading="lazy" decoding="async" width="256" height="256">` : html`<span class="skeleton" style="display:block;height:100%"></span>`}</button>
      <label class="pick"><input type="checkbox" data-onchange="pick" data-item="${item.key}"${flag("checked", part.ui.picked.has(item.key))}><span class="sr">${t("pictures.pick", { name })}</span></label>
      <div class="badges">${item.is_out ? html`<span class="tag">${t("pictures.badge.out")}</span>` : ""}${item.is_held_out ? html`<span class="tag">${t("pictures.badge.held_out")}</span>` : ""}${item.repeats > 1 ? html`<span class="tag">${t("pictures.badge.repeats", { n: item.repeats })}</span>` : ""}${item.badges.slice(0, 3).map((badge) => html`<span class="tag ${badge.tone}">${badge.says}</span>`)}</div>
      <div class="words"><textarea rows="2" data-oninput="typed" data-onfocusout="leave" data-item="${item.key}" aria-label="${t("pictures.caption_of", { name })}" placeholder="${t("pictures.no_caption")}" spellcheck="true">${part.ui.texts[item.key] ?? item.caption}</textarea><span class="state" data-state="${state}" title="${stated}" data-says="${state === "failed" ? stated : ""}"></span></div>
    </article>`;
  }
  function toolbar(part, cards) {
    const view = part.view, { picked, filter } = part.ui;
    const codes = new Map(view.items.flatMap((item) => item.badges.map((badge) => [badge.code, badge.says])));
    return html`<div class="toolbar">
      <label class="find"><span class="sr">${t("pictures.search")}</span>${icon("search")}<input type="search" data-oninput="search" placeholder="${t("pictures.search.short")}" value="${part.ui.search}"></label>
      <label><span class="sr">${t("pictures.filter")}</span><select data-onchange="filter" style="width:auto">
        <option value=""${flag("selected", !filter)}>${t("pictures.filter.all", { n: view.items.length })}</option>${[...codes].map(([code, says]) => html`<option value="${code}"${flag("selected", filter === code)}>${says}</option>`)}
        <option value="-nocaption"${flag("selected", filter === "-nocaption")}>${t("pictures.filter.nocaption")}</option><option value="-out"${flag("selected", filter === "-out")}>${t("pictures.filter.out", { n: view.left_out })}</option>${view.items.some((item) => item.is_held_out) ? html`<option value="-held"${flag("selected", filter === "-held")}>${t("pictures.filter.held")}</option>` : ""}${filter.startsWith("#") ? html`<option value="${filter}" selected>${part.ui.says || t("pictures.filter.shown")}</option>` : ""}</select></label>
      <button type="button" class="button" data-do="all">${picked.size && picked.size === cards.length ? t("pictures.none") : t("pictures.all")}</button>
      <button type="button" class="button" data-do="ask_write">${t("write.open")}</button><button type="button" class="button" data-do="ask_bulk">${t("pictures.bulk")}</button>
      <span class="grow"></span>
      <label class="button">${icon("plus")}${t("pictures.add")}<input class="sr" id="add-files" type="file" multiple data-onchange="files" accept="image/*,.zip,.txt,.heic,.heif,.avif,.caption,.jsonl,.csv"></label>
    </div>`;
  }
  /* At the foot, so that selecting moves nothing. */
  const picks = (part) => html`<div class="picks" role="group" aria-label="${t("pictures.picked", { n: part.ui.picked.size })}"><span class="small soft num">${t("pictures.picked", { n: part.ui.picked.size })}</span>
      ${part.ui.filter === "-out" ? html`<button type="button" class="button slim" data-do="picked_back">${t("pictures.take_back")}</button>` : html`<button type="button" class="button slim" data-do="picked_out">${t("pictures.leave_out")}</button>`}<button type="button" class="button slim" data-do="picked_rotate">${t("pictures.rotate")}</button>${part.ui.filter === "-held" ? html`<button type="button" class="button slim" data-do="picked_release">${t("pictures.release")}</button>` : html`<button type="button" class="button slim" data-do="picked_hold">${t("pictures.hold_out")}</button>`}<button type="button" class="button slim" data-do="picked_remove">${icon("trash")}${t("pictures.remove")}</button></div>`;
  function doctor(part) {
    const { report, is_fresh } = part.view, looking = part.now?.looking;
    const arc = 2 * Math.PI * 40, tone = !report ? "" : report.score >= 75 ? "" : report.score >= 50 ? "warn" : "bad";
    return html`<div class="row wide" style="flex-wrap:nowrap"><svg class="ring" viewBox="0 0 92 92" role="img" aria-label="${report ? t("doctor.score", { n: report.score }) : t("doctor.looking")}"><circle class="track" cx="46" cy="46" r="40"/>${report ? html`<circle class="arc ${tone}" cx="46" cy="46" r="40" stroke-dasharray="${arc}" stroke-dashoffset="${arc * (1 - report.score / 100)}"/><text x="46" y="55">${report.score}</text>` : ""}</svg>
        <div><h2>${report ? t(report.score >= 90 ? "doctor.great" : report.score >= 75 ? "doctor.good" : report.score >= 50 ? "doctor.fair" : "doctor.poor") : t("doctor.title")}</h2><p class="small soft num">${!is_fresh ? (looking && looking[1] ? t("doctor.progress", { done: looking[0], total: looking[1] }) : t("doctor.looking")) : part.view.broke ? html`${t("doctor.broke")} <button type="button" class="link" data-do="check_again">${t("doctor.again")}</button>` : t("doctor.of")}</p></div></div>
      <div style="margin-top:12px">${report?.top.length ? html`<h3 data-key="top" style="margin:4px 0 8px">${t("doctor.top")}</h3>${report.top.map((problem) => finding(problem))}` : report ? html`<p class="soft" data-key="nothing">${t("doctor.nothing")}</p>` : ""}
      ${report && report.problems.length > report.top.length ? html`<details class="finding" data-key="rest"><summary class="link small">${t("doctor.all", { n: report.problems.length })}</summary>${report.problems.filter((problem) => !report.top.some((one) => one.index === problem.index)).map((problem) => finding(problem))}</details>` : ""}
      ${part.view.fixes > 1 && report?.problems.filter((problem) => problem.fixes).length > 1 ? html`<div class="finding row" data-key="fix"><button type="button" class="button slim" data-do="fix" data-index="0" data-code="all">${t("fix.all")}</button><button type="button" class="link small" data-do="fix_look" data-index="0" data-code="all">${t("fix.preview")}</button></div>` : ""}
      ${part.view.undo || part.view.changes ? html`<div class="finding row" data-key="undo">${part.view.undo ? html`<button type="button" class="link small" data-do="undo">${t("pictures.undo", { what: part.view.undo })}</button>` : ""}${part.view.changes ? html`<button type="button" class="link small" data-do="ask_changes">${count("changes.open", part.view.changes)}</button>` : ""}</div>` : ""}</div>`;
  }
  const finding = (problem) => html`<div class="finding stack tight" data-key="${problem.index}-${problem.code}"><span>${problem.sentence} <span class="soft small">${problem.cost}</span></span><span class="row">${problem.keys.length ? html`<button type="button" class="link small" data-do="show_problem" data-index="${problem.index}">${t("doctor.show", { n: problem.keys.length })}</button>` : ""}${problem.fixes ? html`<button type="button" class="link small" data-do="fix_look" data-index="${problem.index}" data-code="${problem.code}">${t("fix.preview")}</button><button type="button" class="link small" data-do="fix" data-index="${problem.index}" data-code="${problem.code}">${t("doctor.fix")}</button>` : ""}<button type="button" class="link small" data-do="dismiss" data-code="${problem.code}" style="color:var(--soft)">${t("doctor.dismiss")}</button>${problem.points >= 0.1 ? html`<span class="small good num" title="${t("doctor.of")}">${t("doctor.gain", { n: problem.points })}</span>` : ""}</span></div>`;
  const refusedList = (list) => html`<ul class="refused stack tight">${list.map((entry) => html`<li class="small"><b>${entry.name}</b> ${entry.reason}. <span class="soft">${entry.fix}</span></li>`)}</ul>`;
  function uploading(part) {
    const up = part.ui.upload;
    if (!up) return "";
    const percent = up.total ? Math.min(100, Math.round(100 * up.sent / up.total)) : 0;
    return html`<div class="sheet stack" style="margin-bottom:16px" role="status">${up.finished
      ? html`<div class="row spread"><b>${count("pictures.added", up.added)}${up.doubles.length ? ", " + t("pictures.doubles", { n: up.doubles.length }) : ""}${up.texts ? ", " + t("pictures.texts", { n: up.texts }) : ""}</b><button type="button" class="bare" data-do="close_upload" aria-label="${t("close")}">${icon("close")}</button></div>${up.refused.length ? html`<details open><summary class="small warn">${count("pictures.refused", up.refused.length)}</summary>${refusedList(up.refused)}</details>` : ""}`
      : html`<div class="row spread"><b class="num">${t("pictures.uploading", { done: up.files, n: up.count })}</b><span class="num soft">${size(up.sent)} / ${size(up.total)} · ${percent} %</span></div><div class="bar" role="progressbar" aria-valuenow="${percent}" aria-valuemin="0" aria-valuemax="100" aria-label="${t("pictures.uploading", { done: up.files, n: up.count })}"><i style="width:${percent}%"></i></div>`}</div>`;
  }
  const empty = (part) => html`<div class="drop" data-ondragover="over" data-ondragleave="unover" data-ondrop="drop">
      <span class="soft"><svg class="icon" viewBox="0 0 20 20" width="40" height="40" aria-hidden="true"><path d="M3 4.5h14v11H3zM3 13l4-4 4 4 2.5-2.5L17 14"/></svg></span>
      <h2>${t("pictures.drop")}</h2><p class="soft">${t("pictures.drop.says")}</p>
      <div class="row" style="justify-content:center;margin-top:8px"><label class="button primary">${t("pictures.choose")}<input class="sr" id="add-files" type="file" multiple data-onchange="files" accept="image/*,.zip,.txt,.heic,.heif,.avif,.caption,.jsonl,.csv"></label><label class="button" style="min-height:44px">${t("pictures.choose_folder")}<input class="sr" id="add-folder" type="file" webkitdirectory data-onchange="files"></label></div></div>`;
  function zoom(part) {
    const large = part.ui.large, item = large && part.view.items.find((one) => one.key === large.key);
    if (!item) return html`<dialog id="zoom" class="large"></dialog>`;
    const name = item.key.split("/").pop(), keys = chosen(part).map((one) => one.key), at = keys.indexOf(item.key);
    return html`<dialog id="zoom" class="large" aria-label="${name}" data-onkeydown="zoom_key"><div class="zoom-layout">
      <div class="zoom-shot"><div class="inner" data-onpointerdown="focus_here">${large.url ? html`<img src="${file(large.url)}" alt="${item.caption || name}">` : html`<img src="${file(item.thumb)}" alt="">`}${large.url ? html`<span class="focus" style="left:${100 * large.x}%;top:${100 * large.y}%"></span>${seen(item, large)}` : ""}</div></div>
      <div class="stack" style="align-content:start"><div class="row spread"><h2 style="overflow-wrap:anywhere">${name}</h2><button type="button" class="bare" data-do="close_zoom" aria-label="${t("close")}">${icon("close")}</button></div>
        <p class="small soft num">${item.width} × ${item.height} px</p>
        <div class="row">${item.badges.map((badge) => html`<span class="tag ${badge.tone}">${badge.says}</span>`)}${item.is_held_out ? html`<span class="tag">${t("pictures.badge.held_out")}</span>` : ""}</div>
        <label class="field">${t("pictures.caption")}<textarea rows="4" data-oninput="typed" data-onfocusout="leave" data-item="${item.key}">${part.ui.texts[item.key] ?? item.caption}</textarea></label>
        <p class="small soft">${t("pictures.focus.says")}${large.bucket ? " " + t(large.is_enlarged ? "pictures.seen.enlarged" : "pictures.seen", { w: large.bucket[1], h: large.bucket[0] }) : ""}</p>
        <div class="row">${item.is_out ? html`<button type="button" class="button" data-do="one_back" data-item="${item.key}">${t("pictures.take_back")}</button>` : html`<button type="button" class="button" data-do="one_out" data-item="${item.key}">${t("pictures.leave_out")}</button>`}${item.is_held_out ? html`<button type="button" class="button" data-do="one_release" data-item="${item.key}">${t("pictures.release")}</button>` : ""}<button type="button" class="button" data-do="one_rotate" data-item="${item.key}">${t("pictures.rotate")}</button><button type="button" class="button" data-do="one_remove" data-item="${item.key}">${t("pictures.remove")}</button></div>
        <div class="row spread" style="margin-top:12px"><button type="button" class="button slim" data-do="zoom" data-item="${keys[at - 1] || ""}"${flag("disabled", at <= 0)}>${t("previous")}</button><span class="small soft num">${at + 1} / ${keys.length}</span><button type="button" class="button slim" data-do="zoom" data-item="${keys[at + 1] || ""}"${flag("disabled", at >= keys.length - 1)}>${t("next")}</button></div>
      </div></div></dialog>`;
  }
  function seen(item, large) {   // the part that fills the trainer's bucket, as near to the focal point as the edges allow
    const [height, width] = large.bucket, scale = Math.max(height / item.height, width / item.width), w = width / scale / item.width, h = height / scale / item.height;
    const left = Math.min(Math.max(large.x - w / 2, 0), 1 - w), top = Math.min(Math.max(large.y - h / 2, 0), 1 - h);
    return html`<span class="crop" style="left:${100 * left}%;top:${100 * top}%;width:${100 * w}%;height:${100 * h}%"></span>`;
  }
  define("pictures", {
    steps: ["pictures"],
    ui: () => ({ search: "", filter: "", picked: new Set(), shown: new Set(), made: new Set(), saving: {}, texts: {}, timers: {}, upload: null, large: null, how: "replace", write: null, fix: null, changes: null, words: captions.wordsFresh() }),
    every(view) { return view && view.items.length && (!view.is_fresh || captions.isWriting(this)) ? 700 : 0; },
    render(view) {
      if (!view) return html`<div class="page"><div class="page-head"><div><h1>${t("step.pictures")}</h1><p> </p></div></div><div class="cards">${Array.from({ length: 12 }, () => html`<div class="skeleton" style="aspect-ratio:1"></div>`)}</div></div>`;
      const cards = chosen(this);
      this.chosen = () => chosen(this);
      this.only = (keys, says) => { Object.assign(this.ui, { shown: new Set(keys), filter: "#" + says, says }); this.draw(); window.scrollTo(0, 0); };
      return html`<div class="page ${this.ui.picked.size ? "picking" : ""}">
        <div class="page-head"><div><h1>${view.name}</h1><p>${view.items.length ? t("pictures.says") : t("pictures.says.empty")}</p></div></div>
        ${uploading(this)}
        ${!view.items.length ? (this.ui.upload && !this.ui.upload.finished ? "" : empty(this)) : html`<div class="pictures-layout" data-ondragover="over" data-ondragleave="unover" data-ondrop="drop"><div>
          ${toolbar(this, cards)}
          ${view.refused.length ? html`<details class="note warn" style="margin:8px 0 16px"><summary>${count("pictures.refused", view.refused.length)}</summary>${refusedList(view.refused)}</details>` : ""}
          ${cards.length ? html`<div class="cards" data-fill="cards"></div>` : html`<p class="soft" style="padding:48px 0;text-align:center">${t("pictures.nothing_found")}</p>`}</div><aside class="side"><section class="doctor sheet" aria-label="${t("doctor.title")}">${doctor(this)}</section>${captions.words(this)}</aside></div>
          <div class="page-next">${this.ui.picked.size ? picks(this) : html`<span class="small soft aside">${view.count < 20 ? t("pictures.few") : ""}</span>`}<button type="button" class="button primary" data-do="next">${t("pictures.next." + view.intent)}${icon("arrow")}</button></div>`}
        ${zoom(this)}${view.items.length ? html`${captions.bulk(this)}${captions.panel(this)}${fixes.panel(this)}${fixes.changes(this)}` : ""}</div>`;
    },
    tick() { const place = this.find(".doctor"); if (place) patch(place, doctor(this)); captions.after(this); },
    after(view) {
      if (!view) return;
      if (view.items.length) captions.after(this);
      const cards = this.find("[data-fill=cards]");
      if (cards) patchList(cards, chosen(this).map((item) => [item.key, card(this, item)]));
      if (!this.ui.recovered) { this.ui.recovered = true; const kept = Object.entries(drafts()[place.project] || {}); Object.assign(this.ui.texts, Object.fromEntries(kept)); if (kept.length) this.draw(); for (const [key, text] of kept) this.kind.save.call(this, key, text, place.project); }
      const missing = view.items.filter((item) => !item.has_thumb && !this.ui.made.has(item.key)).map((item) => item.key);
      if (missing.length && !this.ui.making) { this.ui.making = true; this.kind.makeThumbs.call(this, missing); }
    },
    async makeThumbs(missing) {
      for (let at = 0; at < missing.length; at += 48) {
        const ui = this.ui, answer = await this.ask("thumbs", { keys: missing.slice(at, at + 48) }, { quiet: true });
        if (!answer.ok || ui !== this.ui) break;
        answer.made.forEach((key) => this.ui.made.add(key));
        this.draw();
      }
      this.ui.making = false;
    },
    async save(key, text, project) {
      const ui = this.ui;
      this.kind.state.call(this, key, "saving");
      const answer = await this.ask("caption", { key, text }, { quiet: true });
      if (ui !== this.ui) { if (answer.ok) dropDraft(project, key, text); return; }
      if (!answer.ok && this.view && !this.view.items.some((item) => item.key === key)) { dropDraft(project, key, text); delete ui.texts[key]; return; }   // the picture was removed
      if (!answer.ok) { this.kind.state.call(this, key, "failed"); clearTimeout(ui.timers[key]); ui.timers[key] = setTimeout(() => this.kind.save.call(this, key, ui.texts[key] ?? text, project), 4000); return; }
      dropDraft(project, key, text);
      const item = this.view.items.find((one) => one.key === key);
      if (item) item.caption = answer.text;
      if (ui.texts[key] === text) { this.element.querySelectorAll("textarea").forEach((box) => { if (box.dataset.item === key) delete box.dataset.dirty; }); delete ui.texts[key]; this.kind.state.call(this, key, "saved"); }
    },
    state(key, state) {
      this.ui.saving[key] = state;
      const dot = [...this.element.querySelectorAll(".card")].find((card) => card.dataset.key === key)?.querySelector(".state");
      if (dot) { dot.dataset.state = state; dot.title = t("pictures.state." + state); dot.dataset.says = state === "failed" ? dot.title : ""; }
    },
    on: {
      next() { go({ step: "teach" }); },
      typed(box) {
        const key = box.dataset.item, project = place.project;
        box.dataset.dirty = "1"; (box.closest(".card") || {}).drawnText = ""; this.ui.texts[key] = box.value; keepDraft(project, key, box.value);
        this.kind.state.call(this, key, "saving");
        clearTimeout(this.ui.timers[key]);
        this.ui.timers[key] = setTimeout(() => this.kind.save.call(this, key, this.ui.texts[key] ?? box.value, project), PAUSE_MS);
      },
      leave(box) {
        const key = box.dataset.item;
        if (this.ui.texts[key] === undefined) return;
        clearTimeout(this.ui.timers[key]);
        this.kind.save.call(this, key, this.ui.texts[key], place.project);
      },
      search(box) { this.ui.search = box.value; this.draw(); },
      filter(box) { this.ui.filter = box.value; this.ui.picked.clear(); this.draw(); },
      pick(box, event) {
        box.checked ? this.ui.picked.add(box.dataset.item) : this.ui.picked.delete(box.dataset.item);
        this.draw();
      },
      all() { const keys = chosen(this).map((item) => item.key); this.ui.picked = new Set(this.ui.picked.size === keys.length ? [] : keys); this.draw(); },
      async picked_out() { await this.ask("leave_out", { keys: [...this.ui.picked] }); this.ui.picked.clear(); this.draw(); },
      async picked_back() { await this.ask("take_back", { keys: [...this.ui.picked] }); this.ui.picked.clear(); this.draw(); },
      async picked_hold() { await this.ask("hold_out", { keys: [...this.ui.picked] }); this.ui.picked.clear(); this.draw(); },
      async picked_release() { await this.ask("release", { keys: [...this.ui.picked] }); this.ui.picked.clear(); this.draw(); },
      async picked_rotate() { await this.ask("rotate", { keys: [...this.ui.picked] }); },
      async picked_remove() { const keys = [...this.ui.picked]; this.ui.picked.clear(); await this.ask("remove", { keys }); },
      async one_remove(button) { this.find("#zoom").close(); await this.ask("remove", { keys: [button.dataset.item] }); },
      one_out(button) { this.ask("leave_out", { keys: [button.dataset.item] }); },
      one_back(button) { this.ask("take_back", { keys: [button.dataset.item] }); },
      one_release(button) { this.ask("release", { keys: [button.dataset.item] }); },
      async one_rotate(button) { await this.ask("rotate", { keys: [button.dataset.item] }); this.kind.on.zoom.call(this, button); },
      ...captions.on, ...fixes.on,
      show_problem(button) {
        const problem = this.view.report.problems[+button.dataset.index];
        this.ui.says = ""; this.ui.shown = new Set(problem.keys); this.ui.filter = "#" + problem.index; this.draw(); window.scrollTo(0, 0);
      },
      async fix(button) { await this.ask("fix", { index: +button.dataset.index, code: button.dataset.code }); },
      async undo() { await this.ask("undo"); },
      async zoom(button) {
        const key = button.dataset.item;
        this.ui.large = { key, url: "", x: .5, y: .5 }; this.draw(); dialog(this, "zoom");
        const answer = await this.ask("large", { key });
        if (answer.ok && this.ui.large?.key === key) { this.ui.large = answer.large; this.draw(); }
      },
      zoom_key(box, event) {
        if (event.target.nodeName === "TEXTAREA" || !["ArrowLeft", "ArrowRight"].includes(event.key)) return;
        const keys = chosen(this).map((item) => item.key), next = keys[keys.indexOf(this.ui.large.key) + (event.key === "ArrowRight" ? 1 : -1)];
        if (next) this.kind.on.zoom.call(this, { dataset: { item: next } });
      },
      close_zoom() { this.find("#zoom").close(); },
      focus_here(box, event) {
        const bounds = box.getBoundingClientRect(), large = this.ui.large, share = (at, from, length) => Math.min(1, Math.max(0, (at - from) / length));
        if (!large?.url) return;
        const move = (now) => { large.x = share(now.clientX, bounds.left, bounds.width); large.y = share(now.clientY, bounds.top, bounds.height); this.draw(); };
        event.preventDefault(); box.setPointerCapture(event.pointerId); move(event);
        box.onpointermove = move;
        box.onpointerup = box.onpointercancel = () => { box.onpointermove = box.onpointerup = box.onpointercancel = null; this.ask("focus", { key: large.key, x: large.x, y: large.y }); };
      },
      over(zone, event) { event.preventDefault(); zone.classList.add("over"); },
      unover(zone) { zone.classList.remove("over"); },
      async drop(zone, event) { event.preventDefault(); zone.classList.remove("over"); brandprint.parts.pictures.upload(await brandprint.gather(event.dataTransfer)); },
      files(input) { const files = brandprint.gatherInput(input); input.value = ""; this.upload(files); },
      close_upload() { this.ui.upload = null; this.draw(); },
    },
  });

  /* Uploading: shown on this step, goes on while other steps are looked at. */
  brandprint.uploader = async function upload(files) {
    const large = brandprint.tooLarge(files), rest = files.filter((entry) => !large.includes(entry)), project = place.project;
    const up = { files: 0, count: rest.length, sent: 0, total: rest.reduce((sum, { file }) => sum + file.size, 0), added: 0, texts: 0, doubles: [], finished: false,
      refused: large.map(({ name }) => ({ name, reason: t("pictures.too_large", { size: size(brandprint.settings.limits.file_bytes) }), fix: "" })) };
    if (!files.length) return;
    this.ui.upload = up; this.draw();
    const batches = brandprint.batches(rest);
    let taking = Promise.resolve(), done = 0;
    for (const [index, batch] of batches.entries()) {
      let sent;
      try { sent = await brandprint.send(batch, (bytes) => { up.sent = Math.min(done + bytes, up.total); if (this.ui.upload === up) this.drawSoon(); }); }
      catch (error) { batch.forEach(({ name }) => up.refused.push({ name, reason: t(error.message === "large" ? "pictures.too_large" : "pictures.not_sent", { size: size(brandprint.settings.limits.file_bytes) }), fix: "" })); continue; }
      done += batch.reduce((sum, { file }) => sum + file.size, 0);
      await taking;
      taking = (async () => {
        const answer = await this.server.pictures({ do: "add", project, files: sent, last: false, more: index < batches.length - 1 });
        if (answer?.ok) { up.added += answer.intake.added; up.texts += answer.intake.texts; up.doubles.push(...answer.intake.doubles); up.refused.push(...answer.intake.refused.filter((one) => !up.refused.some((other) => other.name === one.name && other.reason === one.reason))); }
        else batch.forEach(({ name }) => up.refused.push({ name, reason: answer?.message || t("pictures.not_sent"), fix: answer?.fix || "" }));
        up.files = Math.min(up.files + batch.length, up.count);
        if (this.ui.upload === up) { this.drawSoon(); this.look(); }
      })();
    }
    await taking;
    up.finished = true;
    await this.look();
    this.draw();
    brandprint.parts.frame?.look();
  };
})();
