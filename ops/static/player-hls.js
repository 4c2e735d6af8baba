// HLS: hls.js plays the manifest that Cuepoint put interstitials in. It does not read the ad creative signaling
// (SVTA 2053-2) of their asset lists, but hands it on: here the ads are told of as it says.
const SIGNALING = "X-AD-CREATIVE-SIGNALING";
const QUARTILES = ["firstQuartile", "midpoint", "thirdQuartile"];

/** hls.js on the video, which plays what lies there; loaded when it is needed. */
export const attachHls = async (video, url) => {
  const { default: Hls } = await import("./vendor/hls-1.7.4.min.mjs");
  const hls = new Hls({ enableWorker: false });
  hls.loadSource(url);
  hls.attachMedia(video);
  return { hls, events: Hls.Events };
};

/** What is told, by the signaling's names. */
const addresses = (payload) => Object.fromEntries((payload?.tracking ?? []).map(({ type, urls }) => [type, urls]));

/** An ad as the client tells of it, from its slot. */
const lineOf = (asset, slot) => {
  const ids = Object.fromEntries((slot?.identifiers ?? []).map(({ scheme, value }) => [scheme.replace("cuepoint:", ""), value]));
  const { rule_id, decision_id, ad_type } = ids;
  return { asset, length_s: slot?.duration ?? asset.duration, decision: { rule_id, decision_id }, ad: { type: ad_type ?? "spot", tracking: addresses(slot) }, done: new Set() };
};

/** Plays the clip's manifest; of its ads the session and their addresses are told, once each. */
export const playHls = async (player, clip, note) => {
  const { video, base, query } = player;
  const { hls, events } = await attachHls(video, `${base}hls?${query}&video_id=${encodeURIComponent(clip.video_id)}&src=${encodeURIComponent(clip.url)}`);
  let resume, line, film, pod;
  const tell = (event, kind) => player.tell(line, event, kind);
  const look = () => {
    const at = film?.currentTime;
    if (!line || !(at > 0) || video.paused) return;
    tell("impression", "ad_started");
    tell("start");
    QUARTILES.forEach((event, n) => { if (at >= line.length_s * (n + 1) / 4) tell(event); });
  };
  const leave = (event, kind) => { if (line?.done.has("impression") || event === "error") tell(event, kind); line = undefined; };
  const pause = () => { if (line?.done.has("impression") && !video.ended) tell("pause"); };
  const play = () => { if (line?.done.has("pause")) tell("resume"); };
  let still = video.muted;
  const sound = () => {
    if (line && video.muted !== still) tell(video.muted ? "mute" : "unmute");
    still = video.muted;
  };
  Object.entries({ timeupdate: look, pause, play, volumechange: sound }).forEach(([name, heard]) => video.addEventListener(name, heard));
  hls.on(events.INTERSTITIAL_STARTED, () => { note("an interstitial begins"); resume ??= player.standAside(); });
  hls.on(events.INTERSTITIAL_ASSET_STARTED, (_, { asset, assetListIndex, event, player: own }) => {
    note(`asset ${new URL(asset.uri).pathname}`);
    const list = event.assetListResponse;
    if (assetListIndex === 0) {
      pod = { ad: { tracking: addresses(list?.[SIGNALING]?.payload[0]) }, done: new Set() };
      player.tell(pod, "podStart");
    }
    if (line?.asset.identifier !== asset.identifier) line = lineOf(asset, list?.ASSETS[assetListIndex]?.[SIGNALING]?.payload[0]);
    film = own;
  });
  hls.on(events.INTERSTITIAL_ASSET_ENDED, () => { QUARTILES.forEach((event) => line?.done.has("impression") && tell(event)); leave("complete", "ad_completed"); });
  hls.on(events.INTERSTITIAL_ASSET_ERROR, () => {
    if (line) line.ad.tracking.error = line.ad.tracking.error?.map((url) => url.replace("[ERRORCODE]", 405));
    leave("error", "ad_failed");
  });
  hls.on(events.INTERSTITIALS_PRIMARY_RESUMED, () => {
    note("the clip goes on");
    if (pod) player.tell(pod, "podEnd");
    resume?.();
    resume = pod = line = undefined;
  });
  hls.on(events.ERROR, (_, { details, fatal }) => { if (fatal) note(`hls.js gave up: ${details}`); });
  return hls;
};
