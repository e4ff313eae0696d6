/* The Library: adapters as sleeves, filters, import, mixing two with sliders. */
"use strict";
(() => {
  const { t, html, flag, icon, file, define, dialog, toast, gatherInput, send } = brandprint;
  const date = (text) => text ? new Date(text).toLocaleDateString(undefined, { day: "numeric", month: "short", year: "numeric" }) : "";
  const sleeve = (one) => html`<article class="sleeve" data-key="${one.id}"><button type="button" class="cover" data-do="open" data-of="${one.project}" data-run="${one.run}"${flag("disabled", one.state !== "ready")} aria-label="${t("home.open", { name: one.name })}">${one.picture ? html`<img src="${file(one.picture)}" alt="" loading="lazy" width="256" height="256">` : html`<span class="blank">${one.state === "ready" ? icon("picture") : one.error ? t("library.failed") : t("library.reading")}</span>`}</button>
    <div class="text"><div class="row spread" style="flex-wrap:nowrap"><h3 style="overflow-wrap:anywhere">${one.name}</h3>${one.run ? html`<details class="menu"><summary class="bare" aria-label="${t("library.more", { name: one.name })}">${icon("more")}</summary><div class="menu-list">${one.file ? html`<button type="button" data-do="start_mix" data-id="${one.id}">${t("library.mix")} …</button><a href="${file(one.file)}" download="${one.project}.safetensors">${icon("down")}${t("library.download")}</a>` : ""}<button type="button" data-do="delete" data-of="${one.project}" data-run="${one.run}">${icon("trash")}${t("library.delete")}</button></div></details>` : ""}</div>
      <span class="small">${one.trigger ? html`<b style="font-weight:550">${one.trigger}</b>` : html`<span class="soft">${t("intent." + one.intent)}</span>`}</span>${one.error ? html`<span class="small bad">${one.error[0]} ${one.error[1]}</span>` : ""}<span class="small soft num">${one.base} · ${date(one.made_at)}${one.score !== null ? " · " + t("library.score", { n: one.score }) : ""}</span></div></article>`;
  const options = (list, picked) => list.map((one) => html`<option value="${one.id}"${flag("selected", one.id === picked)}>${one.name} · ${date(one.made_at)}</option>`);
  function mixer(part, ready) {
    const { mix } = part.ui;
    return html`<dialog id="mix" aria-labelledby="mix-title"><form class="stack" data-submit="mix"><h2 id="mix-title">${t("library.mix.title")}</h2><p class="small soft">${t("library.mix.says")}</p>
      ${["first", "second"].map((which) => html`<div class="stack tight" data-key="${which}"><label class="field">${t("library.mix." + which)}<select name="${which}" data-onchange="mix_pick">${options(ready, mix[which])}</select></label><label class="row"><span class="sr">${t("compare.strength")}</span><input class="grow" type="range" name="${which}_strength" min="0" max="1.5" step="0.05" value="${mix[which + "_strength"]}" data-oninput="mix_set"><b class="num" style="width:44px;text-align:right">${(+mix[which + "_strength"]).toFixed(2)}</b></label></div>`)}
      <div class="row" style="justify-content:flex-end"><button type="button" class="button" data-do="close_mix">${t("cancel")}</button><button class="button primary"${flag("disabled", !mix.first || !mix.second || mix.first === mix.second)}>${t("library.mix.do")}</button></div></form></dialog>`;
  }
  define("library", {
    steps: ["library"],
    ui: () => ({ base: "", intent: "", mix: { first: "", second: "", first_strength: 0.8, second_strength: 0.8 }, sending: false }),
    every: (view) => view?.adapters.some((one) => ["queued", "running"].includes(one.state)) ? 1200 : 0,
    render(view) {
      const all = view?.adapters || [], ready = all.filter((one) => one.state === "ready"), bases = [...new Set(all.map((one) => one.base))];
      const shown = all.filter((one) => (!this.ui.base || one.base === this.ui.base) && (!this.ui.intent || one.intent === this.ui.intent));
      return html`<div class="page"><div class="page-head"><div><h1>${t("library.title")}</h1><p>${t("library.says")}</p></div><div class="row">
          ${bases.length > 1 ? html`<label><span class="sr">${t("library.filter.base")}</span><select data-onchange="base" style="width:auto"><option value="">${t("library.all_bases")}</option>${bases.map((base) => html`<option${flag("selected", base === this.ui.base)}>${base}</option>`)}</select></label>` : ""}
          ${all.length > 1 ? html`<label><span class="sr">${t("library.filter.intent")}</span><select data-onchange="intent" style="width:auto"><option value="">${t("library.all_intents")}</option>${["product", "character", "style"].map((intent) => html`<option value="${intent}"${flag("selected", intent === this.ui.intent)}>${t("intent." + intent)}</option>`)}</select></label>` : ""}
          ${ready.length > 1 ? html`<button type="button" class="button" data-do="start_mix" data-id="${ready[0].id}">${t("library.mix")}</button>` : ""}</div></div>
        <div class="sleeves">${!view ? [1, 2, 3, 4].map((n) => html`<div class="skeleton" data-key="-${n}" style="aspect-ratio:.75"></div>`) : shown.map(sleeve)}
          <label class="home-new" data-key="-import" style="cursor:pointer" data-ondragover="over" data-ondragleave="leave" data-ondrop="drop">${icon("plus")}<b style="color:var(--ink)">${t("library.import")}</b><span class="small">${t("library.import.says")}</span><input class="sr" type="file" accept=".safetensors" data-onchange="files"></label></div>
        ${view && !all.length ? html`<p class="soft" style="margin-top:24px">${t("library.empty.says")}</p>` : ""}${mixer(this, ready)}</div>`;
    },
    on: {
      base(box) { this.ui.base = box.value; this.draw(); }, intent(box) { this.ui.intent = box.value; this.draw(); },
      over(zone, event) { event.preventDefault(); zone.classList.add("over"); }, leave(zone) { zone.classList.remove("over"); },
      async drop(zone, event) { event.preventDefault(); zone.classList.remove("over"); this.kind.take.call(this, await brandprint.gather(event.dataTransfer)); },
      files(input) { const files = gatherInput(input); input.value = ""; this.kind.take.call(this, files); },
      start_mix(button) { const others = this.view.adapters.filter((one) => one.state === "ready" && one.id !== button.dataset.id); this.ui.mix.first = button.dataset.id; this.ui.mix.second = others[0]?.id || ""; this.draw(); dialog(this, "mix"); },
      close_mix() { this.find("#mix").close(); },
      mix_pick(box) { this.ui.mix[box.name] = box.value; this.draw(); }, mix_set(box) { this.ui.mix[box.name] = box.value; this.draw(); },
      async mix() { const answer = await this.ask("mix", this.ui.mix); if (answer.ok) { this.find("#mix").close(); this.look(); } },
    },
    async take(files) {
      for (const entry of files) {
        try { const [sent] = await send([entry], () => {}); await this.ask("import", sent); }
        catch (error) { toast(entry.name, t("pictures.not_sent"), "bad"); }
      }
      this.look();
    },
  });
})();
