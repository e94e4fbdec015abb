// A link to a recorded run on the web, ?run=URL: this browser fetches the file, and hands it in as an upload of its visitor.
// The server fetches nothing, and opens it as any file that anybody may have written.
export const MAX_BYTES = 20_000_000; // as ui/export/load_runs.py
const PATIENCE = 30_000; // milliseconds until the file must be there

// The address of the run that a query names, null for none. Throws an Error with one sentence.
export function runUrl(query, page) {
  const text = new URLSearchParams(query).get("run");
  if (!text) return null;
  const url = URL.canParse(text, page) ? new URL(text, page) : null;
  if (!url || !["http:", "https:"].includes(url.protocol) || url.username || url.password) {
    throw new Error("The link names no address of a recorded run; after run= comes one such as https://host/run.json.");
  }
  return url;
}

// Name of the file at an address, in plain letters.
export function fileName({ pathname }) {
  const last = pathname
    .split("/")
    .pop()
    .replace(/[^\w.-]/g, "");
  return /\.(json|zip)$/i.test(last) ? last.slice(-60) : "run.json";
}

// The bytes of a response as a list of parts. Throws an Error with one sentence for more than `limit`.
export async function readLimited(response, limit = MAX_BYTES) {
  const [parts, reader] = [[], response.body.getReader()];
  let left = limit;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return parts;
    left -= value.length;
    if (left < 0) {
      await reader.cancel();
      throw new Error(`The linked run has more than ${limit / 1e6} MB; link a smaller file.`);
    }
    parts.push(value);
  }
}

// The file at an address, without the visitor's cookies. isRefused: whether this page's policy has refused the address.
export async function fetchRun(url, { fetch, isRefused, signal }) {
  let response;
  try {
    response = await fetch(url, { credentials: "omit", referrerPolicy: "no-referrer", signal });
  } catch {
    await pause(100); // the page is told of what its policy refuses after the request has failed
    const why = isRefused()
      ? `this server does not open runs from ${url.origin}; its operator can allow it with CROP_RUN_ORIGINS`
      : `${url.host} does not answer, or does not let other sites read it (CORS)`;
    throw new Error(`The linked run could not be loaded: ${why}.`);
  }
  if (!response.ok) throw new Error(`The linked run could not be loaded: ${url.host} answers ${response.status}.`);
  return new File(await readLimited(response), fileName(url));
}

const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

// A part of the page, once the page answers to events: it has opened a tab then (ui/page/layout.py).
async function partOf(scope, selector) {
  let part = null;
  while (!(part && scope.cropTabNamed)) {
    await pause(100);
    part = scope.document.querySelector(selector);
  }
  return part;
}

// Opens the run that the page's address names, if any; where it cannot be, `#linked-failed` shows one sentence.
export async function openLinked(scope = window) {
  try {
    const url = runUrl(scope.location.search, scope.location.href);
    if (!url) return;
    let refused = false;
    scope.document.addEventListener("securitypolicyviolation", () => {
      refused = true;
    });
    const signal = AbortSignal.timeout(PATIENCE);
    const file = await fetchRun(url, { fetch: scope.fetch.bind(scope), isRefused: () => refused, signal });
    const field = await partOf(scope, 'input[data-testid="Linked run-upload-button"]');
    const files = new DataTransfer();
    files.items.add(file);
    field.files = files.files;
    field.dispatchEvent(new Event("change", { bubbles: true }));
  } catch (error) {
    const late = error.name === "TimeoutError";
    scope.cropExplorer.notOpened = late
      ? "The linked run could not be loaded: it took longer than 30 seconds."
      : error.message;
    (await partOf(scope, "#linked-failed")).click();
  }
}
