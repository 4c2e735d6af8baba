// Runs before the first paint (blocking, in the head) so that a remembered theme never flashes. No entry: the system decides.
(() => {
  const read = () => { try { return localStorage.getItem("cuepoint.theme"); } catch { return null; } };
  const choice = read();
  if (choice === "light" || choice === "dark") document.documentElement.dataset.theme = choice;
  document.documentElement.dataset.script = "on";
})();
