/** The page at `/`: whether all is well, and where to look. Static HTML, no script. */
import { createHash } from 'node:crypto';
import { html, raw } from 'hono/html';

export interface StartPage {
  readonly version: string;
  readonly readiness: {
    readonly ready: boolean;
    readonly reasons: readonly string[];
    readonly degraded: readonly string[];
  };
  /** Where Redis clients connect, '' where that is not known. */
  readonly clients: string;
  readonly hasApi: boolean;
}

const STYLE = `
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
body { max-width: 40rem; margin: 3rem auto; padding: 0 1rem; }
code { font-family: ui-monospace, monospace; }
.state { padding: .5rem .75rem; border-left: .3rem solid; }
.ready { border-color: #2a7; }
.waiting { border-color: #d63; }
`;

const STYLE_HASH = createHash('sha256').update(STYLE).digest('base64');
/** Lets through exactly the style above. */
export const START_PAGE_CSP = `default-src 'none'; style-src 'sha256-${STYLE_HASH}'; frame-ancestors 'none'`;

/** Text in `${}` is escaped by hono's template; only the constant style goes in as it is. */
export function startPage({ version, readiness, clients, hasApi }: StartPage) {
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>slotgate</title>
${raw(`<style>${STYLE}</style>`)}
</head>
<body>
<h1>slotgate ${version}</h1>
${stateElement(readiness)}
${clients === '' ? '' : html`<p>Redis clients connect to <code>${clients}</code>.</p>`}
<ul>
<li><a href="/readyz">/readyz</a>: may traffic come here, and if not, why</li>
<li><a href="/metrics">/metrics</a>: Prometheus metrics</li>
${hasApi ? html`<li><a href="/api/v1/nodes">/api/v1/nodes</a>: shards and nodes, as JSON</li>` : ''}
${hasApi ? html`<li><a href="/api/v1/status">/api/v1/status</a>: slots, memory, keys and the job that moves them, as JSON</li>` : ''}
<li><a href="/healthz">/healthz</a>, <a href="/livez">/livez</a>: does the process answer</li>
</ul>
</body>
</html>
`;
}

function stateElement({ ready, reasons, degraded }: StartPage['readiness']) {
  if (ready && degraded.length === 0) {
    return html`<p class="state ready">Ready: clients are served.</p>`;
  }
  const items = [...reasons, ...degraded].map((reason) => html`<li>${reason}</li>`);
  const what = ready ? 'Ready, but not all is served:' : 'Not ready:';
  return html`<div class="state waiting">${what}<ul>${items}</ul></div>`;
}
