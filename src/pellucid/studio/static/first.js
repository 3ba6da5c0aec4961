// Runs before the first paint, so that a remembered theme does not flash.
try {
  const theme = localStorage.getItem("theme");
  if (theme) document.documentElement.dataset.theme = theme;
} catch (error) {
  if (!(error instanceof DOMException)) throw error;
}
