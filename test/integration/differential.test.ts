/**
 * Every command of Redis 7.0, in sessions with transactions, waiting commands and subscriptions,
 * through slotgate over three shards and to a single redis-server: the replies must be the same bytes
 * or as documented. SLOTGATE_TEST_DIFF_COMMANDS and SLOTGATE_TEST_DIFF_SEED change how many and which.
 */
import { describe, expect, it } from 'vitest';
import { listMistakes } from '../support/differential/coverage.ts';
import { runDifferential } from '../support/differential/differential.ts';
import { redirectsSeen, startSetting } from '../support/differential/setting.ts';

const COMMANDS = Number(process.env.SLOTGATE_TEST_DIFF_COMMANDS ?? 100_000);
const SEED = Number(process.env.SLOTGATE_TEST_DIFF_SEED ?? 1);
/** Far more than needed, for slow machines. */
const MS_PER_COMMAND = 3;

describe('random sessions through slotgate and to a single server', () => {
  it('are excepted from equality only where the command table allows it', () => {
    expect(listMistakes()).toEqual([]);
  });

  it(
    `get the same replies, ${COMMANDS} of them`,
    async () => {
      const setting = await startSetting();
      const { proxy, single, makers } = setting;
      try {
        const result = await runDifferential({
          slotgate: proxy,
          single,
          makers,
          seed: SEED,
          commands: COMMANDS,
          groups: 8,
          failuresMax: 3,
        });
        expect(result.failures.join('\n\n')).toBe('');
        expect(result.coverage.gaps()).toEqual([]);
        expect(await redirectsSeen(setting)).toEqual([]);
      } finally {
        await setting.close();
      }
    },
    60_000 + COMMANDS * MS_PER_COMMAND,
  );
});
