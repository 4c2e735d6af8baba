// HLS: hls.js plays the manifest that Cuepoint put interstitials in; the session hears of everything but the ads' own time line.
export const playHls = async (player, clip, note) => {
  const { default: Hls } = await import("./vendor/hls-1.7.4.min.mjs");
  const source = `${player.base}hls?${player.query}&video_id=${encodeURIComponent(clip.video_id)}&src=${encodeURIComponent(clip.url)}`;
  const hls = new Hls({ enableWorker: false });
  let resume;
  hls.on(Hls.Events.INTERSTITIAL_STARTED, () => { note("an interstitial begins"); resume ??= player.standAside(); });
  hls.on(Hls.Events.INTERSTITIAL_ASSET_STARTED, (_, { asset }) => note(`asset ${new URL(asset.uri).pathname}`));
  hls.on(Hls.Events.INTERSTITIALS_PRIMARY_RESUMED, () => { note("the clip goes on"); resume?.(); resume = undefined; });
  hls.on(Hls.Events.ERROR, (_, { details, fatal }) => { if (fatal) note(`hls.js gave up: ${details}`); });
  hls.loadSource(source);
  hls.attachMedia(player.video);
};
