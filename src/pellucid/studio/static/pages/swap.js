// @ts-check
/** A link or form of the page's own path is fetched and takes the place of what is shown, which waits, greyed. */

/** @returns {HTMLElement} */
const main = () => /** @type {HTMLElement} */ (document.getElementById("main"));
let asked = 0;
let timer = 0;
/** @type {EventSource | null} */
let stream = null;

/** Show the page of an address. @param {string} address @param {boolean} push whether it is a step of its own */
export async function show(address, push = true) {
  const turn = ++asked;
  clearTimeout(timer);
  main().setAttribute("aria-busy", "true");
  const answer = await fetch(address).catch(() => null);
  if (turn !== asked) return;
  if (!answer) return lost();
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
  if (turn !== asked) return;
  const current = fresh.getElementById("main");
  if (!current) return void location.assign(address);
  if (push) history.pushState(null, "", address);
  put(fresh, current);
}

/** What has the focus keeps it, by its id. @param {Document} fresh @param {HTMLElement} current */
function put(fresh, current) {
  const held = document.activeElement?.id;
  document.title = fresh.title;
  main().replaceWith(document.adoptNode(current));
  const links = /** @type {Element} */ (fresh.querySelector(".masthead nav"));
  document.querySelector(".masthead nav")?.replaceWith(document.adoptNode(links));
  if (held) document.getElementById(held)?.focus({ preventScroll: true });
  say(main().dataset.spoken ?? "");
  follow();
}

/** @param {string} text */
function say(text) {
  const spoken = document.getElementById("spoken");
  if (spoken && text) spoken.textContent = text;
}

function lost() {
  main().removeAttribute("aria-busy");
  say("The studio does not answer. Is it still running?");
  document.getElementById("spoken")?.classList.remove("unseen");
}

/** Ask again for what is still being made, or whenever the page's stream says so. */
export function follow() {
  stream?.close();
  stream = null;
  const { later, stream: source } = main().dataset;
  if (later) timer = setTimeout(() => show(location.href, false), Number(later));
  if (!source) return;
  stream = new EventSource(source);
  stream.addEventListener("changed", () => show(location.href, false));
}

/** @param {URL} url */
const own = (url) => url.origin === location.origin && url.pathname === location.pathname && !url.hash;

/** @param {MouseEvent} event */
function click(event) {
  if (event.defaultPrevented || event.button || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
  const link = event.target instanceof Element ? event.target.closest("#main a[href]") : null;
  if (!link) return;
  const url = new URL(/** @type {string} */ (link.getAttribute("href")), location.href);
  if (!own(url)) return;
  event.preventDefault();
  show(url.href);
}

/** @param {SubmitEvent} event */
function submit(event) {
  const form = event.target;
  if (!(form instanceof HTMLFormElement) || form.method !== "get") return;
  const url = new URL(form.action);
  for (const [key, value] of new FormData(form)) url.searchParams.append(key, String(value));
  if (!own(url)) return;
  event.preventDefault();
  show(url.href);
}

export function listenToLinks() {
  document.addEventListener("click", click);
  document.addEventListener("submit", submit);
  document.addEventListener("change", (event) => {
    const field = event.target;
    if (field instanceof HTMLSelectElement) field.form?.requestSubmit();
  });
  addEventListener("popstate", () => show(location.href, false));
}
