// Ads for players that know VMAP and VAST only: the breaks of the VMAP, each read by vast-client when it comes.
const MEDIA = { start: 0, end: Infinity };

/** Seconds of a VMAP's offset: start, end, hh:mm:ss.mmm or a per cent of the clip. */
const seconds = (offset, duration) => {
  if (offset in MEDIA) return MEDIA[offset];
  if (offset.endsWith("%")) return duration * parseFloat(offset) / 100;
  return offset.split(":").reduce((sum, part) => sum * 60 + Number(part), 0);
};

/** An ad of VAST as the client shows it. */
const adOf = (ad) => {
  const creative = ad.creatives.find((each) => each.type === "linear" || each.type === "nonlinear");
  if (!creative) return null;
  const urls = (list) => (list ?? []).map((each) => each.url ?? each);
  const events = Object.fromEntries(Object.entries(creative.trackingEvents).map(([name, list]) => [name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`), list]));
  const shape = creative.variations?.[0];
  const clicks = urls(shape ? shape.nonlinearClickTrackingURLTemplates : creative.videoClickTrackingURLTemplates);
  return {
    title: ad.title ?? "", type: shape ? "banner" : "spot", skip_after_s: creative.skipDelay ?? null,
    media: (creative.mediaFiles ?? []).map((file) => ({ url: file.fileURL, media_type: file.mimeType })),
    image_url: shape?.staticResource ?? null,
    click_url: (shape ? shape.nonlinearClickThroughURLTemplate : creative.videoClickThroughURLTemplate?.url) ?? null,
    tracking: { ...events, impression: urls(ad.impressionURLTemplates), click: clicks, error: urls(ad.errorURLTemplates) },
  };
};

/** Reads the VMAP, plays what stands at the start, and has the other breaks come in their time. */
export const playVast = async (player, clip, note) => {
  const { VASTClient } = await import("./vendor/vast-client-6.4.5.min.js");
  const { video, query, base } = player;
  const asked = `video_id=${encodeURIComponent(clip.video_id)}&category=${encodeURIComponent(clip.category)}&duration_s=${video.duration}`;
  const text = await (await fetch(`${base}vmap?${query}&${asked}`)).text();
  const vmap = new DOMParser().parseFromString(text, "application/xml");
  const breaks = [...vmap.getElementsByTagNameNS("*", "AdBreak")].map((each) => ({
    id: each.getAttribute("breakId"), overlay: each.getAttribute("breakType") === "nonlinear",
    at: seconds(each.getAttribute("timeOffset"), video.duration),
    tag: each.getElementsByTagNameNS("*", "AdTagURI")[0].textContent.trim(),
  }));
  note(`the VMAP promises ${breaks.length} breaks`);
  const client = new VASTClient();
  const play = (each) => player.insert(
    { format: { screen: each.overlay ? "bottom" : "full" }, duration_s: 10, rule_id: each.id.split(".")[0] },
    client.get(each.tag).then((answer) => ({ ads: answer.ads.map(adOf).filter(Boolean) })).catch(() => ({ ads: [] })),
  );
  let last = 0;
  const due = (from, to) => breaks.filter((each) => each.at > from && each.at <= to).forEach(play);
  video.addEventListener("seeked", () => { last = video.currentTime; });
  video.addEventListener("timeupdate", () => { if (video.seeking) return; due(last, video.currentTime); last = video.currentTime; });
  video.addEventListener("ended", () => due(video.duration, Infinity));
  await Promise.all(breaks.filter((each) => each.at === 0).map(play));
};
