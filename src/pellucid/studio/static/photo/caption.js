// @ts-check
/** What is said below a filtered photograph, in English and French; the English is `pellucid filter`'s. */

/** @typedef {import("./bytes.js").Told} Told */

/** @type {Record<string, [string, string]>} */
const WORDS = {
  "original": ["The photograph", "La photographie"],
  "result": ["The same, filtered", "La même, filtrée"],
  "original.alt": ["The photograph before the filter, {width} by {height} pixels", "La photographie avant le filtre, {width} sur {height} pixels"],
  "result.alt": ["The photograph after the filter: {said}", "La photographie après le filtre : {said}"],
  "responses": ["edges replicated; responses from {low} to {high}; {shown}", "bords répétés ; réponses de {low} à {high} ; {shown}"],
  "clip": ["response shown, {clipped}", "réponse montrée, {clipped}"],
  "absolute": ["|response| shown, {clipped}", "|réponse| montrée, {clipped}"],
  "signed": ["zero shown as 128, {least} as 1, {most} as 255", "zéro montré comme 128, {least} comme 1, {most} comme 255"],
  "signed.flat": ["zero shown as 128", "zéro montré comme 128"],
  "stretch": ["{low} shown as 0, {high} as 255", "{low} montré comme 0, {high} comme 255"],
  "clipped": ["{share} clipped at {end}", "{share} coupé à {end}"],
  "clipped.none": ["nothing clipped", "rien de coupé"],
  "and": [" and ", " et "],
  "share.small": ["under 0.1 %", "moins de 0,1 %"],
  "reduced": ["shown at {width} × {height} of {fullWidth} × {fullHeight} pixels", "montrée à {width} × {height} pixels sur {fullWidth} × {fullHeight}"],
  "choose": ["Choose a photograph of your own, or drop one here", "Choisissez une photographie à vous, ou déposez-la ici"],
  "stays": ["It stays in this browser.", "Elle reste dans ce navigateur."],
  "back": ["Back to the example", "Revenir à l’exemple"],
  "show": ["Responses shown", "Réponses montrées"],
  "show.auto": ["as fits the kernel", "selon le noyau"],
  "show.clip": ["cut to 0…255", "coupées à 0…255"],
  "show.absolute": ["without sign", "sans signe"],
  "show.signed": ["zero as mid grey", "zéro en gris moyen"],
  "show.stretch": ["least to greatest", "de la moindre à la plus grande"],
  "unreadable": ["{name} cannot be read as a picture. Choose a PNG, JPEG or WebP.", "{name} n’est pas une image lisible. Choisissez un PNG, un JPEG ou un WebP."],
};

/** @param {string} lang @param {string} key @param {Record<string, string | number>} [values] */
export function word(lang, key, values = {}) {
  return WORDS[key][lang === "fr" ? 1 : 0].replace(/\{(\w+)\}/g, (_, name) => String(values[name]));
}

/** `−812`, `56.67`: two decimals at most. @param {number} value */
function numeral(value) {
  const text = (Math.floor(value * 100 + 0.5) / 100).toFixed(2).replace(/\.00$/, "");
  return Number(text) === 0 ? text.replace("-", "") : text.replace("-", "−");
}

/** @param {string} lang @param {number} share */
function percent(lang, share) {
  if (share < 0.001) return word(lang, "share.small");
  const text = `${(100 * share).toFixed(1)} %`;
  return lang === "fr" ? text.replace(".", ",") : text;
}

/** @param {string} lang @param {Told} told @param {number} values how many there are */
function clippedText(lang, { darker, brighter }, values) {
  const ends = [[darker, 0], [brighter, 255]].filter(([count]) => count > 0);
  const parts = ends.map(([count, end]) => word(lang, "clipped", { share: percent(lang, count / values), end }));
  return parts.join(word(lang, "and")) || word(lang, "clipped.none");
}

/** `edges replicated; responses from −812 to 655; |response| shown, 1.2 % clipped at 255`.
 * @param {string} lang @param {Told} told @param {number} values how many numbers the picture has */
export function caption(lang, told, values) {
  const limit = Math.max(Math.abs(told.low), Math.abs(told.high));
  const [low, high] = [numeral(told.low), numeral(told.high)];
  const filled = { low, high, least: numeral(-limit), most: numeral(limit), clipped: clippedText(lang, told, values) };
  const shown = word(lang, told.show === "signed" && !limit ? "signed.flat" : told.show, filled);
  return word(lang, "responses", { low, high, shown });
}
