// Whether this browser's viewer agrees to be known by a pseudonym: asked once, remembered here, changed at any time.
const ANSWER = "cuepoint.consent", VIEWER = "cuepoint.viewer";
const read = (name) => { try { return localStorage.getItem(name); } catch { return null; } };
const write = (name, value) => { try { localStorage.setItem(name, value); } catch { /* asked again next time */ } };
/** The id, and what a page that closed had still to say under it. */
const forget = () => { try { Object.keys(localStorage).filter((name) => name === VIEWER || name.startsWith("cuepoint.left.")).forEach((name) => localStorage.removeItem(name)); } catch { /* nothing was kept */ } };

/** An id of this browser, at random; only who agreed has one. */
export const viewerId = () => {
  const id = read(VIEWER) ?? `web-${[...crypto.getRandomValues(new Uint8Array(12))].map((byte) => byte.toString(16).padStart(2, "0")).join("")}`;
  write(VIEWER, id);
  return id;
};

/** The answer, by `box` with its two buttons; a change by `again` begins a new session. */
export const askConsent = (box, again) => new Promise((answered) => {
  let known = read(ANSWER);
  const say = (told) => { again.hidden = false; again.textContent = told === "yes" ? "Consent: given" : "Consent: refused"; };
  for (const button of box.querySelectorAll("button")) {
    button.onclick = () => {
      box.hidden = true;
      write(ANSWER, button.value);
      if (button.value !== "yes") forget();
      if (known && known !== button.value) return location.reload();
      say(known = button.value);
      again.focus();
      answered(known === "yes");
    };
  }
  again.onclick = () => { box.hidden = false; box.focus(); };
  if (!known) return box.hidden = false;
  say(known);
  answered(known === "yes");
});
