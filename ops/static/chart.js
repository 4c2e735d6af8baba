// The chart of one asset: band, level, counts and shaded regions. The table beside it has the same numbers.
(() => {
  const holder = document.querySelector("[data-chart]");
  if (!holder) return;
  const probe = document.createElement("span");
  holder.append(probe);
  const token = (name) => { probe.style.color = `var(${name})`; return getComputedStyle(probe).color; };
  const whole = new Intl.NumberFormat("en-GB", { maximumFractionDigits: 0 });
  const short = new Intl.NumberFormat("en-GB", { notation: "compact", maximumFractionDigits: 1 });
  const dayForm = new Intl.DateTimeFormat("en-GB", { weekday: "short", day: "numeric", month: "short", year: "numeric", timeZone: "UTC" });
  const number = (value) => (value == null ? "no data" : whole.format(value));

  // Rapid regions are hatched, gradual ones dotted; the arrow and word at the top tell the direction.
  const pattern = (context, kind, colour) => {
    const ratio = devicePixelRatio || 1;
    const tile = document.createElement("canvas");
    tile.width = tile.height = Math.round(8 * ratio);
    const pen = tile.getContext("2d");
    pen.scale(ratio, ratio);
    pen.fillStyle = colour;
    pen.strokeStyle = colour;
    pen.fillRect(0, 0, 8, 8);
    if (kind === "rapid") {
      pen.lineWidth = 1.6;
      pen.beginPath();
      [[-2, 2, 2, -2], [0, 8, 8, 0], [6, 10, 10, 6]].forEach(([a, b, c, d]) => { pen.moveTo(a, b); pen.lineTo(c, d); });
      pen.stroke();
    } else {
      [[2, 2], [6, 6]].forEach(([x, y]) => { pen.beginPath(); pen.arc(x, y, 0.9, 0, 7); pen.fill(); });
    }
    return context.createPattern(tile, "repeat");
  };

  const shade = (regions, colours) => (plot) => {
    const { ctx: pen } = plot;
    const { left, top, width, height } = plot.bbox;
    const ratio = devicePixelRatio || 1;
    pen.save();
    pen.beginPath();
    pen.rect(left, top, width, height);
    pen.clip();
    const halfDay = 43200;
    regions.forEach((region) => {
      const from = plot.valToPos(region.start - halfDay, "x", true);
      const to = plot.valToPos(region.end + halfDay, "x", true);
      if (to < left || from > left + width) return;
      pen.fillStyle = pattern(pen, region.kind, colours[`${region.direction}Fill`]);
      pen.fillRect(from, top, to - from, height);
      pen.fillStyle = colours[region.direction];
      pen.fillRect(from, top, to - from, (region.selected ? 5 : 3) * ratio);
    });
    pen.restore();
  };

  // Arrow and word stand in a strip above the plot, where no line crosses them; where they would collide, the arrow alone.
  const name = (regions, colours) => (plot) => {
    const { ctx: pen } = plot;
    const { left, top, width } = plot.bbox;
    const ratio = devicePixelRatio || 1;
    pen.save();
    pen.font = `600 ${11 * ratio}px Inter, sans-serif`;
    pen.textAlign = "center";
    pen.textBaseline = "alphabetic";
    const shown = regions.map((region) => ({ region, at: plot.valToPos((region.start + region.end) / 2, "x", true) }))
      .filter(({ at }) => at >= left && at <= left + width).sort((one, other) => one.at - other.at);
    shown.forEach(({ region, at }, index) => {
      const arrow = region.direction === "up" ? "▲" : "▼";
      const full = `${arrow} ${region.kind}`;
      const room = Math.min(at - (shown[index - 1]?.at ?? -Infinity), (shown[index + 1]?.at ?? Infinity) - at);
      const text = pen.measureText(full).width + 6 * ratio < room ? full : arrow;
      const half = pen.measureText(text).width / 2;
      pen.fillStyle = colours[region.direction];
      pen.fillText(text, Math.min(Math.max(at, left + half), left + width - half), top - 7 * ratio);
    });
    pen.restore();
  };

  const readout = document.querySelector("#chart-readout");
  const show = (data, last) => (plot) => {
    const at = plot.cursor.idx ?? last;
    if (at < 0) return;
    const [day, low95, high95, low80, high80, mean, level, count] = data.map((column) => column[at]);
    const coming = at > last;
    const values = { day: dayForm.format(day * 1000) + (coming ? ", to come" : ""), count: coming ? "–" : number(count), mean: number(mean), level: coming ? "–" : number(level),
      band80: `${number(low80)} to ${number(high80)}`, band95: `${number(low95)} to ${number(high95)}` };
    Object.entries(values).forEach(([key, value]) => { const node = readout.querySelector(`[data-value=${key}]`); if (node) node.textContent = value; });
  };

  // Days of the axis: month and day, or month, or year, as the zoom allows; the year where it is new.
  const days = (plot, splits, index, space, step) => {
    let year = "";
    return splits.map((at) => {
      const day = new Date(at * 1000);
      const own = String(day.getUTCFullYear());
      const month = day.toLocaleString("en-US", { month: "short", timeZone: "UTC" });
      const text = step >= 300 * 86400 ? own : step >= 28 * 86400 ? month : `${day.getUTCDate()} ${month}`;
      const line = own === year || text === own ? text : `${text}\n${own}`;
      year = own;
      return line;
    });
  };

  // Where the forecast begins: a line, and the word above it.
  const border = (origin) => (plot) => {
    if (origin == null) return;
    const { ctx: pen } = plot;
    const { left, top, width, height } = plot.bbox;
    const ratio = devicePixelRatio || 1;
    const at = plot.valToPos(origin + 43200, "x", true);
    if (at < left || at > left + width) return;
    pen.save();
    pen.strokeStyle = token("--ink-3");
    pen.lineWidth = ratio;
    pen.setLineDash([4 * ratio, 3 * ratio]);
    pen.beginPath();
    pen.moveTo(at, top);
    pen.lineTo(at, top + height);
    pen.stroke();
    pen.restore();
  };

  const options = (data, regions, origin, last) => {
    const colours = { up: token("--up"), down: token("--down"), upFill: token("--region-up"), downFill: token("--region-down") };
    const axis = { stroke: token("--ink-3"), font: "12px Inter, sans-serif", grid: { stroke: token("--chart-grid"), width: 1 }, ticks: { show: false } };
    const edge = { stroke: "transparent", width: 0, points: { show: false } };
    return {
      width: holder.clientWidth, height: holder.clientWidth < 560 ? 300 : 380, tzDate: (at) => uPlot.tzDate(new Date(at * 1000), "UTC"),
      legend: { show: false }, padding: [24, 28, 0, 0], cursor: { y: false, drag: { x: true, y: false } }, select: { show: true },
      scales: { y: { range: (plot, low, high) => { const pad = Math.max(high - low, 1) * 0.08; return [low < high * 0.4 ? 0 : low - pad, high + pad]; } } },
      axes: [{ ...axis, space: 80, values: days }, { ...axis, size: 56, values: (plot, ticks) => ticks.map((tick) => short.format(tick)) }],
      bands: [{ series: [2, 1], fill: token("--band-95") }, { series: [4, 3], fill: token("--band-80") }],
      series: [{}, { ...edge, label: "lower 95" }, { ...edge, label: "upper 95" }, { ...edge, label: "lower 80" }, { ...edge, label: "upper 80" },
        { label: "forecast", stroke: token("--ink-3"), width: 1, dash: [3, 4], points: { show: false } },
        { label: "level", stroke: token("--chart-level"), width: 2, points: { show: false } },
        { label: "count", stroke: token("--chart-count"), width: 1.25, spanGaps: false, points: { show: data[0].length < 120, size: 4, fill: token("--chart-count") } }],
      hooks: { drawClear: [shade(regions, colours), name(regions, colours)], draw: [border(origin)], setCursor: [show(data, last)], ready: [show(data, last)] },
    };
  };

  const draw = ({ columns, regions, origin }) => {
    let plot;
    const last = origin == null ? columns[0].length - 1 : columns[0].indexOf(origin);
    const make = () => { plot?.destroy(); plot = new uPlot(options(columns, regions, origin, last), columns, holder); };
    make();
    document.body.addEventListener("themechanged", make);
    new ResizeObserver(() => { if (Math.abs(plot.width - holder.clientWidth) > 1) plot.setSize({ width: holder.clientWidth, height: plot.height }); }).observe(holder);
    const zoom = (from, to) => plot.setScale("x", { min: from, max: to });
    const [first, end] = [columns[0][0], columns[0].at(-1)];
    document.querySelectorAll("[data-zoom-days]").forEach((button) => button.addEventListener("click", () => {
      const days = Number(button.dataset.zoomDays);
      zoom(days ? Math.max(first, end - days * 86400) : first, end);
    }));
    document.querySelectorAll("[data-zoom-region]").forEach((button) => button.addEventListener("click", () => {
      const region = regions.find((one) => one.id === button.dataset.zoomRegion);
      zoom(Math.max(first, region.start - 21 * 86400), Math.min(end, region.end + 21 * 86400));
      holder.scrollIntoView({ block: "nearest" });
    }));
    const chosen = regions.find((one) => one.selected);
    if (chosen && end - first > 200 * 86400) zoom(Math.max(first, chosen.start - 60 * 86400), Math.min(end, chosen.end + 60 * 86400));
    holder.dataset.drawn = "yes";
  };

  fetch(holder.dataset.chart, { headers: { accept: "application/json" } })
    .then((answer) => { if (!answer.ok) throw new Error(String(answer.status)); return answer.json(); })
    .then(draw)
    .catch(() => { document.querySelector("#chart-failed").hidden = false; });
})();
