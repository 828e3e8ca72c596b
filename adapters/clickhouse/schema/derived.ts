export const DERIVED_STATEMENTS: readonly string[] = [];
