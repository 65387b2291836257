// What was typed into a form with `data-draft` survives a reload, until it is saved. Passwords are not kept.

/** @param {HTMLFormElement} form */
const placeOf = (form) => `draft:${form.dataset.draft}:${new URL(form.action).search}`;

/** @param {HTMLFormElement} form */
const fieldsOf = (form) =>
  [...form.elements].filter(
    (field) =>
      (field instanceof HTMLInputElement && !["hidden", "password", "file"].includes(field.type)) ||
      field instanceof HTMLTextAreaElement,
  );

/** @param {EventTarget | null} target */
const formOf = (target) => {
  const form = target instanceof Element ? target.closest("form[data-draft]") : null;
  return form instanceof HTMLFormElement ? form : null;
};

/** Keeps what is typed, and brings it back. */
export const keepDrafts = () => {
  document.addEventListener("input", (event) => {
    const form = formOf(event.target);
    if (!form) return;
    const typed = Object.fromEntries(fieldsOf(form).map((field) => [field.name, field.value]));
    sessionStorage.setItem(placeOf(form), JSON.stringify(typed));
  });
  for (const form of document.querySelectorAll("form[data-draft]")) {
    if (form instanceof HTMLFormElement) restore(form);
  }
};

/** @param {HTMLFormElement} form */
const restore = (form) => {
  const kept = sessionStorage.getItem(placeOf(form));
  if (!kept) return;
  const typed = JSON.parse(kept);
  for (const field of fieldsOf(form)) {
    if (typeof typed[field.name] === "string") field.value = typed[field.name];
  }
};

/** Forgets what was typed: the server has it. @param {HTMLFormElement} form */
export const forgetDraft = (form) => {
  if (form.dataset.draft) sessionStorage.removeItem(placeOf(form));
};
