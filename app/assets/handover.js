/* The Hand over step: apps, ticks as files are made and proven, one zip, the facts that go with it. */
"use strict";
(() => {
  const { t, html, flag, icon, file, go, define, size, count, toast } = brandprint;
  const BUSY = ["queued", "running"];
  const chosen = (part) => part.ui.apps ?? part.view.export?.apps ?? part.view.apps.filter((app) => app.usual).map((app) => app.id);
  const app = (part, one) => html`<label class="target" data-key="${one.id}"><span class="head">${t("app." + one.id)}<input type="checkbox" value="${one.id}" data-onchange="app"${flag("checked", chosen(part).includes(one.id))}></span><span class="small soft">${t("file." + one.format)}</span></label>`;
  function ticks(view) {
    const { export: made } = view;
    if (!made) return "";
    if (BUSY.includes(made.state)) return html`<section class="sheet stack" role="status"><h2>${made.state === "queued" ? (view.busy ? t("handover.waits", { name: view.busy }) : t("handover.queued")) : t("handover.making")}</h2><div class="bar" role="progressbar" aria-valuemin="0" aria-valuemax="100" aria-valuenow="${made.total ? Math.round(100 * made.done / made.total) : 0}" aria-label="${t("handover.making")}"><i style="width:${made.total ? 100 * made.done / made.total : 3}%"></i></div><p class="small soft">${made.phase}</p></section>`;
    if (made.state === "failed" || made.state === "interrupted") return html`<div class="note bad"><b>${made.error?.[0] || t("run.interrupted")}</b> ${made.error?.[1] || ""}</div>`;
    return html`<section class="sheet stack"><div class="row spread"><h2>${t("handover.files")}</h2>${made.effect ? html`<span class="small soft num">${t("handover.effect", { n: made.effect })}</span>` : ""}</div>
      ${made.advice.map((advice) => html`<div class="note warn">${advice.message} <span class="soft">${advice.fix}</span></div>`)}
      <ul class="ticks">${made.files.map((one) => html`<li data-key="${one.name}"><span class="${one.checked ? "good" : "soft"}">${icon(one.checked ? "check" : "file")}</span><span style="min-width:0"><a class="link" style="overflow-wrap:anywhere" href="${file(one.path)}" download>${one.name}</a><br><span class="small soft">${t("file." + one.kind)}${one.checked ? html` · <span class="good">${t("handover.checked")}</span>` : ""}</span></span><span class="small soft num nowrap">${size(one.bytes)}</span></li>`)}</ul></section>`;
  }
  const GROUNDS = ["own work", "licence", "consent", "release", "public domain", "other"];
  const rights = ({ stated, uncovered, line }) => html`<section class="sheet stack" id="rights"><h2>${t("rights.title")}</h2>
      ${stated.length ? html`<ul class="ticks">${stated.map((one, index) => html`<li><span class="good">${icon("check")}</span><span style="min-width:0;overflow-wrap:anywhere">${one.owner}, ${t("ground." + one.ground)}<br><span class="small soft">${[one.note, one.pictures === "*" ? "" : one.pictures, one.proofs ? count("rights.proofs.count", one.proofs) : ""].filter(Boolean).join(" · ")}</span></span><button type="button" class="bare" data-do="withdraw" data-index="${index}" aria-label="${t("rights.withdraw", { owner: one.owner })}">${icon("close")}</button></li>`)}</ul>` : html`<p class="small soft">${line || t("rights.none")}</p>`}
      ${stated.length && uncovered ? html`<p class="small warn">${count("rights.uncovered", uncovered)}</p>` : ""}
      <details${flag("open", !stated.length && !line)}><summary class="small">${t("rights.more")}</summary><div class="stack" style="margin-top:12px">
        <label class="field">${t("rights.owner")}<input type="text" name="owner" maxlength="200" placeholder="${t("rights.owner.example")}" autocomplete="organization"></label>
        <label class="field">${t("rights.ground")}<select name="ground">${GROUNDS.map((one) => html`<option value="${one}">${t("ground." + one)}</option>`)}</select></label>
        <label class="field">${t("rights.note")}<input type="text" name="note" maxlength="500" placeholder="${t("rights.note.example")}" autocomplete="off"></label>
        <label class="field">${t("rights.pictures")}<input type="text" name="pictures" maxlength="200" placeholder="${t("rights.pictures.example")}" autocomplete="off"></label>
        <label class="field">${t("rights.proofs")}<input type="file" name="proofs" multiple></label>
        <button type="button" class="button" data-do="state">${t("rights.add")}</button></div></details></section>`;
  define("handover", {
    steps: ["handover"],
    ui: () => ({ apps: null }),
    every: (view) => view?.export && BUSY.includes(view.export.state) ? 700 : 0,
    render(view) {
      if (!view) return html`<div class="page"><div class="page-head"><h1>${t("handover.title")}</h1></div><div class="skeleton" style="height:320px"></div></div>`;
      if (!view.result) return html`<div class="page"><div class="page-head"><h1>${t("handover.title")}</h1></div><div class="drop"><h2>${t("handover.nothing")}</h2><p class="soft">${t("compare.nothing.says")}</p><button type="button" class="button primary" data-do="to_teach">${t("step.teach")}${icon("arrow")}</button></div></div>`;
      const { result, export: made } = view, busy = made && BUSY.includes(made.state), ready = made?.zip && !busy;
      return html`<div class="page"><div class="page-head"><div><h1>${t("handover.title")}</h1><p>${t("handover.says")}</p></div></div>
        <form class="handover-layout" data-submit="make"><div class="stack loose">
          <fieldset class="stack" style="border:0;padding:0;margin:0;min-width:0"><legend class="sr">${t("handover.apps")}</legend><h2 aria-hidden="true">${t("handover.apps")}</h2><div class="targets">${view.apps.map((one) => app(this, one))}</div></fieldset>
          ${ticks(view)}
          <section class="sheet stack"><h2>${t("handover.install")}</h2><dl class="facts">${view.apps.filter((one) => chosen(this).includes(one.id)).map((one) => html`<dt>${t("app." + one.id)}</dt><dd>${one.says}</dd>`)}</dl></section></div>
          <aside class="stack loose"><section class="sheet stack">${result.cover ? html`<img class="picture" src="${file(result.cover)}" alt="${result.phrase}" style="width:100%;aspect-ratio:1;object-fit:cover">` : ""}<h2>${t("handover.facts")}</h2>
            <dl class="facts"><dt>${t("handover.trigger")}</dt><dd><b>${result.phrase || "–"}</b></dd><dt>${t("handover.strength")}</dt><dd class="num">${result.strength}</dd>${result.step ? html`<dt>${t("handover.checkpoint")}</dt><dd class="num">${result.step}</dd>` : ""}<dt>${t("handover.base")}</dt><dd>${result.base}</dd><dt>${t("handover.do")}</dt><dd>${t("handover.do.says", { phrase: result.phrase })}</dd><dt>${t("handover.dont")}</dt><dd>${t("handover.dont.says", { n: (result.strength * 1.4).toFixed(1) })}</dd></dl>
            ${result.warnings.map((warning) => html`<p class="note warn small">${warning}</p>`)}${view.report ? html`<a class="link" href="${file(view.report)}" download>${t("handover.report")}</a>` : ""}</section>
            <section class="sheet stack"><label class="field">${t("handover.name")}<input type="text" name="name" value="${view.file_name}" maxlength="48" autocomplete="off"></label><label class="field">${t("handover.licence")}<input type="text" name="licence" value="${view.licence}" maxlength="500" placeholder="${t("handover.licence.example")}"></label></section>${rights(view.rights)}</aside>
          <div class="page-next">${ready ? html`${view.folders.map((name, index) => html`<button type="button" class="button" style="min-height:44px" data-do="copy" data-index="${index}">${t("handover.copy", { folder: name })}</button>`)}<button class="button" style="min-height:44px">${t("handover.again")}</button><a class="button primary" href="${file(made.zip)}" download>${icon("down")}${t("handover.zip")} <span class="num" style="font-weight:400">${size(made.zip_bytes)}</span></a>` : html`<button class="button primary"${flag("disabled", busy || !chosen(this).length)}>${t("handover.make")}${icon("arrow")}</button>`}</div></form></div>`;
    },
    on: {
      app(box) { const apps = new Set(chosen(this)); box.checked ? apps.add(box.value) : apps.delete(box.value); this.ui.apps = [...apps]; this.draw(); },
      async make(form) { await this.ask("make", { apps: chosen(this), name: form.elements.name.value, licence: form.elements.licence.value }); this.look(); },
      async state(button) {
        const fields = button.closest("form").elements, files = brandprint.gatherInput(fields.proofs);
        let sent = [];
        if (files.length) try { sent = await brandprint.send(files, () => {}); } catch { toast(t("pictures.not_sent"), "", "bad"); return; }
        const answer = await this.ask("state", { owner: fields.owner.value, ground: fields.ground.value, note: fields.note.value, pictures: fields.pictures.value, proofs: sent.map((one) => one.path) });
        if (answer.ok) for (const name of ["owner", "note", "pictures", "proofs"]) fields[name].value = "";
      },
      async withdraw(button) { await this.ask("withdraw", { index: +button.dataset.index }); },
      async copy(button) { await this.ask("copy", { index: +button.dataset.index }); },
      to_teach() { go({ step: "teach" }); },
    },
  });
})();
