// Draws the charts: <div data-chart="ID"> from the JSON block of that id. The table beside each has the same figures.
"use strict";
(() => {
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const LINES = ["--chart-line", "--second", "--third", "--fourth", "--fifth"];

  function axisTimes(by, zone, lang) {
    const shape = by === "hour" ? { hour: "2-digit", minute: "2-digit", hourCycle: "h23" } : { day: "numeric", month: "short" };
    const format = new Intl.DateTimeFormat(lang, { ...shape, timeZone: zone });
    return (plot, ticks) => ticks.map((at) => (at === null ? "" : format.format(at * 1000)));
  }

  // Ticks stand on points only: the hours and days that there are figures of.
  function splits(at, room) {
    return (plot, axis, from, to) => {
      const shown = at.filter((each) => each >= from && each <= to);
      const every = Math.max(1, Math.ceil(shown.length / Math.max(2, Math.floor(plot.width / room))));
      return shown.filter((each, place) => place % every === 0);
    };
  }

  function seriesOf(item, number) {
    const value = (plot, raw) => (raw === null || raw === undefined ? "" : number.format(raw));
    const common = { label: item.label, value, points: { show: false } };
    if (item.kind === "bars") {
      const fill = colour("--chart-bar");
      return { ...common, stroke: fill, fill, width: 0, paths: uPlot.paths.bars({ size: [0.72, 40], radius: 0.15 }) };
    }
    if (item.kind === "faint") {
      return { ...common, stroke: colour("--line-strong"), width: 1.5, dash: [4, 4] };
    }
    return { ...common, stroke: colour(LINES[item.line % LINES.length]), width: 2, points: { show: true, size: 5 } };
  }

  function draw(box) {
    const data = JSON.parse(document.getElementById(box.dataset.chart).textContent);
    const { zone, lang } = box.dataset;
    const at = data.x.map((each) => each / 1000);
    const number = new Intl.NumberFormat(lang, { maximumFractionDigits: 2 });
    const compact = new Intl.NumberFormat(lang, { notation: "compact" });
    const step = at.length > 1 ? at[1] - at[0] : 3600;
    const long = new Intl.DateTimeFormat(lang, {
      timeZone: zone, dateStyle: "medium", ...(data.by === "hour" ? { timeStyle: "short", hourCycle: "h23" } : {}),
    });
    const axis = { stroke: colour("--soft"), font: "12px system-ui, sans-serif", ticks: { show: false } };
    const grid = { stroke: colour("--line"), width: 1 };
    let lines = 0;
    const options = {
      width: box.clientWidth,
      height: 220,
      padding: [8, 8, 0, 0],
      cursor: { drag: { x: false, y: false }, points: { show: false } },
      legend: { live: true },
      scales: {
        x: { time: true, range: () => [at[0] - step * 0.6, at[at.length - 1] + step * 0.6] },
        y: { range: (plot, low, high) => [0, Math.max(high * 1.08, 4)] },
      },
      axes: [
        { ...axis, size: 30, grid: { show: false }, splits: splits(at, data.by === "hour" ? 64 : 92), values: axisTimes(data.by, zone, lang) },
        { ...axis, grid, size: 48, incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1e3, 2e3, 5e3, 1e4, 2e4, 5e4, 1e5, 1e6, 1e7],
          values: (plot, ticks) => ticks.map((each) => compact.format(each)) },
      ],
      series: [
        { label: "", value: (plot, raw) => (raw ? long.format(raw * 1000) : "") },
        ...data.series.map((item) => seriesOf({ ...item, line: item.kind === "line" ? lines++ : 0 }, number)),
      ],
    };
    box.replaceChildren();
    return new uPlot(options, [at, ...data.series.map((item) => item.values)], box);
  }

  function keepDrawn(box) {
    let plot = draw(box);
    const again = () => { plot.destroy(); plot = draw(box); };
    dark.addEventListener("change", again);
    new ResizeObserver(() => {
      if (box.clientWidth && box.clientWidth !== plot.width) plot.setSize({ width: box.clientWidth, height: 220 });
    }).observe(box);
  }

  document.querySelectorAll("[data-chart]").forEach(keepDrawn);
})();
