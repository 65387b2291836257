// Fetches what a link or a form with `data-swap="id"` leads to, and puts the part with that id in the place of the one that
// is there. Without this file, browsers load the whole page.

import { forgetDraft } from "./drafts.js";

/** Loading shows after so many milliseconds. */
const BUSY_AFTER = 200;

// The one place where a text becomes HTML: answers of our own origin.
const policy = window.trustedTypes?.createPolicy("linecook", { createHTML: (/** @type {string} */ html) => html });

/** @param {string} html */
const parse = (html) => new DOMParser().parseFromString(/** @type {any} */ (policy?.createHTML(html) ?? html), "text/html");

/** Begins to listen. */
export const listen = () => {
  document.addEventListener("click", (event) => {
    const link = event.target instanceof Element ? event.target.closest("a[data-swap]") : null;
    if (!(link instanceof HTMLAnchorElement) || event.defaultPrevented) return;
    if (event.button !== 0 || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    void swap(link.dataset.swap ?? "", link.href, {});
  });
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (!(form instanceof HTMLFormElement) || !form.dataset.swap || event.defaultPrevented) return;
    event.preventDefault();
    if (form.dataset.sent) return;
    form.dataset.sent = "true";
    void send(form, event.submitter).finally(() => delete form.dataset.sent);
  });
  window.addEventListener("popstate", () => window.location.reload());
};

/**
 * @param {HTMLFormElement} form
 * @param {HTMLElement | null} submitter
 */
const send = async (form, submitter) => {
  const sent = new URLSearchParams(/** @type {any} */ (new FormData(form, submitter)));
  const target = form.dataset.swap ?? "";
  if (form.method === "get") {
    const address = new URL(form.action);
    address.search = sent.toString();
    await swap(target, address.href, {});
  } else {
    const accepted = await swap(target, form.action, { method: "POST", body: sent });
    if (accepted) forgetDraft(form);
  }
};

/**
 * Tells whether the answer was no refusal.
 *
 * @param {string} id
 * @param {string} address
 * @param {RequestInit} request
 */
const swap = async (id, address, request) => {
  const busy = window.setTimeout(() => document.getElementById(id)?.setAttribute("aria-busy", "true"), BUSY_AFTER);
  try {
    const answer = await fetch(address, { ...request, headers: { accept: "text/html" } });
    const page = parse(await answer.text());
    const part = page.getElementById(id);
    if (part) {
      show(id, part, page, answer);
    } else if (answer.ok) {
      window.location.assign(answer.url);
    } else {
      tell(page.querySelector("main p")?.textContent ?? "Something failed. Try again.");
    }
    return answer.ok;
  } catch {
    tell("There is no connection. What you typed is still here: try again, it has its effect once.");
    return false;
  } finally {
    window.clearTimeout(busy);
    document.getElementById(id)?.removeAttribute("aria-busy");
  }
};

/**
 * @param {string} id
 * @param {HTMLElement} part
 * @param {Document} page
 * @param {Response} answer
 */
const show = (id, part, page, answer) => {
  const place = document.getElementById(id);
  if (!place) return;
  const focused = place.contains(document.activeElement) ? document.activeElement : null;
  place.replaceWith(document.adoptNode(part));
  const notices = page.getElementById("notices");
  if (notices) document.getElementById("notices")?.replaceWith(document.adoptNode(notices));
  document.title = page.title;
  if (answer.ok && answer.url !== window.location.href) history.pushState(null, "", answer.url);
  const wanted = part.querySelector("[autofocus]") ?? (focused && sameIn(part, focused)) ?? (focused && part);
  if (wanted instanceof HTMLElement) wanted.focus();
};

/**
 * The element of a part that is what another one was before.
 *
 * @param {HTMLElement} part
 * @param {Element} before
 */
const sameIn = (part, before) => {
  if (before.id) return part.querySelector(`#${CSS.escape(before.id)}`);
  const action = before.closest("form")?.getAttribute("action");
  const form = [...part.querySelectorAll("form")].find((form) => form.getAttribute("action") === action);
  return form?.querySelector(before.localName) ?? null;
};

/** @param {string} words */
const tell = (words) => {
  const notice = document.createElement("p");
  notice.className = "notice bad";
  const text = document.createElement("span");
  text.textContent = words;
  notice.append(text);
  document.getElementById("notices")?.replaceChildren(notice);
};
