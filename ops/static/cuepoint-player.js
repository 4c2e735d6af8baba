// Cuepoint's client for web players, without dependencies: docs/player.md. Types: cuepoint-player.d.ts.
const BATCH = 100;
const LEFT = "cuepoint.left."; // what pages that closed had to say
const OVERLAYS = "bug ticker banner context shadow floating expanding wallpaper pop_up pop_under skin map curtain".split(" ");
const sleep = (ms) => new Promise((done) => setTimeout(done, ms));
const on = (target, names, heard, signal) => names.split(" ").forEach((name) => target.addEventListener(name, heard, { signal }));
/** The address, if there is one and a page may open it. */
const web = (url) => { try { const whole = new URL(url || "x:", location.href); return /^https?:$/.test(whole.protocol) ? whole.href : ""; } catch { return ""; } };
/** An element; text is only ever text. */
const make = (tag, name, text = "", more = {}) => Object.assign(document.createElement(tag), { className: name, textContent: text }, more);

/** Sends what is said until it is acknowledged: events in batches, then addresses to be told. */
class Outbox {
  constructor(url, most, { events = [], hits = [] } = {}) {
    Object.assign(this, { url, most, events, hits, pause: 0 });
  }

  add(list, item) {
    list.push(item);
    if (list.length > this.most) list.splice(Math.max(0, list.findIndex((each) => each.kind === "progressed")), 1);
  }

  soon(ms) { clearTimeout(this.timer); this.timer = setTimeout(() => this.flush(), Math.max(ms, this.pause)); }

  async flush() {
    if (this.busy) return;
    const { events, hits } = this;
    this.busy = true;
    try {
      while (events.length || hits.length) {
        const some = events.slice(0, BATCH);
        const answer = some.length ? await this.post(some) : await this.tell(hits[0]);
        const old = answer.status === 401 && some.length && this.renew;
        if (old) await this.renew();
        if (old || answer.status === 429 || answer.status >= 500) throw answer;
        const done = new Set(some.length ? some : hits.slice(0, 1));
        for (const list of [events, hits]) list.splice(0, list.length, ...list.filter((each) => !done.has(each)));
        this.pause = 0;
      }
    } catch (answer) {
      const asked = Number(answer.headers?.get("retry-after")) * 1000;
      this.pause = asked || Math.min(30000, this.pause * 2 || 500) * (0.75 + Math.random() / 2);
      this.soon(0);
    }
    this.busy = false;
  }

  body(events) { return JSON.stringify({ events }); }
  post(events) { return fetch(this.url, { method: "POST", body: this.body(events), credentials: "omit", keepalive: document.hidden }); }
  tell(url) { return fetch(url, { mode: new URL(url).origin === new URL(this.url).origin ? "cors" : "no-cors", credentials: "omit", keepalive: true }); }

  /** The page goes: hand all to the browser, and keep it for the next visit, for nobody hears whether it arrives; repeats are recognised by their ids. */
  leave() {
    const { url, events, hits } = this;
    for (let n = 0; n < events.length; n += BATCH) navigator.sendBeacon(url, this.body(events.slice(n, n + BATCH)));
    hits.forEach((hit) => this.tell(hit).catch(() => 0));
    if (events.length + hits.length) try { localStorage.setItem(LEFT + Date.now(), JSON.stringify({ url, events, hits })); } catch { /* no storage */ }
  }

  static resume(most) {
    try {
      for (const key of Object.keys(localStorage).filter((each) => each.startsWith(LEFT))) {
        const left = JSON.parse(localStorage.getItem(key));
        localStorage.removeItem(key);
        new Outbox(left.url, most, left).flush();
      }
    } catch { /* no storage */ }
  }
}

/** A session of one viewer at one <video>. Emits decision, adstart, adend, unlock, blocked, complete. */
export class CuepointPlayer extends EventTarget {
  #queue = Promise.resolve(); // ads for which the clip stands still, one after another
  #gone = new AbortController();
  #seq = 0; #last = 0; // events said, decisions heard
  #at = 0; #beat = 0; #hover = 0; // place in the clip; when we last said so, and that the pointer came
  #held = 0; #aside; #below; // ads (and beginnings) for which the clip stands still
  #clip = {}; #begun; #paused; #wanted; #muted; #seen = new Set();

  /** Wraps the video and opens the session. */
  static async attach(video, options) {
    const player = new CuepointPlayer(video, options);
    await player.#open();
    return player;
  }

  constructor(video, options) {
    super();
    this.video = video;
    this.options = { api: "", viewer: {}, heartbeatS: 5, batchMs: 100, waitS: 0.8, adTimeoutS: 8, pollS: 2, queue: 1000, decisions: true, slots: {}, ...options };
    this.root = make("div", "cuepoint");
    video.before(this.root);
    this.root.append(video);
    video.controlsList?.add("nofullscreen"); // full screen is the whole player's, ads included: fullscreen()
    this.#muted = this.#isMuted();
  }

  #isMuted() { return this.video.muted || this.video.volume === 0; }

  async #open() {
    const { api, session, viewer, queue } = this.options;
    const renew = async () => {
      const { session_id, token, seq } = typeof session === "function" ? await session(this.id) : session;
      if (!this.id) this.#seq = seq ?? 0;
      this.id = session_id;
      this.query = `token=${encodeURIComponent(token)}`;
      this.base = new URL(`${api}/v1/sessions/${encodeURIComponent(session_id)}/`, location.href).href;
      return (this.out ??= new Outbox("", queue)).url = new URL(`${api}/v1/events?${this.query}`, location.href).href;
    };
    await renew();
    this.out.renew = renew;
    Outbox.resume(queue);
    this.#watch();
    this.#say("session_started", viewer);
    this.#listen();
  }

  /** The clip that the video plays next: what video_started will say of it. */
  open(clip) { this.#clip = clip; this.#begun = this.#paused = false; this.#at = 0; }

  #say(kind, more = {}) {
    const { id, video } = this;
    const event = { type: "player-event.v1", event_id: `${id}.${this.#seq}`, session_id: id, seq: this.#seq++, kind, at: Date.now(), position_s: +this.#at.toFixed(3), ...more };
    if (this.#begun) event.video_id = this.#clip.video_id;
    if (kind === "video_started") event.duration_s ??= Number.isFinite(video.duration) ? video.duration : undefined;
    this.out.add(this.out.events, event);
    this.out.soon(this.options.batchMs);
  }

  /** The viewer did something on the site, such as choosing an address. */
  act(action) { this.#say("site_action", { action: String(action).slice(0, 512) }); }

  #watch() {
    const { video, root, out } = this, { signal } = this.#gone;
    const hear = (names, heard, target = video) => on(target, names, heard, signal);
    let from = null;
    hear("play", () => {
      this.#wanted = true;
      if (this.#held) return this.#aside || video.pause();
      if (!this.#begun) return this.#begin();
      if (this.#paused) { this.#paused = false; this.#say("resumed"); }
    });
    hear("pause", () => {
      if (this.#held || video.ended || !this.#begun || this.#paused) return;
      this.#wanted = false; this.#paused = true;
      this.#say("paused");
    });
    hear("timeupdate", () => {
      if (video.seeking || this.#held || !this.#begun) return;
      this.#at = video.currentTime;
      if (video.paused || Date.now() - this.#beat < this.options.heartbeatS * 1000) return;
      this.#beat = Date.now();
      this.#say("progressed");
    });
    hear("seeking", () => { from ??= this.#at; });
    hear("seeked", () => {
      const was = from ?? 0;
      from = null;
      if (!this.#begun || this.#held) return;
      this.#at = video.currentTime;
      if (Math.abs(this.#at - was) > 0.1) this.#say(this.#at < was ? "rewound" : "seeked", { from_position_s: +was.toFixed(3) });
    });
    hear("ended", async () => {
      if (!this.#begun || this.#held) return;
      this.#at = video.duration;
      this.#wanted = false;
      this.#say("video_completed");
      await this.#decision();
      await this.#settled();
      this.#emit("complete");
    });
    hear("volumechange", () => { if (this.#isMuted() !== this.#muted) { this.#muted = !this.#muted; this.#say(this.#muted ? "muted" : "unmuted"); } });
    hear("click", () => this.#say("clicked", { action: "video" }));
    hear("pointerenter", () => { if (Date.now() - this.#hover > 10000) { this.#hover = Date.now(); this.#say("hovered"); } }, root);
    let full = false;
    hear("fullscreenchange", () => {
      const now = root.contains(document.fullscreenElement);
      if (now !== full) this.#say((full = now) ? "fullscreen_entered" : "fullscreen_left");
    }, document);
    hear("online", () => out.flush(), window);
    hear("visibilitychange", () => { if (document.hidden && navigator.onLine) out.flush(); }, document);
    hear("pagehide", (event) => { if (!event.persisted) this.#say("session_ended"); this.stream?.close(); out.leave(); }, window);
    hear("pageshow", (event) => { if (event.persisted) { this.#listen(); out.flush(); } }, window);
  }

  /** A clip begins: say so, and give an ad before it the time to be decided. */
  async #begin() {
    const { video, options } = this;
    this.#held += 1;
    video.pause();
    if (video.readyState < 1) await Promise.race([new Promise((done) => video.addEventListener("loadedmetadata", done, { once: true })), sleep(3000)]);
    this.#begun = true;
    this.#say("video_started", { ...options.viewer, ...this.#clip });
    this.out.flush();
    await options.before?.(this);
    await this.#decision();
    await this.#release();
  }

  /** The next decision, if it comes in time. */
  async #decision() {
    const { decisions, waitS } = this.options;
    if (decisions) await Promise.race([sleep(waitS * 1000), new Promise((done) => this.addEventListener("decision", done, { once: true }))]);
  }

  async #settled() { for (let now; now !== this.#queue;) await (now = this.#queue); }

  /** Ads in line first; then the clip goes on, if the viewer wants it to. */
  async #release() {
    await this.#settled();
    this.#held -= 1;
    if (!this.#held && this.#wanted && !this.video.ended) this.play();
  }

  /** Plays; muted or by a button where the browser forbids it. */
  play() { return this.#start(this.video, this.root); }

  async #start(video, box) {
    const tried = (error) => error.name;
    let name = await video.play().catch(tried);
    if (name === "NotAllowedError" && !video.muted && this.options.mutedStart !== false) {
      if (video === this.video) this.#muted = true;
      video.muted = true;
      name = await video.play().catch(tried);
    }
    if (name !== "NotAllowedError" || box.querySelector(".cp-play")) return;
    const button = make("button", "cp-play", "▶", { type: "button", ariaLabel: "Play", onclick: () => { button.remove(); video.play(); } });
    box.append(button);
    this.#emit("blocked");
  }

  /** Somebody else shows an ad in the video itself: nothing is heard of it until the returned function is called. */
  standAside() {
    this.#held += 1;
    this.#aside = true;
    return () => {
      this.#held -= 1;
      this.#aside = false;
      if (!this.#begun && !this.video.paused) this.#begin();
    };
  }

  fullscreen() { return document.fullscreenElement ? document.exitFullscreen() : this.root.requestFullscreen(); }

  #emit(type, detail) { this.dispatchEvent(new CustomEvent(type, { detail })); }

  #listen() {
    if (!this.options.decisions || this.#gone.signal.aborted) return;
    const take = (decision) => { this.#last = Math.max(this.#last, decision.number); this.#decided(decision); };
    const url = (path) => `${this.base}decisions${path}?${this.query}&after=${this.#last}`;
    const stream = (this.stream = new EventSource(url("/stream")));
    stream.addEventListener("decision", (event) => take(JSON.parse(event.data)));
    stream.onerror = async () => {
      if (stream.readyState !== 2) return; // it comes back by itself
      for (let n = 0; n < 10 && this.stream === stream; n += 1) {
        const answer = await fetch(url("")).catch(() => 0);
        if (answer.ok) (await answer.json()).decisions.forEach(take);
        if (answer.status === 401) await this.out.renew();
        await sleep(this.options.pollS * 1000);
      }
      if (this.stream === stream) this.#listen();
    };
  }

  async #decided(decision) {
    if (this.#seen.has(decision.decision_id) || decision.video_id !== this.#clip.video_id) return;
    this.#seen.add(decision.decision_id);
    const asked = fetch(`${this.base}breaks/${encodeURIComponent(decision.decision_id)}/ads?${this.query}`).then((answer) => answer.ok ? answer.json() : { ads: [] }).catch(() => ({ ads: [] }));
    this.insert(decision, asked);
    this.#emit("decision", decision);
  }

  /** Shows the ads of a break: those for which the clip stands still one after another, others beside it. */
  insert(decision, given) {
    const shown = async () => {
      const { ads, tracking } = await given;
      if (ads.length) this.#hit(tracking, "break_start");
      for (const [n, ad] of ads.entries()) {
        const line = { decision, ad, name: ads.length > 1 ? `Advertisement ${n + 1} of ${ads.length}` : "Advertisement", done: new Set() };
        line.file = OVERLAYS.includes(ad.type) ? null : ad.media.find((each) => web(each.url) && this.video.canPlayType(each.media_type ?? "video/mp4"));
        line.screen = decision.format.screen ?? "full"; // defaults are left out of decisions
        if (line.file && (line.screen === "full" || ad.type !== "telescoping")) await this.#hold(line, () => this.#linear(line));
        else if (line.screen === "full" && ad.type !== "curtain") await this.#hold(line, () => this.#overlay(line));
        else this.#overlay(line);
      }
      if (ads.length) this.#hit(tracking, "break_end");
    };
    return this.#next(shown);
  }

  #next(task) { return (this.#queue = this.#queue.then(task).catch(() => 0)); }

  async #hold({ ad }, show) {
    const { video } = this, focus = document.activeElement;
    this.#held += 1;
    video.pause();
    video.inert = true;
    await show();
    if (ad.type === "telescoping" || ad.type === "interactive") await this.#decision(); // what follows a call to action
    video.inert = false;
    if (focus === video || this.root.contains(focus)) focus.focus();
    this.#release();
  }

  #hit(tracking, event) {
    (tracking?.[event] ?? []).map(web).forEach((url) => url && this.out.add(this.out.hits, url));
    this.out.soon(this.options.batchMs);
  }

  /** Tells of an ad at its addresses, once each, and of what rules ask for as the session's event. */
  tell({ decision, ad, done }, event, kind) {
    if (done.has(event)) return;
    done.add(event);
    this.#hit(ad.tracking, event);
    if (kind) this.#say(kind, { decision_id: decision.decision_id, rule_id: decision.rule_id, ad_type: ad.type });
  }

  #box(line, name) {
    const box = make("section", `cp-ad ${name}`, "", { ariaLabel: line.name, tabIndex: -1 });
    box.dataset.type = line.ad.type;
    this.#emit("adstart", line);
    return box;
  }

  /** To an ad that covers the clip, unless the viewer is busy elsewhere on the page. */
  #focus(box) {
    const at = document.activeElement;
    if (at === document.body || this.root.contains(at)) box.focus({ preventScroll: true });
  }

  #visit(line, href, text) {
    return make("a", "cp-visit", text, { href, target: "_blank", rel: "noopener noreferrer", onclick: () => this.tell(line, "click", "ad_clicked") });
  }

  /** An ad that is a video; the promise ends with it, however it ends. */
  #linear(line) {
    const { ad, decision, done } = line;
    const box = this.#box(line, "cp-linear"), film = make("video", "", "", { src: web(line.file.url), playsInline: true, muted: this.video.muted, volume: this.video.volume });
    const left = make("span", "cp-left", line.name), bar = make("div", "cp-bar");
    const button = (text, onclick) => make("button", "", text, { type: "button", onclick });
    const hold = button("Pause", () => film.paused ? film.play() : film.pause());
    const sound = button("", () => { film.muted = !film.muted; });
    const after = ad.skip_after_s ?? decision.format.skip_after_s;
    return new Promise((end) => {
      const finish = (event, kind) => {
        if (!box.isConnected) return;
        clearTimeout(late);
        this.tell(line, event, kind);
        film.ontimeupdate = null; // then silence
        film.removeAttribute("src");
        box.remove();
        this.#emit("adend", line);
        end();
      };
      const fail = (code) => { ad.tracking.error = ad.tracking.error?.map((url) => url.replace("[ERRORCODE]", code)); finish("error", "ad_failed"); };
      const late = setTimeout(() => { if (!done.has("impression") && !box.querySelector(".cp-play")) fail(402); }, this.options.adTimeoutS * 1000);
      const href = web(ad.click_url), visit = href && this.#visit(line, href, "Visit advertiser");
      const skip = button("Skip", () => finish("skip", "ad_skipped"));
      const look = () => { hold.textContent = film.paused ? "Play" : "Pause"; sound.textContent = film.muted ? "Unmute" : "Mute"; };
      film.onplaying = () => {
        this.tell(line, "impression", "ad_started");
        ["creative_view", "start"].forEach((event) => this.tell(line, event));
        look();
      };
      film.onpause = () => { look(); if (box.isConnected && !film.ended) this.tell(line, "pause"); };
      film.onplay = () => { box.querySelector(".cp-play")?.remove(); if (done.has("pause")) this.tell(line, "resume"); };
      let still = film.muted; // a film made muted says so, too
      film.onvolumechange = () => {
        look();
        if (film.muted === still) return;
        still = this.video.muted = film.muted;
        this.tell(line, still ? "mute" : "unmute");
      };
      film.onerror = () => fail(film.error?.code === 2 ? 401 : 405);
      film.onended = () => finish("complete", "ad_completed");
      film.ontimeupdate = () => {
        const part = film.currentTime / film.duration, wait = Math.ceil(after - film.currentTime);
        ["first_quartile", "midpoint", "third_quartile"].forEach((event, n) => { if (part >= (n + 1) / 4) this.tell(line, event); });
        left.textContent = `${line.name}, ${Math.ceil(film.duration - film.currentTime) || 0} s left`;
        skip.disabled = wait > 0;
        skip.textContent = wait > 0 ? `Skip in ${wait}` : "Skip";
      };
      skip.disabled = true;
      bar.append(...[left, hold, sound, visit, after != null && skip].filter(Boolean));
      box.append(film, bar);
      this.root.append(box);
      this.#focus(box);
      look();
      this.#start(film, box);
    });
  }

  /** Where an ad is put: the site's element for its screen; else over the clip, or below it what belongs to the page. */
  #place({ ad, screen }) {
    const own = this.options.slots[screen];
    if (own || ad.type !== "pop_under" && screen !== "page" && screen !== "beside") return own ?? this.root;
    if (!this.#below) this.root.after(this.#below = make("div", "cp-below"));
    return this.#below;
  }

  /** An ad over the clip or beside it: images, one after another, or text, for its time or until it is closed. */
  #overlay(line) {
    const { ad, decision, screen } = line, form = ad.type === "form";
    const box = this.#box(line, "cp-overlay");
    box.dataset.screen = screen;
    return new Promise((end) => {
      const finish = (event, kind) => {
        clearTimeout(timer);
        clearInterval(turning);
        this.tell(line, event, kind);
        box.classList.add("cp-gone"); // the curtain draws back
        setTimeout(() => box.remove(), ad.type === "curtain" ? 600 : 0);
        this.#emit("adend", line);
        end();
      };
      const over = () => finish("over", line.file ? undefined : "ad_completed");
      const timer = setTimeout(over, decision.duration_s * 1000);
      const text = () => make("span", "cp-text", ad.title);
      const images = [ad.image_url, ...ad.media.map((each) => /^image/.test(each.media_type) && each.url)].map(web).filter(Boolean);
      const face = images[0] ? make("img", "", "", { src: images[0], alt: ad.title, onerror: () => face.replaceWith(text()) }) : text();
      let turn = 0;
      const turning = images[1] && setInterval(() => { if (images[++turn]) face.src = images[turn]; }, decision.duration_s * 1000 / images.length);
      const clicked = () => {
        this.tell(line, "click", "ad_clicked"); // once, however it was clicked
        if (form) this.#emit("unlock", line);
        if (form || !href) finish("over", form && "ad_completed");
        if (line.file) this.#next(() => this.#hold(line, () => this.#linear(line)));
      };
      const href = !line.file && ad.type !== "telescoping" && web(ad.click_url);
      const act = href ? this.#visit(line, href) : make("button", "cp-visit", "", { type: "button" });
      act.addEventListener("click", clicked);
      if (form) { act.textContent = "Continue"; box.append(face, make("p", "cp-text", ad.title)); } else act.append(face);
      box.append(act);
      box.append(make("button", "cp-close", form ? "No, thanks" : "✕", { type: "button", ariaLabel: form ? null : "Close advertisement", onclick: () => finish("close", "ad_skipped") }));
      on(box, "keydown", (event) => { if (event.key === "Escape") finish("close", "ad_skipped"); });
      this.#place(line).append(box);
      this.tell(line, "impression", "ad_started");
      this.tell(line, "creative_view");
      if (form) this.#focus(box);
    });
  }

  /** The session is over: tell what is left, and take nothing more. */
  close() {
    this.#say("session_ended");
    this.out.flush();
    this.stream?.close();
    this.stream = null;
    this.#gone.abort();
  }
}
