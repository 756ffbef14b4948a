// Live updates: the server sends the part of the page whenever it is another, and its clock as a
// sign of life every second or two. Without one the page says since when, and asks again.
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
    if (!outdated || inUse) return; // whoever reads with the keyboard or marks text is not disturbed
    const open = [...part.querySelectorAll("details")].map((each) => each.open);
    part.innerHTML = latest;
    outdated = false;
    part.querySelectorAll("details").forEach((each, at) => {
      if (at < open.length) each.open = open[at];
    });
  };

  const say = (what, why) => {
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
      say("not updated", `: ${event.data}`);
    });
  };

  open();
  setInterval(() => {
    if (Date.now() - heardAt < SILENT_MS) return;
    asOf.classList.remove("live");
    say("connection lost", ". What is shown is as of then.");
    // A browser gives up on an answer such as a proxy's 502; a connection that hangs never ends.
    const closed = source.readyState === EventSource.CLOSED;
    if (closed || Date.now() - openedAt > RETRY_MS) open();
  }, 1000);
}
