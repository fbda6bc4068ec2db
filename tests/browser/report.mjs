// Opens a report in Chromium without a network and tells, as one JSON object, what a test judges.
// usage: node report.mjs PAGE [FOLDER FOR PICTURES]

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { launch } from "./chromium.mjs";

const require = createRequire(import.meta.url);
const axeSource = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");
const [page, pictures] = process.argv.slice(2);
const address = pathToFileURL(resolve(page)).href;
const A4_PIXELS = Math.round(((210 - 2 * 14) / 25.4) * 96);

async function opened(browser, options, told) {
  const context = await browser.newContext({ offline: true, ...options });
  context.setDefaultTimeout(300_000);
  const found = await context.newPage();
  found.on("request", (request) => told.requests.push(request.url()));
  found.on("console", (message) => told.console.push(message.text()));
  found.on("pageerror", (error) => told.console.push(String(error)));
  await context.route("**", (route) =>
    route.request().url() === address ? route.continue() : route.abort(),
  );
  await found.goto(address);
  return found;
}

async function axe(found) {
  await found.evaluate(() => document.querySelectorAll("details").forEach((d) => (d.open = true)));
  await found.evaluate(axeSource);
  const { violations } = await found.evaluate(() => globalThis.axe.run(document));
  return violations.map(({ id, impact, nodes }) => ({
    id,
    impact,
    nodes: nodes.slice(0, 3).map((node) => `${node.html.slice(0, 200)} ${node.failureSummary}`),
  }));
}

// Elements that reach beyond the window and stand in nothing that scrolls.
function beyond(found, width) {
  return found.evaluate((limit) => {
    const out = [];
    for (const element of document.querySelectorAll("body *")) {
      const box = element.getBoundingClientRect();
      const scrolled = element.parentElement.closest(".scroll");
      const inside = scrolled && getComputedStyle(scrolled).overflowX !== "visible";
      if (inside || element.closest(".skip") || box.width === 0) continue;
      if (box.right > limit + 1)
        out.push(`${element.tagName}.${element.className.baseVal ?? element.className}`);
    }
    if (document.documentElement.scrollWidth > limit) out.push("the page scrolls sideways");
    return out.slice(0, 10);
  }, width);
}

// Which of the regions that scroll the Tab key reaches, and whether the arrow keys then scroll.
async function keyboard(found) {
  await found.evaluate(() => document.querySelectorAll("details").forEach((d) => (d.open = true)));
  const wanted = await found.evaluate(
    () => [...document.querySelectorAll(".scroll")].filter((e) => e.tabIndex === 0).length,
  );
  const all = await found.locator(".scroll").count();
  const links = await found.locator("a, summary").count();
  const reached = new Set();
  const stuck = [];
  let scrolled = 0;
  for (let step = 0; step < all + links + 5; step++) {
    await found.keyboard.press("Tab");
    const here = await found.evaluate(() => {
      const e = document.activeElement;
      if (!e.classList.contains("scroll")) return null;
      const shown = getComputedStyle(e).outlineStyle !== "none";
      return {
        id: e.getAttribute("aria-labelledby") ?? e.id,
        hides: e.scrollWidth - e.clientWidth,
        shown,
      };
    });
    if (!here || reached.has(here.id)) continue;
    reached.add(here.id);
    if (!here.shown) stuck.push(`${here.id} shows no focus`);
    if (here.hides > 2) {
      await found.keyboard.press("ArrowRight");
      const moved = await found
        .waitForFunction(() => document.activeElement.scrollLeft > 0, null, { timeout: 60_000 })
        .catch(() => null);
      if (moved) scrolled++;
      else stuck.push(here.id);
    }
  }
  return { all, wanted, reached: reached.size, scrolled, stuck };
}

async function structure(found) {
  return found.evaluate(() => {
    const ids = [...document.querySelectorAll("[id]")].map((element) => element.id);
    const levels = [...document.querySelectorAll("h1, h2, h3")].map((h) => Number(h.tagName[1]));
    return {
      lang: document.documentElement.lang,
      title: document.title,
      headings: levels,
      repeated: ids.filter((id, place) => ids.indexOf(id) !== place),
      unnamed: [...document.querySelectorAll("svg, img")].filter((picture) => {
        const names = (picture.getAttribute("aria-labelledby") ?? "").split(" ");
        const told = names.every((id) => document.getElementById(id)?.textContent.trim());
        return picture.getAttribute("role") !== "img" || !told;
      }).length,
      pictures: document.querySelectorAll("svg").length,
      dangling: [...document.querySelectorAll("use, [clip-path]")].filter((element) => {
        const id = (element.getAttribute("href") ?? element.getAttribute("clip-path")).match(
          /#([^)]+)/,
        );
        return !id || !document.getElementById(id[1]);
      }).length,
      scopeless: document.querySelectorAll("th:not([scope])").length,
      captionless: [...document.querySelectorAll("table")].filter((t) => !t.caption).length,
      scripts: document.scripts.length,
      text: document.body.innerText,
    };
  });
}

const told = { requests: [], console: [], axe: {}, beyond: {} };
const browser = await launch();
try {
  for (const colorScheme of ["light", "dark"]) {
    const found = await opened(
      browser,
      { colorScheme, viewport: { width: 1280, height: 900 } },
      told,
    );
    if (pictures)
      await found.screenshot({ path: join(pictures, `${colorScheme}.png`), fullPage: true });
    if (colorScheme === "light") told.structure = await structure(found);
    told.beyond[`1280 ${colorScheme}`] = await beyond(found, 1280);
    told.axe[colorScheme] = await axe(found);
    await found.context().close();
  }
  const narrow = await opened(browser, { viewport: { width: 320, height: 800 } }, told);
  if (pictures) await narrow.screenshot({ path: join(pictures, "narrow.png"), fullPage: true });
  told.beyond["320"] = await beyond(narrow, 320);
  told.keyboard = await keyboard(narrow);
  await narrow.context().close();

  const printed = await opened(
    browser,
    { viewport: { width: A4_PIXELS, height: 1000 }, colorScheme: "dark" },
    told,
  );
  await printed.emulateMedia({ media: "print" });
  told.beyond.print = await beyond(printed, A4_PIXELS);
  told.paper = await printed.evaluate(() => getComputedStyle(document.body).backgroundColor);
  told.folded = await printed.evaluate(
    () =>
      [...document.querySelectorAll("details table")].filter((t) => t.getClientRects().length === 0)
        .length,
  );
  const pdf = await printed.pdf({
    preferCSSPageSize: true,
    path: pictures && join(pictures, "report.pdf"),
  });
  told.pages = pdf.toString("latin1").match(/\/Type\s*\/Page\b/g)?.length ?? 0;
} finally {
  await browser.close();
}
console.log(JSON.stringify(told));
