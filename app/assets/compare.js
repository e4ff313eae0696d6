/* The Compare step: bench with a slider between base and adapter (mouse, touch, arrow keys), prompt and chips, film, board. */
"use strict";
(() => {
  const { t, html, flag, icon, file, go, place, define, toast, lightbox, lightboxActions } = brandprint;
  const PENDING = ["queued", "running"];
  const current = (part) => part.view?.film.find((frame) => frame.id === part.ui.shown) || part.view?.film[0] || null;
  const strengthOf = (part) => part.ui.strength ?? part.view.chosen.strength;
  const stepOf = (part) => part.ui.step ?? part.view.chosen.step;

  function bench(part, view) {
    const frame = current(part);
    if (!frame) return html`<div class="bench"><div class="stage"><b>${t("compare.empty")}</b><span class="soft small">${t("compare.empty.says")}</span></div></div>`;
    const shape = `--shape:${frame.width} / ${frame.height}`, pending = PENDING.includes(frame.state);
    const waits = pending && !frame.taught;
    return html`<div class="bench">${waits ? html`<div class="stage" style="${shape}" role="status"><b>${frame.state === "queued" ? (view.busy ? t("compare.waits", { name: view.busy }) : t("compare.queued")) : frame.percent ? t("compare.drawing", { percent: frame.percent }) : t("compare.warming")}</b><div class="bar" style="width:200px"><i style="width:${frame.percent}%"></i></div>${view.busy ? html`<span class="small soft">${t("compare.waits.says")}</span>` : ""}<button type="button" class="link small" data-do="stop" data-run="${frame.run}">${t("cancel")}</button></div>`
      : frame.state === "failed" && !frame.taught ? html`<div class="stage"><b class="bad">${frame.error?.[0]}</b><span class="soft small">${frame.error?.[1]}</span></div>`
      : html`<div class="slider picture" style="${shape};--at:${part.ui.at}%">
          ${frame.base ? html`<img src="${file(frame.base)}" alt="${t("compare.alt.base", { prompt: frame.prompt })}">` : html`<span class="skeleton" style="position:absolute;inset:0"></span>`}
          <img class="over" src="${file(frame.taught)}" alt="${t("compare.alt.taught", { prompt: frame.prompt })}">
          <span class="side left">${t("compare.base")}</span><span class="side right">${t("compare.taught")}</span><span class="edge"></span>
          <input type="range" min="0" max="100" step="1" value="${part.ui.at}" data-oninput="slide" aria-label="${t("compare.slider")}" aria-valuetext="${t("compare.slider.value", { n: 100 - part.ui.at })}"></div>`}
      ${frame.taught ? html`<div class="row spread" style="width:min(100%,560px)"><span class="small soft num" style="overflow-wrap:anywhere">${t(frame.step ? "compare.made" : "compare.made.whole", { step: frame.step, strength: frame.strength, seed: frame.seed, width: frame.width, height: frame.height })}</span><span class="row"><button type="button" class="bare star" data-do="star" data-id="${frame.id}" aria-pressed="${frame.is_starred}" aria-label="${t("compare.star")}">${icon("star")}</button><a class="button slim" href="${file(frame.taught)}" download="${view.name}-${frame.seed}.png">${icon("down")}${t("download")}</a></span></div>` : ""}</div>`;
  }
  function strengths(part, view) {
    const value = strengthOf(part), step = stepOf(part), result = view.results.find((one) => one.run === (part.ui.run || view.chosen.run)) || view.results[0];
    return html`<div class="row wide" style="align-items:end;margin-top:16px"><label class="field grow" style="min-width:200px"><span class="row spread"><span>${t("compare.strength")}</span><b class="num" style="color:var(--ink)">${(+value).toFixed(2)}</b></span><input type="range" min="0" max="1.6" step="0.05" value="${value}" data-oninput="strength" data-onchange="strength_set"></label>
      ${result.steps.length ? html`<label class="field">${t("compare.checkpoint")}<select data-onchange="step" style="min-width:160px">${result.steps.map((one) => html`<option value="${one}"${flag("selected", one === step)}>${one === view.chosen.pick ? t("compare.picked", { n: one }) : one}</option>`)}</select></label>` : ""}
      ${view.results.length > 1 ? html`<label class="field">${t("compare.training")}<select data-onchange="run">${view.results.map((one, index) => html`<option value="${one.run}"${flag("selected", one.run === result.run)}>${t("teach.run", { n: view.results.length - index })}</option>`)}</select></label>` : ""}
      ${part.ui.step !== null || part.ui.strength !== null ? html`<button type="button" class="button" data-do="choose">${t("compare.use")}</button>` : ""}</div>`;
  }
  function form(part, view) {
    return html`<form class="stack" data-submit="draw"><label class="field">${t("compare.prompt")}<textarea name="prompt" rows="3" data-oninput="prompt" required>${part.ui.prompt ?? defaultPrompt(view)}</textarea></label>
      <button class="button primary">${t("compare.draw")}</button>
      <div class="row" role="group" aria-label="${t("compare.chips")}">${view.phrase ? html`<button type="button" class="chip" data-do="chip" data-text="${view.phrase}" style="font-weight:600">${view.phrase}</button>` : ""}${view.contexts.map((text) => html`<button type="button" class="chip" data-do="chip" data-text="${text}">${text}</button>`)}</div>
      <div class="stack tight"><span class="small soft" id="shape-label">${t("compare.shape")}</span><div class="shapes" role="group" aria-labelledby="shape-label">${view.shapes.map((shape) => { const k = 30 / Math.max(shape.width, shape.height); return html`<button type="button" class="shape" data-do="shape" data-id="${shape.id}" aria-pressed="${part.ui.shape === shape.id}" title="${shape.width} × ${shape.height} px"><i style="width:${Math.round(shape.width * k)}px;height:${Math.round(shape.height * k)}px"></i>${t("shape." + shape.id)}</button>`; })}</div></div>
      <div class="row" style="align-items:end;flex-wrap:nowrap"><label class="field grow">${t("compare.seed")}<input type="number" name="seed" min="0" max="4294967295" value="${part.ui.seed}" data-oninput="seed"></label><button type="button" class="button" data-do="lock" aria-pressed="${part.ui.locked}" aria-label="${t("compare.lock")}" title="${t("compare.lock")}" style="min-height:40px">${icon(part.ui.locked ? "lock" : "unlock")}</button><label class="field">${t("compare.count")}<select data-onchange="count" style="min-width:76px">${[1, 2, 4, 8].map((n) => html`<option${flag("selected", n === part.ui.pictures)}>${n}</option>`)}</select></label></div>
      <details${flag("open", part.ui.negative)}><summary class="link small">${t("compare.negative")}</summary><label class="field" style="margin-top:8px"><span class="sr">${t("compare.negative")}</span><input type="text" name="negative" data-oninput="negative" value="${part.ui.negative}"></label></details></form>`;
  }
  const defaultPrompt = (view) => view.chosen?.prompts[0] || view.phrase || "";
  const film = (part, view) => !view.film.length ? "" : html`<section style="margin-top:32px"><div class="row spread" style="margin-bottom:10px"><h2>${t("compare.film")}</h2>${view.film.some((frame) => frame.is_starred) ? html`<button type="button" class="chip" data-do="only_starred" aria-pressed="${part.ui.onlyStarred}">${t("compare.starred")}</button>` : ""}</div><div class="film" tabindex="0" role="group" aria-label="${t("compare.film")}">${view.film.filter((frame) => !part.ui.onlyStarred || frame.is_starred).map((frame) => html`<figure class="${current(part)?.id === frame.id ? "shown" : ""}" data-key="${frame.id}"><button type="button" class="frame picture" data-do="show" data-id="${frame.id}" aria-label="${t("compare.show", { prompt: frame.prompt, seed: frame.seed })}">${frame.taught ? html`<img src="${file(frame.taught)}" alt="" loading="lazy" width="132" height="132">` : html`<span class="skeleton" style="display:block;height:100%"></span>`}</button>${frame.taught ? html`<button type="button" class="bare star" data-do="star" data-id="${frame.id}" aria-pressed="${frame.is_starred}" aria-label="${t("compare.star")}">${icon("star")}</button>` : ""}<figcaption class="num" title="${frame.prompt}">${frame.prompt}</figcaption></figure>`)}</div></section>`;

  function board(part, view) {
    const board = view.board;
    if (!board) return html`<section style="margin-top:32px" class="stack"><h2>${t("board.title")}</h2><div class="row"><p class="soft grow">${t("board.says")}</p><button type="button" class="button" data-do="lay">${t("board.lay")}</button></div></section>`;
    const blind = part.ui.blind, columns = blind ? part.ui.order : board.strengths;
    const find = (step, strength, prompt) => board.cells.find((cell) => cell.step === step && Math.abs(cell.strength - strength) < 1e-6 && cell.prompt === prompt) || (strength === 0 ? board.cells.find((cell) => cell.strength === 0 && cell.prompt === prompt) : null);
    const says = (row, strength) => t(row.step ? "board.cell" : "board.cell.whole", { step: row.step, strength, prompt: row.prompt });   // what came from elsewhere has no checkpoints
    const rows = board.steps.flatMap((step) => board.prompts.map((prompt, index) => ({ step, prompt, index })));
    return html`<section style="margin-top:32px" class="stack"><div class="row spread"><h2>${t("board.title")}</h2><div class="row">${PENDING.includes(board.state) ? html`<span class="small soft num" role="status">${t("board.drawing", { done: board.cells.length, total: board.total || "…" })}</span><button type="button" class="link small" data-do="stop" data-run="${board.run}">${t("cancel")}</button>` : html`<button type="button" class="chip" data-do="blind" aria-pressed="${blind}">${t("board.blind")}</button>${board.sheets.map((path) => html`<a class="button slim" href="${file(path)}" download="${view.name}-${path.split("/").pop()}">${icon("down")}${path.endsWith("pdf") ? "PDF" : "PNG"}</a>`)}<button type="button" class="button slim" data-do="lay">${t("board.again")}</button>`}</div></div>
      ${blind ? html`<p class="small soft">${t("board.blind.says")}</p>` : ""}${board.error ? html`<div class="note bad">${board.error[0]} ${board.error[1]}</div>` : ""}
      <div class="board" tabindex="0" role="region" aria-label="${t("board.title")}"><table><thead><tr><th scope="col">${t("board.checkpoint")}</th>${columns.map((strength, index) => html`<th scope="col" class="num">${blind ? String.fromCharCode(65 + index) : strength === 0 ? t("compare.base") : strength}${!blind && part.ui.votes[strength] ? html` <span class="tag good">★ ${part.ui.votes[strength]}</span>` : ""}</th>`)}</tr></thead>
        <tbody>${rows.map((row) => html`<tr data-key="${row.step}-${row.index}"><th scope="row" class="num">${row.step || "–"}${row.step === view.chosen.pick ? html` <span class="tag good">${t("run.pick")}</span>` : ""}<br><span class="small soft" style="font-weight:400;display:block;max-width:160px">${row.prompt}</span></th>${columns.map((strength) => { const cell = find(row.step, strength, row.prompt); const best = !blind && row.step === view.chosen.step && strength === view.chosen.strength; return html`<td class="${best ? "best" : ""}">${cell ? html`<button type="button" data-do="${blind ? "vote" : "look_at"}" data-strength="${strength}" data-src="${cell.path}" data-says="${says(row, strength)}"><img src="${file(cell.path)}" alt="${blind ? row.prompt : says(row, strength)}" loading="lazy" width="128" height="128"></button>` : html`<span class="skeleton" style="display:block;width:128px;height:128px"></span>`}</td>`; })}</tr>`)}</tbody></table></div></section>`;
  }
  define("compare", {
    steps: ["compare"],
    ui: () => ({ shown: "", at: 50, prompt: null, negative: "", seed: 1, locked: true, pictures: 1, shape: "square", step: null, strength: null, run: "", onlyStarred: false, blind: false, order: [], votes: {}, look: null }),
    every: (view) => !view ? 0 : view.film.some((frame) => PENDING.includes(frame.state)) ? 350 : view.board && PENDING.includes(view.board.state) ? 1500 : 15000,
    render(view) {
      if (!view) return html`<div class="page"><div class="page-head"><h1>${t("step.compare")}</h1></div><div class="skeleton" style="height:480px"></div></div>`;
      if (!view.chosen) return html`<div class="page"><div class="page-head"><h1>${t("step.compare")}</h1></div><div class="drop"><h2>${t("compare.nothing")}</h2><p class="soft">${t("compare.nothing.says")}</p><button type="button" class="button primary" data-do="to_teach">${t("step.teach")}${icon("arrow")}</button></div></div>`;
      return html`<div class="page"><div class="page-head"><div><h1>${t("compare.title")}</h1><p>${t("compare.says")}</p></div></div>
        <div class="compare-layout"><div>${bench(this, view)}${strengths(this, view)}${film(this, view)}${board(this, view)}</div><aside class="sheet">${form(this, view)}</aside></div>
        <div class="page-next"><button type="button" class="button primary" data-do="to_handover">${t("step.handover")}${icon("arrow")}</button></div>${lightbox(this)}</div>`;
    },
    draw_now: async function () {
      const view = this.view, seed = this.ui.locked ? +this.ui.seed : Math.floor(Math.random() * 2 ** 31);
      this.ui.seed = seed;
      const answer = await this.ask("draw", { prompt: this.ui.prompt ?? defaultPrompt(view), negative: this.ui.negative, seed, pictures: this.ui.pictures, shape: this.ui.shape, run: this.ui.run || view.chosen.run, step: stepOf(this), strength: +strengthOf(this) });
      if (answer.ok) { this.ui.shown = answer.drawing + "/0"; this.draw(); this.look(); }
    },
    on: {
      ...lightboxActions,
      draw() { this.kind.draw_now.call(this); },
      slide(box) { this.ui.at = +box.value; this.find(".slider").style.setProperty("--at", box.value + "%"); box.setAttribute("aria-valuetext", t("compare.slider.value", { n: 100 - box.value })); },
      prompt(box) { this.ui.prompt = box.value; }, negative(box) { this.ui.negative = box.value; }, seed(box) { this.ui.seed = box.value; },
      count(box) { this.ui.pictures = +box.value; },
      chip(button) {
        const box = this.find("textarea[name=prompt]"), text = button.dataset.text, now = box.value.trim();
        if (now.toLowerCase().includes(text.toLowerCase())) return;
        box.value = text === this.view.phrase ? [text, now].filter(Boolean).join(", ") : [now, text].filter(Boolean).join(", ");
        this.ui.prompt = box.value;
      },
      shape(button) { this.ui.shape = button.dataset.id; this.draw(); },
      lock() { this.ui.locked = !this.ui.locked; this.draw(); },
      strength(box) { this.ui.strength = +box.value; this.draw(); },
      strength_set() { if (this.view.film.length) this.kind.draw_now.call(this); },
      step(box) { this.ui.step = +box.value; this.draw(); if (this.view.film.length) this.kind.draw_now.call(this); },
      run(box) { this.ui.run = box.value; this.ui.step = this.view.results.find((one) => one.run === box.value).steps.at(-1) ?? 0; this.draw(); },
      async choose() { const answer = await this.ask("choose", { run: this.ui.run || this.view.chosen.run, step: stepOf(this), strength: +strengthOf(this) }); if (answer.ok) { this.ui.step = this.ui.strength = null; this.draw(); toast(t("compare.used"), "", "good"); } },
      show(button) { this.ui.shown = button.dataset.id; this.draw(); },
      async star(button) { await this.ask("star", { id: button.dataset.id }); },
      only_starred() { this.ui.onlyStarred = !this.ui.onlyStarred; this.draw(); },
      async stop(button) { await this.ask("stop", { run: button.dataset.run }); this.look(); },
      async lay() { await this.ask("board", { run: this.ui.run || this.view.chosen.run, prompt: this.ui.prompt ?? "" }); this.look(); },
      blind() { this.ui.blind = !this.ui.blind; if (this.ui.blind) { this.ui.order = [...this.view.board.strengths].sort(() => Math.random() - .5); this.ui.votes = {}; } this.draw(); },
      vote(button) { const strength = button.dataset.strength; this.ui.votes[strength] = (this.ui.votes[strength] || 0) + 1; toast(t("board.voted"), "", "good"); },
      to_teach() { go({ step: "teach" }); }, to_handover() { go({ step: "handover" }); },
    },
  });
})();
