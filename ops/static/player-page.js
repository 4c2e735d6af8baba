// The player page: a session of its own, one clip after another, ads by the session's decisions, by VMAP and VAST, or in the HLS manifest.
import { CuepointPlayer } from "./cuepoint-player.js";
import { playVast } from "./player-vast.js";
import { playHls } from "./player-hls.js";

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

const clipOf = (option) => JSON.parse(option.dataset.clip);
const isHls = (clip) => new URL(clip.url).pathname.endsWith(".m3u8");

/** The video after the one that is chosen, round and round; of those that need no hls.js. */
const next = () => {
  const all = [...clips.options].filter((each) => !isHls(clipOf(each)));
  return all[(all.indexOf(clips.selectedOptions[0]) + 1) % all.length];
};

const start = async () => {
  const clip = clipOf(clips.selectedOptions[0]);
  const { url, title, ...said } = clip;
  const hls = isHls(clip);
  const way = hls ? "hls" : ads.value;
  const player = await CuepointPlayer.attach(video, {
    session, viewer: { device: matchMedia("(pointer: coarse)").matches ? "mobile" : "desktop" }, heartbeatS: 1,
    decisions: way === "decisions", slots: { beside: find("beside"), page: find("beside") },
    before: way === "vast" ? () => playVast(player, clip, note) : undefined,
  });
  window.cuepointPlayer = player; // for whoever looks with the browser's tools
  const shown = ({ decision, ad }) => `${ad.type} “${ad.title}”${decision.rule_id ? ` of rule ${decision.rule_id}` : ""}`;
  player.addEventListener("decision", ({ detail }) => note(`decision ${detail.number}: ${detail.format.type ?? "spot"} of rule ${detail.rule_id}, ${detail.reason}`));
  player.addEventListener("adstart", ({ detail }) => note(`begins: ${shown(detail)}`));
  player.addEventListener("adend", ({ detail }) => note(`ends: ${shown(detail)} (${[...detail.done].pop()})`));
  player.addEventListener("blocked", () => note("the browser wants a click before it plays"));
  player.addEventListener("unlock", () => { find("unlocked").hidden = false; note("unlocked"); });
  player.addEventListener("complete", () => note("the clip is over"));
  player.open(said);
  if (hls) await playHls(player, clip, note); else video.src = url;
  find("next").hidden = way !== "decisions";
  find("next").onclick = () => {
    const chosen = next(), { url: address, title: name, ...more } = clipOf(chosen);
    chosen.selected = true;
    player.open(more);
    video.src = address;
    note(`next: ${name || more.video_id}`);
    player.play();
  };
  find("fullscreen").onclick = () => player.fullscreen();
  find("offers").onclick = () => { player.act("/offers"); note("chose /offers"); };
  find("timeline").href = `/sessions/${encodeURIComponent(player.id)}`;
  note(`session ${player.id}: ${title || said.video_id}`);
};

// The address holds what is chosen; another choice is another session.
const chosen = new URLSearchParams(location.search);
if (clips) {
  if ([...clips.options].some((each) => each.value === chosen.get("video"))) clips.value = chosen.get("video");
  if (chosen.get("ads") === "vast") ads.value = "vast";
  find("choice").addEventListener("change", () => find("choice").requestSubmit());
  start().catch((error) => note(`cannot begin: ${error.message}`));
}
