/**
 * Processor time of this process in milliseconds. Work is measured by it and not by the clock on
 * the wall: on a machine short of processors a stall is no work, and must not slow the polls down.
 */
export function cpuMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}
