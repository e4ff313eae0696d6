/* Captions by the hundred, for the Pictures step: proposals from each source, bulk edits, and the words that are used.
   In: the step's part. Out: two dialogs and one drawer, with what their controls do (`on`). Nothing changes before "Use". */
"use strict";
brandprint.captions = (() => {
  const { t, count, html, flag, icon, file, dialog } = brandprint;
  const PAUSE_MS = 350, STEP = 60;
  const fresh = () => ({ source: "names", mode: "empty", template: "{name}", agreed: false, rows: null, unseen: 0, skip: new Set(), texts: {}, shown: STEP, turn: 0, was: "" });
  const wordsFresh = () => ({ told: null, open: false, version: "" });
  const modelOf = (part, source) => part.view.captions.models.find((model) => model.id === source);
  const targets = (part) => part.ui.picked.size ? [...part.ui.picked] : part.chosen().filter((item) => !item.is_out).map((item) => item.key);
  const taken = (write) => (write.rows || []).filter(([key]) => !write.skip.has(key));

  /* ---------- write captions ---------- */
  function row(part, write, [key, old, text]) {
    const item = part.view.items.find((one) => one.key === key), name = key.split("/").pop();
    return html`<li class="proposal" data-key="${key}"><input type="checkbox" data-onchange="write_tick" data-item="${key}" aria-label="${t("write.tick", { name })}"${flag("checked", !write.skip.has(key))}>
      <img src="${file(item?.thumb)}" alt="" width="56" height="56" loading="lazy"><div class="grow"><p class="small soft" dir="auto">${t("write.old")}: ${old || t("write.empty")}</p><textarea rows="2" dir="auto" data-oninput="write_text" data-item="${key}" aria-label="${t("write.new", { name })}">${write.texts[key] ?? text}</textarea></div></li>`;
  }
  function list(part, write) {
    if (!write.rows) return html`<div class="skeleton" style="height:120px"></div>`;
    const unseen = write.unseen ? html`<p class="small warn">${t("write.unseen", { n: write.unseen })}</p>` : "";
    if (!write.rows.length) return html`<p class="soft" style="padding:32px 0;text-align:center">${t(modelOf(part, write.source) && part.now?.writing?.source !== write.source ? "write.not_yet" : "write.none")}</p>${unseen}`;
    return html`${unseen}<ul class="proposals">${write.rows.slice(0, write.shown).map((one) => row(part, write, one))}</ul>${write.rows.length > write.shown ? html`<button type="button" class="button slim" data-do="write_more">${t("write.more")}</button>` : ""}`;
  }
  function hub(part, write, model) {
    const job = part.now?.writing, mine = job?.source === write.source ? job : null;
    if (mine && ["queued", "running"].includes(mine.state)) return html`<div class="stack" role="status"><p class="small num">${mine.done ? t("write.at_work", { title: model.title, done: mine.done, total: mine.total }) : t("write.waits", { title: model.title })}</p><div class="bar"><i style="width:${100 * mine.done / Math.max(1, mine.total)}%"></i></div><div><button type="button" class="button slim" data-do="write_stop">${t("write.stop")}</button></div></div>`;
    return html`<div class="stack"><label class="row small"><input type="checkbox" data-onchange="write_agree"${flag("checked", write.agreed)}>${t("write.agree")}</label><div><button type="button" class="button slim" data-do="write_start"${flag("disabled", !write.agreed)}>${t("write.start")}</button></div>${mine?.error ? html`<div class="note bad" role="alert"><p>${mine.error[0]}</p><p class="small soft">${mine.error[1]}</p></div>` : mine?.state === "stopped" ? html`<p class="small soft">${t("write.stopped")}</p>` : ""}</div>`;
  }
  function panel(part) {
    const write = part.ui.write;
    if (!write) return html`<dialog id="write" class="large"></dialog>`;
    const model = modelOf(part, write.source), ready = taken(write).length, { sources, models } = part.view.captions;
    return html`<dialog id="write" class="large" aria-labelledby="write-title"><div class="stack loose"><div class="row spread"><h2 id="write-title">${t("write.title", { n: write.keys.length })}</h2><button type="button" class="bare" data-do="close_write" aria-label="${t("close")}">${icon("close")}</button></div>
      <div class="write-layout"><div class="stack">
        <label class="field">${t("write.from")}<select data-onchange="write_source">${sources.map((one) => html`<option value="${one}"${flag("selected", one === write.source)}>${t("write." + one)}</option>`)}<optgroup label="${t("write.models")}">${models.map((one) => html`<option value="${one.id}"${flag("selected", one.id === write.source)}>${one.title}</option>`)}</optgroup></select></label>
        <p class="small soft">${model ? t("write.hub.says", model) : t("write." + write.source + ".says", { name: "{name}", folder: "{folder}", caption: "{caption}" })}</p>
        ${write.source === "template" ? html`<label class="field">${t("write.template.field")}<input type="text" data-oninput="write_template" value="${write.template}" autocomplete="off"></label>` : ""}
        <label class="field">${t("write.mode")}<select data-onchange="write_mode">${["empty", "replace", "behind"].map((one) => html`<option value="${one}"${flag("selected", one === write.mode)}>${t("write.mode." + one)}</option>`)}</select></label>
        <div data-part="hub">${model ? hub(part, write, model) : ""}</div></div>
      <div class="proposals-box">${list(part, write)}</div></div>
      <div class="row" style="justify-content:flex-end"><button type="button" class="button" data-do="close_write">${t("cancel")}</button><button type="button" class="button primary" data-do="write_apply"${flag("disabled", !ready)}>${count("write.apply", ready)}</button></div></div></dialog>`;
  }
  async function propose(part) {
    const write = part.ui.write, turn = ++write.turn, model = modelOf(part, write.source);
    clearTimeout(write.timer); // a template typed just now is asked about here; asked again later, it would take back what was edited meanwhile
    write.rows = null; part.draw();
    const answer = model && part.now?.writing?.source !== write.source ? { ok: true, proposals: [], unseen: 0 }
      : await part.ask(model ? "write_made" : "write_preview", { source: write.source, mode: write.mode, template: write.template, keys: write.keys }, { quiet: write.source === "template" });
    if (write !== part.ui.write || turn !== write.turn) return;
    Object.assign(write, { rows: answer.ok ? answer.proposals : [], unseen: answer.unseen || 0, skip: new Set(), texts: {}, shown: STEP });
    part.draw();
  }

  /* ---------- edit captions ---------- */
  const KINDS = ["replace", "prefix", "suffix", "remove", "trigger_in", "trigger_out"];
  function bulk(part) {
    const how = part.ui.how, keys = targets(part), ofTrigger = how.startsWith("trigger"), trigger = part.view.captions.trigger, sample = part.ui.bulkRows;
    return html`<dialog id="bulk" aria-labelledby="bulk-title"><form class="stack" data-submit="bulk" data-oninput="bulk_typed"><h2 id="bulk-title">${t("bulk.title", { n: keys.length })}</h2>
      <label class="field">${t("bulk.how")}<select name="how" data-onchange="bulk_how">${KINDS.map((one) => html`<option value="${one}"${flag("selected", how === one)}>${t("bulk." + one)}</option>`)}</select></label>
      ${ofTrigger ? html`<p class="small">${trigger ? t("bulk." + how + ".says", { trigger }) : t("bulk.no_trigger")}</p>` : html`<label class="field">${t("bulk." + how + ".first")}<input type="text" name="first" required autocomplete="off" dir="auto"></label>`}
      ${how === "replace" ? html`<label class="field">${t("bulk.replace.second")}<input type="text" name="second" autocomplete="off" dir="auto"></label>` : ""}
      <ul class="samples" aria-live="polite">${(sample || []).slice(0, 3).map(([key, old, text]) => html`<li class="small"><span class="soft" dir="auto">${old || t("write.empty")}</span><span dir="auto">${text || t("write.empty")}</span></li>`)}</ul>
      <p class="small soft">${t("bulk.says")}</p><div class="row" style="justify-content:flex-end"><button type="button" class="button" data-do="close_bulk">${t("cancel")}</button><button class="button primary"${flag("disabled", ofTrigger && !trigger)}>${t("bulk.do", { n: keys.length })}</button></div></form></dialog>`;
  }
  const asked = (part) => { const form = part.find("#bulk form"); return { keys: targets(part), how: part.ui.how, first: form.elements.first?.value || "", second: form.elements.second?.value || "" }; };
  async function sample(part) {
    const values = asked(part), turn = part.ui.bulkTurn = (part.ui.bulkTurn || 0) + 1;
    const answer = values.keys.length && (values.first.trim() || (values.how.startsWith("trigger") && part.view.captions.trigger)) ? await part.ask("bulk_preview", values, { quiet: true }) : {};
    if (turn === part.ui.bulkTurn) { part.ui.bulkRows = answer.proposals || []; part.draw(); }
  }

  /* ---------- words ---------- */
  function words(part) {
    const { told, open } = part.ui.words, { constant, varies, offered } = part.view.captions;
    const silent = new Map(told?.silent || []);
    return html`<details class="sheet words-drawer" data-ontoggle="words_open"${flag("open", open)}><summary class="row spread"><h2>${t("words.title")}</h2>${icon("chevron")}</summary>
      <div class="stack"><label class="field">${t("words.constant")}<input type="text" data-onchange="words_constant" value="${constant}" placeholder="${t("words.constant.example")}" autocomplete="off" dir="auto"></label>
      <p class="small soft">${constant && told ? (told.named ? html`<button type="button" class="link small" data-do="constant_out">${count("words.constant.out", told.named)}</button>` : t("words.constant.none")) : t("words.constant.says")}</p>
      <div class="stack tight" role="group" aria-label="${t("words.varies")}"><span class="small soft">${t("words.varies")}</span><div class="row">${offered.map((one) => html`<button type="button" class="chip" data-do="words_varies" data-aspect="${one}" aria-pressed="${varies.includes(one)}">${t("aspect." + one)}</button>`)}</div>
      ${varies.map((one) => silent.has(one) ? html`<p class="small">${silent.get(one) ? html`<button type="button" class="link small" data-do="words_silent" data-aspect="${one}">${t(silent.get(one) === 1 ? "words.silent.one" : "words.silent.many", { n: silent.get(one), what: t("aspect." + one) })}</button>` : html`<span class="soft">${t("words.told", { what: t("aspect." + one) })}</span>`}</p>` : "")}</div>
      ${!told ? (open ? html`<div class="skeleton" style="height:80px"></div>` : "") : !told.bars.length ? html`<p class="soft small">${t("words.none")}</p>` : html`<div class="stack tight"><span class="small soft">${t("words.bars")}</span><ul class="wordbars">${told.bars.map(([word, n, everywhere]) => html`<li data-key="${word}"><button type="button" class="wordbar ${everywhere ? "warn" : ""}" data-do="words_with" data-word="${word}" title="${everywhere ? t("words.everywhere") : ""}" aria-label="${t("words.with", { word, n, total: told.total })}"><i style="width:${100 * n / told.total}%"></i><span dir="auto">${word}</span><span class="num">${n}</span></button><button type="button" class="bare slim" data-do="words_without" data-word="${word}" title="${t("words.without", { word })}" aria-label="${t("words.without", { word })}">≠</button>${everywhere ? html`<p class="small warn">${t("words.everywhere")}</p>` : ""}</li>`)}</ul></div>`}</div></details>`;
  }
  async function count_words(part) {
    const state = part.ui.words, version = part.view.version;
    if (!state.open || state.version === version) return;
    state.version = version;
    const answer = await part.ask("words", {}, { quiet: true });
    if (answer.ok && state === part.ui.words) { state.told = answer.told; part.draw(); }
  }
  async function only(part, values, says) {
    const answer = await part.ask("with_word", values);
    if (answer.ok) part.only(answer.keys, says);
  }

  const on = {
    ask_write() { const keys = targets(this); this.ui.write = { ...fresh(), keys }; this.draw(); dialog(this, "write"); propose(this); },
    close_write() { this.find("#write").close(); },
    write_source(box) { Object.assign(this.ui.write, { source: box.value, agreed: false }); propose(this); },
    write_mode(box) { this.ui.write.mode = box.value; propose(this); },
    write_template(box) { const write = this.ui.write; write.template = box.value; clearTimeout(write.timer); write.timer = setTimeout(() => propose(this), PAUSE_MS); },
    write_agree(box) { this.ui.write.agreed = box.checked; this.draw(); },
    async write_start() { const write = this.ui.write; await this.ask("write_start", { source: write.source, keys: write.keys, agreed: write.agreed }); this.draw(); this.look(); },
    async write_stop() { await this.ask("write_stop"); this.look(); },
    write_tick(box) { const { skip } = this.ui.write; box.checked ? skip.delete(box.dataset.item) : skip.add(box.dataset.item); this.draw(); },
    write_text(box) { this.ui.write.texts[box.dataset.item] = box.value; },
    write_more() { this.ui.write.shown += STEP; this.draw(); },
    async write_apply() {
      const write = this.ui.write, rows = taken(write);
      const answer = await this.ask("write_apply", { keys: rows.map(([key]) => key), texts: rows.map(([key, , text]) => write.texts[key] ?? text) });
      if (answer.ok) this.find("#write").close();
    },
    ask_bulk() { this.ui.bulkRows = []; dialog(this, "bulk"); },
    bulk_how(box) { this.ui.how = box.value; this.ui.bulkRows = []; this.draw(); sample(this); },
    bulk_typed() { clearTimeout(this.ui.bulkTimer); this.ui.bulkTimer = setTimeout(() => sample(this), PAUSE_MS); },
    close_bulk() { this.find("#bulk").close(); },
    async bulk(form) {
      const answer = await this.ask("bulk", asked(this));
      if (answer.ok) { form.reset(); Object.assign(this.ui, { how: "replace", bulkRows: [] }); this.find("#bulk").close(); this.draw(); }
    },
    words_open(box) { if (this.ui.words.open !== box.open) { this.ui.words.open = box.open; count_words(this); } },
    async words_constant(box) { await this.ask("tell", { constant: box.value, varies: this.view.captions.varies }); count_words(this); },
    async words_varies(button) {
      const { varies, constant } = this.view.captions, one = button.dataset.aspect;
      await this.ask("tell", { constant, varies: varies.includes(one) ? varies.filter((other) => other !== one) : [...varies, one] }); count_words(this);
    },
    words_with({ dataset: { word } }) { only(this, { word }, t("words.shown", { word })); },
    words_without({ dataset: { word } }) { only(this, { word, without: true }, t("words.shown_without", { word })); },
    words_silent({ dataset: { aspect } }) { only(this, { aspect }, t("words.shown_silent", { what: t("aspect." + aspect) })); },
  };
  /** After each view: words are counted again where they are shown; texts of a model are fetched once it is done. */
  function after(part) {
    count_words(part);
    const write = part.ui.write, job = part.now?.writing, mark = job ? job.run + job.state : "";
    if (write && job?.source === write.source && mark !== write.was && !["queued", "running"].includes(job.state)) { write.was = mark; if (part.find("#write")?.open) propose(part); }
    else if (write && part.find("#write")?.open && job?.source === write.source) { const place = part.find("#write [data-part=hub]"); if (place) brandprint.patch(place, hub(part, write, modelOf(part, write.source))); }
  }
  const isWriting = (part) => ["queued", "running"].includes(part.now?.writing?.state);
  return { panel, bulk, words, on, after, isWriting, wordsFresh, targets };
})();
