/* Projects as cards: open, create (also by dropping pictures), rename, duplicate, delete with undo, the bin. */
"use strict";
(() => {
  const { t, html, flag, icon, file, go, define, dialog } = brandprint;
  const card = (project) => html`<article class="home-card" data-key="${project.id}">
    <button type="button" class="home-open" data-do="open" data-id="${project.id}"${flag("disabled", !project.can_open)} aria-label="${t("home.open", { name: project.name })}">
      ${project.thumbs.length ? html`<span class="home-mosaic">${project.thumbs.map((path) => html`<img src="${file(path)}" alt="" loading="lazy">`)}</span>` : html`<span class="home-mosaic empty">${project.error ? t("rail.unreadable") : t("home.no_pictures")}</span>`}
      <span class="text" style="display:block"><b style="font-weight:600;display:block;padding-right:28px">${project.name}</b><span class="small soft">${project.is_sample ? t("home.sample") + " · " : ""}${project.pictures}${project.is_trained ? html` · <span class="good">${t("home.trained")}</span>` : ""}</span>${project.error ? html`<span class="small bad" style="display:block;overflow-wrap:anywhere;padding-right:28px">${project.error[0]} ${project.error[1]}</span>` : ""}</span>
    </button>
    ${project.can_open ? html`<details class="menu more"><summary class="bare" aria-label="${t("home.more", { name: project.name })}">${icon("more")}</summary><div class="menu-list">
      <button type="button" data-do="ask_rename" data-id="${project.id}" data-name="${project.name}">${t("home.rename")}</button>
      <button type="button" data-do="duplicate" data-id="${project.id}">${icon("copy")}${t("home.duplicate")}</button>
      <button type="button" data-do="delete" data-id="${project.id}">${icon("trash")}${t("home.delete")}</button></div></details>` : ""}
  </article>`;
  define("home", {
    steps: ["home"],
    ui: () => ({ renaming: "" }),
    render(view) {
      const own = (view?.projects || []).filter((project) => !project.is_sample), samples = (view?.projects || []).filter((project) => project.is_sample);
      return html`<div class="page">
        <div class="page-head"><div><h1>${t("home.title")}</h1><p>${t("home.says")}</p></div></div>
        <div class="home-grid">
          <button type="button" class="home-new" data-key="-new" data-do="ask_name" data-ondragover="over" data-ondragleave="leave" data-ondrop="drop"><span>${icon("plus")}</span><b style="color:var(--ink)">${t("home.new")}</b><span class="small">${t("home.new.says")}</span></button>
          ${!view ? [1, 2, 3].map((index) => html`<div class="skeleton" data-key="-s${index}" style="min-height:220px"></div>`) : own.map(card)}
          ${samples.map(card)}
        </div>
        ${view?.bin.length ? html`<details style="margin-top:32px"><summary class="link small">${t("home.bin", { n: view.bin.length })}</summary><ul class="stack tight" style="margin-top:12px">${view.bin.map((entry) => html`<li class="row" data-key="${entry.ticket}"><span>${entry.name}</span><button type="button" class="link small" data-do="restore" data-ticket="${entry.ticket}">${t("home.restore")}</button></li>`)}</ul></details>` : ""}
        <dialog id="home-name" aria-labelledby="home-name-title"><form class="stack" data-submit="named"><h2 id="home-name-title">${this.ui.renaming ? t("home.rename") : t("home.new")}</h2>
          <label class="field">${t("home.name")}<input type="text" name="name" maxlength="80" required placeholder="${t("home.name.example")}" autocomplete="off"></label>
          <div class="row" style="justify-content:flex-end"><button type="button" class="button" data-do="close">${t("cancel")}</button><button class="button primary">${this.ui.renaming ? t("home.rename") : t("home.create")}</button></div></form></dialog>
      </div>`;
    },
    on: {
      open(target) { go({ project: target.dataset.id, step: "pictures" }); },
      ask_name() { this.ui.renaming = ""; this.draw(); const box = dialog(this, "home-name"); box.querySelector("input").value = ""; },
      ask_rename(target) { this.ui.renaming = target.dataset.id; this.draw(); const box = dialog(this, "home-name"); box.querySelector("input").value = target.dataset.name; box.querySelector("input").select(); },
      close() { this.find("dialog").close(); },
      async named(form) {
        const name = form.elements.name.value, id = this.ui.renaming;
        const answer = id ? await this.ask("rename", { id, name }) : await this.ask("create", { name });
        if (answer.ok) this.find("dialog").close();
      },
      over(target, event) { event.preventDefault(); target.classList.add("over"); },
      leave(target) { target.classList.remove("over"); },
      async drop(target, event) {
        event.preventDefault(); target.classList.remove("over");
        const gathered = brandprint.gather(event.dataTransfer);
        const files = await gathered;
        if (!files.length) return;
        const folder = files[0].name.includes("/") ? files[0].name.split("/")[0] : files.length === 1 ? files[0].name.replace(/\.[^.]+$/, "") : t("home.untitled");
        const answer = await this.ask("create", { name: folder.slice(0, 80) });
        if (answer.ok) brandprint.parts.pictures.upload(files);
      },
    },
  });
})();
