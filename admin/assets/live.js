// Keeps a page as things are now. A stream says that something changed, and the parts that `data-parts` names are fetched
// again. Nothing changes while the page is hidden, or while somebody chooses, types or marks a text in a part.

import { freshen, isInUse } from "./swap.js";

/** The time between looks at what there is to do. */
const TICK = 1000;

/** A stream that is cut for so long is said to be. Browsers connect again by themselves after three seconds. */
const PATIENCE = 6000;

/** A stream that was refused is asked for again after this time. */
const AGAIN = 10_000;

/** A page is fetched again after this time even if nothing changed: it says how long ago things were. */
const OLDEST = 30_000;

const EVENTS = ["board", "jobs", "state", "progress", "log", "end"];

/** @type {EventSource | null} */
let stream = null;
let askedAt = 0;
let goodAt = 0;
let freshAt = 0;
let isBehind = false;
let isFetching = false;
let isLost = false;

const place = () => document.getElementById("live");

/** @param {HTMLElement} live */
const partsOf = (live) =>
  (live.dataset.parts ?? "").split(" ").flatMap((id) => document.getElementById(id) ?? []);

/** Says how fresh the page is. @param {HTMLElement} live @param {string} words @param {boolean} isStale */
const say = (live, words, isStale) => {
  live.classList.toggle("warn", isStale);
  if (live.textContent !== words) live.textContent = words;
};

const stop = () => {
  stream?.close();
  stream = null;
};

/** Opens the stream that the page names, if it is seen. */
const begin = () => {
  stop();
  const address = place()?.dataset.stream;
  if (!address || document.hidden) return;
  const opened = new EventSource(address);
  stream = opened;
  askedAt = performance.now();
  // The first message of each sort says what the page shows already.
  const seen = new Set();
  let isFirst = true;
  opened.addEventListener("open", () => {
    isBehind ||= !isFirst;
    isFirst = false;
  });
  for (const event of EVENTS) {
    opened.addEventListener(event, () => {
      isBehind ||= seen.has(event) || event === "end";
      seen.add(event);
      if (event !== "end") return;
      stop();
      delete place()?.dataset.stream;
    });
  }
};

/** @param {HTMLElement} live */
const fetchParts = async (live) => {
  isFetching = true;
  isBehind = false;
  isLost = !(await freshen(partsOf(live)));
  isFetching = false;
  freshAt = performance.now();
};

/** @param {HTMLElement} live @param {number} now */
const isCut = (live, now) => {
  if (!live.dataset.stream || stream?.readyState === EventSource.OPEN) {
    goodAt = now;
    return false;
  }
  if (stream?.readyState !== EventSource.CONNECTING && now - askedAt > AGAIN) begin();
  return now - goodAt > PATIENCE;
};

const look = () => {
  const live = place();
  if (!live || document.hidden) return;
  const now = performance.now();
  const isStale = isCut(live, now) || isLost;
  const isHeld = partsOf(live).some(isInUse);
  if (isStale) say(live, "Live updates paused. Trying again ...", true);
  else if (isHeld) say(live, "Paused while you choose", false);
  else say(live, live.dataset.stream ? "Live" : "", false);
  if (!isFetching && !isHeld && (isBehind || now - freshAt > (isLost ? AGAIN : OLDEST))) void fetchParts(live);
};

/** Begins to follow what the page names. */
export const follow = () => {
  goodAt = freshAt = performance.now();
  begin();
  window.setInterval(look, TICK);
  document.addEventListener("visibilitychange", () => {
    isBehind = true;
    goodAt = performance.now();
    begin();
  });
  document.addEventListener("swapped", () => {
    isBehind = false;
    goodAt = freshAt = performance.now();
    begin();
  });
  document.addEventListener("change", look);
};
