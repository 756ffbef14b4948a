// Live updates: the server sends the part of the page whenever it has changed, and its clock as a
// heartbeat every second or two. If the heartbeat stops, the page says since when, and reconnects.
"use strict";

const SILENT_MS = 8000;
const RETRY_MS = 10000;

const part = document.querySelector("[data-live]");
if (part) {
  const asOf = document.querySelector("[data-asof]");
  const trouble = document.querySelector("[data-trouble]");
  let source, openedAt, heardAt = Date.now(), latest = part.innerHTML, outdated = false;

  const show = () => {
    const selection = document.getSelection();
    const inUse = part.contains(document.activeElement) ||
      (selection && !selection.isCollapsed && part.contains(selection.anchorNode));
    if (!outdated || inUse) return; // do not move the focus or the selection
    const open = [...part.querySelectorAll("details")].map((each) => each.open);
    part.innerHTML = latest;
    outdated = false;
    part.querySelectorAll("details").forEach((each, at) => {
      if (at < open.length) each.open = open[at];
    });
  };

  const warn = (what, why) => {
    const text = `${what} since ${asOf.textContent.slice(11)} UTC${why}`;
    if (trouble.textContent !== text) trouble.textContent = text;
    trouble.hidden = false;
    part.classList.add("old");
    for (const each of part.querySelectorAll("h1 .state")) {
      each.textContent = what;
      each.className = "state waiting";
    }
    outdated = true;
  };

  const open = () => {
    source?.close();
    openedAt = Date.now();
    source = new EventSource(part.dataset.live);
    source.addEventListener("message", (event) => {
      latest = event.data;
      outdated = true;
    });
    source.addEventListener("alive", (event) => {
      heardAt = Date.now();
      asOf.textContent = event.data;
      asOf.classList.add("live");
      trouble.hidden = true;
      trouble.textContent = "";
      part.classList.remove("old");
      show();
    });
    source.addEventListener("failed", (event) => {
      heardAt = Date.now();
      asOf.classList.remove("live");
      warn("not updated", `: ${event.data}`);
    });
  };

  open();
  setInterval(() => {
    if (Date.now() - heardAt < SILENT_MS) return;
    asOf.classList.remove("live");
    warn("connection lost", ". The data shown is as of then.");
    // A browser closes the stream after a response such as a proxy's 502; a hanging one stays open.
    const closed = source.readyState === EventSource.CLOSED;
    if (closed || Date.now() - openedAt > RETRY_MS) open();
  }, 1000);
}
