import { describe, expect, it } from 'vitest';
import { CONFIG_FIELDS, defaultConfig } from '../../../src/config/schema.ts';
import { changedConfig, LIVE_SETTINGS } from '../../../src/control/live-config.ts';

const change = (name: string, value: string) => changedConfig(defaultConfig(), [{ name, value }]);

describe('settings that change while slotgate runs', () => {
  it('are settings', () => {
    const names = CONFIG_FIELDS.fields.map(({ path }) => path.join('.'));
    expect([...LIVE_SETTINGS].filter((name) => !names.includes(name))).toEqual([]);
  });

  it.each([
    ['hold.timeoutMs', '5s', { hold: { timeoutMs: 5000 } }],
    ['timeout', '30', { timeout: 30 }],
    ['retry.sentWrites', 'yes', { retry: { sentWrites: true } }],
    ['commands.deny', 'flushall  CONFIG|set', { commands: { deny: ['flushall', 'config|set'] } }],
    ['commands.deny', '', { commands: { deny: [] } }],
  ])('%s = %j', (name, value, expected) => {
    expect(change(name, value)).toMatchObject(expected);
  });

  it('leaves the rest, and the configuration it began with, as they are', () => {
    const before = defaultConfig();
    const after = changedConfig(before, [{ name: 'timeout', value: '9' }]);
    expect(before).toEqual(defaultConfig());
    expect(after).toEqual({ ...defaultConfig(), timeout: 9 });
  });

  it.each([
    ['timeout', 'soon', /allowed: a whole number/],
    ['port', '7', /restart/],
    ['requirepass', 'x', /restart/],
    ['commands.deny', 'no/such', /allowed: a list of command names/],
    ['hold.maxRequests', '0', /nothing could be held/],
  ])('%s = %j is refused', (name, value, why) => {
    const refused = change(name, value);
    expect(refused).toMatchObject({ name });
    expect('why' in refused ? refused.why : '').toMatch(why);
  });
});
