// The two charts. uPlot draws on a canvas, so colours are read from the style sheet and charts are drawn anew when the scheme changes.

const DASHES = [[], [8, 4], [2, 3]];
const COLOURS = 8;

function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

function lineColour(position) {
  return colour(`c${position % COLOURS}`);
}

function axis(extra) {
  return { stroke: colour("muted"), grid: { stroke: colour("grid"), width: 1 }, ticks: { stroke: colour("grid"), width: 1, size: 4 }, font: "12px system-ui, sans-serif", ...extra };
}

function options(target, series, hooks, fromZero) {
  const long = Math.max(...series.map((one) => one.span || 0)) > 7200;
  return {
    width: target.clientWidth,
    height: target.clientHeight,
    padding: [10, 34, 0, 0],
    legend: { show: false },
    cursor: { y: false, points: { size: 7 }, drag: { x: false, y: false } },
    scales: { x: { time: true }, y: { range: (_, low, high) => room(fromZero ? 0 : low, high) } },
    axes: [
      axis({ values: (_, ticks) => ticks.map((at) => clock(at, !long && ticks.length > 1 && ticks[1] - ticks[0] < 60)), space: 70, size: 30 }),
      axis({ values: (_, ticks) => ticks.map(number), size: 56, space: 36 }),
    ],
    series: [{}, ...series],
    hooks,
  };
}

function room(low, high) {
  if (low === null || high === null) return [0, 1];
  const gap = (high - low) * 0.08 || Math.abs(high) * 0.1 || 1;
  return [low >= 0 && low - gap < 0 ? 0 : low - gap, high + gap];
}

// Keeps one plot a target: new data of the same shape is set, anything else draws anew.
class Chart {
  constructor(id, { fromZero = false } = {}) {
    this.fromZero = fromZero;
    this.target = document.getElementById(id);
    this.plot = null;
    this.shape = "";
    this.last = null;
    new ResizeObserver(() => this.resize()).observe(this.target);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { this.shape = ""; if (this.last) this.draw(...this.last); });
  }

  resize() {
    const size = { width: this.target.clientWidth, height: this.target.clientHeight };
    if (this.plot && size.width && (size.width !== this.plot.width || size.height !== this.plot.height)) this.plot.setSize(size);
  }

  draw(data, makeSeries, label, onCursor) {
    this.last = [data, makeSeries, label, onCursor];
    this.target.setAttribute("aria-label", label);
    const series = makeSeries();
    const shape = JSON.stringify(series.map((one) => [one.label, one.stroke, one.dash]));
    if (this.plot && shape === this.shape) { this.plot.setData(data); return; }
    this.clear();
    this.shape = shape;
    this.plot = new uPlot(options(this.target, series, { setCursor: [(plot) => onCursor && onCursor(plot.cursor.idx)] }, this.fromZero), data, this.target);
  }

  empty(text) {
    this.clear();
    this.last = null;
    this.target.setAttribute("aria-label", text);
    this.target.append(element("p", { class: "empty" }, text));
  }

  clear() {
    if (this.plot) this.plot.destroy();
    this.plot = null;
    this.shape = "";
    this.target.replaceChildren();
  }
}
