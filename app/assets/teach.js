/* The Teach step: three questions, the plan in words, the advanced drawer, and the training at work. */
"use strict";
(() => {
  const { t, count, html, flag, icon, file, go, define, duration, size, runPanel, lightbox, lightboxActions } = brandprint;
  const BUSY = ["queued", "running"];

  const art = {   // three quiet drawings, so that the question is seen before it is read
    product: `<svg viewBox="0 0 120 100" class="art" aria-hidden="true"><rect width="120" height="100" fill="var(--well)"/><ellipse cx="60" cy="86" rx="30" ry="4" fill="var(--line)"/><path d="M50 22h20v8c0 4 7 7 7 16v34a6 6 0 01-6 6H49a6 6 0 01-6-6V46c0-9 7-12 7-16z" fill="var(--accent)"/><rect x="49" y="14" width="22" height="10" rx="3" fill="var(--ink)"/><circle cx="60" cy="61" r="9" fill="var(--sheet)"/></svg>`,
    character: `<svg viewBox="0 0 120 100" class="art" aria-hidden="true"><rect width="120" height="100" fill="var(--well)"/><path d="M30 100c0-20 13-30 30-30s30 10 30 30z" fill="var(--accent)"/><circle cx="60" cy="45" r="24" fill="var(--ink)"/><circle cx="52" cy="44" r="4" fill="var(--sheet)"/><circle cx="68" cy="44" r="4" fill="var(--sheet)"/><path d="M52 54c4 4 12 4 16 0" stroke="var(--sheet)" stroke-width="2.5" fill="none" stroke-linecap="round"/></svg>`,
    style: `<svg viewBox="0 0 120 100" class="art" aria-hidden="true"><rect width="120" height="100" fill="var(--well)"/><circle cx="46" cy="44" r="22" fill="var(--accent)"/><rect x="56" y="40" width="38" height="38" rx="4" fill="var(--ink)" opacity=".86"/><path d="M20 86l22-30 22 30z" fill="var(--line-strong)"/></svg>`,
  };
  const raw = (text) => Object.assign(html``, { text });

  const tile = (view, intent) => html`<label class="tile" data-key="${intent}"><input type="radio" name="intent" value="${intent}" data-onchange="answer"${flag("checked", view.intent === intent)}>${raw(art[intent])}<b>${t("intent." + intent)}</b></label>`;
  const dialTile = (view, dial) => html`<label class="tile plain" data-key="${dial.id}"><input type="radio" name="dial" value="${dial.id}" data-onchange="answer"${flag("checked", view.dial === dial.id)}><b>${t("dial." + dial.id)}</b><small class="num">${dial.seconds ? duration(dial.seconds) : " "}</small></label>`;

  function questions(part, view) {
    const known = view.bases.some((base) => base.id === view.base);
    return html`<div class="questions">
      <fieldset class="sheet stack" style="margin:0;min-width:0"><legend class="sr">${t("teach.what")}</legend><h2 aria-hidden="true">${t("teach.what")}</h2><div class="tiles">${["product", "character", "style"].map((intent) => tile(view, intent))}</div></fieldset>
      <div class="sheet stack"><h2>${t("teach.called")}</h2>
        <label class="field">${t("teach.trigger")}<input type="text" name="trigger" data-onchange="answer" value="${view.trigger}" maxlength="80" placeholder="${t("teach.trigger.example")}" autocomplete="off" spellcheck="false"></label>
        <label class="field">${t("teach.noun")}<input type="text" name="noun" data-onchange="answer" value="${view.noun}" maxlength="80" placeholder="${t("teach.noun.example")}" autocomplete="off"></label>
        <p class="small soft">${view.trigger ? t("teach.called.says", { phrase: [view.trigger, view.noun].filter(Boolean).join(" ") }) : t("teach.called.empty")}</p></div>
      <fieldset class="sheet stack" style="margin:0;min-width:0"><legend class="sr">${t("teach.thorough")}</legend><h2 aria-hidden="true">${t("teach.thorough")}</h2><div class="tiles">${(view.dials.length ? view.dials : ["quick", "balanced", "thorough"].map((id) => ({ id, seconds: null }))).map((dial) => dialTile(view, dial))}</div>
        <label class="field">${t("teach.base")}<select data-onchange="base"${flag("disabled", false)}>${view.bases.map((base) => html`<option value="${base.id}"${flag("selected", base.id === view.base)}>${base.says}</option>`)}${known ? "" : html`<option value="${view.base}" selected>${view.base}</option>`}<option value="-other">${t("teach.base.other")}</option></select></label>
        ${part.ui.otherBase ? html`<label class="field">${t("teach.base.id")}<input type="text" name="base" data-onchange="answer" placeholder="owner/name" autocomplete="off" spellcheck="false"></label>` : ""}</fieldset></div>`;
  }
  /* What to do about a warning, as a button. */
  const remedy = { "few-pictures": ["advice.to_pictures", "to_pictures"], "empty-captions": ["advice.to_pictures", "to_pictures"], "same-captions": ["advice.to_pictures", "to_pictures"], "no-trigger": ["advice.trigger", "to_trigger"], long: ["advice.quick", "quick"], "too-slow": ["advice.quick", "quick"], flip: ["advice.no_flip", "no_flip"] };
  const remedyButton = (code) => remedy[code] ? html` <button type="button" class="link" data-do="${remedy[code][1]}">${t(remedy[code][0])}</button>` : "";
  function plan(view) {
    if (view.problem) return html`<div class="note bad"><b>${view.problem.message}</b> ${view.problem.fix}</div>`;
    if (!view.plan) return html`<div class="well">${t("teach.no_pictures")} <button type="button" class="link" data-do="to_pictures">${t("step.pictures")}</button></div>`;
    const { plan } = view, share = Math.min(100, 100 * plan.memory / plan.device_memory);
    return html`<section class="sheet stack"><div class="row spread"><h2>${t("teach.plan")}</h2></div>
      <p style="font-size:18px;line-height:1.45;max-width:60ch">${plan.says}</p>
      <ul class="plan-lines">${plan.lines.map((line) => html`<li data-key="${line.name}"><details><summary><span>${line.changed ? html`<span class="tag accent">${t("teach.changed")}</span> ` : ""}${line.says}</span><span class="why">${t("teach.why")}</span></summary><p>${line.reason}</p></details></li>`)}</ul>
      ${plan.warnings.map((advice) => html`<div class="note warn" data-key="${advice.code}">${advice.message} <span class="soft">${advice.fix}</span>${remedyButton(advice.code)}</div>`)}
      ${plan.refusal ? html`<div class="note bad"><b>${plan.refusal.message}</b> ${plan.refusal.fix}${remedyButton(plan.refusal.code)}</div>` : ""}
      <div class="forecast well"><div><span class="small soft">${t("teach.time")}</span><b class="num">${duration(plan.seconds)}</b><span class="small soft">${plan.measured ? t("teach.time.measured") : t("teach.time.guess", { device: plan.device })}</span></div>
        <div><span class="small soft">${t("teach.memory")}</span><b class="num">${size(plan.memory)}</b><div class="bar ${plan.fits ? share > 75 ? "tight-fit" : "" : "over"}" role="img" aria-label="${t("teach.memory.of", { n: Math.round(share) })}"><i style="width:${share}%"></i></div><span class="small soft num">${t("teach.memory.device", { size: size(plan.device_memory) })}</span></div>
        <div><span class="small soft">${t("teach.disk")}</span><b class="num">${size(plan.disk)}</b><span class="small soft">${t("teach.disk.says")}</span></div></div></section>`;
  }
  function control(field) {
    const id = "set-" + field.name.replace(".", "-"), common = `id="${id}"`;
    if (field.kind === "choice") return html`<select id="${id}" data-onchange="set" data-name="${field.name}">${field.choices.map((choice) => html`<option${flag("selected", choice === field.value)}>${choice}</option>`)}</select>`;
    if (field.kind === "tick") return html`<span class="check"><input id="${id}" type="checkbox" data-onchange="set" data-name="${field.name}"${flag("checked", field.value)}><span>${field.value ? t("yes") : t("no")}</span></span>`;
    if (field.kind === "lines") return html`<textarea id="${id}" rows="4" data-onchange="set" data-name="${field.name}">${field.value}</textarea>`;
    const isNumber = ["whole", "number"].includes(field.kind);
    return html`<input id="${id}" type="${isNumber ? "number" : "text"}" step="any" data-onchange="set" data-name="${field.name}" value="${field.value ?? ""}" placeholder="${t("automatic")}" min="${field.least ?? ""}" max="${field.most ?? ""}">`;
  }
  const drawer = (part, view) => !view.groups.length ? "" : html`<details class="drawer"><summary><span>${t("teach.advanced")}${view.plan.changes ? html` <span class="tag accent num">${t("teach.changes", { n: view.plan.changes })}</span>` : ""}</span>${icon("chevron")}</summary><div class="inside">
      <div class="row spread"><p class="small soft">${t("teach.advanced.says")}</p>${view.plan.changes ? html`<button type="button" class="link small" data-do="unset" data-name="">${t("teach.back")}</button>` : ""}</div>
      ${view.groups.map((group) => html`<section class="stack" data-key="${group.group}"><h3>${t("group." + group.group)}</h3><div class="fields">${group.fields.map((field) => html`<div class="setting ${field.changed ? "changed" : ""}" data-key="${field.name}"><label class="head" for="set-${field.name.replace(".", "-")}"><span>${field.label}</span><span class="soft">${field.unit}</span></label>${control(field)}<span class="help">${field.help}${field.changed ? html` <b>${field.advice}</b> <button type="button" class="link" data-do="unset" data-name="${field.name}">${t("teach.back.one")}</button>` : ""}</span></div>`)}</div></section>`)}</div></details>`;

  define("teach", {
    steps: ["teach"],
    ui: () => ({ again: false, otherBase: false, look: null, run: "" }),
    asks() { return { run: this.ui.run }; },
    every: (view) => view?.run && (BUSY.includes(view.run.state) || view.run.judging) ? 1000 : 0,
    render(view) {
      if (!view) return html`<div class="page"><div class="page-head"><h1>${t("step.teach")}</h1></div><div class="questions">${[1, 2, 3].map(() => html`<div class="skeleton" style="height:220px"></div>`)}</div></div>`;
      const run = view.run, busy = run && (BUSY.includes(run.state) || run.judging), showRun = run && !this.ui.again;
      const canStart = view.plan && !view.plan.refusal;
      return html`<div class="page"><div class="page-head"><div><h1>${showRun ? t("teach.run.title", { name: view.name }) : t("teach.title." + view.intent)}</h1><p>${showRun ? (busy ? t("teach.run.says") : t("teach.run.over")) : t("teach.says")}</p></div>
          ${view.runs.length > 1 && showRun ? html`<label><span class="sr">${t("teach.runs")}</span><select data-onchange="run" style="width:auto">${view.runs.map((one, index) => html`<option value="${one.id}"${flag("selected", one.id === run.id)}>${t("teach.run", { n: view.runs.length - index })} · ${t("state." + one.state)}</option>`)}</select></label>` : ""}</div>
        <div class="stack loose">${showRun ? runPanel(run) : html`${questions(this, view)}${plan(view)}${drawer(this, view)}`}</div>
        <div class="page-next">${showRun
          ? html`${busy ? "" : html`<button type="button" class="button" style="min-height:44px" data-do="again">${t("teach.again")}</button>`}<button type="button" class="button primary" data-do="to_compare"${flag("disabled", !run.saved.length && run.state !== "finished")}>${t("teach.next")}${icon("arrow")}</button>`
          : html`${run ? html`<button type="button" class="button" style="min-height:44px" data-do="not_again">${t("teach.to_run")}</button>` : ""}<span class="small soft aside">${view.plan ? t("about", { time: duration(view.plan.seconds) }) : ""}</span><button type="button" class="button primary" data-do="start"${flag("disabled", !canStart)}>${t("teach.start")}${icon("arrow")}</button>`}</div>
        ${lightbox(this)}</div>`;
    },
    on: {
      ...lightboxActions,
      answer(box) { this.ui.otherBase = false; this.ask("answer", { name: box.name, value: box.value }); },
      base(box) { if (box.value === "-other") { this.ui.otherBase = true; this.draw(); } else { this.ui.otherBase = false; this.ask("answer", { name: "base", value: box.value }); } },
      async set(box) { const answer = await this.ask("set", { name: box.dataset.name, value: box.type === "checkbox" ? box.checked : box.value }); if (!answer.ok) this.draw(); },
      async start() { const answer = await this.ask("start"); if (answer.ok) { this.ui.again = false; this.ui.run = ""; window.scrollTo(0, 0); this.look(); } },
      async stop(button) { await this.ask("stop", { run: button.dataset.run }); this.look(); },
      async stop_keep(button) { await this.ask("stop", { run: button.dataset.run, keep: true }); this.look(); },
      async resume(button) { await this.ask("resume", { run: button.dataset.run }); this.look(); },
      run(box) { this.ui.run = box.value; this.look(); },
      again() { this.ui.again = true; this.draw(); window.scrollTo(0, 0); },
      not_again() { this.ui.again = false; this.draw(); },
      to_trigger() { this.find("input[name=trigger]").focus(); },
      quick() { this.ask("answer", { name: "dial", value: "quick" }); },
      no_flip() { this.ask("set", { name: "pictures.flip", value: false }); },
      to_pictures() { go({ step: "pictures" }); },
      to_compare() { go({ step: "compare" }); },
    },
  });
})();
