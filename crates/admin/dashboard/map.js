// The world: clients' countries by the cluster that answers them now, and the clusters by how they do.

import { codeOf } from "./countries.js";
import { byId, h, replace, s, say } from "./dom.js";
import { colour, letter, number, percent, symbolOf } from "./words.js";

const WIDTH = 960;
const HEIGHT = 452;
/** From which share on a second cluster is shown in a country. */
const SECOND = 0.1;
/** In square units: a country that has room for a letter. */
const ROOM = 620;
/** How near two clusters may be drawn to each other. */
const APART = 25;

export class WorldMap {
  #svg = byId("map");
  #paths = new Map();
  #labels = new Map();
  #dots = new Map();
  #path;
  #project;
  #patterns = new Set();
  #layers = {};
  #clusters = [];
  #map = null;

  /** Draws the countries, once. */
  draw(world) {
    const { geoEqualEarth, geoPath } = window.d3;
    const countries = window.topojson.feature(world, world.objects.countries).features;
    // Nobody asks from Antarctica, and it takes much room.
    const shown = countries.filter((feature) => feature.id !== "010");
    this.#project = geoEqualEarth().rotate([-11, 0]);
    this.#project.fitExtent([[4, 4], [WIDTH - 4, HEIGHT - 4]], { type: "FeatureCollection", features: shown });
    this.#path = geoPath(this.#project);
    this.#svg.setAttribute("viewBox", `0 0 ${WIDTH} ${HEIGHT}`);
    for (const layer of ["defs", "countries", "dots", "labels", "lines", "clusters"]) {
      this.#layers[layer] = s(layer === "defs" ? "defs" : "g", { class: `layer-${layer}` });
    }
    for (const feature of shown) {
      const code = codeOf(feature);
      const path = s("path", { d: this.#path(feature), class: "country", "data-country": code });
      this.#layers.countries.append(path);
      if (code === "") continue;
      this.#paths.set(code, path);
      // The largest part: else the letter of a country with islands is in the sea.
      const part = largest(feature, this.#path);
      if (this.#path.area(part) < ROOM) continue;
      const [x, y] = this.#path.centroid(part);
      const label = s("text", { class: "country-letter", x: x.toFixed(1), y: (y + 3.5).toFixed(1) });
      this.#labels.set(code, label);
      this.#layers.labels.append(label);
    }
    this.#svg.replaceChildren(...Object.values(this.#layers));
    const point = (event) => this.#tell(event.target.closest?.("[data-country], [data-cluster]"));
    this.#svg.addEventListener("pointerover", point);
    this.#svg.addEventListener("click", point);
    this.#svg.addEventListener("pointerleave", () => this.#tell(null));
  }

  /** Shows who is answered by whom; `clusters` in the order of their letters. */
  show(map, clusters) {
    this.#map = map;
    this.#clusters = clusters;
    const index = new Map(clusters.map((cluster, number) => [cluster.name, number]));
    const seen = new Map(map.countries.map((country) => [country.country, country]));
    for (const [code, path] of this.#paths) this.#paint(path, code, seen.get(code), index);
    for (const country of map.countries) this.#dot(country, index);
    for (const [code, dot] of this.#dots) if (!seen.has(code)) dot.remove();
    this.#markers();
    this.#table(map, index);
    this.#tell(null);
  }

  //--- Countries

  #paint(element, code, country, index) {
    const shares = (country?.clusters ?? []).filter((one) => one.share > 0);
    const fills = shares.slice(0, 2).filter((one, at) => at === 0 || one.share >= SECOND);
    const classes = fills.map((one) => (one.cluster === null ? "none" : colour(index.get(one.cluster) ?? 0)));
    element.setAttribute("class", `country ${classes.length === 1 ? `f-${classes[0]}` : ""}`);
    if (classes.length === 2) element.setAttribute("fill", this.#stripes(classes));
    else if (classes[0] === "none") element.setAttribute("fill", this.#stripes(["none", "land"]));
    else element.removeAttribute("fill");
    element.dataset.cluster = fills[0]?.cluster ?? "";
    const letters = fills.map((one) => (one.cluster === null ? "–" : letter(index.get(one.cluster) ?? 0)));
    const label = this.#labels.get(code);
    if (label) say(label, letters.join(" "));
  }

  /** A country that is too small for the map. */
  #dot(country, index) {
    if (this.#paths.has(country.country) || country.latitude === null) return;
    let dot = this.#dots.get(country.country);
    if (!dot) {
      const [x, y] = this.#project([country.longitude, country.latitude]);
      dot = s("circle", { cx: x.toFixed(1), cy: y.toFixed(1), r: 2.4, "data-country": country.country });
      this.#dots.set(country.country, dot);
    }
    this.#layers.dots.append(dot);
    this.#paint(dot, country.country, country, index);
  }

  #stripes(classes) {
    const id = `stripes-${classes.join("-")}`;
    if (!this.#patterns.has(id)) {
      this.#patterns.add(id);
      const pattern = s("pattern", { id, width: 8, height: 8, patternUnits: "userSpaceOnUse", patternTransform: "rotate(45)" },
        s("rect", { width: 8, height: 8, class: `f-${classes[0]}` }), s("rect", { width: 3, height: 8, class: `f-${classes[1]}` }));
      this.#layers.defs.append(pattern);
    }
    return `url(#${id})`;
  }

  //--- Clusters

  #markers() {
    const places = this.#clusters.map((cluster) => this.#project([cluster.longitude, cluster.latitude]));
    const shown = spread(places);
    const lines = [];
    const markers = this.#clusters.map((cluster, index) => {
      const [x, y] = shown[index];
      const [trueX, trueY] = places[index];
      if (Math.hypot(x - trueX, y - trueY) > 2) {
        lines.push(s("line", { class: "marker-line", x1: trueX, y1: trueY, x2: x, y2: y }));
      }
      const badge = cluster.forced > 0 ? "drain" : cluster.effective;
      const isPlain = badge === "healthy";
      return s("g", { class: `marker is-${cluster.effective}`, "data-cluster": cluster.name, transform: `translate(${x.toFixed(1)} ${y.toFixed(1)})` },
        s("circle", { class: "marker-ring", r: 11 }),
        s("circle", { class: `marker-body f-${colour(index)}`, r: 8.5 }),
        s("text", { class: "marker-letter", y: 4 }, letter(index)),
        isPlain ? null : s("g", { class: `marker-badge is-${badge}`, transform: "translate(9 -9)" },
          s("circle", { r: 6.5 }), s("text", { y: 3.5 }, symbolOf(badge))));
    });
    replace(this.#layers.lines, lines);
    replace(this.#layers.clusters, markers);
    const states = this.#clusters.map((cluster) => `${cluster.name} ${cluster.effective}`).join(", ");
    this.#svg.setAttribute("aria-label", `Map of the world. Clusters: ${states}. Which countries they answer is in the table below.`);
  }

  //--- In words

  #tell(element) {
    const info = byId("map-info");
    for (const on of this.#svg.querySelectorAll(".is-pointed")) on.classList.remove("is-pointed");
    if (element?.classList.contains("marker")) {
      const cluster = this.#clusters.find((one) => one.name === element.dataset.cluster);
      const share = this.#map.clusters.find((one) => one.cluster === cluster.name)?.share ?? 0;
      say(info, `${cluster.name}: ${cluster.effective}, answers ${percent(share)} of all clients`);
      return;
    }
    const country = this.#map?.countries.find((one) => one.country === element?.dataset.country);
    if (!country) {
      say(info, "Point at a country or a cluster, or open the table.");
      return;
    }
    element.classList.add("is-pointed");
    say(info, `${country.name}: ${inWords(country.clusters)}. It has ${percent(country.share)} of all clients.`);
  }

  #table(map, index) {
    const rows = [...map.countries].sort((a, b) => b.share - a.share).map((country) =>
      h("tr", {},
        h("th", { scope: "row" }, country.name),
        h("td", { class: "number" }, percent(country.share)),
        h("td", {}, country.clusters.map((one, at) => [at > 0 ? ", " : "",
          one.cluster === null ? "no answer" : `${letter(index.get(one.cluster) ?? 0)} ${one.cluster}`, ` ${percent(one.share)}`]))));
    replace(byId("map-rows"), rows);
    say(byId("map-table-title"), `The map as a table: ${number(map.countries.length)} countries`);
  }
}

function inWords(shares) {
  return shares.map((one) => `${one.cluster ?? "no answer"} ${percent(one.share)}`).join(", ");
}

/** The largest polygon of a country. */
function largest(feature, path) {
  if (feature.geometry.type !== "MultiPolygon") return feature;
  const parts = feature.geometry.coordinates.map((coordinates) => ({ type: "Polygon", coordinates }));
  return parts.reduce((best, part) => (path.area(part) > path.area(best) ? part : best));
}

/** Moves points apart that are too near to each other to be told apart. */
function spread(places) {
  const points = places.map(([x, y]) => [x, y]);
  for (let round = 0; round < 40; round += 1) {
    let moved = false;
    for (let a = 0; a < points.length; a += 1) {
      for (let b = a + 1; b < points.length; b += 1) {
        const dx = points[b][0] - points[a][0] || 0.1 * (b - a);
        const dy = points[b][1] - points[a][1] || 0.1;
        const distance = Math.hypot(dx, dy);
        if (distance >= APART) continue;
        const push = (APART - distance) / 2 / distance;
        points[a] = [points[a][0] - dx * push, points[a][1] - dy * push];
        points[b] = [points[b][0] + dx * push, points[b][1] + dy * push];
        moved = true;
      }
    }
    if (!moved) break;
  }
  return points.map(([x, y]) => [Math.min(Math.max(x, 14), WIDTH - 14), Math.min(Math.max(y, 14), HEIGHT - 14)]);
}
