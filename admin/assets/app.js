// Makes pages quicker that work without it.

import { pressed, watchChoices } from "./board.js";
import { keepDrafts } from "./drafts.js";
import { follow } from "./live.js";
import { listen } from "./swap.js";

listen();
keepDrafts();
watchChoices();
follow();

/** @param {EventTarget | null} target */
const isTyping = (target) =>
  target instanceof HTMLElement &&
  (target.isContentEditable || target.matches("input:not([type=checkbox]), textarea, select"));

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target)) return;
  if (document.querySelector("dialog[open]")) return;
  if (event.key === "?") {
    const keys = document.getElementById("keys");
    if (keys instanceof HTMLDialogElement) keys.showModal();
  } else if (!pressed(event.key)) return;
  event.preventDefault();
});

// Browsers that do not know `commandfor`.
if (!("commandForElement" in HTMLButtonElement.prototype)) {
  document.addEventListener("click", (event) => {
    const button = event.target instanceof Element ? event.target.closest("button[commandfor]") : null;
    const dialog = button && document.getElementById(button.getAttribute("commandfor") ?? "");
    if (!(dialog instanceof HTMLDialogElement)) return;
    if (button?.getAttribute("command") === "show-modal") dialog.showModal();
    else dialog.close();
  });
}

// A page that comes back from the browser's memory has forms that were sent: each gets a key of its own.
window.addEventListener("pageshow", (event) => {
  if (!event.persisted) return;
  for (const field of document.querySelectorAll('input[name="idempotency_key"]')) {
    if (field instanceof HTMLInputElement) field.value = crypto.randomUUID();
  }
});
