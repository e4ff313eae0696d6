/* Header and rail: which project, how each step stands, the job at work, light and dark. */
"use strict";
(() => {
  const { t, html, flag, icon, place, go, define, setDark, duration, dialog } = brandprint;
  const mark = html`<svg width="22" height="22" viewBox="0 0 22 22" aria-hidden="true"><rect x="1" y="1" width="20" height="20" rx="5" fill="none" stroke="currentColor" stroke-width="1.6"/><path d="M1 11h10V1H6a5 5 0 00-5 5z" fill="currentColor"/><circle cx="15" cy="15" r="3" fill="var(--accent)"/></svg>`;

  function job(view) {
    const job = view?.job;
    if (!job) return "";
    const kind = t("job." + job.kind);
    const says = job.waiting ? t("job.waiting", { kind }) : job.kind === "train" ? t("job.training", { percent: job.percent }) + (job.left ? " · " + t("left", { time: duration(job.left) }) : "") : kind;
    return html`<button type="button" class="frame-job num ${job.waiting ? "waiting" : ""}" data-do="to_job" title="${job.name}"><span class="dot"></span><span class="ellipsis">${says}</span></button>`;
  }
  const line = (one) => html`<div class="queue-line" data-key="${one.of}/${one.run}"><span class="grow"><b>${one.name}</b><br><span class="small soft">${t("job." + one.kind)} · ${one.place ? t("queue.place", { n: one.place }) : t("queue.now")}</span></span>${one.place > 1 ? html`<button type="button" class="bare" data-do="first" data-of="${one.of}" data-run="${one.run}" aria-label="${t("run.first")}" title="${t("run.first")}">${icon("up")}</button>` : ""}<button type="button" class="bare" data-do="cancel" data-of="${one.of}" data-run="${one.run}" aria-label="${t("queue.cancel", { name: one.name })}" title="${t("cancel")}">${icon("close")}</button></div>`;
  const queue = (view) => (view?.queue.length || 0) < 2 ? "" : html`<details class="frame-menu frame-queue"><summary aria-label="${t("queue.title")}"><span class="num">${t("queue.more", { n: view.queue.length - 1 })}</span>${icon("chevron")}</summary><div class="frame-list">${view.queue.map(line)}</div></details>`;
  function step(view, name, number) {
    const state = view?.steps?.[name], here = place.step === name;
    return html`<button type="button" data-do="step" data-to="${name}"${flag('aria-current="step"', here)}>
      <span class="mark ${state?.done && !here ? "done" : ""}">${state?.done && !here ? icon("check") : number}</span><span><b>${t("step." + name)}</b><small class="num">${state?.says || " "}</small></span></button>`;
  }
  define("frame", {
    steps: "all",
    every: (view) => view?.job ? 1200 : 4000,
    render(view) {
      return html`
      <header class="frame-head">
        <button type="button" class="frame-brand" data-do="home" aria-label="${t("home.title")}">${mark}<span>Brandprint</span></button>
        <details class="frame-menu"><summary aria-label="${t("frame.switch")}"><span>${view?.project?.name || t("frame.none")}</span>${icon("chevron")}</summary>
          <div class="frame-list">${(view?.projects || []).map((project) => html`<button type="button" data-key="${project.id}" data-do="open" data-id="${project.id}">${project.id === place.project ? icon("check") : html`<span style="width:16px"></span>`}<span>${project.name}</span></button>`)}
            <button type="button" data-key="-all" data-do="home">${icon("plus")}<span>${t("frame.all")}</span></button></div></details>
        <span style="flex:1"></span>${job(view)}${queue(view)}
        <button type="button" class="bare" data-do="dark" aria-label="${t("frame.dark")}" title="${t("frame.dark")}">${icon("moon")}</button>
      </header>
      <div class="frame-lost" role="alert">${t("frame.lost")}</div>
      <nav class="frame-rail" aria-label="${t("frame.steps")}">
        ${["pictures", "teach", "compare", "handover"].map((name, index) => step(view, name, index + 1))}
        <hr>
        <button type="button" data-do="step" data-to="library"${flag('aria-current="step"', place.step === "library")}><span class="mark">${icon("picture")}</span><span><b>${t("step.library")}</b><small> </small></span></button>
      </nav>`;
    },
    after(view) { if (view?.gone) go({ project: "", step: "home" }, { push: false }); document.title = (view?.project ? view.project.name + " · " : "") + "Brandprint"; },
    on: {
      home() { this.find("details").open = false; go({ step: "home" }); },
      step(target) { go({ step: target.dataset.to }); },
      open(target) { this.find("details").open = false; go({ project: target.dataset.id, step: "pictures" }); },
      to_job() { go({ project: this.view.job.project, step: this.view.job.step }); },
      dark() { setDark(!document.body.classList.contains("dark")); },
    },
  });
  document.addEventListener("click", (event) => document.querySelectorAll("details.frame-menu[open], details.menu[open]").forEach((menu) => { if (!menu.contains(event.target) || event.target.closest(".menu-list")) menu.open = false; }));
  document.addEventListener("keydown", (event) => { if (event.key === "Escape") document.querySelectorAll("details.frame-menu[open], details.menu[open]").forEach((menu) => { menu.open = false; menu.querySelector("summary").focus(); }); });
})();
