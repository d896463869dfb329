// What HTML cannot do by itself: open all that is folded, copy a command. Without this file nothing is missing but that.
"use strict";
for (const button of document.querySelectorAll("button[hidden]")) button.hidden = false;

document.addEventListener("click", async (event) => {
  const button = event.target.closest("button[data-does]");
  if (!button) return;
  if (button.dataset.does === "fold") {
    const open = button.getAttribute("aria-pressed") !== "true";
    for (const one of document.querySelectorAll("main details")) one.open = open;
    button.setAttribute("aria-pressed", String(open));
  } else if (button.dataset.does === "copy") {
    const text = button.parentElement.querySelector("pre").textContent;
    try {
      await navigator.clipboard.writeText(text);
      button.textContent = button.dataset.done;
    } catch {
      getSelection().selectAllChildren(button.parentElement.querySelector("pre"));
    }
  }
});

// Paper does not unfold. What was folded before is folded again after.
let folded = [];
addEventListener("beforeprint", () => {
  folded = [...document.querySelectorAll("main details:not([open])")];
  for (const one of folded) one.open = true;
});
addEventListener("afterprint", () => {
  for (const one of folded) one.open = false;
});

// A link to something inside of what is folded opens it.
function unfold() {
  let found = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  for (; found; found = found.parentElement) if (found.tagName === "DETAILS") found.open = true;
}
addEventListener("hashchange", unfold);
unfold();
