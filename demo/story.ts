import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import Type from 'typebox';
import { RolloutDetail } from '../core/model/policy-view.ts';
import { LEDGER_RULE, payments, VIRTUAL_SITES } from './documents.ts';
import { API, GROUPS, type Group, LEDGER, type Scene } from './scene.ts';
import type { Teller } from './teller.ts';
import { waitFor } from './wait-for.ts';

const POLICY = 'allowlist/payments';
const FILE = 'payments.yaml';
const FOLLOW_MS = 60_000;
/** Each question is a process of its own. */
const ASK_EVERY_MS = 500;
const EVIDENCE_LINES = 14;
const Heard = Type.Array(Type.Object({ freshness: Type.String() }));

/** Reasons that are there when everything else is as it should be. */
const NO_TRAFFIC: ReadonlySet<string> = new Set(['no-traffic', 'rule-without-traffic']);

type Stage = RolloutDetail['rollout']['stages'][number];

/** The story, chapter by chapter. Each checks what it comes to; the first that differs throws what was different. */
export class Story {
  readonly #scene: Scene;
  readonly #teller: Teller;
  readonly #signal: AbortSignal;

  constructor(scene: Scene, teller: Teller, signal: AbortSignal) {
    this.#scene = scene;
    this.#teller = teller;
    this.#signal = signal;
  }

  async tell(): Promise<void> {
    await this.#begin();
    await this.#draft();
    await this.#test();
    await this.#fail();
    await this.#mend();
    await this.#prove();
  }

  async #begin(): Promise<void> {
    const teller = this.#teller;
    teller.chapter('1. A hub, two sites that are test and two that are prod');
    teller.typed(['plumbline', 'up']);
    const greeting = await this.#scene.hub.start();
    teller.printed(excerptOf(greeting, /^Plumbline is up|^ {2}Address/));
    await this.#scene.populate(teller);
    this.#write('virtual-sites.yaml', VIRTUAL_SITES);
    await this.#types(['apply', '-f', 'virtual-sites.yaml']);
    await waitFor(
      'all four sites are heard',
      async () => {
        const sites = await this.#scene.hub.ask(Heard, 'get', 'sites');
        return sites.length === 4 && sites.every(({ freshness }) => freshness === 'heard');
      },
      { everyMs: ASK_EVERY_MS, signal: this.#signal },
    );
    await this.#types(['get', 'sites']);
    teller.say(
      `At each site runs a workload, checkout. In prod it calls ${API.host}, and, as hardly anybody remembers, ${LEDGER.host} too. In test it does nothing yet.`,
    );
    this.#scene.connect('prod', [API, LEDGER]);
    for (const target of [API, LEDGER]) await this.#scene.arrives('prod', target);
  }

  async #draft(): Promise<void> {
    const teller = this.#teller;
    teller.chapter('2. An author writes what checkout may connect to');
    const text = payments(this.#rules());
    this.#write(FILE, text);
    teller.typed(['cat', FILE]);
    teller.printed(text);
    await this.#types(['validate', '-f', FILE]);
    await this.#types(['plan', '-f', FILE], /^Names$/m);
    teller.say('Nothing has changed so far: a plan only tells.');
  }

  async #test(): Promise<void> {
    const { chapter, say } = bound(this.#teller);
    chapter('3. In test: no traffic is no proof');
    await this.#types(['apply', '-f', FILE]);
    const hasNoTraffic = ({ sites }: RolloutDetail) =>
      sites.length > 0 &&
      sites.every(({ reasons }) => reasons.length > 0 && reasons.every(({ code }) => NO_TRAFFIC.has(code)));
    await this.#until('test is without traffic', hasNoTraffic);
    await this.#types(['explain', 'rollout', 'payments']);
    await this.#check('The rules are in force, and yet it is inconclusive.', (detail) => {
      return stageOf(detail, 0)?.verdict === 'inconclusive' && detail.rollout.phase === 'progressing';
    });
    say(`Now checkout in test calls ${API.host}.`);
    this.#scene.connect('test', [API]);
    await this.#follow(/: awaiting-promotion,/);
    await this.#check('Test has passed by connections that its rules let through.', (detail) => {
      const stage = stageOf(detail, 0);
      return stage?.verdict === 'pass' && stage.counts.passed === 2 && stage.hits >= 4;
    });
  }

  async #fail(): Promise<void> {
    const { chapter, say, good } = bound(this.#teller);
    chapter('4. In prod: a destination that the list misses');
    await this.#types(['rollout', 'promote', POLICY]);
    await this.#follow(/: rolled-back,/);
    const outage = await this.#scene.outage(LEDGER);
    await this.#types(['explain', 'rollout', 'payments']);
    await this.#check('Prod failed, and went back by itself to what it ran before.', (detail) => {
      const stage = stageOf(detail, 1);
      return (
        detail.rollout.phase === 'rolled-back' && stage?.verdict === 'fail' && stage.unexpectedDenies > 0
      );
    });
    for (const target of [API, LEDGER]) await this.#scene.arrives('prod', target);
    good(outage);
    say('Nobody was called. Test keeps what it had passed.');
  }

  async #mend(): Promise<void> {
    const { chapter, say, typed, printed } = bound(this.#teller);
    chapter('5. The author adds the rule, and has test use it');
    this.#write(FILE, payments([...this.#rules(), LEDGER_RULE]));
    typed(['grep', '-n', 'ledger', FILE]);
    printed(numberedLines(payments([...this.#rules(), LEDGER_RULE]), 'ledger'));
    this.#scene.connect('test', [API, LEDGER]);
    say(
      'A rule that is new counts only by connections of its own, so checkout in test calls the ledger now.',
    );
    await this.#types(['apply', '-f', FILE]);
    await this.#follow(/: awaiting-promotion,/);
    await this.#types(['rollout', 'promote', POLICY]);
    await this.#follow(/: completed,/);
    await this.#check('Test and prod have passed, and the rollout is completed.', ({ rollout }) => {
      const isPassed = ({ verdict, counts }: Stage) => verdict === 'pass' && counts.passed === 2;
      return rollout.phase === 'completed' && rollout.stages.every(isPassed);
    });
    for (const target of [API, LEDGER]) await this.#scene.arrives('prod', target);
  }

  async #prove(): Promise<void> {
    const { chapter, typed, printed, leftOut, say } = bound(this.#teller);
    chapter('6. For the change ticket');
    typed(['plumbline', 'rollout', 'evidence', POLICY]);
    const { code, text } = await this.#scene.hub.plumbline('rollout', 'evidence', POLICY);
    const newest = text.slice(Math.max(0, text.lastIndexOf('\n\n') + 2));
    leftOut();
    printed(newest.split('\n').slice(0, EVIDENCE_LINES).join('\n'));
    this.#expect(
      code === 0 && newest.includes(': PASS'),
      'The evidence of the last decision should say PASS.',
    );
    for (const site of GROUPS.flatMap((group: Group) => this.#scene.sites[group]))
      this.#expect(text.includes(`${site}: pass`), `The evidence should name ${site} as passed.`);
    say('Every decision is kept with what it rested on; --recompute asks the stored rows again.');
  }

  #rules(): string[] {
    return this.#scene.resolverRule === null ? [] : [this.#scene.resolverRule];
  }

  #write(name: string, text: string): void {
    writeFileSync(join(this.#scene.hub.dir, name), text);
  }

  /** Runs a command that has to end well, before the reader's eyes; what it prints from `leaveOut` on is left out. */
  async #types(argv: readonly string[], leaveOut?: RegExp): Promise<void> {
    this.#teller.typed(['plumbline', ...argv]);
    const { code, text } = await this.#scene.hub.plumbline(...argv);
    this.#signal.throwIfAborted();
    const end = leaveOut === undefined ? -1 : text.search(leaveOut);
    this.#teller.printed(end < 0 ? text : text.slice(0, end));
    if (end >= 0) this.#teller.leftOut();
    this.#expect(code === 0, `It should have ended with 0, and ended with ${code}.`);
  }

  /** Follows the rollout before the reader's eyes until a line of it is as wanted. */
  async #follow(wanted: RegExp): Promise<void> {
    const argv = ['rollout', 'status', POLICY, '--watch'];
    this.#teller.typed(['plumbline', ...argv]);
    const running = this.#scene.hub.run(argv);
    running.child.stdin?.end();
    let isThere = false;
    if (running.child.stdout !== null)
      createInterface({ input: running.child.stdout }).on('line', (line) => {
        if (isThere) return;
        this.#teller.printed(line);
        isThere = wanted.test(line);
      });
    try {
      const over = () => isThere || running.exited();
      await waitFor(`it says ${wanted.source}`, over, { withinMs: FOLLOW_MS, signal: this.#signal });
    } finally {
      await running.kill('SIGINT');
    }
    this.#expect(isThere, `It should have come to ${wanted.source}: ${running.output().slice(-500)}`);
  }

  #rollout(): Promise<RolloutDetail> {
    return this.#scene.hub.ask(RolloutDetail, 'rollout', 'status', POLICY);
  }

  async #until(what: string, wanted: (detail: RolloutDetail) => boolean): Promise<void> {
    let last = '';
    await waitFor(
      what,
      async () => {
        const detail = await this.#rollout();
        last = standingOf(detail);
        return wanted(detail);
      },
      { withinMs: FOLLOW_MS, everyMs: ASK_EVERY_MS, told: () => last, signal: this.#signal },
    );
  }

  async #check(outcome: string, wanted: (detail: RolloutDetail) => boolean): Promise<void> {
    const detail = await this.#rollout();
    this.#expect(wanted(detail), `"${outcome}" So it should be. ${standingOf(detail)}`);
    this.#teller.good(outcome);
  }

  #expect(isTrue: boolean, otherwise: string): void {
    this.#signal.throwIfAborted();
    if (!isTrue) throw new Error(otherwise);
  }
}

function standingOf({ rollout: { phase, reason, stages } }: RolloutDetail): string {
  const each = stages.map(
    ({ virtualSite, verdict, reasons }) => `${virtualSite}: ${verdict} (${reasons.join('; ')})`,
  );
  return `It is ${phase} ${reason}, ${each.join(', ')}`;
}

function stageOf(detail: RolloutDetail, index: number): Stage | undefined {
  return detail.rollout.stages[index];
}

function excerptOf(text: string, wanted: RegExp): string {
  return text
    .split('\n')
    .filter((line) => wanted.test(line))
    .join('\n');
}

function numberedLines(text: string, wanted: string): string {
  return text
    .split('\n')
    .flatMap((line, i) => (line.includes(wanted) ? [`${i + 1}:${line}`] : []))
    .join('\n');
}

/** The words that chapters are made of. */
function bound(teller: Teller) {
  return {
    chapter: (title: string) => teller.chapter(title),
    say: (text: string) => teller.say(text),
    typed: (argv: readonly string[]) => teller.typed(argv),
    printed: (text: string) => teller.printed(text),
    leftOut: () => teller.leftOut(),
    good: (text: string) => teller.good(text),
  };
}
