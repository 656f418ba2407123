/** Property tests draw the same values for each mutant, and need not find the smallest failure. */
import fc from 'fast-check';

fc.configureGlobal({ seed: 20_000, endOnFailure: true });
