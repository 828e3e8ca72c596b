import { useState } from 'preact/hooks';
import type { VirtualSiteView } from '../../../core/model/view.ts';
import { Command } from '../command.tsx';
import { count } from '../format.ts';
import { StateShape } from '../state-mark.tsx';
import { STATE_WORDS } from '../state-words.ts';
import { Shares } from './totals.tsx';

const FEW = 12;

/** One chip a virtual site, the one in most trouble first; pressed, the list shows its members only. */
export function VirtualSites({
  virtualSites,
  chosen,
  onChoose,
}: {
  virtualSites: readonly VirtualSiteView[];
  chosen: string | null;
  onChoose: (name: string | null) => void;
}) {
  const [all, setAll] = useState(false);
  const sorted = virtualSites.toSorted((a, b) => trouble(b) - trouble(a) || (a.name < b.name ? -1 : 1));
  const shown = all ? sorted : sorted.filter((site, index) => index < FEW || site.name === chosen);
  return (
    <section class="virtual-sites" aria-labelledby="virtual-sites-title">
      <h2 id="virtual-sites-title">Virtual sites</h2>
      {virtualSites.length === 0 ? (
        <p class="muted">
          None yet. A virtual site groups sites by labels:{' '}
          <Command text="plumbline apply -f examples/stages.yaml" />
        </p>
      ) : (
        <ul>
          {shown.map((site) => (
            <li key={site.name}>
              <Chip site={site} chosen={site.name === chosen} onChoose={onChoose} />
            </li>
          ))}
          {sorted.length > shown.length && (
            <li>
              <button type="button" class="chip more" onClick={() => setAll(true)}>
                {count(sorted.length - shown.length)} more
              </button>
            </li>
          )}
        </ul>
      )}
    </section>
  );
}

function Chip({
  site,
  chosen,
  onChoose,
}: {
  site: VirtualSiteView;
  chosen: boolean;
  onChoose: (name: string | null) => void;
}) {
  const { rollup } = site;
  const worst = (['red', 'orange', 'unknown'] as const).find((state) => rollup.byState[state] > 0);
  return (
    <button
      type="button"
      class="chip"
      aria-pressed={chosen}
      title={site.selector === '' ? 'Selects every site' : `Selects ${site.selector}`}
      onClick={() => onChoose(chosen ? null : site.name)}
    >
      <span class="chip-name">{site.name}</span>
      <span class="chip-figure">
        {rollup.members === 0 ? (
          'no members'
        ) : worst === undefined ? (
          <>
            <StateShape state="green" />
            all {count(rollup.members)}
          </>
        ) : (
          <>
            <StateShape state={worst} />
            {count(rollup.byState[worst])} <span class="unseen">{STATE_WORDS[worst]}</span> of{' '}
            {count(rollup.members)}
          </>
        )}
      </span>
      <Shares rollup={rollup} />
    </button>
  );
}

function trouble({ rollup }: VirtualSiteView): number {
  if (rollup.members === 0) return -1;
  const { red, orange, unknown } = rollup.byState;
  return (red + 0.5 * orange + 0.25 * unknown) / rollup.members;
}
