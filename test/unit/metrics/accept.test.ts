import { expect, test } from 'vitest';
import { preferredOffer } from '../../../src/metrics/accept.ts';

const TEXT = { type: 'text/plain', version: '0.0.4' };
const OPENMETRICS = { type: 'application/openmetrics-text', version: '1.0.0' };
const JSON_TYPE = { type: 'application/json' };

function chosen(accept: string | undefined): string {
  return preferredOffer(accept, [TEXT, OPENMETRICS, JSON_TYPE]).type;
}

test.each([
  [undefined, TEXT],
  ['', TEXT],
  ['*/*', TEXT],
  ['image/png', TEXT],
  ['text/html,application/xhtml+xml,*/*;q=0.8', TEXT],
  ['application/json', JSON_TYPE],
  ['Application/JSON ; q=0.9 , text/plain;q=0.1', JSON_TYPE],
  ['application/*', OPENMETRICS],
  ['application/*;q=0.5, application/openmetrics-text;q=0.1', JSON_TYPE],
  ['application/openmetrics-text', OPENMETRICS],
  ['application/openmetrics-text;version=0.0.1', TEXT],
  ['application/json;q=0, */*;q=0.1', TEXT],
  ['text/plain;q=oops, application/json;q=0.1', JSON_TYPE],
  [
    // Prometheus 2.x
    'application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1',
    OPENMETRICS,
  ],
  [
    // Prometheus 3.x
    'application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,text/plain;version=0.0.4;q=0.2,*/*;q=0.1',
    OPENMETRICS,
  ],
  ['text/plain;version=1.0.0;q=0.9,text/plain;version=0.0.4;q=0.2,application/json;q=0.1', TEXT],
])('%s', (accept, offer) => {
  expect(chosen(accept)).toBe(offer.type);
});
