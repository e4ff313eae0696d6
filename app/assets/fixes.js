/* Mending, for the Pictures step: what a fix would change, before it does; and every change in force, each with its own undo.
   In: the step's part. Out: two dialogs with what their controls do (`on`). */
"use strict";
brandprint.fixes = (() => {
  const { t, count, html, flag, icon, file, dialog } = brandprint;
  const shot = (path, says) => html`<figure><img src="${file(path)}" alt="${says}" width="96" height="96" loading="lazy"><figcaption class="small soft">${says}</figcaption></figure>`;
  function row(fix, one) {
    const name = one.key.split("/").pop();
    return html`<li class="proposal" data-key="${one.key + one.says}"><input type="checkbox" data-onchange="fix_tick" data-item="${one.key}" aria-label="${t("fix.take", { name })}"${flag("checked", !fix.skip.has(one.key))}>
      ${one.is_caption ? html`<img src="${file(one.before)}" alt="" width="56" height="56"><div class="grow"><p class="small soft" dir="auto">${one.old || t("write.empty")}</p><p dir="auto">${one.new || t("write.empty")}</p></div>`
        : html`${shot(one.before, t(one.stays ? "fix.out" : "fix.before"))}${one.after ? shot(one.after, t(one.stays ? "fix.stays" : "fix.after")) : ""}<p class="grow small"><b>${name}</b><br>${one.says}</p>`}</li>`;
  }
  function panel(part) {
    const fix = part.ui.fix;
    if (!fix) return html`<dialog id="fixes" class="large"></dialog>`;
    const left = fix.total - fix.skip.size;
    return html`<dialog id="fixes" class="large" aria-labelledby="fixes-title"><div class="stack"><div class="row spread"><h2 id="fixes-title">${t("fix.title")}</h2><button type="button" class="bare" data-do="close_fixes" aria-label="${t("close")}">${icon("close")}</button></div><p class="small soft">${t("fix.says")}</p>
      <div class="proposals-box">${fix.rows ? html`<ul class="proposals">${fix.rows.map((one) => row(fix, one))}</ul>${fix.rows.length < fix.total ? html`<button type="button" class="button slim" data-do="fix_more">${t("write.more")}</button>` : ""}` : html`<div class="skeleton" style="height:160px"></div>`}</div>
      <div class="row" style="justify-content:flex-end"><button type="button" class="button" data-do="close_fixes">${t("cancel")}</button><button type="button" class="button primary" data-do="fix_apply"${flag("disabled", !fix.rows || left < 1)}>${count("fix.apply", left)}</button></div></div></dialog>`;
  }
  function changes(part) {
    const made = part.ui.changes;
    if (!made) return html`<dialog id="changes"></dialog>`;
    return html`<dialog id="changes" aria-labelledby="changes-title"><div class="stack"><div class="row spread"><h2 id="changes-title">${t("changes.title")}</h2><button type="button" class="bare" data-do="close_changes" aria-label="${t("close")}">${icon("close")}</button></div><p class="small soft">${t("changes.says")}</p>
      ${!made.rows ? html`<div class="skeleton" style="height:160px"></div>` : !made.rows.length ? html`<p class="soft">${t("changes.none")}</p>` : html`<div class="proposals-box"><ul class="proposals">${made.rows.map((one) => html`<li class="proposal" data-key="${one.id}"><img src="${file(one.thumb)}" alt="" width="56" height="56" loading="lazy"><p class="grow small" dir="auto"><b>${one.key.split("/").pop()}</b><br>${one.says}</p><button type="button" class="link small" data-do="change_undo" data-id="${one.id}" aria-label="${t("undo")}: ${one.key.split("/").pop()}, ${one.says}">${t("undo")}</button></li>`)}</ul>${made.rows.length < made.total ? html`<button type="button" class="button slim" data-do="changes_more">${t("write.more")}</button>` : ""}</div><div><button type="button" class="button slim" data-do="changes_undo_all">${t("changes.undo_all")}</button></div>`}</div></dialog>`;
  }
  async function moreFixes(part) {
    const fix = part.ui.fix, answer = await part.ask("fix_preview", { index: fix.index, code: fix.code, from: fix.rows?.length || 0 });
    if (fix !== part.ui.fix) return;
    if (!answer.ok) { part.find("#fixes").close(); return; }
    fix.rows = [...(fix.rows || []), ...answer.rows]; fix.total = answer.total; part.draw();
  }
  async function moreChanges(part, from) {
    const made = part.ui.changes, answer = await part.ask("changes", { from });
    if (answer.ok && made === part.ui.changes) { made.rows = [...(made.rows || []).slice(0, from), ...answer.changes]; made.total = answer.total; part.draw(); }
  }
  const on = {
    fix_look(button) { this.ui.fix = { index: +button.dataset.index, code: button.dataset.code, rows: null, total: 0, skip: new Set() }; this.draw(); dialog(this, "fixes"); moreFixes(this); },
    fix_more() { moreFixes(this); },
    fix_tick(box) { const { skip } = this.ui.fix; box.checked ? skip.delete(box.dataset.item) : skip.add(box.dataset.item); this.draw(); },
    async fix_apply() { const fix = this.ui.fix, answer = await this.ask("fix", { index: fix.index, code: fix.code, skip: [...fix.skip] }); if (answer.ok) this.find("#fixes").close(); },
    close_fixes() { this.find("#fixes").close(); },
    ask_changes() { this.ui.changes = { rows: null, total: 0 }; this.draw(); dialog(this, "changes"); moreChanges(this, 0); },
    changes_more() { moreChanges(this, this.ui.changes.rows.length); },
    async change_undo(button) { const made = this.ui.changes, id = +button.dataset.id; const answer = await this.ask("undo_one", { id }); if (answer.ok) { made.rows = made.rows.filter((one) => one.id !== id); made.total -= 1; this.draw(); } },
    async changes_undo_all() { const answer = await this.ask("undo_all"); if (answer.ok) this.find("#changes").close(); },
    close_changes() { this.find("#changes").close(); },
  };
  return { panel, changes, on };
})();
