// @ts-check
/** Light or dark, and the presenter's mode; the first is remembered. */

const root = document.documentElement;

export function toggleTheme() {
  const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = dark ? "light" : "dark";
  try {
    localStorage.setItem("theme", root.dataset.theme);
  } catch (error) {
    if (!(error instanceof DOMException)) throw error;
  }
}

export function togglePresent() {
  const on = root.dataset.present !== "true";
  root.dataset.present = String(on);
  document.getElementById("present")?.setAttribute("aria-pressed", String(on));
}
