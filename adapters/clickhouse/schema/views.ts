export const VIEW_STATEMENTS: readonly string[] = [];
