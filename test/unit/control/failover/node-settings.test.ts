import { describe, expect, it } from 'vitest';
import { NodeSettings } from '../../../../src/control/failover/node-settings.ts';
import { NodeCallError } from '../../../../src/control/node-client.ts';
import { primariesOf } from '../../../../src/topology/snapshot.ts';
import { snapshotOf } from './facts.ts';

const [PRIMARY] = primariesOf(snapshotOf(1, [{ primary: 'p' }]));

function settingsOf(values: Record<string, string>, now = () => 0) {
  const asked: string[] = [];
  const callNode = async (_: unknown, command: readonly string[]) => {
    const name = command[2] ?? '';
    asked.push(name);
    const value = values[name];
    if (value === undefined) {
      throw new NodeCallError('h:1', { code: 'auth', message: 'NOPERM' });
    }
    return [Buffer.from(name), Buffer.from(value)];
  };
  return { settings: new NodeSettings({ callNode }, now), asked };
}

async function learn(values: Record<string, string>): Promise<NodeSettings> {
  const { settings } = settingsOf(values);
  if (PRIMARY !== undefined) await settings.refresh([PRIMARY]);
  return settings;
}

describe('the settings of a node', () => {
  it.each([
    ['', 'no', false],
    ['3600 1', 'no', true],
    ['', 'yes', true],
  ])('save "%s" and appendonly %s: persists is %s', async (save, appendonly, expected) => {
    const settings = await learn({ save, appendonly, 'cluster-node-timeout': '1234' });
    expect(settings.persists('p')).toBe(expected);
    expect(settings.nodeTimeoutMs('p')).toBe(1234);
  });

  it('are the cautious ones where they may not be read', async () => {
    const settings = await learn({});
    expect(settings.persists('p')).toBe(true);
    expect(settings.nodeTimeoutMs('p')).toBe(15_000);
    expect(settings.persists('unknown')).toBe(true);
  });

  it('are asked rarely, and anew after a minute', async () => {
    let time = 0;
    const { settings, asked } = settingsOf({ save: '' }, () => time);
    const primaries = PRIMARY === undefined ? [] : [PRIMARY];
    await settings.refresh(primaries);
    const once = asked.length;
    await settings.refresh(primaries);
    expect(asked).toHaveLength(once);
    time = 61_000;
    await settings.refresh(primaries);
    expect(asked).toHaveLength(2 * once);
  });
});
