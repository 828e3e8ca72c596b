import { describe, expect, it } from 'vitest';
import { createCorrectedTime } from '../../core/corrected-time.ts';

function machine() {
  const at = { wallMs: 1_000_000, monoMs: 0 };
  return {
    clock: { nowMs: () => at.wallMs, monoMs: () => at.monoMs },
    pass(ms: number) {
      at.wallMs += ms;
      at.monoMs += ms;
    },
    step(ms: number) {
      at.wallMs += ms;
    },
  };
}

describe('corrected time', () => {
  it('uses the offset of an earlier boot until the hub is measured', () => {
    const { clock, pass } = machine();
    let measured: number | null = null;
    const time = createCorrectedTime(clock, () => measured, 500);
    expect(time.nowMs()).toBe(1_000_500);
    expect(time.offsetMs()).toBe(500);
    pass(1000);
    measured = -200;
    expect(time.nowMs()).toBe(1_000_800);
    expect(time.offsetMs()).toBe(-200);
  });

  it('has no offset before the site ever spoke to its hub', () => {
    const time = createCorrectedTime(machine().clock, () => null, null);
    expect(time.offsetMs()).toBe(null);
    expect(time.nowMs()).toBe(1_000_000);
  });

  it('believes a step forward and bridges one backward while no hub is there', () => {
    const { clock, pass, step } = machine();
    const time = createCorrectedTime(clock, () => null, null);
    expect(time.nowMs()).toBe(1_000_000);
    step(-50_000);
    pass(10);
    expect(time.nowMs()).toBe(1_000_010);
    pass(10);
    expect(time.nowMs()).toBe(1_000_020);
    step(90_000);
    expect(time.nowMs()).toBe(1_040_020);
  });
});
