// Live updates: the server sends the part of the page anew whenever it is another.
"use strict";

for (const part of document.querySelectorAll("[data-live]")) {
  const source = new EventSource(part.dataset.live);
  source.onmessage = (event) => {
    const selection = document.getSelection();
    const inUse = part.contains(document.activeElement) ||
      (selection && !selection.isCollapsed && part.contains(selection.anchorNode));
    if (inUse) return; // whoever reads with the keyboard or marks text is not disturbed
    const open = [...part.querySelectorAll("details")].map((each) => each.open);
    part.innerHTML = event.data;
    part.querySelectorAll("details").forEach((each, at) => {
      if (at < open.length) each.open = open[at];
    });
  };
}
