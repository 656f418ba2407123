/**
 * A reporter that prints at the end, as Markdown, which client can do what: one row for each
 * `describe` whose tests are the features, and below it what a client has besides them.
 */
import type { Reporter, TestCase, TestModule, TestSuite } from 'vitest/node';
import { FEATURES, NOT_APPLICABLE } from './features.ts';

const NAMES: ReadonlySet<string> = new Set(FEATURES);

export default class TableReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[]): void {
    const suites = modules.flatMap((module) => [...module.children.suites()]);
    const clients = suites.map(readClient);
    const lines = [
      row('client', ...FEATURES),
      row(...Array(FEATURES.length + 1).fill('---')),
      ...clients.filter(({ features }) => features.size > 0).map(featureRow),
      '',
      ...clients.flatMap(({ name, others }) => others.map((other) => `- ${name}, ${other}`)),
      '',
      ...new Set(clients.flatMap(({ reasons }) => reasons)),
    ];
    console.log(`\n${lines.join('\n').trimEnd()}\n`);
  }
}

interface ClientResult {
  readonly name: string;
  readonly features: ReadonlyMap<string, string>;
  /** Tests of what only this client has, with their result. */
  readonly others: readonly string[];
  /** Why something failed or was skipped. */
  readonly reasons: readonly string[];
}

function readClient(suite: TestSuite): ClientResult {
  const features = new Map<string, string>();
  const others: string[] = [];
  const reasons: string[] = [];
  let version = '';
  for (const test of suite.children.allTests()) {
    const { word, reason } = wordFor(test);
    if (NAMES.has(test.name)) features.set(test.name, word);
    else others.push(`${test.name}: ${word}`);
    version ||= test.meta().version ?? '';
    if (word === 'skipped') reasons.push(`skipped: ${reason}`);
    if (word === 'FAIL') reasons.push(`${suite.name}, ${test.name}: ${reason}`);
  }
  return { name: withVersion(suite.name, version), features, others, reasons };
}

/** `ioredis 6, cluster` becomes `ioredis 6.0.0, cluster`. */
function withVersion(name: string, version: string): string {
  if (version === '') return name;
  const [client = '', ...mode] = name.split(', ');
  return [`${client.replace(/ \d+$/, '')} ${version}`, ...mode].join(', ');
}

function wordFor(test: TestCase): { readonly word: string; readonly reason: string } {
  const result = test.result();
  if (result.state === 'passed') return { word: 'ok', reason: '' };
  if (result.state === 'skipped') {
    const reason = result.note ?? '';
    return { word: reason.startsWith(NOT_APPLICABLE) ? NOT_APPLICABLE : 'skipped', reason };
  }
  const reason = result.errors?.[0]?.message.split('\n')[0] ?? '';
  return { word: 'FAIL', reason };
}

function featureRow({ name, features }: ClientResult): string {
  return row(name, ...FEATURES.map((feature) => features.get(feature) ?? NOT_APPLICABLE));
}

function row(...cells: readonly string[]): string {
  return `| ${cells.join(' | ')} |`;
}
