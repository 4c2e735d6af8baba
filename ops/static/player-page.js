// The player page: a session of its own, one clip after another, ads by the session's decisions, by VMAP and VAST, or in the HLS manifest.
import { CuepointPlayer } from "./cuepoint-player.js";
import { askConsent, viewerId } from "./player-consent.js";
import { playVast } from "./player-vast.js";
import { attachHls, playHls } from "./player-hls.js";

const find = (id) => document.getElementById(id);
const clips = find("clip"), ads = find("ads"), video = find("video");

const note = (text) => {
  const line = document.createElement("li");
  line.textContent = `${video.currentTime.toFixed(1)} s: ${text}`;
  find("log").prepend(line);
};

const session = async (again = "") => {
  const answer = await fetch(`/player/session?again=${encodeURIComponent(again)}`, { method: "POST" });
  if (!answer.ok) throw new Error((await answer.json()).detail);
  return answer.json();
};

const isHls = (clip) => new URL(clip.url).pathname.endsWith(".m3u8");
const clipsOf = (option) => JSON.parse(option.dataset.clips);
const nameOf = (clip) => clip.title || clip.video_id;

/** The clips to be played: a playlist's, or the chosen video and round and round the others that "Next" leads to. HLS stands alone. */
const lineUp = () => {
  const chosen = clips.selectedOptions[0], own = clipsOf(chosen), listed = chosen.value.startsWith("playlist/");
  if (isHls(own[0])) return { own: own.slice(0, 1), listed: false };
  if (listed) return { own: own.filter((clip) => !isHls(clip)), listed };
  const videos = [...clips.options].filter((each) => !each.value.startsWith("playlist/")).flatMap(clipsOf).filter((clip) => !isHls(clip));
  const at = videos.findIndex((clip) => clip.video_id === own[0].video_id);
  return { own: [...videos.slice(at), ...videos.slice(0, at)], listed };
};

/** The way from clip to clip: `begin` starts one; a playlist goes on by itself. */
const stepThrough = ({ own, listed }, begin) => {
  let at = 0;
  const step = () => {
    at = listed ? at + 1 : (at + 1) % own.length;
    if (at >= own.length) return note("the playlist is over");
    note(`next: ${nameOf(own[at])}`);
    begin(own[at]);
  };
  find("next").onclick = () => { if (at < own.length) step(); };
  return () => { if (listed) step(); };
};

/** Where consent is required and was refused: the clips, and nothing told to anybody. */
const playPlain = async (lined) => {
  note("consent is required here and was refused: no session, no ads, nothing is sent");
  ["offers", "timeline"].forEach((id) => { find(id).hidden = true; });
  const go = async (clip) => { if (isHls(clip)) await attachHls(video, clip.url); else video.src = clip.url; };
  const over = stepThrough(lined, (clip) => go(clip).then(() => video.play()));
  video.addEventListener("ended", over);
  find("fullscreen").onclick = () => (document.fullscreenElement ? document.exitFullscreen() : find("stage").requestFullscreen());
  await go(lined.own[0]);
};

const playSession = async (lined, consent) => {
  const first = lined.own[0], hls = isHls(first);
  const way = hls ? "hls" : lined.listed ? "decisions" : ads.value;
  const viewer = { device: matchMedia("(pointer: coarse)").matches ? "mobile" : "desktop", consent };
  if (consent) viewer.viewer_id = viewerId();
  const player = await CuepointPlayer.attach(video, {
    session, viewer, heartbeatS: 1, decisions: way === "decisions", slots: { beside: find("beside"), page: find("beside") },
    before: way === "vast" ? () => playVast(player, first, note) : undefined,
  });
  window.cuepointPlayer = player; // for whoever looks with the browser's tools
  const shown = ({ decision, ad }) => `${ad.type} “${ad.title}”${decision.rule_id ? ` of rule ${decision.rule_id}` : ""}`;
  player.addEventListener("decision", ({ detail }) => note(`decision ${detail.number}: ${detail.format.type ?? "spot"} of rule ${detail.rule_id}, ${detail.reason}`));
  player.addEventListener("adstart", ({ detail }) => note(`begins: ${shown(detail)}`));
  player.addEventListener("adend", ({ detail }) => note(`ends: ${shown(detail)} (${[...detail.done].pop()})`));
  player.addEventListener("blocked", () => note("the browser wants a click before it plays"));
  player.addEventListener("unlock", () => { find("unlocked").hidden = false; note("unlocked"); });
  const go = ({ url, title, ...said }) => { player.open(said); if (!hls) video.src = url; };
  const over = stepThrough(lined, (clip) => { go(clip); player.play(); });
  player.addEventListener("complete", () => { note("the clip is over"); over(); });
  go(first);
  if (hls) await playHls(player, first, note);
  find("next").hidden = way !== "decisions";
  find("fullscreen").onclick = () => player.fullscreen();
  find("offers").onclick = () => { player.act("/offers"); note("chose /offers"); };
  find("timeline").href = `/sessions/${encodeURIComponent(player.id)}`;
  note(`session ${player.id}: ${nameOf(first)}`);
};

const start = async () => {
  const consent = await askConsent(find("consent"), find("consent-change"));
  const lined = lineUp();
  if (!consent && find("consent").dataset.required) await playPlain(lined);
  else await playSession(lined, consent);
};

// The address holds what is chosen; another choice is another session.
const chosen = new URLSearchParams(location.search);
if (clips) {
  if ([...clips.options].some((each) => each.value === chosen.get("video"))) clips.value = chosen.get("video");
  if (chosen.get("ads") === "vast") ads.value = "vast";
  find("choice").addEventListener("change", () => find("choice").requestSubmit());
  start().catch((error) => note(`cannot begin: ${error.message}`));
}
