import type { Logger } from '../../core/ports/logger.ts';

export const silentLogger: Logger = { debug() {}, info() {}, warn() {}, error() {} };
