// Behaviour of every page: heartbeat of live parts, theme, clocks in the viewer's zone, keyboard. No library but htmx.
(() => {
  const root = document.documentElement;
  const body = document.body;
  const find = (selector, from = document) => from.querySelector(selector);
  const all = (selector, from = document) => [...from.querySelectorAll(selector)];
  const remember = (key, value) => { try { localStorage.setItem(key, value); } catch { /* private window: forget */ } };
  const recall = (key) => { try { return localStorage.getItem(key); } catch { return null; } };

  // Live parts listen for "tick" (hx-trigger="tick from:body"). No tick while the page is hidden or paused.
  const pauseButton = find("#live-toggle");
  let paused = recall("cuepoint.paused") === "yes";
  const showPause = () => {
    if (!pauseButton) return;
    pauseButton.setAttribute("aria-pressed", String(paused));
    find(".label", pauseButton).textContent = paused ? "Updates paused" : "Updates live";
    root.dataset.paused = String(paused);
  };
  const tick = () => { if (!paused && !document.hidden) body.dispatchEvent(new CustomEvent("tick")); };
  pauseButton?.addEventListener("click", () => { paused = !paused; remember("cuepoint.paused", paused ? "yes" : "no"); showPause(); tick(); });
  document.addEventListener("visibilitychange", tick);
  showPause();
  setInterval(tick, Number(body.dataset.refreshMs) || 2000);

  // A fragment that has not changed is not swapped: nothing flickers, and focus and selection stay.
  const last = new WeakMap();
  body.addEventListener("htmx:beforeSwap", (event) => {
    if (!event.detail.target.hasAttribute("data-live")) return;
    if (event.detail.xhr.status >= 400) return;
    if (last.get(event.detail.target) === event.detail.serverResponse) event.detail.shouldSwap = false;
    last.set(event.detail.target, event.detail.serverResponse);
  });
  const offline = find("#offline");
  const reach = (ok) => { if (offline && offline.hidden !== ok) offline.hidden = ok; };
  body.addEventListener("htmx:sendError", () => reach(false));
  body.addEventListener("htmx:responseError", (event) => reach(event.detail.xhr.status < 500));
  body.addEventListener("htmx:afterRequest", (event) => { if (event.detail.successful) reach(true); });

  // Clock times in the viewer's zone, UTC kept in the title; days of reports are UTC days and stay as they are.
  const zone = new Intl.DateTimeFormat("en-GB", { timeZoneName: "short" });
  const forms = {
    time: new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" }),
    full: new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", year: "numeric", hour: "2-digit", minute: "2-digit", second: "2-digit", timeZoneName: "short" }),
  };
  const zoneName = zone.formatToParts(new Date()).find((part) => part.type === "timeZoneName").value;
  const localise = (from) => {
    all("time[data-clock]", from).forEach((node) => {
      const at = new Date(node.dateTime);
      const today = new Date().toDateString() === at.toDateString();
      node.textContent = node.dataset.clock === "auto" && today ? forms.time.format(at) : forms.full.format(at);
    });
    all("[data-zone]", from).forEach((node) => { node.textContent = zoneName; });
  };
  localise(document);
  body.addEventListener("htmx:afterSwap", (event) => localise(event.detail.target));

  // Theme: automatic, light, dark, remembered.
  const themeButton = find("#theme-toggle");
  const themes = ["auto", "light", "dark"];
  const theme = () => root.dataset.theme ?? "auto";
  const showTheme = () => { find(".label", themeButton).textContent = `Theme: ${theme()}`; themeButton.setAttribute("aria-label", `Theme: ${theme()}. Change`); };
  themeButton?.addEventListener("click", () => {
    const next = themes[(themes.indexOf(theme()) + 1) % themes.length];
    if (next === "auto") delete root.dataset.theme; else root.dataset.theme = next;
    remember("cuepoint.theme", next);
    showTheme();
    body.dispatchEvent(new CustomEvent("themechanged"));
  });
  if (themeButton) showTheme();
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => body.dispatchEvent(new CustomEvent("themechanged")));

  // Keyboard: j and k move in the list, Enter opens (it is a link), / searches, g then a letter goes to a page, ? explains.
  const help = find("#help");
  const move = (step) => {
    const links = all("[data-list] .row-link");
    if (!links.length) return;
    const at = links.indexOf(document.activeElement);
    const next = at < 0 ? (step > 0 ? 0 : links.length - 1) : Math.min(Math.max(at + step, 0), links.length - 1);
    links[next].focus();
    links[next].scrollIntoView({ block: "nearest" });
  };
  let going = false;
  const go = (key) => {
    going = false;
    const link = find(`.nav a[data-key="${CSS.escape(key)}"]`);
    if (link) link.click();
    return Boolean(link);
  };
  const keys = {
    j: () => move(1), k: () => move(-1), "?": () => help?.showModal(),
    "/": () => { const box = find("input[type=search]"); box?.focus(); box?.select(); },
    g: () => { going = true; setTimeout(() => { going = false; }, 1200); },
  };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || help?.open) return;
    const typing = event.target.closest("input, select, textarea");
    if (typing) { if (event.key === "Escape") typing.blur(); return; }
    if (going && go(event.key)) { event.preventDefault(); return; }
    const action = keys[event.key];
    if (action) { event.preventDefault(); action(); }
  });
  find("#help-toggle")?.addEventListener("click", () => help.showModal());

  // A link to what is shown: copied where the browser lets us, else it is a link like any other.
  body.addEventListener("click", async (event) => {
    const link = event.target.closest("a[data-copy-link]");
    if (!link || !navigator.clipboard || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    const text = link.textContent;
    try { await navigator.clipboard.writeText(link.href); link.textContent = "Link copied"; } catch { location.href = link.href; return; }
    setTimeout(() => { link.textContent = text; }, 2000);
  });

  // A filter that is chosen is applied; the button remains for those without script.
  all("form[data-filters] select").forEach((node) => node.addEventListener("change", () => node.form.requestSubmit()));
  all("form[data-filters]").forEach((form) => form.addEventListener("submit", () => {
    all("input, select", form).forEach((field) => { if (!field.value) field.disabled = true; });
  }));
  addEventListener("pageshow", () => all("form[data-filters] :disabled").forEach((field) => { field.disabled = false; }));
})();
