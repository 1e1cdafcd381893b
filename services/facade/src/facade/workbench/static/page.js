// What the page does beyond forms and links: keys, dialogs, decisions without a reload, and the draft as it grows.
"use strict";

const all = (selector, root = document) => [...root.querySelectorAll(selector)];
const byId = (id) => document.getElementById(id);

document.documentElement.classList.add("scripted");

// A request to the EHR that is too long for an address; without a script the button sends it.
all("form[data-submit]").forEach((form) => form.submit());

// What a link of a CDS card asked to be opened; browsers block autofocus in another site's frame.
all("[data-opened]").forEach((card) => { card.scrollIntoView({ block: "center" }); card.focus({ preventScroll: true }); });

function say(text) {
  const live = byId("live");
  live.textContent = "";
  window.setTimeout(() => { live.textContent = text; }, 50);
}

let toastTimer;
function warn(text) {
  const toast = byId("alert");
  toast.textContent = text;
  toast.hidden = false;
  // In the top layer, so that it is not below the backdrop of an open dialog.
  toast.hidePopover();
  toast.showPopover();
  window.clearTimeout(toastTimer);
  toastTimer = window.setTimeout(calm, 8000);
}

function calm() {
  byId("alert").hidden = true;
}

// --- Flags -----------------------------------------------------------------------------------------------------
let current = null; // the number of the flag the keys act on

const cards = () => all(".card");
const cardOf = (number) => byId(`flag-${number}`);

function select(card, { focus = true } = {}) {
  all(".card.current, mark.current").forEach((element) => element.classList.remove("current"));
  if (!card) { current = null; return; }
  current = card.dataset.flag;
  card.classList.add("current");
  all("mark").filter((mark) => mark.dataset.flags.split(" ").includes(current)).forEach((mark) => mark.classList.add("current"));
  if (focus) {
    card.focus({ preventScroll: true });
    card.scrollIntoView({ block: "nearest" });
  }
}

function move(step) {
  const list = cards();
  if (!list.length) { say("There are no flags."); return; }
  const at = list.findIndex((card) => card.dataset.flag === current);
  const next = at < 0 ? (step > 0 ? 0 : list.length - 1) : Math.min(Math.max(at + step, 0), list.length - 1);
  select(list[next]);
}

function firstOpen(after) {
  const open = cards().filter((card) => card.classList.contains("open"));
  return open.find((card) => Number(card.dataset.flag) > Number(after || 0)) || open[0] || null;
}

function reopen(card) {
  const form = card.querySelector("form.decide");
  if (!form.hidden) return;
  form.hidden = false;
  card.querySelector("details.evidence").open = true;
  card.querySelector(".again").hidden = true;
}

function openEdit(card) {
  reopen(card);
  const edit = card.querySelector(".edit");
  edit.classList.add("opened");
  card.querySelector("[data-edit]").setAttribute("aria-expanded", "true");
  const words = edit.querySelector("textarea");
  words.focus();
  words.setSelectionRange(words.value.length, words.value.length);
}

function closeEdit(card) {
  card.querySelector(".edit").classList.remove("opened");
  const button = card.querySelector("[data-edit]");
  button.setAttribute("aria-expanded", "false");
  button.focus();
}

function openOverride(card) {
  const dialog = byId("override");
  dialog.querySelector("input[name=flag]").value = card.querySelector("input[name=flag]").value;
  dialog.dataset.flag = card.dataset.flag;
  byId("override-finding").textContent = card.querySelector(".finding").textContent;
  byId("override-reason").value = "";
  calm();
  dialog.showModal();
  byId("override-reason").focus();
}

function accept(card) {
  const button = card.querySelector("button[value=accept]");
  if (!button) { say("This flag has no correction to accept. Edit or override it."); return; }
  reopen(card);
  button.click();
}

// Sends a form and puts the answer's page in place of this one, keeping the place of whoever works without a mouse.
async function send(form, button, flag) {
  const body = new URLSearchParams(new FormData(form));
  if (button && button.name) body.set(button.name, button.value);
  all("button", form).forEach((one) => { one.disabled = true; });
  try {
    const answer = await fetch(form.getAttribute("action"), { method: "POST", body, headers: { Accept: "text/html" } });
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    if (answer.status === 401) { replacePage(fresh); return; }
    if (!answer.ok) {
      warn(["message-title", "message-advice"].map((id) => fresh.getElementById(id)?.textContent).filter(Boolean).join(". ") || "This did not work. Nothing was changed.");
      return;
    }
    calm();
    replacePage(fresh);
    const next = firstOpen(flag);
    if (next) {
      select(next);
      say(byId("progress") ? document.querySelector(".progress label").textContent : "");
    } else {
      select(null);
      byId("to-final").focus();
      say("All flags are decided. Review the final text and sign.");
    }
  } catch {
    warn("Preceptor does not answer. Nothing was changed. Try again.");
  } finally {
    all("button", form).forEach((one) => { one.disabled = false; });
  }
}

function replacePage(fresh) {
  const scroll = window.scrollY;
  all("dialog[open]").forEach((dialog) => dialog.close());
  const header = document.querySelector("header.bar");
  const freshHeader = fresh.querySelector("header.bar");
  if (header && freshHeader) header.replaceWith(freshHeader); else header?.remove();
  byId("main").replaceWith(fresh.getElementById("main"));
  document.body.className = fresh.body.className;
  document.title = fresh.title;
  if (!freshHeader) { all("dialog").forEach((dialog) => dialog.remove()); byId("main").focus(); }
  window.scrollTo({ top: scroll, behavior: "instant" });
}

document.addEventListener("submit", (event) => {
  const form = event.target;
  // Not form.action: a field called "action" hides it.
  if (!form.getAttribute("action")?.endsWith("/decisions")) {
    if (form.id === "signature") event.submitter?.setAttribute("aria-disabled", "true");
    return;
  }
  event.preventDefault();
  const card = form.closest(".card");
  send(form, event.submitter, card ? card.dataset.flag : byId("override").dataset.flag);
});

document.addEventListener("click", (event) => {
  const target = event.target.closest("button, a, mark");
  if (!target) return;
  const card = target.closest(".card");
  if (card) select(card, { focus: false });
  if (target.matches("[data-open]")) { byId(target.dataset.open).showModal(); }
  else if (target.matches("[data-close]")) { target.closest("dialog").close(); }
  else if (target.matches("[data-edit]")) { card.querySelector(".edit").classList.contains("opened") ? closeEdit(card) : openEdit(card); }
  else if (target.matches("[data-cancel-edit]")) { closeEdit(card); }
  else if (target.matches("[data-override]")) { openOverride(card); }
  else if (target.matches("[data-again]")) { reopen(card); card.querySelector(".decide button").focus(); }
  else if (target.matches("[data-reason]")) { byId("override-reason").value = target.dataset.reason; byId("override-reason").focus(); }
  else if (target.matches("a.ref")) { event.preventDefault(); select(cardOf(target.hash.slice(6))); }
  else if (target.matches("mark")) { select(cardOf(target.dataset.flags.split(" ")[0])); }
  else if (target.id === "to-final" && firstOpen()) { event.preventDefault(); refuseToSign(); }
});

document.addEventListener("focusin", (event) => {
  const card = event.target.closest?.(".card");
  if (card && card.dataset.flag !== current) select(card, { focus: false });
});

function refuseToSign() {
  const open = cards().filter((card) => card.classList.contains("open")).length;
  warn(`${open} ${open === 1 ? "flag is" : "flags are"} not decided yet. Accept, edit or override each one first.`);
  select(firstOpen());
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
  if (event.key === "Escape") {
    const edit = document.activeElement?.closest?.(".edit");
    if (edit) { event.preventDefault(); closeEdit(edit.closest(".card")); }
    return;
  }
  // Single letters are keys only where nobody types and no dialog is open (WCAG 2.1.4).
  if (document.activeElement?.matches?.("textarea, input, select") || document.querySelector("dialog[open]")) return;
  const card = current && cardOf(current);
  const chosen = (act) => (card ? act(card) : say("No flag is selected. Press j for the first."));
  const acts = {
    j: () => move(1),
    k: () => move(-1),
    a: () => chosen(accept),
    e: () => chosen(openEdit),
    o: () => chosen(openOverride),
    s: () => {
      if (byId("sign")) byId("sign").showModal();
      else if (byId("to-final")) byId("to-final").click();
    },
    "?": () => byId("help")?.showModal(),
  };
  const act = acts[event.key];
  if (!act || !document.body.matches(".review, .final")) return;
  if ("jkaeo".includes(event.key) && !document.body.matches(".review")) return;
  event.preventDefault();
  act();
});

// --- Final text --------------------------------------------------------------------------------------------------
function watchEdits() {
  const texts = all(".final-text textarea");
  const grow = (text) => { if (!CSS.supports("field-sizing", "content")) { text.style.height = "auto"; text.style.height = `${text.scrollHeight + 2}px`; } };
  texts.forEach((text) => {
    grow(text);
    text.addEventListener("input", () => {
      grow(text);
      text.closest(".part").querySelector(".edited").hidden = text.value === text.defaultValue;
      byId("sign-edited").hidden = texts.every((one) => one.value === one.defaultValue);
    });
  });
}

// --- The draft as it is written ----------------------------------------------------------------------------------
function showSentence(event) {
  const paper = byId("draft");
  let section = byId(`d-${event.section}`);
  if (!section) {
    section = document.createElement("section");
    section.id = `d-${event.section}`;
    const title = document.createElement("h2");
    title.textContent = event.title;
    section.append(title);
    paper.append(section);
  }
  const line = document.createElement("p");
  line.className = `t-${event.state}`;
  const mark = byId(`state-${event.state}`);
  const slot = document.createElement("span");
  slot.className = "slot";
  if (mark) slot.append(mark.content.cloneNode(true));
  const words = document.createElement("span");
  words.textContent = event.text;
  line.append(slot, words);
  section.append(line);
}

async function* linesOf(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) { if (rest.trim()) yield JSON.parse(rest); return; }
    rest += value;
    const lines = rest.split("\n");
    rest = lines.pop();
    for (const line of lines) if (line.trim()) yield JSON.parse(line);
  }
}

function draftFailed(advice) {
  byId("draft-start").hidden = true;
  byId("draft-failed-advice").textContent = advice;
  byId("draft-failed").hidden = false;
  byId("draft-progress").textContent = "";
  byId("draft-failed-title").focus();
}

async function draft() {
  byId("draft-start").hidden = true;
  byId("draft-failed").hidden = true;
  byId("draft").hidden = false;
  byId("draft").replaceChildren();
  byId("draft-legend").hidden = false;
  byId("draft-progress").textContent = "Reading the chart…";
  say("The draft is being written.");
  let count = 0;
  try {
    const body = new URLSearchParams({ csrf: document.body.dataset.csrf });
    const response = await fetch(document.body.dataset.draft, { method: "POST", body, headers: { Accept: "application/x-ndjson" } });
    if (!response.ok) {
      if (response.status === 401) { window.location.reload(); return; }
      draftFailed("Preceptor did not accept the request.");
      return;
    }
    for await (const event of linesOf(response)) {
      if (event.event === "sentence") {
        showSentence(event);
        count += 1;
        byId("draft-progress").textContent = `${count} ${count === 1 ? "sentence" : "sentences"} checked`;
      } else if (event.event === "finished") {
        window.location.reload();
        return;
      } else {
        draftFailed(event.advice);
        return;
      }
    }
    draftFailed("The connection broke off.");
  } catch {
    draftFailed("The connection to Preceptor broke off.");
  }
}

if (document.body.matches(".drafting")) {
  byId("draft-form").addEventListener("submit", (event) => { event.preventDefault(); draft(); });
  byId("draft-retry").addEventListener("click", draft);
  draft();
}
if (document.body.matches(".final")) watchEdits();

// --- The end of the session ----------------------------------------------------------------------------------------
const idle = Number(document.body.dataset.idleS || 0);
if (idle > 120) {
  window.setTimeout(() => warn("This page closes in a minute because it was not used. Decide on a flag or open it again to go on."), (idle - 60) * 1000);
}
