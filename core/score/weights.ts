import type { Component } from '../model/score.ts';

/** How much each component counts in the weighted mean. Any positive numbers; only their ratios matter. */
export type Weights = Readonly<Record<Component, number>>;

export const DEFAULT_WEIGHTS: Weights = { connectivity: 30, reliability: 30, security: 20, performance: 20 };
