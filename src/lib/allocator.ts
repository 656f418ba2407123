/**
 * How the C library's allocator (glibc) keeps freed memory, as environment of a process that is
 * started. By default the size from which blocks are mapped on their own grows up to 32 MB with use,
 * so buffers of a burst end up in the heap and stay there in pieces: after 100,000 replies to slow
 * readers and a million pipelined commands a worker kept 50 MB for good; with these values, none.
 * 16384 is the size of a small slab. Other allocators do not know the names.
 */
export const ALLOCATOR_ENVIRONMENT: Readonly<Record<string, string>> = {
  MALLOC_MMAP_THRESHOLD_: '16384',
  MALLOC_TRIM_THRESHOLD_: '131072',
};
