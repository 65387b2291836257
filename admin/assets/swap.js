// Fetches what a link or a form with `data-swap="id"` leads to, and puts the part with that id in the place of the one that
// is there. Without this file, browsers load the whole page.

import { forgetDraft } from "./drafts.js";

/** Loading shows after so many milliseconds. */
const BUSY_AFTER = 200;

// The one place where a text becomes HTML: answers of our own origin.
const policy = /** @type {any} */ (window).trustedTypes?.createPolicy("linecook", {
  createHTML: (/** @type {string} */ html) => html,
});

/** @param {string} html */
const parse = (html) => new DOMParser().parseFromString(policy?.createHTML(html) ?? html, "text/html");

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

/** Where a form is sent to. `form.action` is a field of that name, if there is one. @param {HTMLFormElement} form */
export const addressOf = (form) => new URL(form.getAttribute("action") ?? "", window.location.href);

/**
 * @param {HTMLFormElement} form
 * @param {HTMLElement | null} submitter
 */
const send = async (form, submitter) => {
  const sent = new URLSearchParams(/** @type {any} */ (new FormData(form, submitter)));
  const target = form.dataset.swap ?? "";
  if (form.method === "get") {
    const address = addressOf(form);
    address.search = sent.toString();
    await swap(target, address.href, {});
  } else {
    const accepted = await swap(target, addressOf(form).href, { method: "POST", body: sent });
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
  document.dispatchEvent(new Event("swapped"));
};

/**
 * The element of a part that is what another one was before.
 *
 * @param {HTMLElement} part
 * @param {Element} before
 */
const sameIn = (part, before) => {
  if (before.id) return part.querySelector(`#${CSS.escape(before.id)}`);
  const address = before.getAttribute("href");
  if (address) return part.querySelector(`a[href="${CSS.escape(address)}"]`);
  const action = before.closest("form")?.getAttribute("action");
  const form = [...part.querySelectorAll("form")].find((form) => form.getAttribute("action") === action);
  const value = before.getAttribute("value");
  const same = value && form?.querySelector(`${before.localName}[value="${CSS.escape(value)}"]`);
  return same || (form?.querySelector(before.localName) ?? null);
};

/** Tells whether somebody chooses, types, marks a text or has something open in a part. @param {Element} part */
export const isInUse = (part) => {
  const marked = document.getSelection();
  const isMarked = marked !== null && !marked.isCollapsed && part.contains(marked.anchorNode);
  if (isMarked || part.querySelector(":popover-open, dialog[open]")) return true;
  return [...part.querySelectorAll("input:not([type=hidden]), textarea")].some((field) =>
    field instanceof HTMLInputElement && ["checkbox", "radio"].includes(field.type)
      ? field.checked !== field.defaultChecked
      : field instanceof HTMLInputElement || field instanceof HTMLTextAreaElement
        ? field.value !== field.defaultValue
        : false,
  );
};

/**
 * Fetches the page again, and puts its parts in the place of these. Tells whether they could be fetched. What somebody
 * began meanwhile stays as it is.
 *
 * @param {HTMLElement[]} places
 */
export const freshen = async (places) => {
  try {
    const answer = await fetch(window.location.href, { headers: { accept: "text/html", "linecook-refresh": "1" } });
    const page = parse(await answer.text());
    const parts = places.map((place) => page.getElementById(place.id));
    if (!answer.ok || answer.redirected || parts.includes(null)) return false;
    if (document.querySelector("form[data-sent]")) return true;
    places.forEach((place, at) => {
      const part = parts[at];
      if (part && place.isConnected && !isInUse(place)) exchange(place, part);
    });
    document.dispatchEvent(new Event("freshened"));
    return true;
  } catch {
    return false;
  }
};

/**
 * Puts a part in the place of its older self: what was open stays open, and the focus stays where it was.
 *
 * @param {HTMLElement} place
 * @param {HTMLElement} part
 */
const exchange = (place, part) => {
  const focused = place.contains(document.activeElement) ? document.activeElement : null;
  const at = focused ? [...place.querySelectorAll("a")].findIndex((link) => link === focused) : -1;
  const opened = [...place.querySelectorAll("details")].map((details) => details.open);
  part.querySelectorAll("details").forEach((details, at) => {
    details.open = opened[at] ?? details.open;
  });
  place.replaceWith(document.adoptNode(part));
  const links = [...part.querySelectorAll("a")];
  const same = focused && (sameIn(part, focused) ?? (at < 0 ? part : links[Math.min(at, links.length - 1)]));
  if (same instanceof HTMLElement) same.focus({ preventScroll: true });
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
