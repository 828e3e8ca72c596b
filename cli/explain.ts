import type { Command } from 'commander';
import Type from 'typebox';
import { Compile } from 'typebox/compile';
import { Host, Link } from '../core/model/report.ts';
import { Ledger, type ScoreExplanation, SiteDetail, type SiteView } from '../core/model/view.ts';
import { beginRun, type CommandContext, type CommandRun } from './command-context.ts';
import { EXIT, Refusal } from './exit.ts';
import { ago, bytes, milliseconds, percent, stretch, whole } from './figures.ts';
import { explainRollout } from './rollout/explain.ts';
import { colorOf, type Paint, signText } from './sign.ts';
import { kindText, labelsText } from './site-columns.ts';
import { type Column, pad, plainText, renderTable } from './table.ts';

const hostShape = Compile(Host);
const linksShape = Compile(Type.Array(Link));
const ledgerShape = Compile(Ledger);

export function addExplainCommand(program: Command, context: CommandContext): void {
  program
    .command('explain')
    .description("say how a site's score came about, penalty by penalty, or why a rollout is where it is")
    .argument('<kind>', 'site or rollout')
    .argument('<name>', 'its name')
    .action(async (kind: string, name: string, _options: object, command: Command) => {
      const run = beginRun(command, context);
      if (kind === 'rollout' || kind === 'rollouts') return explainRollout(run, name);
      if (kind !== 'site' && kind !== 'sites')
        throw new Refusal(
          EXIT.usage,
          `"${kind}" can't be explained. Use \`plumbline explain site NAME\` or \`plumbline explain rollout NAME\`.`,
        );
      const detail = await run.hub().get(`/api/v1/sites/${encodeURIComponent(name)}`, SiteDetail);
      run.print(detail, () => explain(detail, run));
    });
}

function explain(detail: SiteDetail, { paint, terminal }: CommandRun): string[] {
  const nowMs = terminal.clock.nowMs();
  // Each part by itself: one that a newer collector says otherwise is passed over alone.
  const { host, links }: { host?: unknown; links?: unknown } = detail.report ?? {};
  const title = (text: string) => paint('1', text);
  return [
    ...headline(detail.site, nowMs, paint),
    '',
    title('Score'),
    ...scoreLines(detail.explanation, nowMs, paint),
    '',
    title('Links'),
    ...linkLines(linksShape.Check(links) ? links : [], paint),
    '',
    title('Host'),
    ...hostLines(hostShape.Check(host) ? host : null),
    '',
    title('Reports'),
    ...ledgerLines(detail, paint),
  ].map((line) => line.trimEnd());
}

function headline(site: SiteView, nowMs: number, paint: Paint): string[] {
  const state = paint(colorOf(site.state), signText(site));
  const heard = site.receivedAtMs === null ? 'never heard' : `heard ${ago(site.receivedAtMs, nowMs)}`;
  return [
    `${paint('1', site.id)}  ${state}  score ${whole(site.score)}  ${heard}`,
    `  kind ${kindText(site)}, version ${plainText(site.version) || '-'}`,
    `  labels ${labelsText(site.labels)}`,
    `  virtual sites ${site.virtualSites.join(', ') || '-'}`,
    ...(site.state === 'unknown' && site.reason !== '' ? [`  ${plainText(site.reason)}`] : []),
  ];
}

function scoreLines(explanation: ScoreExplanation, nowMs: number, paint: Paint): string[] {
  const { components, arithmetic, caps, score, shown } = explanation;
  if (components.length === 0) return ['  nothing was observed that could be scored'];
  const lines: string[] = [];
  for (const { component, score: points, weight, penalties } of components) {
    const terms = penalties.map((penalty) => ` - ${number(penalty.points)}`).join('');
    const floor = penalties.reduce((sum, penalty) => sum + penalty.points, 0) > 100 ? ', at least 0' : '';
    lines.push(
      `  ${pad(component, 14)}${pad(number(points), 5, true)} = 100${terms}${floor}  (weight ${number(weight)})`,
    );
    for (const penalty of penalties) {
      const subject = penalty.subject === '' ? '' : ` ${penalty.subject}`;
      const text = `${penalty.id}${subject}: ${penalty.observed}, since ${stretch(nowMs - penalty.sinceMs)}`;
      lines.push(`  ${paint('31', pad(`-${number(penalty.points)}`, 19, true))}  ${plainText(text)}`);
    }
  }
  lines.push(`  ${plainText(arithmetic)}`);
  for (const cap of caps) lines.push(`  capped: ${plainText(cap)}`);
  if (shown !== score) lines.push(`  shown as ${whole(shown)}`);
  return lines;
}

function linkLines(links: readonly Link[], paint: Paint): string[] {
  if (links.length === 0) return ['  none'];
  const share = (part: number, link: Link) =>
    link.window.requests === 0 ? '-' : percent(part / link.window.requests);
  const columns: Column<Link>[] = [
    { header: '  LINK', text: (link) => `  ${link.name}` },
    {
      header: 'UP',
      text: (link) => (link.up ? '● up' : '■ down'),
      paint: (link, padded) => paint(link.up ? '32' : '31', padded),
    },
    { header: 'REQUESTS', text: (link) => String(link.requests), alignRight: true },
    { header: 'LOST', text: (link) => share(link.window.losses, link), alignRight: true },
    { header: 'ERRORS', text: (link) => share(link.window.errors, link), alignRight: true },
    { header: 'P50', text: (link) => milliseconds(link.latency?.p50Ms), alignRight: true },
    { header: 'P90', text: (link) => milliseconds(link.latency?.p90Ms), alignRight: true },
    { header: 'P99', text: (link) => milliseconds(link.latency?.p99Ms), alignRight: true },
    { header: 'USUAL', text: (link) => milliseconds(link.baselineMs), alignRight: true },
    { header: 'BUDGET', text: (link) => milliseconds(link.budgetMs), alignRight: true },
    { header: 'TARGET', text: (link) => link.target },
    { header: 'LAST ERROR', text: (link) => link.lastError ?? '' },
  ];
  return renderTable(columns, links, true);
}

function hostLines(host: Host | null): string[] {
  if (host === null) return ['  not observed'];
  const { cpu, memory, swap, pressure, disks } = host;
  const used = (part: { totalBytes: number; utilization: number }) =>
    `${percent(part.utilization)} of ${bytes(part.totalBytes)}`;
  const row = (name: string, text: string) => `  ${pad(name, 10)}${plainText(text)}`;
  const lines = [
    row('cpu', `${percent(cpu.utilization)} of ${cpu.count}, load ${cpu.load1.toFixed(2)}`),
    row('memory', `${used(memory)}, ${bytes(memory.availableBytes)} available`),
    row('swap', swap.totalBytes === 0 ? 'none' : used(swap)),
    ...disks.map((disk) => row('disk', `${used(disk)} at ${disk.mount}`)),
  ];
  if (pressure !== undefined)
    lines.push(
      row(
        'pressure',
        `cpu ${percent(pressure.cpuSome)}, memory ${percent(pressure.memorySome)}, io ${percent(pressure.ioSome)}`,
      ),
    );
  lines.push(row('uptime', stretch(host.uptimeS * 1000)));
  return lines;
}

/** Where its reports are, and whether any is unaccounted for. */
function ledgerLines({ ledger }: SiteDetail, paint: Paint): string[] {
  if (ledger === null || !ledgerShape.Check(ledger)) return ['  nothing was sent yet'];
  const { sent, stored, quarantined, pending, gaps, lost, missing, boots, missingRanges } = ledger;
  const sum = `  ${sent} sent = ${stored} stored + ${quarantined} quarantined + ${pending} pending + ${gaps} in gaps + ${lost === 0 ? '' : `${lost} lost by a restore + `}${missing} missing`;
  return [
    `${sum}  (${boots} ${boots === 1 ? 'boot' : 'boots'})`,
    ...(missing > 0 ? [paint('31', `  missing: ${missingRanges.join(', ')}`)] : []),
  ];
}

function number(value: number): string {
  return String(Math.round(value * 10) / 10);
}
