// @ts-check
/** The pages of a model: the server draws them; here links and forms change the page without leaving it. */
import { toggleTheme } from "./page/theme.js";
import { listenToPointing } from "./pages/pick.js";
import { listenToArrows } from "./pages/arrows.js";
import { follow, listenToLinks } from "./pages/swap.js";

document.getElementById("theme")?.addEventListener("click", toggleTheme);
listenToLinks();
listenToPointing();
listenToArrows();
follow();
document.documentElement.dataset.ready = "true";
