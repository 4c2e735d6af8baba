// What players' own parsers make of our documents: reads [{kind, text | url}], writes what each of them found.
const { DOMParser } = require("@xmldom/xmldom");
const { VASTClient, VASTParser } = require("@dailymotion/vast-client");
const VMAP = require("@dailymotion/vmap");
const HLS = require("hls-parser");

const xml = (text) => new DOMParser().parseFromString(text, "text/xml");

function ad(found) {
  const creatives = found.creatives.map((creative) => ({
    type: creative.type,
    duration: creative.duration,
    skipDelay: creative.skipDelay,
    media: (creative.mediaFiles || []).map((file) => [file.fileURL, file.mimeType]),
    images: (creative.variations || []).map((variation) => variation.staticResource),
    tracking: creative.trackingEvents,
    click: creative.videoClickThroughURLTemplate && creative.videoClickThroughURLTemplate.url,
    clickTracking: (creative.videoClickTrackingURLTemplates || []).map((each) => each.url),
  }));
  return {
    id: found.id,
    sequence: found.sequence,
    title: found.title,
    impressions: found.impressionURLTemplates.map((each) => each.url),
    errors: found.errorURLTemplates,
    creatives,
  };
}

const vast = (found) => ({ version: found.version, ads: found.ads.map(ad), errors: found.errorURLTemplates });

const judges = {
  vast: async ({ text }) => vast(await new VASTParser().parseVAST(xml(text))),
  fetched: async ({ url }) => vast(await new VASTClient().get(url, { resolveAll: true })),
  vmap: async ({ text }) => {
    const found = new (VMAP.default || VMAP)(xml(text));
    return {
      version: found.version,
      breaks: found.adBreaks.map((each) => ({
        id: each.breakId,
        offset: each.timeOffset,
        type: each.breakType,
        repeatAfter: each.repeatAfter,
        uri: each.adSource.adTagURI && each.adSource.adTagURI.uri,
        template: each.adSource.adTagURI && each.adSource.adTagURI.templateType,
        vast: Boolean(each.adSource.vastAdData),
        events: each.trackingEvents.map((event) => [event.event, event.uri]),
      })),
    };
  },
  hls: async ({ text }) => {
    const found = HLS.parse(text);
    const segments = found.segments || [];
    return {
      multivariant: found.isMasterPlaylist,
      variants: (found.variants || []).map((variant) => variant.uri),
      segments: segments.map((segment) => segment.uri),
      began: segments.length ? segments[0].programDateTime : null,
      ranges: [...segments.map((segment) => segment.dateRange), ...(found.dateRanges || [])].filter(Boolean),
    };
  },
};

async function main() {
  let input = "";
  for await (const chunk of process.stdin) input += chunk;
  const found = [];
  for (const task of JSON.parse(input)) found.push(await judges[task.kind](task));
  process.stdout.write(JSON.stringify(found));
}

main().catch((error) => {
  process.stderr.write(String(error.stack));
  process.exit(1);
});
