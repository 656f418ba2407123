/** Every maker of commands on data. */
import type { Payload } from '../payloads.ts';
import { COLLECTION_MAKERS } from './collections.ts';
import { GENERIC_MAKERS, KEYSPACE_MAKERS, restoreMaker } from './generic.ts';
import { libraryMakers } from './libraries.ts';
import type { Makers } from './maker.ts';
import { SCRIPT_MAKERS } from './scripts.ts';
import { SERVER_MAKERS } from './server.ts';
import { SORTED_SET_MAKERS } from './sorted-sets.ts';
import { STREAM_MAKERS } from './streams.ts';
import { STRING_MAKERS } from './strings.ts';

export function allMakers(
  payloads: readonly Payload[],
  libraries: ReadonlyMap<string, Buffer>,
): Makers {
  return {
    ...STRING_MAKERS,
    ...COLLECTION_MAKERS,
    ...SORTED_SET_MAKERS,
    ...STREAM_MAKERS,
    ...GENERIC_MAKERS,
    ...KEYSPACE_MAKERS,
    ...SCRIPT_MAKERS,
    ...SERVER_MAKERS,
    ...libraryMakers(libraries),
    restore: restoreMaker(payloads),
  };
}
