/* Files and folders -> the server, in batches of a few megabytes, so that percent is true and thumbnails begin while the rest still travels.
   Captions travel with their pictures, a table of captions with every batch of them. Nothing is kept here: the server names what it took, what it
   had and what it refused. */
"use strict";
(() => {
  const { settings } = brandprint;
  const BATCH_BYTES = 24e6, BATCH_FILES = 40;

  /** Files of a drop, folders opened: [{file, name}]. Must be called within the drop event. */
  brandprint.gather = async (transfer) => {
    const entries = [...transfer.items].filter((item) => item.kind === "file").map((item) => item.webkitGetAsEntry?.() || item.getAsFile());
    const found = [];
    for (const entry of entries) if (entry) await walk(entry, "", found);
    return found;
  };
  async function walk(entry, folder, found) {
    if (entry instanceof File) { found.push({ file: entry, name: folder + entry.name }); return; }
    if (entry.isFile) { found.push({ file: await new Promise((good, bad) => entry.file(good, bad)), name: folder + entry.name }); return; }
    const reader = entry.createReader();
    for (;;) {
      const children = await new Promise((good, bad) => reader.readEntries(good, bad));
      if (!children.length) return;
      for (const child of children) await walk(child, folder + entry.name + "/", found);
    }
  }
  brandprint.gatherInput = (input) => [...input.files].map((file) => ({ file, name: file.webkitRelativePath || file.name }));

  /** Batches in order of name, so that a caption comes with its picture; the first is small, so that the first cards and findings come soon. */
  brandprint.batches = (files) => {
    const tables = files.filter(({ name }) => isTable(name)), rest = files.filter(({ name }) => !isTable(name));
    const sorted = rest.sort((a, b) => a.name < b.name ? -1 : 1), result = [];
    let batch = [], bytes = 0;
    for (const entry of sorted) {
      const part = result.length ? 1 : 3;
      if (batch.length && (batch.length >= BATCH_FILES / part || bytes + entry.file.size > BATCH_BYTES / part) && stem(batch[batch.length - 1].name) !== stem(entry.name)) { result.push(batch); batch = []; bytes = 0; }
      batch.push(entry); bytes += entry.file.size;
    }
    if (batch.length) result.push(batch);
    for (const batch of result) batch.push(...tables.filter((table) => speaksOf(table, batch)));
    const alone = tables.filter((table) => !speaksOf(table, rest));
    return alone.length ? [...result, alone] : result;
  };
  const speaksOf = (table, files) => files.some(({ name }) => name.startsWith(folder(table.name)) && !/\.(txt|caption)$/i.test(name));
  const isTable = (name) => /(^|\/)metadata\.(jsonl|csv)$/i.test(name);
  const folder = (name) => name.slice(0, name.lastIndexOf("/") + 1);
  const stem = (name) => name.replace(/\.[^./]+$/, "");

  /** One batch to the upload folder: resolves to [{path, name}]. onBytes(sent so far of this batch). */
  brandprint.send = (batch, onBytes) => new Promise((good, bad) => {
    const form = new FormData(), request = new XMLHttpRequest();
    batch.forEach(({ file }) => form.append("files", file, file.name));
    request.upload.onprogress = (event) => onBytes(event.loaded);
    request.onload = () => {
      if (request.status !== 200) return bad(new Error(request.status === 413 ? "large" : "status " + request.status));
      const paths = JSON.parse(request.responseText);
      good(batch.map(({ name }, index) => ({ path: paths[index], name })));
    };
    request.onerror = () => bad(new Error("connection"));
    request.open("POST", location.pathname.replace(/\/$/, "") + "/gradio_api/upload");
    request.send(form);
  });
  brandprint.tooLarge = (files) => files.filter(({ file }) => file.size > settings.limits.file_bytes);
})();
