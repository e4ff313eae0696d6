/* A training at work or over: percent, time left, curves, previews by checkpoint, advice, log, verdict. Drawn from numbers only. */
"use strict";
(() => {
  const { t, html, flag, icon, file, duration, define } = brandprint;
  const W = 720, H = 260, LEFT = 4, RIGHT = 4, TOP = 10, BOTTOM = 10;

  function chart(run) {
    const points = [...run.curve, ...run.held_out];
    if (run.curve.length < 2) return html`<div class="chart skeleton" role="img" aria-label="${t("run.chart.soon")}"></div>`;
    const values = points.map((point) => point[1]).concat(run.base_loss ? [run.base_loss] : []).sort((a, b) => a - b);
    const low = values[0], high = values[Math.max(0, Math.floor(values.length * .985) - 1)], pad = (high - low) * .08 || .01;
    const y = (value) => TOP + (H - TOP - BOTTOM) * (1 - Math.min(1, Math.max(0, (value - low + pad) / (high - low + 2 * pad))));
    const x = (step) => LEFT + (W - LEFT - RIGHT) * step / Math.max(1, run.total_steps);
    const path = (list) => list.map(([step, value], index) => (index ? "L" : "M") + x(step).toFixed(1) + " " + y(value).toFixed(1)).join("");
    const lines = [0, .5, 1].map((share) => low + (high - low) * share);
    const pick = run.verdict?.pick?.step;
    const last = run.held_out[run.held_out.length - 1];
    const says = t("run.chart.says", { first: run.curve[0][1].toFixed(3), last: run.curve[run.curve.length - 1][1].toFixed(3), held: last ? last[1].toFixed(3) : "–" });
    const scale = (value) => html`<span style="position:absolute;right:0;top:${(100 * y(value) / H).toFixed(1)}%;transform:translateY(-50%)">${value.toFixed(3)}</span>`;
    return html`<div style="display:grid;grid-template-columns:40px minmax(0,1fr);column-gap:8px"><div class="small soft num" style="position:relative" aria-hidden="true">${lines.map(scale)}</div><svg class="chart" viewBox="0 0 ${W} ${H}" preserveAspectRatio="none" role="img" aria-label="${says}">
      ${lines.map((value) => html`<line class="grid" x1="${LEFT}" x2="${W - RIGHT}" y1="${y(value)}" y2="${y(value)}"/>`)}
      ${run.base_loss ? html`<line class="base" x1="${LEFT}" x2="${W - RIGHT}" y1="${y(run.base_loss)}" y2="${y(run.base_loss)}"/>` : ""}
      ${pick ? html`<line class="pick" x1="${x(pick)}" x2="${x(pick)}" y1="${TOP}" y2="${H - BOTTOM}"/>` : ""}
      <path class="loss" d="${path(run.curve)}"/>${run.held_out.length > 1 ? html`<path class="held" d="${path(run.held_out)}"/>` : ""}
    </svg><span></span><div class="row spread small soft num"><span>0</span><span>${t("run.steps", { n: run.total_steps })}</span></div></div>
    <div class="legend"><span><i style="border-color:var(--line-strong)"></i>${t("run.loss")}</span>${run.held_out.length ? html`<span><i style="border-color:var(--accent)"></i>${t("run.held_out")}</span>` : ""}${run.base_loss ? html`<span><i style="border-style:dashed;border-color:var(--soft)"></i>${t("run.base")}</span>` : ""}${pick ? html`<span><i style="border-color:var(--good)"></i>${t("run.pick")}</span>` : ""}</div>`;
  }
  function strip(run) {
    const { prompts, rows } = run.strip;
    if (!rows.length) return run.state === "running" || run.state === "queued" ? html`<p class="soft">${t("run.no_previews")}</p>` : "";
    const pick = run.verdict?.pick?.step;
    return html`<div class="strip" style="--columns:${prompts.length}"><div class="strip-head"><span></span><div class="shots">${prompts.map((prompt) => html`<span title="${prompt}">${prompt}</span>`)}</div></div>
      ${rows.map((row) => html`<div class="strip-row ${row.step === pick ? "picked" : ""}" data-key="${row.step}"><span class="small num step">${t("run.at_step", { n: row.step })}${row.step === pick ? html`<br>${t("run.pick")}` : ""}</span><div class="shots">${row.pictures.map((picture) => picture ? html`<button type="button" data-do="look_at" data-src="${picture.path}" data-says="${picture.prompt}"><img src="${file(picture.path)}" alt="${t("run.preview_of", { n: row.step, prompt: picture.prompt })}" loading="lazy" width="256" height="256"></button>` : html`<span class="skeleton" style="aspect-ratio:1"></span>`)}</div></div>`)}</div>`;
  }
  function verdict(run) {
    if (run.judging) return html`<div class="note"><b>${t("run.judging")}</b> <span class="soft num">${run.phase_total ? `${run.phase_done} / ${run.phase_total}` : ""}</span></div>`;
    if (!run.verdict) return "";
    const tones = { danger: "bad", warn: "warn", good: "good", note: "" };
    return html`<section class="sheet stack"><h2>${run.verdict.sentence}</h2>
      ${run.verdict.findings?.length ? html`<ul class="stack">${run.verdict.findings.map((finding) => html`<li class="note ${tones[finding.severity]}">${finding.message} <span class="soft">${finding.fix || ""}</span></li>`)}</ul>` : ""}</section>`;
  }
  function headline(run) {
    if (run.state === "queued") return run.turn === 1 ? (run.behind ? t("compare.waits", { name: run.behind }) : t("run.starting")) : t("run.waits", { n: run.turn });
    if (run.judging) return t("run.judging");
    if (run.stopping) return t("run.stopping");
    if (run.state === "running") return run.total_steps ? t("run.training", { percent: Math.floor(run.percent) }) : t("run.preparing." + (run.phase || "reading")) ;
    return t("run." + run.state);
  }
  function facts(run) {
    const said = [];
    if (run.state === "running" && run.left !== null) said.push(t("left", { time: duration(run.left) }));
    if (run.total_steps) said.push(t("run.step_of", { step: run.step, total: run.total_steps }));
    if (run.sec_per_step) said.push(run.sec_per_step < 1 ? t("run.speed.fast", { n: (1 / run.sec_per_step).toFixed(1) }) : t("run.speed.slow", { n: run.sec_per_step.toFixed(1) }));
    if (run.state === "running" && run.phase && run.phase_total && !run.total_steps) said.push(`${run.phase_done} / ${run.phase_total}`);
    const forecast = run.advice.find((one) => one.code === "forecast");   // how far the forecast missed: a fact, not a warning
    if (run.device) said.push(run.device === "cpu" ? t("run.on_cpu") : run.device);
    if (forecast) said.push(forecast.message);
    return said.join(" · ");
  }
  const buttons = (run) => html`
    ${run.state === "running" && !run.stopping && !run.judging ? html`<button type="button" class="button" data-do="stop" data-run="${run.id}">${icon("pause")}${t("run.pause")}</button><button type="button" class="button" data-do="stop_keep" data-run="${run.id}">${icon("stop")}${t("run.keep")}</button>` : ""}
    ${run.state === "queued" ? html`${run.turn > 1 ? html`<button type="button" class="button" data-do="first" data-run="${run.id}">${t("run.first")}</button>` : ""}<button type="button" class="button" data-do="stop" data-run="${run.id}">${t("cancel")}</button>` : ""}
    ${["stopped", "interrupted", "failed"].includes(run.state) ? html`<button type="button" class="button" data-do="resume" data-run="${run.id}">${icon("play")}${t("run.resume")}</button>` : ""}`;

  brandprint.runPanel = (run) => html`<section class="stack loose" aria-label="${t("run.title")}">
    <div class="sheet stack"><div class="row spread"><div class="run-head" role="status"><span class="big ${run.state === "failed" ? "bad" : ""}">${headline(run)}</span><span class="soft num">${facts(run)}</span></div><div class="row">${buttons(run)}</div></div>
      ${["running", "queued"].includes(run.state) || run.judging ? html`<div class="bar" role="progressbar" aria-valuenow="${Math.round(run.percent)}" aria-valuemin="0" aria-valuemax="100" aria-label="${t("run.title")}"><i style="width:${run.percent}%"></i></div>` : ""}
      ${run.error ? html`<div class="note bad"><b>${run.error[0]}</b> ${run.error[1]} <span class="soft">${run.saved.length ? t("run.saved_until", { n: run.saved[run.saved.length - 1] }) : ""}</span></div>` : ""}
      ${run.state === "interrupted" ? html`<div class="note warn">${t("run.interrupted.says", { n: run.saved[run.saved.length - 1] || 0 })}</div>` : ""}
      ${run.advice.filter((one) => one.code !== "forecast").map((advice) => html`<div class="note warn" data-key="${advice.code}"><span>${advice.message}</span> <span class="soft">${advice.fix}</span>${advice.code === "overfitting" && run.state === "running" ? html` <button type="button" class="link" data-do="stop_keep" data-run="${run.id}">${t("advice.keep")}</button>` : ""}</div>`)}</div>
    ${verdict(run)}
    ${run.curve.length || run.state === "running" ? html`<div class="sheet stack"><h2>${t("run.curves")}</h2>${chart(run)}</div>` : ""}
    ${run.strip.rows.length || run.state === "running" ? html`<div class="stack"><h2>${t("run.previews")}</h2>${strip(run)}</div>` : ""}
    ${run.log ? html`<details><summary class="link small">${t("run.log")}</summary><pre class="log" tabindex="0" style="margin-top:8px">${run.log}</pre></details>` : ""}
  </section>`;
  brandprint.lightbox = (part) => html`<dialog id="lightbox" class="large" aria-label="${part.ui.look?.says || ""}">${part.ui.look ? html`<div class="stack"><div class="row spread" style="flex-wrap:nowrap"><p>${part.ui.look.says}</p><button type="button" class="bare" data-do="close_look" aria-label="${t("close")}">${icon("close")}</button></div><div style="display:grid;place-items:center"><img class="picture" src="${file(part.ui.look.src)}" alt="${part.ui.look.says}" style="width:min(100%,72vh);image-rendering:auto"></div></div>` : ""}</dialog>`;
  brandprint.lightboxActions = {
    look_at(target) { this.ui.look = { src: target.dataset.src, says: target.dataset.says }; this.draw(); brandprint.dialog(this, "lightbox"); },
    close_look() { this.find("#lightbox").close(); },
  };
})();
