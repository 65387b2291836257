// The job board by keyboard: `/` finds, `j` and `k` go down and up, `x` chooses, Enter opens, `r` retries, `c` cancels. It
// counts what is chosen, and all of it works without.

/** @returns {HTMLElement[]} */
const rows = () => [...document.querySelectorAll(".jobs .job")].filter((row) => row instanceof HTMLElement);

/** @param {Element | undefined} row */
const boxOf = (row) => {
  const box = row?.querySelector("input[name=id]");
  return box instanceof HTMLInputElement ? box : null;
};

/** The row that has the focus. */
const current = () => document.activeElement?.closest(".job") ?? undefined;

/** @param {number} step */
const go = (step) => {
  const all = rows();
  const at = all.findIndex((row) => row === current());
  const next = all[at === -1 ? (step > 0 ? 0 : all.length - 1) : Math.min(Math.max(at + step, 0), all.length - 1)];
  const link = next?.querySelector("a");
  link?.focus();
  next?.scrollIntoView({ block: "nearest" });
};

/** Chooses the row with the focus, or takes the choice back. */
const choose = () => {
  const box = boxOf(current());
  if (!box) return;
  box.checked = !box.checked;
  count();
};

/** Presses a button of the list, for the row with the focus if none is chosen. @param {string} key */
const press = (key) => {
  const button = document.querySelector(`[data-act="${key}"]`);
  if (!(button instanceof HTMLButtonElement)) return;
  const box = boxOf(current());
  if (box && !rows().some((row) => boxOf(row)?.checked)) {
    box.checked = true;
    count();
  }
  button.form?.requestSubmit(button);
};

/** Says how many jobs are chosen. */
const count = () => {
  const boxes = rows().map(boxOf).filter((box) => box !== null);
  const chosen = boxes.filter((box) => box.checked).length;
  const words = document.getElementById("count");
  if (words) words.textContent = chosen === 0 ? "Choose jobs to act on." : `${chosen} chosen`;
  const all = document.getElementById("all");
  if (all instanceof HTMLInputElement) {
    all.closest("label")?.removeAttribute("hidden");
    all.checked = chosen > 0 && chosen === boxes.length;
    all.indeterminate = chosen > 0 && chosen < boxes.length;
  }
};

const find = () => {
  // A page's own search goes before that of the frame.
  const field = document.querySelector('main [data-key="/"]') ?? document.querySelector('[data-key="/"]');
  if (!(field instanceof HTMLInputElement)) return;
  field.focus();
  field.select();
};

/** @type {Record<string, () => void>} */
const KEYS = {
  j: () => go(1),
  k: () => go(-1),
  x: choose,
  r: () => press("r"),
  c: () => press("c"),
  "/": find,
};

/** Does what a key stands for. Tells whether it stands for something. @param {string} key */
export const pressed = (key) => {
  const action = KEYS[key];
  action?.();
  return action !== undefined;
};

/** Begins to count. */
export const watchChoices = () => {
  count();
  document.addEventListener("change", (event) => {
    if (!(event.target instanceof HTMLInputElement)) return;
    if (event.target.id === "all") {
      for (const box of rows().map(boxOf)) if (box) box.checked = event.target.checked;
    }
    count();
  });
  // A list that was replaced begins without a choice.
  document.addEventListener("swapped", count);
  document.addEventListener("freshened", count);
};
