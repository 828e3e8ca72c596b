/** Where everything of Plumbline is. Atomic, because ClickHouse's default database in process is not. */
export const DATABASE = 'plumbline';

/**
 * Settings of every table. Parts stay in one data file until they are large, because a file for each of sixty columns
 * costs more to make than to fill; merges wait for a score of parts of a size, because a merge costs a report more
 * than its insert did; statistics nobody asks for are not kept.
 */
export const SMALL_PARTS =
  "min_bytes_for_wide_part = 268435456, merge_selector_base = 20, auto_statistics_types = ''";
