// A real Chromium for tests: the one of npm's @sparticuz/chromium, unpacked once into the cache of
// engines. Where the system lacks libraries that it needs, those of the package are used.

import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { homedir } from "node:os";
import { isAbsolute, join } from "node:path";
import { chromium as playwright } from "playwright-core";

const require = createRequire(import.meta.url);
const packageFolder = join(require.resolve("@sparticuz/chromium"), "..", "..");
const { version } = JSON.parse(readFileSync(join(packageFolder, "package.json"), "utf8"));

function cacheFolder() {
  const given = process.env.XDG_CACHE_HOME ?? "";
  return join(isAbsolute(given) ? given : join(homedir(), ".cache"), "consilium", "engines");
}

// The package unpacks into the folder for temporary files, in place: two at once would see each
// other's half-written program. So each unpacks into a folder of its own, and the first one wins.
async function unpacked() {
  const folder = join(cacheFolder(), `chromium-${version}`);
  if (existsSync(join(folder, "chromium"))) return folder;
  mkdirSync(cacheFolder(), { recursive: true });
  const own = mkdtempSync(`${folder}.`);
  const before = process.env.TMPDIR;
  process.env.TMPDIR = own;
  try {
    const { default: packed, inflate } = await import("@sparticuz/chromium");
    await packed.executablePath();
    await inflate(join(packageFolder, "bin", "al2023.tar.br"));
    renameSync(own, folder);
  } catch (error) {
    if (!existsSync(join(folder, "chromium"))) throw error;
  } finally {
    rmSync(own, { recursive: true, force: true });
    if (before === undefined) delete process.env.TMPDIR;
    else process.env.TMPDIR = before;
  }
  return folder;
}

function missingLibraries(program, environment) {
  const told = execFileSync("ldd", [program], { encoding: "utf8", env: environment });
  return [...told.matchAll(/^\s*(\S+) => not found/gm)].map((found) => found[1]);
}

function environmentFor(folder, program) {
  const environment = { ...process.env };
  if (!existsSync("/etc/fonts/fonts.conf")) environment.FONTCONFIG_PATH ??= join(folder, "fonts");
  if (missingLibraries(program, environment).length) {
    const above = environment.LD_LIBRARY_PATH;
    const own = join(folder, "al2023", "lib");
    environment.LD_LIBRARY_PATH = above ? `${own}:${above}` : own;
  }
  const missing = missingLibraries(program, environment);
  if (missing.length) {
    const hint = "install them (on Debian: apt-get install libnss3 libnspr4 libdbus-1-3)";
    throw new Error(`Chromium needs ${missing.join(", ")}, which this machine lacks: ${hint}`);
  }
  return environment;
}

// A browser; whoever starts it closes it.
export async function launch() {
  const folder = await unpacked();
  const executablePath = join(folder, "chromium");
  return playwright.launch({
    executablePath,
    env: environmentFor(folder, executablePath),
    timeout: 600_000,
    args: ["--no-sandbox", "--no-zygote", "--disable-gpu", "--font-render-hinting=none"],
  });
}
