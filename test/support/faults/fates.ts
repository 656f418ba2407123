/** Error replies that leave it open whether a write was applied, or say that it was. */

/** writes.wait: applied, but too few replicas said so in time. */
export const UNCONFIRMED = 'UNCONFIRMED The write is applied';

/** Whether a write that was answered so may have been applied. */
export function isFateUnknown(message: string): boolean {
  return (
    message.startsWith('UNCERTAIN') ||
    message.startsWith(UNCONFIRMED) ||
    message.includes('parts were applied')
  );
}
