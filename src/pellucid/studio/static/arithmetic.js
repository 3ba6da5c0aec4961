// @ts-check
/** The page Arithmetic: takes over what the server drew, then draws what changes. */
import { valueAt } from "./numerics/terms.js";
import { isChanged } from "./state/fragment.js";
import { LESSONS, PRESETS, isPhoto } from "./state/presets.js";
import { exact, numeral } from "./show/numerals.js";
import { say, spoken } from "./show/words.js";
import { nameOf } from "./page/captions.js";
import { drawControls, listenToControls } from "./page/controls.js";
import { drawEquation, spokenSum } from "./page/equation.js";
import { listenToExports } from "./page/exports.js";
import { drawFacts } from "./page/facts.js";
import { drawFull } from "./page/full-view.js";
import { listenToKeys, step } from "./page/keys.js";
import { linksAt } from "./page/lights.js";
import { roles, SPACES, tensorNamed } from "./page/planes.js";
import { draw as drawPlay, stop, togglePlay } from "./page/play.js";
import { listenToPointer } from "./page/pointer.js";
import { drawPhoto } from "./page/photo.js";
import { drawPredict, listenToGuesses, togglePredict } from "./page/predict.js";
import { drawStage } from "./page/stage.js";
import { Store } from "./page/store.js";
import { togglePresent, toggleTheme } from "./page/theme.js";

/** @param {string} id */
const byId = (id) => /** @type {HTMLElement} */ (document.getElementById(id));

const store = new Store(location.hash);

/** @param {string} level */
function draw(level) {
  drawStage(store, level);
  drawEquation(store);
  drawFull(store);
  drawReadout();
  if (level === "selection") byId("spoken").textContent = spokenSum(store);
  if (level === "hover" || level === "selection") return;
  drawTitle();
  drawPredict(store);
  drawFacts(store);
  drawPhoto(store, isPhoto(store.state.preset));
  if (level === "shape") drawFrame();
}

/** The preset's name and what it shows; of a state that was changed, only where it came from. */
function drawTitle() {
  const { preset, from } = store.state;
  if (from !== null) return drawOrigin(from);
  const changed = isChanged(store.state);
  byId("title").textContent = changed ? say("changed", { name: say(preset) }) : say(preset);
  byId("lead").textContent = say(changed ? "changed.lead" : `${preset}.lead`);
  document.title = `${byId("title").textContent} – pellucid`;
}

/** A number of a network: its name, and which of its channels are drawn. @param {string} from */
function drawOrigin(from) {
  const { channels, more, rest } = store.state;
  const left = more === null || rest === null ? "" : say("from.rest", { count: more, value: numeral(rest) });
  const drawn = channels === null ? "" : say("from.channels", { channels });
  byId("title").textContent = from;
  byId("lead").textContent = [say("from.lead"), drawn, left].filter(Boolean).join(" ");
  document.title = `${from} – pellucid`;
}

/** Menus, words and complaints: what changes with preset, language or validity alone. */
function drawFrame() {
  document.documentElement.lang = spoken();
  for (const element of /** @type {NodeListOf<HTMLElement>} */ (document.querySelectorAll("[data-say]"))) {
    element.textContent = say(element.dataset.say ?? "");
  }
  const problems = store.problems.map((problem) => say(problem.key, problem.values));
  byId("problem").textContent = store.draft ? [...problems, say("error.kept")].join(" ") : problems.join(" ");
  byId("problem").hidden = !problems.length;
  byId("main").classList.toggle("stale", store.draft !== null);
  drawMenu();
  drawControls(store);
  drawPlay();
}

function drawMenu() {
  const menu = /** @type {HTMLSelectElement} */ (byId("preset"));
  const groups = LESSONS.map((lesson) => {
    const group = document.createElement("optgroup");
    group.label = say(`lesson.${lesson}`);
    group.append(
      ...PRESETS.filter((preset) => preset.lesson === lesson).map(({ name }) => new Option(say(name), name)),
    );
    return group;
  });
  menu.replaceChildren(...groups);
  menu.value = store.state.preset;
}

/** One line on what the pointer or the pin is at. */
function drawReadout() {
  const { space, index, padded } = store.target;
  byId("readout").textContent = padded ? "" : readout(space, index);
}

/** @param {string} space @param {number[]} index */
function readout(space, index) {
  const role =
    space === "bias"
      ? { tensor: store.state.pass === "bias" ? "grad_bias" : "bias" }
      : roles(store.plan, store.state.pass).find((one) => one.space === space);
  if (!role || space === SPACES[store.state.pass]) return "";
  const links = space === "bias" ? [] : linksAt(store.plan, { space, index });
  const outputs = new Set(links.map((link) => (store.plan.transposed ? link.big : link.small))).size;
  const count =
    space === "bias" ? store.plan.output[1] * store.plan.output[2] : space === "weight" ? links.length : outputs;
  const tensor = tensorNamed(store, role.tensor);
  const key = space === "input" ? (count < 2 ? `used.input.${count}` : "used.input") : `used.${space}`;
  const value = valueAt(tensor, index);
  byId("readout").title = exact(value);
  return say(key, { name: nameOf(role.tensor, index), value: numeral(value), count });
}

/** @type {Record<string, () => void>} */
const BUTTONS = {
  previous: () => step(store, -1),
  next: () => step(store, 1),
  play: () => togglePlay(store),
  ask: () => togglePredict(store),
  theme: toggleTheme,
  present: togglePresent,
  language: () => store.language(spoken() === "fr" ? "en" : "fr"),
  reset: () => store.choose(store.state.preset),
};

store.addEventListener("change", (event) => draw(/** @type {CustomEvent} */ (event).detail));
addEventListener("hashchange", () => location.hash !== store.fragment() && store.follow(location.hash));
document.addEventListener("visibilitychange", () => document.hidden && stop());
for (const [id, act] of Object.entries(BUTTONS)) byId(id).addEventListener("click", act);
byId("preset").addEventListener("input", (event) =>
  store.choose(/** @type {HTMLSelectElement} */ (event.target).value),
);
byId("skip").addEventListener("click", (event) => {
  event.preventDefault();
  byId("stage").focus();
});
listenToControls(store);
listenToPointer(store);
listenToKeys(store);
listenToGuesses(store);
listenToExports(store);
draw("shape");
document.documentElement.dataset.ready = "true";
