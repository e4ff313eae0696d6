/* The page's own small core: safe templates, patching in place, where the user is (project, step), asking the server, polling, toasts.
   In: views (plain JSON) from server functions. Out: DOM. Every text goes through `html`, which escapes it: a caption can never become code.
   Knows nothing of pictures, training or files: the parts do (frame.js, pictures.js, ...). */
"use strict";
window.brandprint = (() => {
  const settings = JSON.parse(document.getElementById("bp-settings").textContent);
  const kinds = {};   // name -> definition
  const parts = {};   // name -> mounted part
  const STEPS = ["home", "pictures", "teach", "compare", "handover", "library"];

  /* ---------- words ---------- */
  function t(key, values = {}) {
    const text = settings.words[key];
    if (text === undefined) { console.error("missing words: " + key); return key; }
    return text.replace(/\{(\w+)\}/g, (_, name) => values[name] ?? "");
  }
  const count = (key, number) => t(number === 1 ? key + ".one" : key + ".many", { n: number });

  /* ---------- templates ---------- */
  class Markup { constructor(text) { this.text = text; } }
  const ESCAPES = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" };
  const escaped = (text) => String(text).replace(/[&<>"']/g, (letter) => ESCAPES[letter]);
  const shown = (value) => value instanceof Markup ? value.text
    : Array.isArray(value) ? value.map(shown).join("")
    : value === null || value === undefined || value === false ? "" : escaped(value);
  const html = (strings, ...values) => new Markup(strings.reduce((text, part, index) => text + shown(values[index - 1]) + part));
  const flag = (name, on) => new Markup(on ? " " + name : "");   // boolean attributes

  const ICONS = {
    check: "M4 10.5l4 4 8-9", plus: "M10 4v12M4 10h12", close: "M5 5l10 10M15 5L5 15", search: "M9 3.5a5.5 5.5 0 104 9.3L17 17", undo: "M7 4L3.5 7.5 7 11M4 7.5h8a4.5 4.5 0 010 9H8",
    moon: "M16 11.5A6.5 6.5 0 018.5 4a6.5 6.5 0 107.5 7.5z", down: "M10 3.5v10M5.5 9.5L10 14l4.5-4.5M4 17h12", star: "M10 2.8l2.2 4.7 5 .6-3.7 3.5 1 5.1L10 14.2l-4.5 2.5 1-5.1L2.8 8.1l5-.6z",
    lock: "M5.5 9h9v7.5h-9zM7.5 9V6.5a2.5 2.5 0 015 0V9", unlock: "M5.5 9h9v7.5h-9zM7.5 9V6.5a2.5 2.5 0 014.8-1", pause: "M7 4.5v11M13 4.5v11", stop: "M5.5 5.5h9v9h-9z", play: "M6.5 4.5l8.5 5.5-8.5 5.5z",
    trash: "M4 6h12M8 6V4h4v2M5.5 6l.8 10.5h7.4L14.500 6", more: "M4.500 10h.01M10 10h.01M15.500 10h.01", copy: "M7 7h9v9H7zM13 7V4H4v9h3", arrow: "M4 10h12M11 5l5 5-5 5", warn: "M10 3.500l7.500 13h-15zM10 8v4M10 14.300v.01", picture: "M3 4.500h14v11H3zM3 13l4-4 4 4 2.500-2.500L17 14",
    file: "M5 3h6l4 4v10H5zM11 3v4h4", dice: "M4 4h12v12H4zM7.500 7.500h.01M12.500 12.500h.01M10 10h.01", chevron: "M5 8l5 5 5-5", up: "M10 16V6M5.500 10.500L10 6l4.500 4.500",
  };
  const icon = (name) => html`<svg class="icon" viewBox="0 0 20 20" width="16" height="16" aria-hidden="true" focusable="false"><path d="${ICONS[name]}"/></svg>`;

  /* ---------- patching: only what changed is touched, so focus, half-typed text and scrolling stay ---------- */
  function patch(target, markup) {
    const fresh = document.createElement("template");
    fresh.innerHTML = shown(markup);
    patchChildren(target, fresh.content);
  }
  function patchChildren(target, fresh) {
    const olds = [...target.childNodes], news = [...fresh.childNodes];
    if (news.some((node) => node.dataset?.key)) return patchKeyed(target, olds, news);
    news.forEach((node, index) => olds[index] ? patchNode(olds[index], node) : target.appendChild(node));
    olds.slice(news.length).forEach((node) => node.remove());
  }
  function patchKeyed(target, olds, news) {
    const known = new Map(olds.filter((node) => node.dataset?.key).map((node) => [node.dataset.key, node]));
    olds.filter((node) => !node.dataset?.key).forEach((node) => node.remove());
    let place = target.firstChild;
    for (const node of news) {
      const old = node.dataset?.key && known.get(node.dataset.key);
      if (old) {
        known.delete(node.dataset.key);
        if (old === place) place = place.nextSibling; else target.insertBefore(old, place);
        patchNode(old, node);
      } else if (node.dataset?.key || node.nodeType === Node.ELEMENT_NODE) target.insertBefore(node, place);
    }
    known.forEach((node) => node.remove());
  }
  /** Children by key; one whose text is what it was is not even parsed, so a long list costs only its changes. entries: [[key, markup]]. */
  function patchList(target, entries) {
    const known = new Map([...target.children].map((node) => [node.dataset.key, node])), parsed = document.createElement("template");
    let at = target.firstElementChild;
    for (const [key, markup] of entries) {
      const text = shown(markup);
      let node = known.get(key);
      if (node === at && at) at = at.nextElementSibling; else if (node) target.insertBefore(node, at);
      if (node?.drawnText === text) continue;
      parsed.innerHTML = text;
      if (node) patchNode(node, parsed.content.firstElementChild); else target.insertBefore(node = parsed.content.firstElementChild, at);
      node.drawnText = text;
    }
    const wanted = new Set(entries.map(([key]) => key));
    [...target.children].filter((node) => !wanted.has(node.dataset.key)).forEach((node) => node.remove());
  }
  function patchNode(old, node) {
    if (old.nodeType !== node.nodeType || old.nodeName !== node.nodeName || (old.id || "") !== (node.id || "")) { old.replaceWith(node); return; }
    if (old.nodeType !== Node.ELEMENT_NODE) { if (old.nodeValue !== node.nodeValue) old.nodeValue = node.nodeValue; return; }
    for (const { name } of [...old.attributes]) if (!node.hasAttribute(name) && !(name === "open" && /DIALOG|DETAILS/.test(old.nodeName))) old.removeAttribute(name);
    for (const { name, value } of node.attributes) if (old.getAttribute(name) !== value && !(name === "open" && old.nodeName === "DETAILS")) old.setAttribute(name, value);
    if (old.nodeName !== "TEXTAREA" && node.dataset.fill === undefined) patchChildren(old, node);   // data-fill: its part fills it by patchList
    patchField(old, node);
  }
  function patchField(old, node) {
    if (!/^(INPUT|TEXTAREA|SELECT)$/.test(old.nodeName) || old === document.activeElement || old.dataset.dirty) return;
    if (old.type === "checkbox" || old.type === "radio") old.checked = node.hasAttribute("checked");
    else if (old.type !== "file") {
      const wanted = old.nodeName === "TEXTAREA" ? node.textContent : old.nodeName === "SELECT" ? node.value : node.getAttribute("value") ?? "";
      if (old.value !== wanted) old.value = wanted;
    }
  }

  /* ---------- where the user is: in the URL, so that reload, bookmarks, the back button and a server restart keep it ---------- */
  const MEMORY = "brandprint.place";
  const place = { project: "", step: "home" };
  function readPlace() {
    const query = new URLSearchParams(location.search);
    const kept = JSON.parse(localStorage.getItem(MEMORY) || "{}");
    const source = query.has("step") || query.has("project") ? { project: query.get("project"), step: query.get("step") } : kept;
    place.project = source.project || "";
    place.step = STEPS.includes(source.step) ? source.step : place.project ? "pictures" : "home";
    if (!place.project && place.step !== "library") place.step = "home";
  }
  function writePlace(push) {
    const query = new URLSearchParams(location.search);
    place.project ? query.set("project", place.project) : query.delete("project");
    query.set("step", place.step);
    const url = location.pathname + "?" + query;
    if (url !== location.pathname + location.search) history[push ? "pushState" : "replaceState"]({}, "", url);
    localStorage.setItem(MEMORY, JSON.stringify(place));
    document.body.dataset.step = place.step;
  }
  function go(change, { push = true } = {}) {
    const before = { ...place };
    Object.assign(place, change);
    if (!place.project && !["home", "library"].includes(place.step)) place.step = "home";
    writePlace(push);
    if (before.step !== place.step) window.scrollTo(0, 0);
    for (const part of Object.values(parts)) {
      if (before.project !== place.project) part.forget();
      if (part.isVisible()) part.look();
    }
  }
  window.addEventListener("popstate", () => { readPlace(); go({}, { push: false }); });

  /* ---------- parts ---------- */
  class Part {
    constructor(name, element, server) {
      Object.assign(this, { name, element, server, kind: kinds[name], view: null, now: null, ui: {}, timer: 0, turn: 0 });
      this.ui = this.kind.ui ? this.kind.ui() : {};
      for (const event of ["click", "input", "change", "keydown", "submit", "dragover", "dragleave", "drop", "focusout", "pointerdown", "toggle", "error", "load"])
        element.addEventListener(event, (happened) => this.handle(event, happened), ["toggle", "error", "load"].includes(event));
      this.show(null);
      if (this.isVisible()) this.look();
    }
    isVisible() { return this.kind.steps === "all" || this.kind.steps.includes(place.step); }
    forget() { this.view = this.now = null; this.ui = this.kind.ui ? this.kind.ui() : {}; this.show(null); }
    handle(event, happened) {
      const attribute = { click: "do", submit: "submit" }[event] || "on" + event;
      const target = happened.target.closest?.(`[data-${attribute}]`);
      if (!target || !this.element.contains(target)) return;
      if (event === "submit") happened.preventDefault();
      const action = target.dataset[attribute], own = this.kind.on?.[action];
      if (own) own.call(this, target, happened);
      else if (event === "click" && !target.disabled) this.ask(action, { ...target.dataset });
    }
    async ask(action, values = {}, { quiet = false } = {}) {
      const { do: _, onchange: __, oninput: ___, ...rest } = values;
      const turn = ++this.turn, asked = place.project;
      const answer = await this.server[this.name]({ ...rest, do: action, project: place.project, place: place.step, seen: this.view?.version || "" });
      if (!answer || answer.ok === undefined) { lost(true); return { ok: false }; }
      lost(false);
      if (!answer.ok && !quiet) toast(answer.message, answer.fix, "bad");
      if (answer.now !== undefined && asked === place.project) { this.now = answer.now; if (!answer.view) this.kind.tick?.call(this); }
      if (answer.note) toast(answer.note, "", "good", answer.undo && (() => this.ask(answer.undo.do, answer.undo)));
      if (answer.view && asked === place.project && (turn === this.turn || action !== "look")) this.show(answer.view);
      if (answer.go) go(answer.go);
      else if (action !== "look" && this.name !== "frame") parts.frame?.look();
      return answer;
    }
    async look() {
      clearTimeout(this.timer);
      if (this.isVisible() && !document.hidden) await this.ask("look", this.kind.asks?.call(this) || {}, { quiet: true });
      const pause = this.isVisible() ? (this.kind.every?.call(this, this.view) ?? 0) : 0;
      clearTimeout(this.timer);
      if (pause) this.timer = setTimeout(() => this.look(), pause);
    }
    show(view) {
      this.view = view ?? this.view;
      this.draw();
    }
    draw() {
      patch(this.element, this.kind.render.call(this, this.view));
      this.kind.after?.call(this, this.view);
    }
    upload(files) { return brandprint.uploader.call(this, files); }
    /** Draws at most five times a second, for progress that comes in bursts. */
    drawSoon() { if (this.soon) return; this.soon = setTimeout(() => { this.soon = 0; this.draw(); }, 200); }
    find(selector) { return this.element.querySelector(selector); }
  }
  document.addEventListener("visibilitychange", () => { if (!document.hidden) Object.values(parts).forEach((part) => part.isVisible() && part.look()); });

  /* ---------- toasts, connection, dialogs ---------- */
  function toast(message, fix = "", tone = "", undo = null) {
    let shelf = document.getElementById("bp-toasts");
    if (!shelf) { shelf = Object.assign(document.createElement("div"), { id: "bp-toasts" }); shelf.setAttribute("role", "status"); shelf.setAttribute("aria-live", "polite"); document.body.appendChild(shelf); }
    const note = document.createElement("div");
    note.className = "toast " + tone;
    patch(note, html`<div><b>${message}</b>${fix && html` <span>${fix}</span>`}</div>${undo && html`<button class="link" type="button">${t("undo")}</button>`}<button class="bare" type="button" aria-label="${t("close")}">${icon("close")}</button>`);
    const buttons = note.querySelectorAll("button");
    if (undo) buttons[0].onclick = () => { note.remove(); undo(); };
    buttons[buttons.length - 1].onclick = () => note.remove();
    shelf.appendChild(note);
    while (shelf.children.length > 3) shelf.firstChild.remove();
    setTimeout(() => note.remove(), tone === "bad" ? 12000 : 7000);
  }
  let missed = 0;
  function lost(isLost) {
    missed = isLost ? missed + 1 : 0;
    document.body.classList.toggle("bp-lost", missed >= 2);
  }
  function dialog(part, id) { const found = part.find("#" + id); if (found && !found.open) found.showModal(); return found; }

  /* ---------- light and dark ---------- */
  function setDark(on) { document.body.classList.toggle("dark", on); localStorage.setItem("brandprint.dark", on ? "1" : "0"); }
  function startDark() {
    const wish = localStorage.getItem("brandprint.dark"), forced = new URLSearchParams(location.search).get("__theme");
    if (!forced && wish !== null) document.body.classList.toggle("dark", wish === "1");
  }

  /* ---------- numbers ---------- */
  const duration = (seconds) => seconds === null || seconds === undefined ? "" : seconds < 60 ? t("time.seconds", { n: Math.max(1, Math.round(seconds)) })
    : seconds < 5400 ? t("time.minutes", { n: Math.round(seconds / 60) }) : t("time.hours", { n: (seconds / 3600).toFixed(1) });
  const size = (bytes) => bytes >= 1e9 ? (bytes / 1e9).toFixed(1) + " GB" : bytes >= 1e6 ? Math.round(bytes / 1e6) + " MB" : Math.max(1, Math.round(bytes / 1e3)) + " kB";
  const file = (path) => path ? location.pathname.replace(/\/$/, "") + "/gradio_api/file=" + path.split("/").map(encodeURIComponent).join("/") : "";

  function define(name, kind) { kinds[name] = kind; }
  function mount(name, element, server) {
    if (!Object.keys(parts).length) { readPlace(); writePlace(false); startDark(); }
    parts[name] = new Part(name, element, server);
  }
  return { settings, t, count, html, flag, icon, patch, patchList, place, go, define, mount, parts, toast, dialog, setDark, duration, size, file, escaped };
})();
